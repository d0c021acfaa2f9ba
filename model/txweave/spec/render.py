"""A model written as YAML again, after its fixes: readable, and read back as the same model."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TypeAlias

from txweave.spec import syntax
from txweave.spec.build import form_of
from txweave.spec.reader import plain_kind
from txweave.spec.syntax import Scalar
from txweave.spec.text import Text

_Tree: TypeAlias = "Mapping[str, _Tree] | list[_Tree] | _Sql | Scalar"
WIDTH = 110


class _Sql(str):
    """A text that is shown as a block when it has several lines or is long."""

    __slots__ = ()


def render_model(model: syntax.Model) -> str:
    """The YAML of a model.  Reading it gives the same model, places and the names of fixes apart."""
    head = "".join(f"# with the fix {name}\n" for name in model.fixes)
    tree: dict[str, _Tree] = {"model": model.name.value}
    if model.title:
        tree["title"] = model.title
    tree["database"] = {"engine": model.database.engine.value, "isolation": model.database.isolation.value}
    if model.parameters:
        tree["parameters"] = {name: _value(parameter.value) for name, parameter in model.parameters.items()}
    tree["schema"] = _texts(model.schema)
    if model.ghost:
        tree["ghost"] = _texts(model.ghost)
    if model.domains:
        tree["domains"] = {d.target.value: list(d.values) if d.like is None else {"like": d.like.value} for d in model.domains}
    if model.data:
        tree["data"] = _texts(model.data)
    if model.serial != "abstract":
        tree["serial"] = model.serial
    tree["procedures"] = {name: _procedure(procedure) for name, procedure in model.procedures.items()}
    tree["scenarios"] = {name: _scenario(scenario) for name, scenario in model.scenarios.items()}
    if model.properties:
        tree["properties"] = {name: _property(prop) for name, prop in model.properties.items()}
    if model.expect:
        tree["expect"] = {name: _expectation(expectation) for name, expectation in model.expect.items()}
    lines: list[str] = []
    _write(tree, 0, lines)
    return head + "\n".join(lines) + "\n"


# ---------------------------------------------------------------------------------------------------------------- trees


def _value(value: Scalar | tuple[Scalar, ...]) -> _Tree:
    return list(value) if isinstance(value, tuple) else value


def _texts(texts: tuple[Text, ...]) -> _Tree:
    return _Sql(texts[0].value) if len(texts) == 1 else [_Sql(text.value) for text in texts]


def _names(names: tuple[Text, ...]) -> _Tree:
    return names[0].value if len(names) == 1 else [name.value for name in names]


def _procedure(procedure: syntax.Procedure) -> _Tree:
    tree: dict[str, _Tree] = {}
    if procedure.inputs:
        tree["inputs"] = [name.value for name in procedure.inputs]
    if procedure.repeat is not None:
        tree["repeat"] = {"every": procedure.repeat} if procedure.repeat else "forever"
    if procedure.within is not None:
        tree["within"] = procedure.within.value
    tree["steps"] = _steps(procedure.steps)
    return tree


def _steps(steps: Iterable[syntax.Step]) -> _Tree:
    return [{step.name.value: _step(step)} for step in steps]


def _step(step: syntax.Step) -> _Tree:
    body = _body(step.body)
    if not isinstance(body, dict):
        if step.within is None and not step.source:
            return body
        body = {str(body): {} if body == "begin" else True}
    if step.within is not None:
        body["within"] = step.within.value
    if step.source:
        body["source"] = dict(step.source)
    return body


def _body(body: syntax.Body) -> _Tree:
    form = form_of(body)
    tree: dict[str, _Tree] = {}
    match body:
        case syntax.Commit() | syntax.Rollback() | syntax.Return():
            return form
        case syntax.Begin():
            options = {"isolation": body.isolation, "mode": body.mode}
            chosen: dict[str, _Tree] = {key: text.value for key, text in options.items() if text is not None}
            return {"begin": chosen} if chosen else "begin"
        case syntax.Sql():
            tree["sql"] = _Sql(body.sql.value)
            tree |= _conditions(body.conditions)
            if body.into:
                tree["into"] = _names(body.into)
            for key, text in (("rows", body.rows), ("affected", body.affected)):
                if text is not None:
                    tree[key] = text.value
            if body.ghost is not None:
                tree["ghost"] = _Sql(body.ghost.value)
        case syntax.Savepoint() | syntax.Release() | syntax.RollbackTo():
            tree[form] = body.name.value
        case syntax.If():
            tree = {"if": _Sql(body.condition.value), "then": _steps(body.then)}
            if body.otherwise:
                tree["else"] = _steps(body.otherwise)
        case syntax.For():
            tree = {"for": _names(body.variables), "in": body.over.value, "steps": _steps(body.steps)}
        case syntax.While():
            tree = {"while": _Sql(body.condition.value), "steps": _steps(body.steps)}
        case syntax.Set():
            tree["set"] = {name.value: _Sql(text.value) for name, text in body.assignments}
        case syntax.Choose():
            tree = {"choose": _names(body.variables), "from": _Sql(body.source.value)}
        case syntax.Raise():
            tree["raise"] = body.error.value
        case syntax.Try():
            tree["try"] = _steps(body.steps)
            if body.handlers:
                tree["except"] = _handlers(body.handlers)
            if body.final:
                tree["finally"] = _steps(body.final)
        case syntax.Call():
            tree["call"] = body.procedure.value
            if body.arguments:
                tree["with"] = {name.value: _Sql(text.value) for name, text in body.arguments}
    return tree


def _handlers(handlers: tuple[syntax.Handler, ...]) -> _Tree:
    if len(handlers) == 1 and not handlers[0].errors:
        return _steps(handlers[0].steps)
    return {(h.errors[0].value if h.errors else "any"): _steps(h.steps) for h in handlers}


def _conditions(conditions: tuple[syntax.Condition, ...]) -> dict[str, _Tree]:
    if not conditions:
        return {}
    named: dict[str, _Tree] = {}
    for condition in conditions:
        text = _Sql(condition.text.value)
        further = _conditions(condition.conditions)
        named[condition.name.value] = {"condition": text, **further} if further else text
    return {conditions[0].operator: named}


def _scenario(scenario: syntax.Scenario) -> _Tree:
    tree: dict[str, _Tree] = {}
    if scenario.title:
        tree["title"] = scenario.title
    tree["processes"] = {role.name.value: _role(role) for role in scenario.roles}
    if scenario.bounds:
        tree["bounds"] = {table.value: bound for table, bound in scenario.bounds}
    if scenario.truncate:
        tree["truncate"] = [name.value for name in scenario.truncate]
    if scenario.tick is not None:
        tree["tick"] = scenario.tick.value
    return tree


def _role(role: syntax.Role) -> _Tree:
    tree: dict[str, _Tree] = {"run": _names(role.run)}
    if role.count != 1:
        tree["count"] = role.count
    for key, places in (("crash", role.crash), ("hang", role.hang)):
        if places is not None:
            tree[key] = places if isinstance(places, str) else [place.value for place in places]
    if role.errors:
        errors: dict[str, list[_Tree]] = {}
        for place, error in role.errors:
            errors.setdefault(place.value, []).append(error.value)
        tree["errors"] = {place: names[0] if len(names) == 1 else names for place, names in errors.items()}
    if role.fair != "started":
        tree["fair"] = role.fair
    if role.restart:
        tree["restart"] = True
    if role.forever:
        tree["forever"] = list(role.forever)
    if role.statements != "preemptible":
        tree["statements"] = role.statements
    if role.arguments:
        tree["with"] = {name.value: value for name, value in role.arguments}
    return tree


def _property(prop: syntax.Property) -> _Tree:
    tree: dict[str, _Tree] = {"title": prop.title} if prop.title else {}
    match prop.formula:
        case syntax.Never(query):
            tree["never"] = _Sql(query.value)
        case syntax.LeadsTo(whenever, eventually):
            tree["whenever"] = _Sql(whenever.value)
            tree["eventually"] = "gone" if eventually is None else _Sql(eventually.value)
        case syntax.AlwaysPossible(query):
            tree["always_possible"] = _Sql(query.value)
        case syntax.DeadlockFree():
            tree["deadlock"] = "never"
    return tree


def _expectation(expectation: syntax.Expectation) -> _Tree:
    length = expectation.length
    if length is None:
        return expectation.verdict
    tree: dict[str, _Tree] = {expectation.verdict: length if isinstance(length, int) else list(length)}
    if expectation.known is not None:
        tree["known"] = {"until": expectation.known.until.isoformat(), "reason": expectation.known.reason}
    return tree


# ------------------------------------------------------------------------------------------------------------------ text


def _write(tree: _Tree, indent: int, lines: list[str]) -> None:
    """Append the lines of a mapping or a list in block style."""
    pad = " " * indent
    if isinstance(tree, Mapping):
        for key, value in tree.items():
            _entry(f"{pad}{_scalar(key)}:", value, indent, lines)
    elif isinstance(tree, list):
        for item in tree:
            if isinstance(item, Mapping) and item:
                inner: list[str] = []
                _write(item, indent + 2, inner)
                lines.append(f"{pad}- {inner[0][indent + 2 :]}")
                lines += inner[1:]
            else:
                _entry(f"{pad}-", item, indent, lines)


def _entry(lead: str, value: _Tree, indent: int, lines: list[str]) -> None:
    inline = _inline(value)
    if inline is not None and len(lead) + 1 + len(inline) <= WIDTH + 10:
        lines.append(f"{lead} {inline}")
    elif isinstance(value, str) and _as_block(value):
        body = value.rstrip("\n")
        lines.append(f"{lead} |" + ("-" if body == value else ""))
        lines += [" " * (indent + 2) + line if line else "" for line in body.split("\n")]
    elif isinstance(value, Mapping | list) and value:
        lines.append(lead)
        _write(value, indent + 2, lines)
    else:
        lines.append(f"{lead} {_scalar(value)}")


def _as_block(text: str) -> bool:
    """Whether a literal block gives the text back exactly."""
    body = text.rstrip("\n")
    return (
        bool(body)
        and text in (body, body + "\n")
        and not body.startswith((" ", "\n"))
        and all(char == "\n" or char.isprintable() for char in body)
    )


def _inline(value: _Tree) -> str | None:
    """The value on one line, where that reads well."""
    if isinstance(value, _Sql):
        return _scalar(str(value)) if "\n" not in value and len(value) <= WIDTH else None
    if isinstance(value, str) and "\n" in value and _as_block(value):
        return None
    if isinstance(value, Mapping):
        if not value:
            return "{}"
        if all(isinstance(v, str | int | bool | None) and not isinstance(v, _Sql) for v in value.values()):
            inner = ", ".join(f"{_scalar(k)}: {_scalar(v, flow=True)}" for k, v in value.items())
            return "{" + inner + "}" if len(inner) < WIDTH and len(value) <= 6 else None
        return None
    if isinstance(value, list):
        if not value:
            return "[]"
        if all(not isinstance(v, Mapping | list | _Sql) for v in value):
            return "[" + ", ".join(_scalar(v, flow=True) for v in value) + "]"
        return None
    return _scalar(value)


_PLAIN = re.compile(r"[A-Za-z_:(.][A-Za-z0-9_ .:;()=<>+/%^$\-*'\"!?@|&~]*")


def _scalar(value: object, flow: bool = False) -> str:
    """A scalar in the simplest style that is read back as itself."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    text = str(value)
    doubtful = ": " in text or " #" in text or text.endswith((":", " ")) or (flow and text.startswith(":"))
    pattern = re.compile(r"[A-Za-z_][A-Za-z0-9_ ./-]*") if flow else _PLAIN
    if pattern.fullmatch(text) and not doubtful and not text.startswith(("- ", "? ", ": ")) and plain_kind(text) == "string":
        return text
    if text.isprintable() and "'" not in text:
        return f"'{text}'"
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(_escape(char) for char in escaped) + '"'


def _escape(char: str) -> str:
    if char.isprintable():
        return char
    if char == "\n":
        return "\\n"
    if char == "\t":
        return "\\t"
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
