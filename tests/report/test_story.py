from __future__ import annotations

import io
import re
from dataclasses import replace

import pytest
from rich.console import Console

import job_tables as jobs
from txweave.report.story import tell
from txweave.report.text import Writer
from txweave.system.expr import Elem
from txweave.system.ground import ground
from txweave.view import RowChange, Viewer


def printed(trace, name: str, width: int = 100, **options) -> str:
    out = io.StringIO()
    Writer(Console(file=out, width=width, **options)).story(tell(trace, name, Viewer(trace.system)))
    return out.getvalue()


def test_the_whole_story() -> None:
    assert printed(jobs.both_take(), "taken_once") == SAFETY


def test_a_run_that_ends() -> None:
    text = printed(jobs.none_takes(), "all_taken")
    assert "violated by a run that ends after 3 steps" in text
    assert "crashes, its transaction rolls back" in text
    assert "lost with its transaction: job 1" in text
    assert "nothing more ever happens" in text
    assert "In the initial state, the row id = 1 is there, and stays for ever: it is never gone." in text
    assert "worker 2: idle at pick (may stay there: it need not start)" in text


def test_a_loop_is_marked_and_excuses_are_given() -> None:
    # A made-up lasso: the printing does not ask whether fairness allows it.
    system = ground(jobs.system())
    trace = jobs.run(system, f"worker.pick({jobs.ONE})", f"worker.pick({jobs.TWO})", loop=1, witness=(Elem("job", 0),))
    story = tell(trace, "all_taken", Viewer(system))
    assert [step.in_loop for step in story.steps] == [False, True]
    assert story.length == (1, 1)
    text = printed(trace, "all_taken")
    assert "for ever:" in text
    assert "and again from step 2" in text
    assert "worker 2 goes on: pick" in text
    assert "worker 1: running at take, job 1 (cannot move all the time" in text


def test_pending_since_the_last_answer() -> None:
    trace = jobs.none_takes()
    assert tell(trace, "all_taken", Viewer(trace.system)).broken.startswith("in the initial state")


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_no_line_is_wider_than_the_console(width: int) -> None:
    for trace, name in ((jobs.both_take(), "taken_once"), (jobs.none_takes(), "all_taken")):
        lines = printed(trace, name, width).splitlines()
        assert max(map(len, lines)) <= max(width, 60)


def test_colour_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert "\x1b[" in printed(jobs.both_take(), "taken_once", force_terminal=True)
    assert "\x1b[" not in printed(jobs.both_take(), "taken_once")
    monkeypatch.setenv("NO_COLOR", "1")
    coloured = printed(jobs.both_take(), "taken_once", force_terminal=True)
    assert not re.search(r"\x1b\[(?:\d+;)*[349][0-7]", coloured), "bold and dim perhaps, but no colours"


def test_ascii_where_the_encoding_has_nothing_else() -> None:
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding="ascii")
    trace = jobs.none_takes()
    Writer(Console(file=out, width=100)).story(tell(trace, "all_taken", Viewer(trace.system)))
    out.flush()
    assert b"!! crashes" in raw.getvalue()


SAFETY = """\
── taken_once  violated after 7 steps ──────────────────────────────────────────────────────────────
   A job is taken once

    1  worker 1  pick    SELECT id FROM job WHERE state = 'new'
                         → job = 1
    2  worker 2  pick    SELECT id FROM job WHERE state = 'new'
                         → job = 1
    3  worker 1  take    UPDATE job SET state = 'taken' -- not :this
                         WHERE id = 1
    4  worker 2  take    UPDATE job SET state = 'taken' -- not :this
                         WHERE id = 1
                         ⏸ waits for worker 1
    5  worker 1  finish  COMMIT
                         ~ job 1: state 'new' → 'taken'
                         is done
    6  worker 2  take    UPDATE job SET state = 'taken' -- not :this
                         WHERE id = 1
                         resumes
    7  worker 2  finish  COMMIT
                         is done

 ✗ After step 7, the query has a row that must never be.
                → count = 2
   there is     worker 1: done, job 1
                worker 2: done, job 1
   assuming     Workers crash finitely often.

"""


def test_a_value_that_looks_like_the_id_is_shown() -> None:
    out = io.StringIO()
    change = RowChange("booking", "booking 1", "insert", (("id", "", "1"), ("seat", "", "1")))
    story = tell(jobs.both_take(), "taken_once", Viewer(jobs.both_take().system))
    first, *rest = story.steps
    Writer(Console(file=out, width=100)).story(replace(story, steps=(replace(first, changes=(change,)), *rest)))
    assert "+ booking 1: seat 1\n" in out.getvalue()
