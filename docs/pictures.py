"""Make the documentation's pictures: ``python docs/pictures.py`` draws counterexamples of the miniature into docs/."""

from __future__ import annotations

from pathlib import Path

from txweave.check import Options, run_case
from txweave.collect import Choice, collect
from txweave.report.picture import picture

ROOT = Path(__file__).resolve().parent.parent

PICTURES = {
    "race.svg": ("as_written", "no_premature_completion", "As written: a backfill is complete before its runs exist"),
    "orphan.svg": ("guarded", "never_blocked", "With the guard: a crashed request's backfill stays active for ever"),
    "two-active.svg": ("guarded", "one_active_backfill", "With the guard: two backfills are active"),
}
"""File: case and property of specs/two-commits.study.yaml, and the title above the lanes."""


def main() -> None:
    """Check each case and draw the story of its violation."""
    for file, (case, name, title) in PICTURES.items():
        selected = collect([str(ROOT / "specs" / "two-commits.study.yaml")], Choice(cases=(case,))).cases[0]
        result = run_case(selected, Options(engine="explicit", properties=(name,)))
        story = result.properties[0].story
        if story is None:
            raise SystemExit(f"{case}: {name} is not violated")
        (ROOT / "docs" / file).write_text(picture(story, title), encoding="utf-8")


if __name__ == "__main__":
    main()
