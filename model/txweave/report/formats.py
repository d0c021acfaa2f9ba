"""The formats of ``txweave check``: what each is called, makes, and where it goes when no file is named."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from txweave.report.outcomes import Report
    from txweave.report.text import Writer


class Where(Enum):
    """Where a format goes without a file: ``OUTPUT``: standard output, in place of the text.  ``ERROR``: standard error.
    ``SUMMARY``: the summary of a GitHub job, where there is one, else as ``OUTPUT``.  ``NOWHERE``: a directory has to be named.
    """

    OUTPUT = "output"
    ERROR = "error"
    SUMMARY = "summary"
    NOWHERE = "nowhere"


@dataclass(frozen=True)
class Format:
    """``render`` gives the whole document; for a format that makes several files, each document by its file's name."""

    name: str
    about: str
    render: Callable[[Report], str | dict[str, str]]
    where: Where = Where.OUTPUT

    @property
    def several(self) -> bool:
        """Whether it makes several files, so that it needs a directory."""
        return self.where is Where.NOWHERE


# Each module is imported by the check that needs it: libraries for formats take time.


def _text(report: Report) -> str:
    from txweave.report.outcomes import plain

    writer, out = plain()
    write_text(writer, report)
    return out.getvalue()


def write_text(writer: Writer, report: Report) -> None:
    """The text, on whatever the writer writes to."""
    writer.style = report.style
    writer.results(report.results)
    if report.results and not (report.style.quiet and all(result.exit == 0 for result in report.results)):
        writer.summary(report.results)


def _json(report: Report) -> str:
    from txweave.report import json

    return json.dumps(json.document(report.results, report.errors, int(report.exit_status), timing=report.style.timing))


def _junit(report: Report) -> str:
    from txweave.report import junit

    return junit.render(report)


def _sarif(report: Report) -> str:
    from txweave.report import sarif

    return sarif.render(report)


def _github(report: Report) -> str:
    from txweave.report import github

    return github.render(report)


def _markdown(report: Report) -> str:
    from txweave.report import markdown

    return markdown.render(report)


def _html(report: Report) -> str:
    from txweave.report import html

    return html.render(report)


def _itf(report: Report) -> dict[str, str]:
    from txweave.report import itf

    return itf.render(report)


FORMATS: dict[str, Format] = {
    form.name: form
    for form in (
        Format("text", "the verdict tables and the stories", _text),
        Format("json", "everything, for programs; the shape is versioned", _json),
        Format("junit", "JUnit XML, for test reports", _junit),
        Format("sarif", "SARIF 2.1.0, for code scanning", _sarif),
        Format("github", "annotations of GitHub Actions", _github, Where.ERROR),
        Format("markdown", "tables, diagrams and stories, for people on the web", _markdown, Where.SUMMARY),
        Format("html", "one page with tables, pictures and states, that needs no network", _html),
        Format("itf", "a file for each counterexample, in the Informal Trace Format", _itf, Where.NOWHERE),
    )
}


@dataclass(frozen=True)
class Target:
    """A format and the file or directory that it is written to, None for its own place."""

    form: Format
    path: str | None = None

    def where(self, *, summary: bool) -> Where | None:
        """Where it goes, None for its file; ``summary``: whether there is a job's summary to write to."""
        if self.path is not None:
            return None
        return Where.OUTPUT if self.form.where is Where.SUMMARY and not summary else self.form.where


class FormatError(ValueError):
    """A format was asked for in a way that cannot be; the message says what would be right."""


def targets(values: Iterable[str], *, summary: bool) -> tuple[Target, ...]:
    """What ``--format NAME[=FILE]`` asks for; ``summary``: whether there is a job's summary to write to.

    Raises:
        FormatError: an unknown name, a file that is missing or named twice, two formats for the standard output.
    """
    from txweave.collect import suggestion

    found: list[Target] = []
    for value in values:
        name, equals, path = value.partition("=")
        form = FORMATS.get(name)
        if form is None:
            raise FormatError(f"there is no format {name!r}{suggestion(name, FORMATS)}")
        if equals and path in {"", "-"}:
            raise FormatError(f"{value!r} names no file: --format {name}=FILE, or --format {name} alone")
        if not equals and form.several:
            raise FormatError(f"{name} makes a file for each counterexample: name a directory, --format {name}=DIR")
        found.append(Target(form, path if equals else None))
    printed = [target.form.name for target in found if target.where(summary=summary) is Where.OUTPUT]
    if len(printed) > 1:
        raise FormatError(f"{' and '.join(printed)} cannot share the standard output: --format {printed[-1]}=FILE")
    seen: set[str] = set()
    for target in found:
        place = os.path.abspath(target.path) if target.path is not None else f"={target.form.name}"  # noqa: PTH100 - a key
        if place in seen:
            raise FormatError(f"{target.path or target.form.name} is asked for twice")
        seen.add(place)
    return tuple(found)
