"""PostgreSQL's spellings of durations."""

import pytest

from txweave.sql.intervals import duration, spell

SECOND = 1_000_000


@pytest.mark.parametrize(
    ("text", "unit", "amount"),
    [
        ("120 s", None, 120 * SECOND),
        ("5min", None, 300 * SECOND),
        ("5 minutes", None, 300 * SECOND),
        ("1 hour 30 min", None, 5400 * SECOND),
        ("-1.5 hours", None, -5400 * SECOND),
        ("01:30:00", None, 5400 * SECOND),
        ("-00:00:01.25", None, -1_250_000),
        ("02:05", None, 7500 * SECOND),
        ("2", "hour", 7200 * SECOND),
        ("1 week", None, 7 * 86400 * SECOND),
        ("0 s", None, 0),
        ("120", None, None),
        ("", None, None),
        ("1 month", None, None),
        ("1 year", None, None),
        ("soon", None, None),
        ("1 hour ago", None, None),
        ("1 s", "hour", None),
        ("0.0000001 s", None, None),
        ("999999999 days", None, None),
        ("00:61", None, None),
    ],
)
def test_duration(text, unit, amount):
    assert duration(text, unit) == amount
    if amount is not None:
        assert duration(spell(amount)) == amount


def test_spelling_is_short():
    assert [spell(n * SECOND) for n in (0, 90, 300, 3600, 86400)] == ["0 s", "90 s", "5 min", "1 hour", "1 day"]
    assert spell(1500) == "1500 us"
