"""How far time goes at a step decides what lies between two moments."""

from __future__ import annotations

import pytest
from small import system, text, verdicts

EVENT = "CREATE TABLE event (id SERIAL PRIMARY KEY, at TIMESTAMP NOT NULL);"


def strictly_between(**more: object) -> str:
    """Whether an event can be more than 0 s and less than 10 s old."""
    return text(
        ["INSERT INTO event (at) VALUES (now())", "commit"],
        [
            {"sql": "SELECT count(*) FROM event WHERE at < now() AND at > now() - INTERVAL '10 s'", "into": "n"},
            {"if": ":n > 0", "then": [{"raise": "Recent"}]},
            "rollback",
        ],
        schema=EVENT,
        data="",
        bounds={"event": 1},
        properties={"recent": {"never": "SELECT id FROM b WHERE status = 'failed'"}},
        **more,
    )


def test_a_finer_tick_sees_what_lies_between() -> None:
    # Insert, commit, tick, read.  In ticks of 10 s nothing is strictly between 0 and 10 s old.
    assert verdicts(strictly_between()) == {"recent": ("holds", None)}
    assert verdicts(strictly_between(tick="5 s")) == {"recent": ("violated", 4)}
    assert verdicts(strictly_between(tick=":step", parameters={"step": "5 s"})) == {"recent": ("violated", 4)}


@pytest.mark.parametrize(("tick", "told"), [(None, "10 s"), ("5 s", "5 s"), ("100ms", "0.1 s")])
def test_the_tick_is_told(tick: str | None, told: str) -> None:
    more = {} if tick is None else {"tick": tick}
    assert f"time passes for ever, in ticks of {told}" in system(strictly_between(**more)).assumptions


def test_a_bound_that_stops_time_is_told() -> None:
    bounded = text([{"sql": "SELECT v FROM t", "into": "n", "within": ":limit"}, "commit"], parameters={"limit": "20 s"})
    assert any("never takes longer" in line for line in system(bounded).assumptions)
