"""Runs commands and measures them, in a process of its own that stays small.

Linux counts, as the peak memory of a new process, what its parent had when it was started; so the parent must not be the one
that holds models.  Lines of JSON come in (:class:`Wanted`) and go out (:class:`bench.measure.Run`).  Standard library only.
"""

import json
import os
import select
import signal
import subprocess
import sys
import time

TICKS = os.sysconf("SC_CLK_TCK")


def cpu_of(pid: int) -> float:
    """CPU seconds that a process has used so far (user and system, without its children)."""
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:  # noqa: PTH123 - pathlib is memory here
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def run(command: list[str], folder: str, seconds: float, mark: str) -> dict[str, object]:
    """Run a command; ``mark`` is a text that its output has when the part that is measured apart begins."""
    started = time.perf_counter()
    process = subprocess.Popen(  # noqa: S603 - the command is the bench's own
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    assert process.stdout is not None
    out = process.stdout.fileno()
    given_up = sys.stdin.fileno()
    """Nothing comes in while a command runs; if it ends, so does the bench, and what it started."""
    output = b""
    marked: dict[str, float] | None = None
    late = False
    while True:
        left = started + seconds - time.perf_counter()
        ready = select.select([out, given_up], [], [], max(0.0, left))[0]
        if out not in ready:
            late = True
            os.killpg(process.pid, signal.SIGKILL)
            break
        data = os.read(out, 1 << 16)
        if not data:
            break
        output += data
        if mark and marked is None and mark.encode() in output:
            marked = {"wall": time.perf_counter() - started, "cpu": cpu_of(process.pid)}
    _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    return {
        "code": process.returncode,
        "late": late,
        "output": output.decode(errors="replace"),
        "wall": wall,
        "cpu": used.ru_utime + used.ru_stime,
        "peak": used.ru_maxrss / 1024,
        "marked": marked,
    }


def main() -> None:
    """Serve until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the bench's to answer, which closes the input
    for line in sys.stdin:
        wanted = json.loads(line)
        try:
            found = run(wanted["command"], wanted["folder"], wanted["seconds"], wanted["mark"])
        except OSError as error:
            found = {"error": str(error)}
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
