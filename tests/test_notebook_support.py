"""What the library adds in a notebook: the cell magic, progress and interruption, pictures as files, what objects show."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import html5lib
import pytest

import txweave as tw
from txweave.notebook import running as runs
from txweave.notebook.magic import Fix, Shown, read, register
from txweave.report.machine import machine
from txweave.spec.diagnostics import SpecError
from txweave.verdict import Progress

ROOT = Path(__file__).resolve().parents[1]
QUEUE = str(ROOT / "specs/job-queue/job-queue.model.yaml")
MODEL = (ROOT / "specs/job-queue/job-queue.model.yaml").read_text(encoding="utf-8")
SKIP = (ROOT / "specs/job-queue/skip-locked.fix.yaml").read_text(encoding="utf-8")
SVG = "{http://www.w3.org/2000/svg}"


class Shell:
    """As much of IPython's shell as the magic uses."""

    def __init__(self) -> None:
        self.user_ns: dict[str, Any] = {}
        self.magic: Any = None

    def register_magic_function(self, function: Any, magic_kind: str, magic_name: str) -> None:
        assert (magic_kind, magic_name) == ("cell", "txweave")
        self.magic = function


@pytest.fixture
def shell() -> Shell:
    found = Shell()
    tw.load_ipython_extension(found)
    return found


# ------------------------------------------------------------------------------------------------------------------ the magic


def test_a_model_and_a_fix_from_cells(shell: Shell) -> None:
    shell.magic("queue", MODEL)
    shown = shell.magic("skip queue", SKIP)
    assert repr(shown) == "fix skip-locked: Lock the job that is picked, and pass over those that others have locked"
    queue, skip = shell.user_ns["queue"], shell.user_ns["skip"]
    assert isinstance(queue, tw.Model)
    assert tw.check(queue.with_fix(skip).scenario("two_workers"), engine="explicit").holds is True
    assert isinstance(shell.magic("", MODEL), tw.Model)
    assert set(shell.user_ns) == {"queue", "skip"}


def test_what_is_wrong_is_shown_below_its_line_and_nothing_is_kept(shell: Shell) -> None:
    shown = shell.magic("skip", SKIP.replace("work.pick", "work.pack"))
    assert isinstance(shown, Fix), "a fix by itself is only read"
    shell.magic("queue", MODEL)
    del shell.user_ns["skip"]
    wrong = shell.magic("skip queue", SKIP.replace("work.pick", "work.pack"))
    assert isinstance(wrong, Shown)
    lines = repr(wrong).splitlines()
    place = next(n for n, line in enumerate(lines) if "work.pack" in line)
    assert lines[place + 1].strip("│ ") == "^^^^"
    assert lines[place + 1].index("^") == lines[place].index("pack")
    assert "error F" in lines[place + 2]
    assert "did you mean 'pick'" in lines[place + 3]
    assert "skip" not in shell.user_ns
    page = html5lib.parseFragment(wrong._repr_mimebundle_()["text/html"], namespaceHTMLElements=False)
    assert "".join(page.itertext()).strip() == repr(wrong).strip()


def test_a_long_cell_is_shown_around_what_is_wrong() -> None:
    text = MODEL.replace("SELECT id FROM job WHERE state = 'new'", "SELECT id FROM job WHERE stat = 'new'")
    with pytest.raises(SpecError) as caught:
        read(text)
    lines = repr(Shown(text, caught.value.diagnostics)).splitlines()
    assert any("stat = 'new'" in line for line in lines)
    assert len(lines) < 16
    assert lines[0].strip() == lines[-1].strip() == "┆"


def test_text_of_a_cell_is_no_markup() -> None:
    text = SKIP.replace("work.pick", "work.<img src=x>")
    with pytest.raises(SpecError) as caught:
        tw.load(QUEUE).with_fix(text)
    page = html5lib.parseFragment(
        Shown(text, caught.value.diagnostics)._repr_mimebundle_()["text/html"], namespaceHTMLElements=False
    )
    assert {e.tag for e in page.iter() if isinstance(e.tag, str)} <= {"DOCUMENT_FRAGMENT", "pre", "span"}


@pytest.mark.parametrize(
    ("line", "cell", "words"),
    [
        ("a-b", MODEL, "name of a variable"),
        ("skip queue", SKIP, "no model in a variable 'queue'"),
        ("queue other", MODEL, "only a fix"),
    ],
)
def test_the_magic_is_used_wrongly(shell: Shell, line: str, cell: str, words: str) -> None:
    with pytest.raises(tw.Usage, match=words):
        shell.magic(line, cell)


# ------------------------------------------------------------------------------------------------- progress and interruption


def test_outside_of_a_kernel_nobody_listens() -> None:
    before = signal.getsignal(signal.SIGINT)
    with runs.running() as (listener, stop):
        assert stop is None
        assert listener.progress is None
        assert signal.getsignal(signal.SIGINT) is before


def test_interrupting_a_check_gives_what_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "_in_a_kernel", lambda: True)

    def press(self: object, selected: object, engine: str, progress: Progress) -> None:
        if progress.depth >= 8:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(runs._Line, "progress", press)
    before = signal.getsignal(signal.SIGINT)
    big = tw.load(MODEL.replace("worker: {run: work, count: 2}", "worker: {run: work, count: 6}").replace("0..3", "0..9"))
    monkeypatch.setattr("txweave.engines.explicit.watch.PROGRESS", 0.0)
    result = tw.check(big.scenario("two_workers"), engine="explicit")
    assert result["all_done"].holds is None, "unknown is never a pass"
    assert "interrupted" in result["all_done"].text
    assert result["done_once"].holds is False, "what was found stands"
    assert signal.getsignal(signal.SIGINT) is before


def test_interrupting_twice_aborts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "_in_a_kernel", lambda: True)
    with runs.running() as (_, stop):
        assert stop is not None
        assert not stop()
        os.kill(os.getpid(), signal.SIGINT)
        assert stop()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_progress_is_shown_when_it_takes_long_and_is_gone_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    monkeypatch.setattr(runs._Line, "_show", lambda self, words: (shown.append(words), setattr(self, "handle", self)))
    case = tw.load(QUEUE).scenario("two_workers")._selected()
    line = runs._Line()
    line.progress(case, "explicit", Progress(3, 1234, 5, 67, 0.1))
    line.close()
    assert shown == [], "it was done before anybody could wonder"
    monkeypatch.setattr(runs, "AFTER", 0.0)
    monkeypatch.setattr(runs, "EVERY", 0.0)
    line = runs._Line()
    line.progress(case, "explicit", Progress(3, 1234, 5, 67, 0.1))
    line.close()
    assert shown == ["two_workers · explicit · depth 3 · 1,234 states · frontier 67 · 0 s", ""]


# ------------------------------------------------------------------------------------------------------- pictures and objects


def test_pictures_as_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trace = tw.check(tw.load(QUEUE).scenario("two_workers"), engine="explicit")["done_once"].trace
    assert trace is not None
    trace.save(tmp_path / "trace.svg")
    assert ET.parse(tmp_path / "trace.svg").getroot().tag == f"{SVG}svg"
    tw.load(QUEUE).procedure("work").save(tmp_path / "work.png")
    data = (tmp_path / "work.png").read_bytes()
    assert data.startswith(b"\x89PNG")
    assert int.from_bytes(data[16:20], "big") > 1000, "twice as many pixels as units"
    with pytest.raises(tw.Usage, match=r"saved as \.svg or \.png, not as \.gif"):
        trace.save(tmp_path / "trace.gif")
    with pytest.raises(tw.Usage, match="cannot write"):
        trace.save(tmp_path / "nowhere" / "trace.svg")
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    with pytest.raises(tw.Usage, match=r"pip install 'txweave\[jupyter\]'"):
        trace.save(tmp_path / "trace.png")


def bars(svg: str) -> list[tuple[str, float, float]]:
    root = ET.fromstring(svg)
    return [
        (r.get("class", ""), float(r.get("y", "0")), float(r.get("height", "0")))
        for r in root.iter(f"{SVG}rect")
        if r.get("class") in {"bar", "waits"}
    ]


def height_of(svg: str, name: str) -> float:
    root = ET.fromstring(svg)
    return next(float(t.get("y", "0")) for t in root.iter(f"{SVG}text") if "".join(t.itertext()) == name)


def test_the_transactions_of_a_procedure() -> None:
    svg = tw.load(str(ROOT / "specs/backfill.model.yaml")).procedure("create_backfill").svg()
    solid = [(top, top + height) for kind, top, height in bars(svg) if kind == "bar"]
    hatched = [(top, top + height) for kind, top, height in bars(svg) if kind == "waits"]
    # From the first statement to the first commit, but not beyond the refusal; then from the first insert, which may not come.
    assert solid[0][0] == pytest.approx(height_of(svg, "count_active"), abs=8)
    assert any(bottom == pytest.approx(height_of(svg, "publish"), abs=8) for _, bottom in solid)
    assert hatched, "before the loop's first round nothing is open"
    assert hatched[-1][1] == pytest.approx(height_of(svg, "finish"), abs=8)
    assert len(bars(machine(tw.load(QUEUE).composed.procedures["work"]))) == 2


def test_a_loop_goes_back_from_where_control_goes_on() -> None:
    svg = tw.load(str(ROOT / "specs/airflow/backfill-3.1.6.model.yaml")).procedure("mark_complete").svg()
    loops = [path.get("d", "") for path in ET.fromstring(svg).iter(f"{SVG}path") if path.get("class") == "loop"]
    starts = [float(d.split()[0].partition(",")[2]) for d in loops if " H" in d]
    # From the decision whose other way fails, and from the last step; from no step that fails.
    assert starts == [
        pytest.approx(height_of(svg, "stale"), abs=8),
        pytest.approx(height_of(svg, "done"), abs=8),
    ]


def test_every_object_shows_itself() -> None:
    model = tw.load(QUEUE).scenario("two_workers")
    result = tw.check(model, engine="explicit")
    trace = result["done_once"].trace
    assert trace is not None
    forms = {"text/plain"}
    for item, more in (
        (model, {"text/html"}),
        (model.procedure("work"), {"image/svg+xml"}),
        (result, {"text/html"}),
        (trace, {"image/svg+xml"}),
        (trace.states[3], {"text/html"}),
        (trace.why, {"text/html"}),
    ):
        bundle = item._repr_mimebundle_()  # type: ignore[attr-defined]
        assert set(bundle) == forms | more
        assert bundle["text/plain"] == repr(item)
        for form in more:
            (ET.fromstring if form == "image/svg+xml" else html5lib.HTMLParser(strict=True).parseFragment)(bundle[form])
    assert repr(trace.states[3]).splitlines()[2] == "job 1 (update, not committed, by worker 2)"
    assert "<b>'done'</b>" in trace.states[4]._repr_mimebundle_()["text/html"], "what has changed stands out"
    assert len(trace.states) == len(trace) + 1


def test_an_unknown_procedure() -> None:
    with pytest.raises(tw.Usage, match="did you mean 'work'"):
        tw.load(QUEUE).procedure("wrok")


def test_the_extension_is_registered_by_the_package() -> None:
    shell = Shell()
    register(shell)
    assert shell.magic.__doc__.startswith("The cell magic")
