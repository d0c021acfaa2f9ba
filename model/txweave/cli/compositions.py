"""The commands that explore several compositions of one model: ``txweave repair`` and ``txweave compare``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from txweave.cli.models import chosen_scenarios, diagnosed, loaded_fixes, loaded_model
from txweave.cli.options import limited, names_in
from txweave.cli.settings import configured
from txweave.cli.terminal import interruptible, progress, show_errors, usage, write_report

if TYPE_CHECKING:
    from rich.console import Console

_REPAIR_HELP = """Find every minimal set of fixes under which the required properties hold.

Minimal means that no subset will do; larger sets are no safer for being larger, and are not recommended. A set whose
fixes do not fit together is ill-formed, neither good nor bad. One exploration decides many sets: its counterexample is replayed
on the others. With several scenarios a set must be good in all of them.

Defaults for max-states, max-memory, timeout, no-story and no-timing are read from [tool.txweave] (see txweave check --help).

\b
txweave repair specs/airflow/backfill-3.1.6.model.yaml --fixes specs/airflow \\
    --require P1_no_premature_completion,P2_never_blocked --scenario orphan --at-most 2
"""


@click.command(
    help=_REPAIR_HELP,
    epilog="Exit status: 0 a set was found and every set is decided; 1 no set is good; 2 the command or a specification is wrong; "
    "3 something is undecided (a limit, a bound, not modelled, Ctrl-C); 4 a self-check failed.",
)
@click.argument("model")
@click.option(
    "--fixes", "folders", multiple=True, required=True, metavar="DIR", help="Where the fixes are, or one fix file (repeatable)."
)
@click.option("--require", "required", multiple=True, required=True, metavar="P,…", help="Properties that must hold (repeatable).")
@click.option(
    "--assume",
    "assumed",
    multiple=True,
    metavar="WHAT,…",
    help="no-crash, no-hang or no-errors: such faults do not happen. A fix file: every set has it (repeatable).",
)
@click.option("--at-most", type=click.IntRange(min=0), metavar="N", help="Only sets of at most N fixes.")
@limited
@configured
def repair(
    model: str,
    folders: tuple[str, ...],
    required: tuple[str, ...],
    assumed: tuple[str, ...],
    at_most: int | None,
    scenarios: tuple[str, ...],
    settings: tuple[tuple[str, str], ...],
    max_states: int | None,
    max_memory: int | None,
    timeout: float | None,
    no_reduction: bool,
    form: str,
    output: str | None,
    no_story: bool,
    no_timing: bool,
) -> None:
    """Find every minimal set of fixes under which the required properties hold."""
    from txweave.check import Options
    from txweave.collect import FIX, Choice, suggestion
    from txweave.compose import ASSUMPTIONS, Composer
    from txweave.repair import Listener
    from txweave.repair import repair as search

    words = names_in(assumed)
    for word in words:
        if word not in ASSUMPTIONS and not word.endswith(FIX):
            raise click.BadParameter(f"{word!r} is no assumption and no fix file{suggestion(word, ASSUMPTIONS)}")
    found = loaded_model(model, Choice())
    where = chosen_scenarios(found, scenarios)
    always = loaded_fixes([word for word in words if word not in ASSUMPTIONS])
    fixes = loaded_fixes(folders)
    composer = Composer(model, found, settings, tuple(w for w in words if w in ASSUMPTIONS), tuple(always.values()))
    options = Options(max_states=max_states, max_memory=max_memory, timeout=timeout, reduction=not no_reduction)
    with usage(), diagnosed(model), interruptible() as stop, progress(1, quiet=False) as listener:
        told = Listener(listener.begins, listener.progress)
        result = search(
            composer, list(fixes.values()), where, names_in(required), at_most=at_most, options=options, listener=told, stop=stop
        )
    document = None
    if form == "json":
        from txweave.report.json import dumps
        from txweave.report.repair import document as as_json

        document = dumps(as_json(result, timing=not no_timing))

    def write(console: Console) -> None:
        from txweave.report.repair import RepairWriter
        from txweave.report.text import Writer

        RepairWriter(Writer(console), stories=not no_story).result(result)

    write_report(output, document, write)
    sys.exit(int(result.exit))


_COMPARE_HELP = """Put a model beside itself with fixes.

The bare model comes first, then one composition for each --with. Where the verdicts on a property differ, the counterexample of
one is followed on the others: where they part, and why.

Defaults for max-states, max-memory, timeout, no-story and no-timing are read from [tool.txweave] (see txweave check --help).

\b
txweave compare specs/backfill.model.yaml --with specs/exists-guard.fix.yaml
"""


@click.command(
    help=_COMPARE_HELP,
    epilog="Exit status: 0 every verdict is decided; 2 the command or a specification is wrong; 3 a verdict is unknown; "
    "4 a self-check failed.",
)
@click.argument("model")
@click.option(
    "--with", "sets", multiple=True, required=True, metavar="FILE,…", help="Fixes that are applied together (repeatable)."
)
@click.option("--property", "properties", multiple=True, metavar="NAME", help="Only this property (repeatable).")
@limited
@configured
def compare(
    model: str,
    sets: tuple[str, ...],
    properties: tuple[str, ...],
    scenarios: tuple[str, ...],
    settings: tuple[tuple[str, str], ...],
    max_states: int | None,
    max_memory: int | None,
    timeout: float | None,
    no_reduction: bool,
    form: str,
    output: str | None,
    no_story: bool,
    no_timing: bool,
) -> None:
    """Put a model beside itself with fixes."""
    from txweave.check import Options
    from txweave.collect import Choice
    from txweave.compare import Listener
    from txweave.compare import compare as side_by_side
    from txweave.compose import Composer

    found = loaded_model(model, Choice())
    where = chosen_scenarios(found, scenarios)
    chosen = [list(loaded_fixes(names_in([value])).values()) for value in sets]
    options = Options(
        properties=names_in(properties), max_states=max_states, max_memory=max_memory, timeout=timeout, reduction=not no_reduction
    )
    composer = Composer(model, found, settings)
    total = len(where) * (len(chosen) + 1)
    with usage(), diagnosed(model), interruptible() as stop, progress(total, quiet=False) as listener:
        told = Listener(listener.begins, listener.progress, listener.done)
        result = side_by_side(composer, chosen, where, options, told, stop)
    show_errors([(case.path, case.errors) for row in result.cases for case in row])
    document = None
    if form == "json":
        from txweave.report.compare import document as as_json
        from txweave.report.json import dumps

        document = dumps(as_json(result, timing=not no_timing))

    def write(console: Console) -> None:
        from txweave.report.compare import ComparisonWriter
        from txweave.report.text import Writer

        ComparisonWriter(Writer(console), stories=not no_story).result(result)

    write_report(output, document, write)
    sys.exit(int(result.exit))
