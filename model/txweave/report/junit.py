"""Results as JUnit XML: a suite for each file, a test for each property of each case.

A verdict that differs is a ``failure``, one that cannot be relied on an ``error``; nothing is ever ``skipped``, which dashboards
paint green.  There is no official schema; the elements are those that every reader of JUnit XML knows.
"""

from __future__ import annotations

import re

from junitparser import Error, Failure, JUnitXml, TestCase, TestSuite
from junitparser.junitparser import Attr, IntAttr

from txweave.report.outcomes import Item, Outcome, Report, repository_path


class _Test(TestCase):
    """A test that says where it stands, as pytest's tests do."""

    file = Attr()
    line = IntAttr()


def render(report: Report) -> str:
    """The document."""
    document = JUnitXml("txweave")
    timing = report.style.timing
    suites: dict[str, TestSuite] = {}
    spent: dict[str, float] = {}
    for result in report.results:
        spent[result.path] = spent.get(result.path, 0.0) + result.seconds
    for item in report.items:
        _suite(suites, item.case.path).add_testcase(_test(item))
    for path, found in report.errors:
        test = _Test("specification", _clean(path))
        test.file = _clean(repository_path(path))
        problem = Error(_clean(found[0].message if found else "it cannot be read"), "specification")
        problem.text = _clean("\n\n".join(d.render() for d in found))
        test.result = problem
        _suite(suites, path).add_testcase(test)
    for suite in suites.values():
        document.add_testsuite(suite)
    document.update_statistics()  # type: ignore[no-untyped-call]
    for path, suite in zip(suites, document, strict=True):
        _time(suite, spent.get(path, 0.0) if timing else None)
    _time(document, sum(spent.values()) if timing else None)
    text: bytes = document.tostring()  # type: ignore[no-untyped-call]
    return '<?xml version="1.0" encoding="utf-8"?>\n' + text.decode() + "\n"


def _suite(suites: dict[str, TestSuite], path: str) -> TestSuite:
    if path not in suites:
        suites[path] = TestSuite(_clean(path))
    return suites[path]


def _time(element: TestSuite | JUnitXml, seconds: float | None) -> None:
    """All properties of a case are explored at once: the time is the suite's, and no test has one of its own."""
    if seconds is None:
        element._elem.attrib.pop("time", None)  # noqa: SLF001 - an attribute cannot be taken out otherwise
    else:
        element.time = round(seconds, 3)


def _test(item: Item) -> TestCase:
    case = item.case
    test = _Test(_clean(item.name), _clean(f"{case.path}::{case.case}"))
    if item.place is not None:
        test.file = _clean(repository_path(item.place.path))
        test.line = item.place.line
    match item.outcome:
        case Outcome.PASS:
            # A known violation says until when it is one, and why.
            test.system_out = _clean(item.message)
        case Outcome.FAIL:
            test.result = _result(Failure, item, "verdict")
        case Outcome.ERROR:
            kind = "specification" if item.diagnostics else "self-check" if item.failures else "inconclusive"
            test.result = _result(Error, item, kind)
    return test


def _result(kind: type[Failure | Error], item: Item, name: str) -> Failure | Error:
    found = kind(_clean(item.message), name)
    found.text = _clean(item.text)
    return found


_INVALID = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _clean(text: str) -> str:
    """Text with the characters that XML 1.0 does not allow (section 2.2) written as escapes."""
    return _INVALID.sub(lambda found: f"\\x{ord(found.group()):02x}", text)
