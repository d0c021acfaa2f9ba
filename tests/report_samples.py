"""Reports with each kind of outcome, made by hand around a story that really is one, so that every format is asked the same."""

from __future__ import annotations

from dataclasses import replace

import job_tables as jobs
from txweave.report.outcomes import Report
from txweave.report.story import Place, Story, tell
from txweave.report.text import Style
from txweave.results import Answer, CaseResult, Exit, Expected, Exploration, Finding, PropertyResult, Relation, worst
from txweave.spec.diagnostics import Diagnostic
from txweave.spec.text import SourceFile, Span
from txweave.verdict import Status
from txweave.view import Viewer

STUDY, MODEL = "specs/jobs.study.yaml", "specs/jobs.model.yaml"
QUIET = Style(timing=False)

EVIL = 'a|b `c` ``` <b>&amp; "q" #1; end\n::error::%0A, 50% ]]> \x1b[31m @you [x](y) 😀 $HOME --> {z} \\'
"""Text with what each format might take for its own."""


def story(name: str = "taken_once") -> Story:
    trace = jobs.both_take() if name == "taken_once" else jobs.none_takes()
    return replace(tell(trace, name, Viewer(trace.system)), place=Place(MODEL, 30, 3))


def prop(name: str, status: Status, relation: Relation, expected: Expected | None = None, **more) -> PropertyResult:
    expected = expected or Expected("holds")
    told = story(name) if status is Status.VIOLATED else None
    text = "unknown (max-states)" if status is Status.UNKNOWN else status.value
    return PropertyResult(
        **{
            "name": name,
            "kind": "never",
            "title": "A job is taken once",
            "place": Place(MODEL, 30, 3),
            "status": status,
            "text": text,
            "expected": expected,
            "relation": relation,
            "answers": (Answer("explicit", status, text, seconds=0.25),),
            "length": told.length if told else None,
            "story": told,
            **more,
        }
    )


def case(name: str, *properties: PropertyResult, **more) -> CaseResult:
    return CaseResult(
        **{
            "path": STUDY,
            "study": "jobs",
            "model": "jobs",
            "case": name,
            "scenario": "two",
            "place": Place(STUDY, 5, 3),
            "properties": properties,
            "explorations": (Exploration("explicit", 30, 48, 8, True, "", 0.5),),
            "seconds": 1.5,
            **more,
        }
    )


def diagnostic() -> Diagnostic:
    file = SourceFile(MODEL, "model: jobs\nprocedures: {}\nkases: {}\n")
    start = file.content.index("kases")
    return Diagnostic("S101", Span(file, start, start + 5), "there is no key 'kases'", "did you mean 'cases'?")


HOLDS = prop("all_taken", Status.HOLDS, Relation.AS_EXPECTED)
BAD = prop("taken_once", Status.VIOLATED, Relation.DIFFERS, difference="violated, expected holds")
LASSO = prop("all_taken", Status.VIOLATED, Relation.DIFFERS, difference="violated, expected holds")
EXPECTED = prop("taken_once", Status.VIOLATED, Relation.AS_EXPECTED, Expected("violated", stated=True, place=Place(STUDY, 7, 9)))
UNKNOWN = prop("taken_once", Status.UNKNOWN, Relation.INCONCLUSIVE)
FAILED = prop("taken_once", Status.VIOLATED, Relation.FAILED)
FINDING = Finding("never-executed", "work.rest", "work.rest is never executed: its process never gets there", Place(MODEL, 12, 9))
LINT = Finding("lint", "L505", "L505: the parameter step is never read", Place(MODEL, 2, 20))


def report(*cases: CaseResult, errors=(), style: Style = QUIET) -> Report:
    statuses = [c.exit for c in cases] + ([Exit.ERROR] if errors or not cases else [])
    return Report(tuple(cases), tuple(errors), worst(statuses), style)


GREEN = report(case("calm", HOLDS, EXPECTED))
VIOLATED = report(case("as_written", HOLDS, BAD))
OPEN = report(case("as_written", HOLDS, UNKNOWN))
WRONG = report(case("as_written", errors=(diagnostic(),)))
UNREADABLE = report(errors=((STUDY, (diagnostic(),)),))
BROKEN = report(case("as_written", HOLDS, FAILED, failures=("taken_once: the engines disagree",)))
CRASHED = report(case("as_written", failures=("internal error: RuntimeError: oops",)))
EMPTY = report(case("as_written"))
EVERYTHING = report(
    case("calm", HOLDS, EXPECTED, findings=(FINDING,)),
    case("as_written", LASSO, BAD, findings=(FINDING,), fixes=("age",)),
    case("slow", HOLDS, UNKNOWN, path=MODEL, study=""),
    case("wrong", errors=(diagnostic(),)),
    case("broken", FAILED, failures=("taken_once: the engines disagree",)),
    errors=(("specs/other.study.yaml", (diagnostic(),)),),
)
HOSTILE = report(
    case(
        "a|`b`<i>[x=1]",
        replace(BAD, title=EVIL, story=replace(story(), title=EVIL, broken=EVIL, assumptions=(EVIL,)), difference=EVIL),
        findings=(replace(FINDING, message=EVIL),),
        failures=(EVIL,),
        title=EVIL,
    )
)
KINDS = {
    "green": GREEN,
    "violated": VIOLATED,
    "open": OPEN,
    "wrong": WRONG,
    "unreadable": UNREADABLE,
    "broken": BROKEN,
    "crashed": CRASHED,
    "empty": EMPTY,
    "everything": EVERYTHING,
    "hostile": HOSTILE,
}
