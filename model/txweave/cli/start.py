"""The commands that help to begin: ``txweave init`` and ``txweave schema``."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import click

from txweave.cli.terminal import Failure

SPECIFICATIONS = ("seats.model.yaml", "one-per-seat.fix.yaml", "seats.study.yaml")
CI = {"github": ("txweave.yml", ".github/workflows/txweave.yml"), "gitlab": ("gitlab-ci.yml", ".gitlab-ci.yml")}
"""For each kind of CI: the file in the package, and where it belongs in a repository."""

SCHEMAS = {
    "spec": ("txweave.spec", "schema.json"),
    "check": ("txweave.report", "check.schema.json"),
    "repair": ("txweave.report", "repair.schema.json"),
    "compare": ("txweave.report", "compare.schema.json"),
    "diff": ("txweave.report", "diff.schema.json"),
    "certificate": ("txweave.proof", "certificate.schema.json"),
}
"""What ``txweave schema`` shows: the package and the file of each schema."""


@click.command(epilog="Exit status: 0 the files are written; 2 one of them is there already, or cannot be written.")
@click.argument("folder", default="specs", type=click.Path(file_okay=False))
@click.option("--ci", type=click.Choice([*CI, "none"]), default="github", help="Which CI the repository has (default: github).")
@click.option(
    "--requirement", default="txweave", metavar="WHAT", help="What CI installs with pip: a version, or git+URL (default: txweave)."
)
def init(folder: str, ci: str, requirement: str) -> None:
    """Begin: write a small specification with its fix and study into FOLDER (default: specs), and a file for CI.

    Nothing that is there is overwritten. Run it at the top of the repository.
    """
    if ".." in Path(folder).parts or Path(folder).is_absolute():
        raise click.UsageError(f"{folder} does not lie below this directory: CI could not find it")
    schema = Path(folder) / "txweave.schema.json"
    words = {"@FOLDER@": Path(folder).as_posix(), "@REQUIREMENT@": requirement, "@SCHEMA@": schema.name}
    wanted = {Path(folder) / name: _starter(name, words) for name in SPECIFICATIONS}
    wanted[schema] = _schema("spec")
    if ci != "none":
        name, place = CI[ci]
        wanted[Path(place)] = _starter(name, words)
    there = [str(path) for path in wanted if path.exists()]
    if there:
        raise click.UsageError(f"nothing is written: {', '.join(there)} {'is' if len(there) == 1 else 'are'} there already")
    for path, text in wanted.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise Failure(f"cannot write {path}: {error.strerror}") from error
        click.echo(f"wrote {path}")
    click.echo(f"\nNow try: txweave check {words['@FOLDER@']} --story")


@click.command()
@click.argument("which", default="spec", type=click.Choice(list(SCHEMAS)))
def schema(which: str) -> None:
    """Print a JSON Schema: of specifications (default), or of the JSON that check, repair, compare or diff writes.

    Editors use the one of specifications to complete keys and to tell what they mean: save it, and write
    "# yaml-language-server: $schema=FILE" as the first line of a specification.
    """
    click.echo(_schema(which), nl=False)


def _schema(which: str) -> str:
    package, name = SCHEMAS[which]
    return (files(package) / name).read_text(encoding="utf-8")


def _starter(name: str, words: dict[str, str]) -> str:
    text = (files("txweave") / "starter" / name).read_text(encoding="utf-8")
    for word, meaning in words.items():
        text = text.replace(word, meaning)
    return text
