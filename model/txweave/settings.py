"""Defaults from ``[tool.txweave]`` in a ``pyproject.toml``.

The nearest ``pyproject.toml`` with that table counts, from the current directory upward.  Its keys are the long options of
``txweave check``; other commands and the pytest plugin take those that they have.  What the command line says takes the place
of what the file says.  Paths are relative to the file.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE = "pyproject.toml"


@dataclass(frozen=True)
class Key:
    """One key: the parameter of the command that it sets, the type it must have, and whether it names files."""

    parameter: str
    kind: type
    files: bool = False


KEYS: dict[str, Key] = {
    "paths": Key("paths", list, files=True),
    "engine": Key("engine", str),
    "jobs": Key("jobs", int),
    "max-states": Key("max_states", int),
    "max-memory": Key("max_memory", int),
    "max-depth": Key("max_depth", int),
    "rlimit": Key("rlimit", int),
    "timeout": Key("timeout", float),
    "format": Key("wanted_formats", list),
    "traces": Key("traces", str, files=True),
    "story": Key("told", list),
    "no-story": Key("no_story", bool),
    "strict": Key("strict", bool),
    "no-timing": Key("no_timing", bool),
    "quiet": Key("quiet", bool),
    "no-reduction": Key("no_reduction", bool),
    "any-number": Key("any_number", bool),
    "no-cache": Key("no_cache", bool),
}
"""What ``[tool.txweave]`` may say.  What narrows or changes a check (``--case``, ``--fix`` …) belongs to one call only."""

_WORDS = {list: "a list of texts", str: "a text", int: "an integer", float: "a number", bool: "true or false"}


class SettingsError(Exception):
    """A ``pyproject.toml`` that is wrong; the message names file and line."""


@dataclass(frozen=True)
class Setting:
    """A value of the file: the parameter that it sets, and ``file:line`` where it stands."""

    parameter: str
    value: Any
    where: str


def defaults(here: Path | None = None) -> list[Setting]:
    """What the nearest file with a ``[tool.txweave]`` says; nothing where there is none.

    Raises:
        SettingsError: a file that cannot be read, an unknown key, a value of the wrong type.
    """
    here = here or Path.cwd()
    for folder in (here, *here.parents):
        path = folder / FILE
        if path.is_file():
            table = _table(path)
            if table is not None:
                return list(_settings(path, table, here))
    return []


def _table(path: Path) -> Mapping[str, Any] | None:
    shown = os.path.relpath(path)
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"cannot read {shown}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"cannot read {shown}: it is not UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{shown}: it is not TOML: {error}") from error
    tool = document.get("tool", {})
    if not isinstance(tool, dict) or "txweave" not in tool:
        return None
    table = tool["txweave"]
    if not isinstance(table, dict):
        raise SettingsError(f"{shown}:{_line(path, 'txweave')}: tool.txweave is no table")
    return table


def _settings(path: Path, table: Mapping[str, Any], here: Path) -> Iterable[Setting]:
    from txweave.collect import suggestion

    for name, value in table.items():
        where = f"{os.path.relpath(path)}:{_line(path, name)}"
        key = KEYS.get(name)
        if key is None:
            raise SettingsError(f"{where}: [tool.txweave] has no key {name!r}{suggestion(name, KEYS)}")
        if not _fits(value, key.kind):
            raise SettingsError(f"{where}: {name} is {_WORDS[key.kind]}, not {value!r}")
        yield Setting(key.parameter, _placed(name, key, value, path.parent, here), where)


def _placed(name: str, key: Key, value: Any, folder: Path, here: Path) -> Any:
    """The value with its paths as seen from the current directory."""
    if name == "format":
        return [_format(item, folder, here) for item in value]
    if not key.files:
        return value
    return [_beside(item, folder, here) for item in value] if key.kind is list else _beside(value, folder, here)


def _fits(value: object, kind: type) -> bool:
    if kind is list:
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, (int, float) if kind is float else kind)


def _beside(name: str, folder: Path, here: Path) -> str:
    return os.path.relpath(folder / name, here)


def _format(value: str, folder: Path, here: Path) -> str:
    """``NAME=FILE`` with the file beside the settings."""
    name, equals, file = value.partition("=")
    return f"{name}={_beside(file, folder, here)}" if equals and file not in {"", "-"} else value


def _line(path: Path, name: str) -> int:
    """The line of a key.  TOML's reader does not tell it: the first line below the table's head that sets the key."""
    lines = path.read_text(encoding="utf-8").splitlines()
    head = next((i for i, line in enumerate(lines) if re.match(r"\s*\[\s*tool\s*\.\s*[\"']?txweave[\"']?\s*\]", line)), None)
    start = 0 if head is None else head
    quoted = rf"[\"']?{re.escape(name)}[\"']?"
    for number, line in enumerate(lines[start:], start + 1):
        if re.match(rf"\s*(?:tool\s*\.\s*)?(?:[\"']?txweave[\"']?\s*\.\s*)?{quoted}\s*[=.]", line):
            return number
    return start + 1
