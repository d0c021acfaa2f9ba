"""A trace as a specification of PostgreSQL's isolation tester.

The grammar is that of ``src/test/isolation/README`` and ``specparse.y`` of PostgreSQL: set-up and tear-down, a session for each
process, its steps, and one permutation.  The tester recognises waiting by itself; a blocking marker stands where two waiting
steps end at once, so that they are reported in one order.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field

from txweave.export.script import Command, Datum, InexpressibleError, Script
from txweave.report.text import clauses

OBSERVER = "observer"
"""The session that asks the property's query, sets the clock, and ends the connections of processes that crash."""

_WIDTH = 110


@dataclass
class _Session:
    name: str
    setup: list[str]
    steps: list[str] = field(default_factory=list)
    waiting: str = ""
    """The step that waits."""
    open: bool = False


def render(script: Script) -> str:
    """The specification.

    Raises:
        InexpressibleError: the isolation tester cannot do something that happens.
    """
    return _Renderer(script).text()


class _Renderer:
    def __init__(self, script: Script) -> None:
        self.script = script
        self.schema = f"txweave_{script.name}"[:63]
        self.sessions = {name: _Session(name, self._settings(name)) for name in script.sessions}
        observer = OBSERVER
        while observer in self.sessions:
            observer += "_"
        self.observer = self.sessions[observer] = _Session(observer, self._settings(""))
        self.permutation: list[str] = []
        self.markers: dict[str, str] = {}
        self.names: set[str] = set()
        self.ended = ""
        """The waiting step that ended last, if nothing else has happened since."""

    def _settings(self, name: str) -> list[str]:
        texts = [f"SET search_path TO {self.schema}, pg_catalog", "SET default_transaction_isolation TO 'read committed'"]
        texts.append("SET timezone TO 'UTC'")
        if name in self.script.victims:
            texts.append("SET deadlock_timeout TO '2s'")
        elif name in self.script.survivors:
            texts.append("SET deadlock_timeout TO '1h'")
        return texts

    def text(self) -> str:
        """The whole specification."""
        script = self.script
        for command in script.commands:
            self._command(command)
        self._clear_up()
        head = [script.title, script.claim, f"from {script.origin}, made by txweave", *(f"note: {note}" for note in script.notes)]
        lines = [f"# {line}" for item in head for line in textwrap.wrap(item, _WIDTH)]
        start = [f"CREATE SCHEMA {self.schema}", f"SET search_path TO {self.schema}, pg_catalog", *script.setup]
        lines += ["", *_block("setup", start), "", *_block("teardown", [f"DROP SCHEMA {self.schema} CASCADE"])]
        for session in self.sessions.values():
            if session.steps:
                lines += ["", f"session {session.name}", *_block("setup", session.setup), *session.steps]
        marked = [step + (f"({self.markers[step]})" if step in self.markers else "") for step in self.permutation]
        return "\n".join([*lines, "", "permutation", *(f"    {step}" for step in marked)]) + "\n"

    # ---------------------------------------------------------------------------------------------------------- steps

    def _command(self, command: Command) -> None:
        session = self.sessions.get(command.session)
        match command.kind:
            case "local" | "stay":
                return
            case "resume" | "deadlock":
                assert session is not None
                if self.ended:
                    self.markers[session.waiting] = self.ended
                self.ended, session.waiting = session.waiting, ""
                self._told(session, command, "after waiting: ")
                return
            case "run" | "wait":
                assert session is not None
                name = self._step(session, command, [*command.first, command.sql])
                if command.kind == "wait":
                    session.waiting = name
                self._told(session, command, "")
                session.open = _open(session.open, [*command.first, command.sql])
            case "crash":
                assert session is not None
                session.waiting = ""  # its step fails with the connection
                session.open = False
                self._step(self.observer, command, [self._signal("pg_terminate_backend", session, ", 10000")])
            case "clock" | "check":
                self._step(self.observer, command, [*command.first, command.sql])
                self._told(self.observer, command, "")
            case other:
                raise AssertionError(other)
        self.ended = ""

    def _step(self, session: _Session, command: Command, texts: Sequence[str]) -> str:
        words = re.sub(r"[^A-Za-z0-9]+", "_", command.title.partition(": ")[2] or command.kind).strip("_").lower()[:40].strip("_")
        base = name = f"step{command.number}_{words}" if command.number else words[:40]
        number = 2
        while name in self.names:
            name = f"{base}_{number}"
            number += 1
        self.names.add(name)
        self.permutation.append(name)
        session.steps += ["", f"# {command.title}", *_block(f"step {name}", texts)]
        return name

    def _told(self, session: _Session, command: Command, when: str) -> None:
        """What is expected, as comments: the tester itself compares with a file of expected output."""
        if command.kind == "wait":
            session.steps.append(f"# waits{f' for {command.blocker}' if command.blocker else ''}")
        elif command.error:
            session.steps.append(f"# {when}fails with SQLSTATE {command.error}")
        elif command.several:
            session.steps.append(f"# {when}returns several rows, where the program takes one")
        elif command.rows:
            rows = ", ".join(map(_row, command.rows))
            session.steps.append(f"# {when}returns {'' if command.exact else 'among others '}{rows}")
        elif command.absent:
            session.steps.append(f"# does not return {', '.join(map(_row, command.absent))}")
        elif command.rows is not None and command.exact:
            session.steps.append(f"# {when}returns no row")
        elif command.count is not None:
            session.steps.append(f"# {when}{command.count} row{'' if command.count == 1 else 's'}")

    def _signal(self, function: str, session: _Session, more: str = "") -> str:
        """The tester ends the application's name with that of the session."""
        tail = f"/{session.name}"
        return f"SELECT {function}(pid{more}) FROM pg_stat_activity WHERE right(application_name, {len(tail)}) = '{tail}'"  # noqa: S608

    def _clear_up(self) -> None:
        """Nothing may wait when the permutation ends."""
        for session in self.sessions.values():
            if session.waiting:
                title = f"{session.name}: clear up, cancel"
                self._step(self.observer, Command("cancel", 0, title), [self._signal("pg_cancel_backend", session)])
                session.waiting = ""
        for session in self.sessions.values():
            if session.open:
                self._step(session, Command("rollback", 0, f"{session.name}: clear up, roll back"), ["ROLLBACK"])


def _open(before: bool, texts: Sequence[str]) -> bool:
    """Whether a transaction is open after these statements."""
    for text in texts:
        if text.startswith("BEGIN"):
            before = True
        elif text in ("COMMIT", "ROLLBACK"):
            before = False
    return before


def _block(head: str, texts: Sequence[str]) -> list[str]:
    for text in texts:
        if "}" in text:
            raise InexpressibleError(f"SQL of the isolation tester cannot have a closing brace: {text}")
    shown = [line for text in texts for line in f"{clauses(text, _WIDTH)};".splitlines()]
    if len(shown) == 1 and len(head) + len(shown[0]) < _WIDTH:
        return [f"{head} {{ {shown[0]} }}"]
    return [head, "{", *(f"    {line}" for line in shown), "}"]


def _row(row: tuple[Datum, ...]) -> str:
    return "(" + ", ".join("NULL" if value is None else str(value) for value in row) + ")"
