"""Make the README's picture: ``python docs/pictures.py`` writes docs/story.svg from the miniature's counterexample."""

from __future__ import annotations

import io
import re
from pathlib import Path

from rich.console import Console

from txweave.check import Options, run_case
from txweave.collect import Choice, collect
from txweave.report.text import Style, Writer

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """Check one case and record what the terminal would show."""
    collection = collect(["specs/two-commits.study.yaml"], Choice(cases=("guarded",)))
    results = [run_case(selected, Options(engine="explicit", properties=("never_blocked",))) for selected in collection.cases]
    console = Console(record=True, width=100, force_terminal=True, color_system="truecolor", file=io.StringIO())
    Writer(console, Style(timing=False, stories="all")).results(results)
    svg = console.export_svg(title="txweave check specs/two-commits.study.yaml --case guarded --story never_blocked")
    # The page must not fetch fonts: leave the choice of a monospaced one to the reader's machine.
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    svg = svg.replace("Fira Code", "ui-monospace, DejaVu Sans Mono")
    (ROOT / "docs" / "story.svg").write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main()
