"""The command ``txweave verify-certificate``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from txweave.cli.options import changing
from txweave.cli.terminal import Failure, interruptible, show_errors, usage

if TYPE_CHECKING:
    from txweave.collect import Collection
    from txweave.proof.file import Claim
    from txweave.proof.verify import Verification

VERIFIED, REJECTED, WRONG, UNDECIDED = 0, 1, 2, 3


@click.command(
    "verify-certificate",
    epilog="Exit status: 0 every proof is verified; 1 one is rejected; 2 the command, the file or the specification is wrong; "
    "3 a solver did not answer, or Ctrl-C. Of several the first in the order 2, 1, 3 counts.",
)
@click.argument("file", metavar="FILE", type=click.Path())
@click.argument("spec", metavar="SPEC", type=click.Path())
@changing
@click.option("--solver", "use", type=click.Choice(["z3", "cvc5"]), default="z3", help="Default: z3.")
@click.option("--rlimit", type=click.IntRange(min=1), metavar="N", help="Budget of a query, in the solver's own units.")
@click.option("-v", "--verbose", is_flag=True, help="Show the clauses as well.")
def verify_certificate(
    file: str,
    spec: str,
    fixes: tuple[str, ...],
    settings: tuple[tuple[str, str], ...],
    use: str,
    rlimit: int | None,
    verbose: bool,
) -> None:
    """Verify the proofs that check --certificate wrote, against a specification.

    The specification is read again, with the fixes and settings that the check had, and every query is made of it: that the
    clauses hold at the start, that each step preserves them, that no bound is crossed and that the property follows. The
    certificate gives nothing but the clauses.
    """
    from txweave.collect import Choice, collect
    from txweave.proof.file import FileError, load
    from txweave.proof.solve import RLIMIT, MissingSolverError

    try:
        claims = load(file)
    except FileError as error:
        raise Failure(str(error)) from error
    with usage():
        collection = collect([spec], Choice((), (), fixes, settings))
    show_errors(collection.errors)
    if collection.errors:
        sys.exit(WRONG)
    statuses = []
    with interruptible() as stop:
        for claim in claims:
            try:
                statuses.append(_verified(claim, collection, use, rlimit or RLIMIT, stop, verbose))
            except MissingSolverError as error:
                raise Failure(str(error)) from error
    sys.exit(next(status for status in (WRONG, REJECTED, UNDECIDED, VERIFIED) if status in statuses))


def _verified(claim: Claim, collection: Collection, use: str, rlimit: int, stop: object, verbose: bool) -> int:
    """Verify one proof and say what came out; the exit status."""
    from txweave.check import prepare
    from txweave.proof.verify import Verification, select, verify
    from txweave.spec.diagnostics import SpecError

    selected, problems = select(claim, collection.cases)
    if selected is None:
        return _told(claim, Verification(problems), use, verbose)
    try:
        _, ground = prepare(selected)
    except SpecError as error:
        show_errors([(selected.path, error.diagnostics)])
        return WRONG
    return _told(claim, verify(ground.system, claim, use, rlimit, stop), use, verbose)  # type: ignore[arg-type]


def _told(claim: Claim, found: Verification, use: str, verbose: bool) -> int:
    if found.problems:
        click.echo(f"rejected: {claim.label}")
        for problem in found.problems:
            click.echo(f"  {problem}")
        return REJECTED
    if not found.verified:
        click.echo(f"undecided: {claim.label}")
        for reason in found.undecided or ["nothing was asked"]:
            click.echo(f"  {reason}")
        return UNDECIDED
    count = len(claim.proof.clauses)
    accepted = f"; truncated at {', '.join(claim.proof.truncated)}" if claim.proof.truncated else ""
    click.echo(f"verified: {claim.label}: {count} clauses, {found.queries} queries to {use} ({claim.proof.scope}{accepted})")
    if verbose:
        for number, clause in enumerate(claim.proof.clauses, 1):
            click.echo(f"  {number}. {clause.words}\n     {clause.smt}")
    return VERIFIED
