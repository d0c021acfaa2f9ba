"""Parameters: their kinds, durations, and models with other values (``--set``, ``set:``, ``sweep:``)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from txweave.spec.diagnostics import Report, did_you_mean
from txweave.spec.durations import duration_error, parse_duration
from txweave.spec.syntax import Model, Scalar
from txweave.spec.text import Span, Text

__all__ = ["Value", "kind_of", "parse_duration", "parse_setting", "settings_error", "show_value", "with_settings"]

Value = Scalar | tuple[Scalar, ...]
"""The value of a parameter."""

_NAMES = {
    "boolean": "true or false",
    "integer": "an integer",
    "duration": "a duration such as 5min",
    "text": "a text",
    "list": "a list",
}


def kind_of(value: Value) -> str:
    """``boolean``, ``integer``, ``duration`` (a string that reads as one), ``text`` or ``list``."""
    if isinstance(value, tuple):
        return "list"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    return "duration" if isinstance(value, str) and parse_duration(value) is not None else "text"


def show_value(value: Value) -> str:
    """A value as case names and messages print it."""
    if isinstance(value, tuple):
        return "[" + ",".join(show_value(item) for item in value) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return "null" if value is None else str(value)


def parse_setting(text: str, default: Value) -> Value:
    """A value typed on the command line, read as the kind of the default; text that does not fit is left as it is.

    >>> parse_setting("3", 1), parse_setting("[1, 2]", (1,)), parse_setting("5min", "120 s")
    (3, (1, 2), '5min')
    """
    kind = kind_of(default)
    text = text.strip()
    if kind == "list" and isinstance(default, tuple):
        inner = text[1:-1] if text.startswith("[") and text.endswith("]") else text
        items = [item.strip() for item in inner.split(",")] if inner.strip() else []
        if default:
            return tuple(_parse_scalar(item, default[0]) for item in items)
        return tuple(int(item) if _is_integer(item) else item for item in items)
    return _parse_scalar(text, default)


def _parse_scalar(text: str, default: Value) -> Scalar:
    kind = kind_of(default)
    if kind == "boolean" and text in ("true", "false"):
        return text == "true"
    if kind == "integer" and _is_integer(text):
        return int(text)
    return text


def _is_integer(text: str) -> bool:
    digits = text.removeprefix("-")
    return digits.isascii() and digits.isdigit() and len(digits) <= 18


def settings_error(default: Value, value: Value) -> str:
    """Why ``value`` cannot stand where ``default`` does; empty when it can."""
    wanted, given = kind_of(default), kind_of(value)
    if wanted == "list" and isinstance(default, tuple) and isinstance(value, tuple):
        kinds = {type(item) for item in default} | {type(item) for item in value}
        if len(kinds) > 1:
            return f"{show_value(value)} has values of another kind than the default {show_value(default)}"
        return ""
    if wanted == given or (wanted == "text" and given == "duration"):
        return ""
    return f"{show_value(value)} is not {_NAMES[wanted]}, as the default {show_value(default)} is"


def check_settings(
    model: Model, settings: Mapping[str, Value], places: Mapping[str, tuple[Span | None, Span | None]], report: Report
) -> None:
    """Check that every setting names a parameter and has the kind of its default.

    Args:
        model: declares the parameters.
        settings: the new values.
        places: where each setting's name and value stand.
        report: takes the findings.
    """
    for name, value in settings.items():
        at_name, at_value = places.get(name, (None, None))
        parameter = model.parameters.get(name)
        if parameter is None:
            remedy = did_you_mean(name, model.parameters) or "the model has no parameters"
            report.error("S114", at_name, f"there is no parameter '{name}'", remedy)
            continue
        why = settings_error(parameter.value, value)
        if why:
            wanted = kind_of(parameter.value)
            remedy = duration_error(str(value)) if wanted == "duration" else f"give {_NAMES[wanted]}"
            report.error("S125", at_value, f"the parameter '{name}': {why}", remedy, [(parameter.span, "the default")])


def with_settings(model: Model, settings: Mapping[str, Value], span: Span | None = None) -> Model:
    """The model with other values of its parameters; strings are read as the kind of the default.

    The model's own expectations are those of its defaults: they go when a value changes.

    Raises:
        SpecError: a parameter is unknown or a value has another kind than the default.
    """
    report = Report()
    read: dict[str, Value] = {}
    for name, value in settings.items():
        parameter = model.parameters.get(name)
        read[name] = parse_setting(value, parameter.value) if parameter is not None and isinstance(value, str) else value
    check_settings(model, read, dict.fromkeys(read, (span, span)), report)
    report.check()
    return settled(model, read, span)


def settled(model: Model, settings: Mapping[str, Value], span: Span | None = None) -> Model:
    """The model with values that were checked before."""
    parameters = dict(model.parameters)
    changed = False
    for name, value in settings.items():
        old = parameters[name]
        if value == old.value and type(value) is type(old.value):
            continue
        changed = True
        place = span or Text.of(f"{name}={show_value(value)}", "<settings>").span()
        parameters[name] = replace(old, value=value, span=place)
    if not changed:
        return model
    return replace(model, parameters=parameters, expect={})
