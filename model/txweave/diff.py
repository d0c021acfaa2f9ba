"""What changed between two results of a check: verdicts, lengths, counts; cases, properties and steps that were added or are gone.

Both sides are documents of ``txweave check --format json``, whichever way they were come by.  An unknown verdict is never
unchanged: it is worse where something was known before, and open where nothing was.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeAlias

from txweave.results import Exit

Json: TypeAlias = Mapping[str, Any]


class UnreadableError(ValueError):
    """A document that is no result of a check, or one without answers; the message says why."""


class Tendency(Enum):
    """``WORSE``: what held no longer does or is no longer checked, what was known no longer is, a violation is new.
    ``OPEN``: unknown, and not known before either."""

    WORSE = "worse"
    OPEN = "open"
    BETTER = "better"
    CHANGED = "changed"


@dataclass(frozen=True)
class Verdict:
    """What one side says of a property; ``known``: a violation that is accepted for a while."""

    status: str
    text: str
    expected: str
    relation: str
    known: bool = False


@dataclass(frozen=True)
class Change:
    """A property whose verdict, or what is expected of it, is another; a side that lacks it is None."""

    path: str
    case: str
    name: str
    old: Verdict | None
    new: Verdict | None
    tendency: Tendency


@dataclass(frozen=True)
class CaseChange:
    """A case that was added or is gone, or whose steps or number of states (None: not told) are others."""

    path: str
    case: str
    there: tuple[bool, bool]
    states: tuple[int | None, int | None]
    added: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()


@dataclass(frozen=True)
class Difference:
    """Everything that differs, in the order of the new side; ``same``: properties with the same known verdict on both sides."""

    changes: tuple[Change, ...]
    cases: tuple[CaseChange, ...]
    same: int

    @property
    def exit(self) -> Exit:
        """1 where something got worse, 3 where something is open, else 0."""
        found = {change.tendency for change in self.changes}
        return Exit.DIFFERS if Tendency.WORSE in found else Exit.INCONCLUSIVE if Tendency.OPEN in found else Exit.OK


# What is read of a document.  A reader passes over the keys that it does not know.
_TEXT, _INTEGER = {"type": "string"}, {"type": "integer"}
_LENGTH = {"type": ["array", "null"], "items": _INTEGER}


def _object(**keys: Any) -> dict[str, Any]:
    return {"type": "object", "properties": keys, "required": [k for k in keys if k not in ("steps", "known")]}


def _list(items: Any) -> dict[str, Any]:
    return {"type": "array", "items": items}


_SHAPE = _object(
    kind={"const": "check"},
    schema_version={"const": 1},
    errors=_list({"type": "object"}),
    cases=_list(
        _object(
            path=_TEXT,
            case=_TEXT,
            errors=_list({"type": "object"}),
            failures=_list(_TEXT),
            explorations=_list(_object(states=_INTEGER)),
            steps=_list(_TEXT),
            properties=_list(
                _object(
                    name=_TEXT,
                    verdict={"enum": ["proved", "holds", "violated", "unknown"]},
                    text=_TEXT,
                    length=_LENGTH,
                    relation=_TEXT,
                    known={"type": "boolean"},
                    expected=_object(verdict=_TEXT, length=_LENGTH),
                )
            ),
        )
    ),
)


def read(text: str) -> dict[str, Any]:
    """A document, from its text.

    Raises:
        UnreadableError: it is not what ``txweave check --format json`` writes.
    """
    import jsonschema

    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UnreadableError(f"it is not JSON: {error}") from error
    problem = next(jsonschema.Draft7Validator(_SHAPE).iter_errors(found), None)
    if problem is not None:
        where = "/".join(str(part) for part in problem.absolute_path) or "the document"
        raise UnreadableError(f"it is not what txweave check --format json writes: {where}: {problem.message[:200]}")
    document: dict[str, Any] = found
    return document


def diff(old: Json, new: Json) -> Difference:
    """What differs.

    Raises:
        UnreadableError: a side has a specification that is wrong, so that nothing is known of it; or there is no case.
    """
    before, after = _cases(old, "old"), _cases(new, "new")
    if not before and not after:
        raise UnreadableError("there is nothing to compare: neither side has a case")
    changes: list[Change] = []
    cases: list[CaseChange] = []
    same = 0
    # What is gone stands at the end.
    for key in (*after, *(key for key in before if key not in after)):
        one, other = before.get(key), after.get(key)
        old_found, new_found = _verdicts(one), _verdicts(other)
        for name in (*new_found, *(name for name in old_found if name not in new_found)):
            a, b = old_found.get(name), new_found.get(name)
            tendency = _tendency(a, b)
            if tendency is None:
                same += 1
            else:
                changes.append(Change(*key, name, a, b, tendency))
        cases += _case_change(key, one, other)
    return Difference(tuple(changes), tuple(cases), same)


def _cases(document: Json, which: str) -> dict[tuple[str, str], Json]:
    wrong = [str(e.get("path", "")) for e in document["errors"]]
    # A case that crashed has no property that could tell so.
    wrong += [c["case"] for c in document["cases"] if c["errors"] or (c["failures"] and not c["properties"])]
    if wrong:
        raise UnreadableError(f"the {which} side has errors in {', '.join(dict.fromkeys(wrong))}: nothing is known of it")
    found: dict[tuple[str, str], Json] = {}
    for case in document["cases"]:
        key = (case["path"], case["case"])
        if key in found:
            raise UnreadableError(f"the {which} side has the case {case['case']} of {case['path']} twice")
        found[key] = case
    return found


def _verdicts(case: Json | None) -> dict[str, Verdict]:
    return {item["name"]: _verdict(item) for item in case["properties"]} if case is not None else {}


def _verdict(item: Json) -> Verdict:
    expected = item["expected"]["verdict"] + _length(item["expected"]["length"])
    if item["relation"] == "self-check failed":
        return Verdict("unknown", "unknown (a self-check failed)", expected, item["relation"])
    return Verdict(item["verdict"], item["text"] + _length(item["length"]), expected, item["relation"], item.get("known", False))


def _length(length: list[int] | None) -> str:
    return f" ({', '.join(map(str, length))})" if length else ""


def _tendency(old: Verdict | None, new: Verdict | None) -> Tendency | None:
    """How a verdict changed; None where it is known and the same."""
    kept = {"holds", "proved"}
    if new is None:
        return Tendency.WORSE if old is not None and old.status in kept else Tendency.CHANGED
    if new.status == "unknown":
        return Tendency.OPEN if old is None or old.status == "unknown" else Tendency.WORSE
    if old is None:
        return Tendency.CHANGED
    if old.status != new.status:
        if new.status == "violated":
            return Tendency.WORSE
        return Tendency.BETTER if old.status not in kept else Tendency.CHANGED
    return None if old == new else Tendency.CHANGED


def _case_change(key: tuple[str, str], old: Json | None, new: Json | None) -> Iterator[CaseChange]:
    there = (old is not None, new is not None)
    states = (_states(old), _states(new))
    before: list[str] | None = old.get("steps") if old is not None else None
    after: list[str] | None = new.get("steps") if new is not None else None
    added: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    # An older document does not tell its steps: nothing is said about them then.
    if before is not None and after is not None:
        added = tuple(step for step in after if step not in set(before))
        gone = tuple(step for step in before if step not in set(after))
    if not all(there) or states[0] != states[1] or added or gone:
        yield CaseChange(*key, there, states, added, gone)


def _states(case: Json | None) -> int | None:
    found = [e["states"] for e in case["explorations"]] if case is not None else []
    return max(found, default=None)
