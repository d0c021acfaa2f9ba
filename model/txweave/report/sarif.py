"""Results as SARIF 2.1.0 (OASIS), which code scanning shows as alerts at the lines of a specification.

A result for each property that is not as expected, at the property's line, with a code flow through the steps of the story; for
each thing that is wrong in a specification; for each finding.  What is as expected has no result, but a known
violation, which is accepted for a while: a note, with a suppression that says until when and why.  An unknown verdict is a
result of its property's rule, a warning, with the fingerprint that a violation would have: an alert is closed by a verdict as
expected and by nothing else.  (Its ``kind`` is ``fail``: with any other the standard, section 3.27.9, has no level but ``none``.)
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import txweave
from txweave.report.outcomes import Item, Outcome, Report, case_label, finding_line, repository_path, step_line
from txweave.report.story import Place, Story
from txweave.results import Exit, Relation
from txweave.spec.diagnostics import Diagnostic

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"

Json = dict[str, Any]

_FINDINGS = {
    "never-executed": "A step that no process ever executes",
    "never-triggered": "A whenever that never has a row",
    "bound": "A bound that was hit",
    "truncated": "Runs that were cut off at an accepted bound",
}


def render(report: Report) -> str:
    """The document."""
    writer = _Writer()
    results = [writer.diagnostic(found) for found in report.diagnostics]
    results += [writer.item(i) for i in report.items if (i.outcome is not Outcome.PASS or i.known) and not i.diagnostics]
    for path, finding, cases in report.findings:
        if finding.kind == "lint":
            rule = writer.code(finding.subject, "note")
            identity = ("finding", repository_path(path), finding.subject, finding.message)
        else:
            rule = writer.rule(f"finding/{finding.kind}", _FINDINGS.get(finding.kind, finding.kind), "note")
            identity = ("finding", repository_path(path), finding.kind, finding.subject)
        place = finding.place or Place(path, 1, 1)
        results.append(_result(rule, "note", finding_line(finding, cases), place, identity))
    whole = report.exit_status not in {Exit.ERROR, Exit.SELF_CHECK}
    driver = {"name": "txweave", "semanticVersion": txweave.__version__, "rules": list(writer.rules.values())}
    document = {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": driver},
                "columnKind": "unicodeCodePoints",
                "originalUriBaseIds": {"%SRCROOT%": {"description": {"text": "The root of the repository."}}},
                "invocations": [
                    {
                        "executionSuccessful": whole,
                        "exitCode": int(report.exit_status),
                        "exitCodeDescription": _EXITS[report.exit_status],
                        "toolExecutionNotifications": list(_failed(report)),
                    }
                ],
                "results": results,
            }
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


_EXITS = {
    Exit.OK: "all as expected",
    Exit.DIFFERS: "a verdict differs from what is expected",
    Exit.ERROR: "a specification is wrong, or there was nothing to check",
    Exit.INCONCLUSIVE: "inconclusive",
    Exit.SELF_CHECK: "a self-check failed",
}


class _Writer:
    """Collects the rules that results refer to, in the order of their first use."""

    def __init__(self) -> None:
        self.rules: dict[str, Json] = {}

    def rule(self, name: str, title: str, level: str = "error", help_text: str = "") -> Json:
        """A reference to a rule."""
        if name not in self.rules:
            self.rules[name] = {
                "id": name,
                "shortDescription": {"text": title},
                "defaultConfiguration": {"level": level},
                **({"help": {"text": help_text}} if help_text else {}),
            }
        return {"ruleId": name, "ruleIndex": list(self.rules).index(name)}

    def code(self, code: str, level: str) -> Json:
        """The rule of a diagnostic's code, with what ``txweave explain`` tells of it."""
        from txweave.explain import codes

        title, explanation = codes()[code]
        return self.rule(code, title, level, explanation)

    def diagnostic(self, found: Diagnostic) -> Json:
        """One thing that is wrong in a specification."""
        rule = self.code(found.code, _level(found))
        words = found.message + (f"\n{found.remedy}" if found.remedy else "")
        place = Place.of(found.span)
        identity = ("specification", found.code, repository_path(place.path) if place else "", found.message)
        result = _result(rule, _level(found), words, place, identity)
        if found.span is not None and result["locations"]:
            region = result["locations"][0]["physicalLocation"]["region"]
            region |= {"endLine": found.span.end_line, "endColumn": found.span.end_column}
        related = [_location(Place.of(span), note) for span, note in found.related]
        return result | ({"relatedLocations": related} if related else {})

    def item(self, item: Item) -> Json:
        """A property that is not as expected, or a case that has no answer."""
        case, found = item.case, item.result
        if found is None:
            title = "A self-check failed: no verdict can be trusted" if item.failures else "Nothing was checked"
            rule = self.rule("self-check" if item.failures else "nothing-checked", title)
        else:
            title = found.title or f"{found.name} ({found.kind.replace('_', ' ')})"
            rule = self.rule(f"{case.model}/{found.name}", title)
        unknown = found is not None and found.relation is Relation.INCONCLUSIVE
        known = found.known if found is not None else None
        words = [f"{item.name} in {case_label(case)}: {item.message}"]
        if item.story is not None:
            words.append(item.story.broken[:1].upper() + item.story.broken[1:] + ".")
        words += [failure for failure in item.failures if failure not in item.message]
        identity = ("property", repository_path(case.path), case.case, item.name)
        fallback = item.place or Place(case.path, 1, 1)
        level = "warning" if unknown else "note" if known is not None else "error"
        result = _result(rule, level, "\n".join(words), fallback, identity)
        if known is not None:
            accepted: Json = {"kind": "inSource", "status": "accepted", "justification": known.text()}
            if found is not None and found.expected.place is not None:
                accepted |= {"location": _location(found.expected.place)}
            result["suppressions"] = [accepted]
        if item.story is not None and item.story.steps:
            result["codeFlows"] = [_flow(item.story, fallback)]
        related = []
        if found is not None and found.expected.place is not None:
            related.append(_location(found.expected.place, f"expected {found.expected.text}"))
        if case.place is not None:
            related.append(_location(case.place, f"the case {case.case}"))
        result["relatedLocations"] = related
        if found is not None:
            result["properties"] = {
                "verdict": found.status.value,
                "expected": found.expected.text,
                "relation": found.relation.value,
            }
        return result


def _result(rule: Json, level: str, words: str, place: Place | None, identity: tuple[str, ...]) -> Json:
    """A result.  Its fingerprint is made of names alone, so that it is the same wherever the lines move."""
    digest = hashlib.sha256("\0".join(identity).encode()).hexdigest()[:32]
    return {
        **rule,
        "kind": "fail",
        "level": level,
        "message": {"text": words},
        "locations": [_location(place)] if place is not None else [],
        # GitHub reads this one and no other; without it, it would hash the line, which two cases may share.
        "partialFingerprints": {"primaryLocationLineHash": f"{digest}:1"},
    }


def _location(place: Place | None, words: str = "") -> Json:
    found: Json = {}
    if place is not None:
        path = repository_path(place.path)
        absolute = Path(path).is_absolute()
        found["physicalLocation"] = {
            "artifactLocation": {"uri": Path(path).as_uri()} if absolute else {"uri": quote(path), "uriBaseId": "%SRCROOT%"},
            "region": {"startLine": place.line, "startColumn": place.column},
        }
    return found | ({"message": {"text": words}} if words else {})


def _flow(story: Story, place: Place) -> Json:
    """The steps, each at its line; what has no line (time, the server) stands where the story was before."""
    steps = []
    for step in story.steps:
        place = step.place or place
        words = f"{step.number}. {step_line(step)}"
        if story.loop is not None and step.number == story.loop + 1:
            words = f"for ever from here: {words}"
        steps.append({"location": _location(place, words), "executionOrder": step.number, "importance": "essential"})
    return {"message": {"text": story.broken}, "threadFlows": [{"locations": steps}]}


def _level(found: Diagnostic) -> str:
    return "warning" if found.severity == "warning" else "error"


def _failed(report: Report) -> Iterable[Json]:
    for result in report.results:
        for failure in result.failures:
            yield {"level": "error", "message": {"text": f"{result.case}: {failure}"}}
