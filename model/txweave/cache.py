"""Results kept from one run to the next, by the content of everything that they depend on.

An entry is a JSON file that is named by a digest of: the text and path of each file of the specification, the composed model,
the case, the options, the versions of what computes, and txweave's own sources.  Only a complete result is kept: every verdict
known, every self-check passed.  Whatever is wrong with an entry, it is as if it were not there.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
import types
from contextlib import suppress
from dataclasses import fields, is_dataclass, replace
from datetime import date
from enum import Enum
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

from txweave.check import Options
from txweave.collect import Selected
from txweave.results import CaseResult, Relation
from txweave.spec.places import without_places
from txweave.spec.text import sources
from txweave.verdict import Status

FOLDER = ".txweave-cache"
"""Where entries are, in the current directory."""

UNUSED = 30 * 24 * 3600
"""Seconds after which an entry that nobody took is deleted."""


class Cache:
    """A directory of results."""

    def __init__(self, folder: str | Path = FOLDER) -> None:
        self.folder = Path(folder)

    def get(self, selected: Selected, options: Options) -> CaseResult | None:
        """The result that was kept for a case; None where there is none that can be relied on."""
        key = key_of(selected, options)
        path = self.folder / f"{key}.json"
        try:
            entry = json.loads(path.read_text(encoding="utf-8"))
            if entry["key"] != key or entry["digest"] != _digest(entry["result"]):
                return None
            result = _thaw(CaseResult, entry["result"])
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None
        assert isinstance(result, CaseResult)
        with suppress(OSError):
            os.utime(path)  # it was used today
        return replace(result, cached=True, seconds=0.0) if complete(result) else None

    def put(self, selected: Selected, options: Options, result: CaseResult) -> None:
        """Keep a result, if it is complete.  A directory that cannot be written to keeps nothing, and nothing else changes."""
        if not complete(result) or result.cached:
            return
        key, frozen = key_of(selected, options), _freeze(result.detached())
        text = json.dumps({"key": key, "digest": _digest(frozen), "result": frozen}, ensure_ascii=False)
        with suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            ignore = self.folder / ".gitignore"
            if not ignore.exists():
                ignore.write_text("# Made by txweave; it can be deleted at any time.\n*\n", encoding="utf-8")
            # Another txweave may write the same entry: a file appears whole or not at all.
            with tempfile.NamedTemporaryFile("w", dir=self.folder, delete=False, encoding="utf-8") as file:
                file.write(text)
            os.replace(file.name, self.folder / f"{key}.json")  # noqa: PTH105 - the name is a text

    def prune(self) -> None:
        """Delete what was not taken for long: entries of older specifications and of older versions of txweave."""
        now = time.time()
        with suppress(OSError):
            for path in self.folder.glob("*.json"):
                with suppress(OSError):  # another txweave may have deleted it
                    if now - path.stat().st_mtime > UNUSED:
                        path.unlink()


def complete(result: CaseResult) -> bool:
    """Whether nothing is left open: a verdict on every property, from a whole exploration, and nothing that failed."""
    return (
        bool(result.properties)
        and not (result.errors or result.failures or result.debug)
        and all(p.relation in {Relation.AS_EXPECTED, Relation.DIFFERS} for p in result.properties)
        and all(p.status is not Status.UNKNOWN for p in result.properties)
        and all(e.complete for e in result.explorations if e.engine == "explicit")
    )


def key_of(selected: Selected, options: Options) -> str:
    """The digest of everything that the result of a case depends on."""
    case = selected.case
    texts = {(file.path, file.content) for file in sources(case)}
    # The memory that there is decides only whether a result is complete.
    chosen = [(f.name, getattr(options, f.name)) for f in fields(options) if f.name not in {"max_memory", "today"}]
    known = any(expectation.known is not None for expectation in case.expect.values())
    parts = (
        _program(),
        selected.path,
        selected.study,
        case.name,
        case.scenario,
        case.fixes,
        case.settings,
        without_places(case.model),
        without_places(case.expect),
        sorted(texts),
        chosen,
        # How many days a known violation has left is another answer every day.
        options.today.isoformat() if known else "",
    )
    return hashlib.sha256(repr(parts).encode()).hexdigest()


@cache
def _program() -> tuple[str, ...]:
    """What computes: txweave's sources, and the versions of what it computes with."""
    from txweave.report.json import environment

    digest = hashlib.sha256()
    root = Path(str(files("txweave")))
    for path in sorted(root.rglob("*")):
        if path.suffix in {".py", ".json"}:
            digest.update(f"{path.relative_to(root).as_posix()}\0".encode() + path.read_bytes() + b"\0")
    return (digest.hexdigest(), *(f"{name} {version}" for name, version in environment().items()))


# ----------------------------------------------------------------------------------------------------------- plain data


def _digest(frozen: Any) -> str:
    return hashlib.sha256(json.dumps(frozen, ensure_ascii=False, sort_keys=True).encode()).hexdigest()


def _freeze(value: Any) -> Any:
    """Results are dataclasses of plain data; as JSON each is the list of its fields."""
    if is_dataclass(value):
        return [_freeze(getattr(value, field.name)) for field in fields(value)]
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, tuple):
        return [_freeze(item) for item in value]
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise TypeError(f"{type(value).__name__} is no plain data")


def _thaw(kind: Any, value: Any) -> Any:
    """The value of a type, built of nothing but what the type says.

    Raises:
        TypeError, ValueError: the value is none of this type.
    """
    origin = get_origin(kind)
    if origin in {types.UnionType, Union}:
        if value is None:
            return None
        (kind,) = (item for item in get_args(kind) if item is not type(None))
        return _thaw(kind, value)
    if origin is tuple:
        wanted = get_args(kind)
        if not isinstance(value, list) or (wanted[-1] is not ... and len(value) != len(wanted)):
            raise TypeError(f"no tuple: {value!r:.50}")
        kinds = wanted[:1] * len(value) if wanted[-1] is ... else wanted
        return tuple(_thaw(item, one) for item, one in zip(kinds, value, strict=True))
    if isinstance(kind, type) and is_dataclass(kind):
        hints = _hints(kind)
        if not isinstance(value, list) or len(value) != len(hints):
            raise TypeError(f"no {kind.__name__}: {value!r:.50}")
        return kind(**{name: _thaw(hint, one) for (name, hint), one in zip(hints.items(), value, strict=True)})
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(value)
    if kind is date:
        return date.fromisoformat(value)
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise TypeError(f"no {kind}: {value!r:.50}")
    return value


@cache
def _hints(kind: type) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}
