"""Results as workflow commands of GitHub Actions, which shows them as annotations at the lines of a pull request.

One annotation for each property that is not as expected, each known violation, each thing that is wrong in a specification, each
finding.
Syntax and escaping: GitHub's documentation, "Workflow commands for GitHub Actions", and ``@actions/core``.
"""

from __future__ import annotations

from collections.abc import Iterable

from txweave.report.outcomes import Item, Outcome, Report, case_label, finding_line, repository_path, step_line, verdict
from txweave.report.story import Place
from txweave.results import Relation
from txweave.spec.diagnostics import Diagnostic


def render(report: Report) -> str:
    """The commands, a line each; nothing when all is as expected and there is nothing to remark."""
    lines = [_diagnostic(found) for found in report.diagnostics]
    for item in report.items:
        # What is wrong with a specification was said once, at its place; it stands for every case that has it.
        if item.outcome is not Outcome.PASS and not item.diagnostics:
            lines.append(_item(item))
        elif item.result is not None and item.result.known is not None:
            words = item.result.known.text(days=report.style.timing)
            message = f"{case_label(item.case)}: {verdict(item.result)}, {words}"
            lines.append(_command("notice", _where(item.place, item.case.path), f"txweave: {item.name}", message))
    for path, finding, cases in report.findings:
        title = f"txweave: {finding.kind}" if finding.kind != "lint" else f"txweave {finding.subject}"
        lines.append(_command("notice", _where(finding.place, path), title, finding_line(finding, cases)))
    return "".join(line + "\n" for line in lines)


def _item(item: Item) -> str:
    unknown = item.result is not None and item.result.relation is Relation.INCONCLUSIVE
    return _command(
        "warning" if unknown else "error", _where(item.place, item.case.path), f"txweave: {item.name}", "\n".join(_words(item))
    )


def _words(item: Item) -> Iterable[str]:
    yield f"{case_label(item.case)}: {item.message}"
    if item.result is not None:
        yield from (title for title in (item.result.title,) if title)
    if item.story is not None:
        yield from (f"{step.number}. {step_line(step)}" for step in item.story.steps)
        yield item.story.broken
    yield from (failure for failure in item.failures if failure not in item.message)


def _diagnostic(found: Diagnostic) -> str:
    span = found.span
    where: dict[str, str | int] = {}
    if span is not None:
        where = {"file": repository_path(span.path), "line": span.line, "endLine": span.end_line, "col": span.column}
        if span.end_line == span.line:
            where["endColumn"] = max(span.end_column, span.column)
    words = found.message + (f"\n{found.remedy}" if found.remedy else "")
    words += "".join(f"\n{other}: {note}" for other, note in found.related)
    return _command("warning" if found.severity == "warning" else "error", where, f"txweave {found.code}", words)


def _where(place: Place | None, path: str) -> dict[str, str | int]:
    if place is None:
        return {"file": repository_path(path)}
    return {"file": repository_path(place.path), "line": place.line, "col": place.column}


def _command(level: str, where: dict[str, str | int], title: str, message: str) -> str:
    properties = ",".join(f"{key}={_property(str(value))}" for key, value in {**where, "title": title}.items())
    return f"::{level} {properties}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
