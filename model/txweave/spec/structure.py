"""The structure of a file against the JSON Schema that ships with the package, each violation told at its very node."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from txweave.spec.diagnostics import Report, did_you_mean
from txweave.spec.reader import MappingNode, Node, ScalarNode, SequenceNode
from txweave.spec.text import Span

if TYPE_CHECKING:
    import jsonschema
    import jsonschema_rs
    from jsonschema.protocols import Validator

FORMS = (
    "sql",
    "begin",
    "commit",
    "rollback",
    "return",
    "savepoint",
    "release",
    "rollback_to",
    "if",
    "for",
    "while",
    "set",
    "choose",
    "raise",
    "try",
    "call",
)
"""The keys that say what a step does, in the order in which messages list them."""

_TYPES = {
    "string": "a text",
    "integer": "an integer",
    "boolean": "true or false",
    "null": "null",
    "array": "a list",
    "object": "a mapping",
}


@cache
def schema() -> dict[str, Any]:
    """The JSON Schema (draft-07) of all three kinds of file."""
    text = resources.files("txweave.spec").joinpath("schema.json").read_text("utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def _part(definition: str) -> dict[str, Any]:
    return {"$ref": f"#/definitions/{definition}", "definitions": schema()["definitions"]}


@cache
def _conforms(definition: str) -> jsonschema_rs.Draft7Validator:
    """Says at once whether a file conforms, as nearly all do."""
    import jsonschema_rs

    return jsonschema_rs.Draft7Validator(_part(definition))


@cache
def _validator(definition: str) -> Validator:
    """Says what is wrong, in a form that can be told; a second to import."""
    import jsonschema

    validator: Validator = jsonschema.Draft7Validator(_part(definition))
    return validator


def plain(node: Node) -> Any:
    """The node as plain Python data, as JSON Schema sees it."""
    if isinstance(node, ScalarNode):
        return node.value
    if isinstance(node, SequenceNode):
        return [plain(item) for item in node.items]
    return {key.text.value: plain(value) for key, value in node.entries}


def check_structure(
    node: Node, definition: str, report: Report, blamed: Iterable[Span] = (), key: ScalarNode | None = None
) -> bool:
    """Check a node against a definition of the schema; says whether it conforms.

    Args:
        node: what to check.
        definition: name under ``definitions``.
        report: takes the findings.
        blamed: places that are already reported; nothing more is said about them.
        key: the key at which the node stands, when it is not a whole file.
    """
    value = plain(node)
    if _conforms(definition).is_valid(value):
        return True
    skip = {(span.start, span.end) for span in blamed}
    errors = sorted(_validator(definition).iter_errors(value), key=lambda e: [str(part) for part in e.absolute_path])
    teller = _Teller(report, skip, key)
    # A list item that is no step at all makes each of its keys an error of its own: the one on its shape says it all.
    shapeless = [list(error.absolute_path) for error in errors if error.validator == "maxProperties"]
    for error in errors:
        if report.full:
            break
        path = list(error.absolute_path)
        if not any(path != shape and path[: len(shape)] == shape for shape in shapeless):
            teller.tell(error, node)
    if not errors:  # two validators that disagree
        report.error("S103", node.span, "this does not have the form it must have")
    return False


_STATEMENT = re.compile(r"(select|insert|update|delete|with)\s", re.IGNORECASE)
"""How SQL begins that stands where a word is expected."""


class _Teller:
    """Turns the validator's errors into diagnostics."""

    def __init__(self, report: Report, skip: set[tuple[int, int]], key: ScalarNode | None) -> None:
        self.report = report
        self.key = key
        self.skip = skip

    def error(self, code: str, span: Span, message: str, remedy: str = "") -> None:
        if (span.start, span.end) not in self.skip:
            self.report.error(code, span, message, remedy)

    def tell(self, error: jsonschema.ValidationError, root: Node) -> None:
        key, node = _locate(root, list(error.absolute_path), self.key)
        where = _where(key)
        kind = str(error.validator)
        value: Any = error.validator_value
        if isinstance(node, MappingNode) and "propertyNames" in error.absolute_schema_path:
            name = node.key(str(error.instance))
            self._name(error, name.span if name else node.span, str(error.instance))
        elif kind == "additionalProperties" and isinstance(node, MappingNode):
            self._unknown_keys(error, node, key)
        elif kind == "required" and isinstance(node, MappingNode):
            # One error comes for each key that is missing; its message ends with none of the user's own words.
            for name in value:
                if node.get(name) is None:
                    self.error("S102", key.span if key else _head(node), f"{where} lacks the key '{name}'", _meaning(error, name))
        elif kind == "anyOf":
            self._no_form(node, key)
        elif kind == "type":
            self._type(error, node, key)
        elif kind in ("enum", "const"):
            words = [str(word).lower() if isinstance(word, bool) else str(word) for word in (value if kind == "enum" else [value])]
            self._word(node, key, words)
        elif kind == "pattern":
            self._name(error, node.span, str(error.instance))
        elif kind in ("minLength", "minItems", "minProperties") and not (kind == "minItems" and value > 1):
            self.error("S106", node.span, f"{where} is empty", "write something here or leave the key out")
        elif kind == "maxProperties":
            self._step_shape(node)
        elif kind in ("minItems", "maxItems"):
            self.error("S106", node.span, f"{where} must have exactly {value} elements")
        elif kind in ("minimum", "maximum"):
            bound = "at least" if kind == "minimum" else "at most"
            self.error("S108", node.span, f"{_show(node)} is out of range", f"it must be {bound} {value}")
        else:  # a keyword that the schema does not use today
            self.error("S103", node.span, f"{where} does not have the form it must have")

    def _unknown_keys(self, error: jsonschema.ValidationError, node: MappingNode, key: ScalarNode | None) -> None:
        known: list[str] = list(_schema(error).get("properties", {}))
        forms = [name for name in FORMS if node.get(name) is not None]
        is_step = any(name in FORMS for name in _schema(error).get("required", []))
        for name_node, _ in node.entries:
            name = name_node.text.value
            if name in known:
                continue
            if is_step and name in FORMS:
                both = " and ".join(f"'{form}'" for form in forms)
                self.error("S109", name_node.span, f"a step does one thing, this one has {both}", "make a step of each")
                continue
            if is_step and len(forms) > 1:
                continue  # told already
            remedy = did_you_mean(name, known) or "known here: " + ", ".join(sorted(known))
            self.error("S101", name_node.span, f"the key '{_short(name)}' is not known in {_where(key)}", remedy)

    def _no_form(self, node: Node, key: ScalarNode | None) -> None:
        words = ", ".join(FORMS)
        if isinstance(node, MappingNode):
            for name_node, _ in node.entries:
                close = did_you_mean(name_node.text.value, FORMS)
                if close.startswith("did you mean"):
                    self.error(
                        "S101", name_node.span, f"the key '{_short(name_node.text.value)}' is not known in {_where(key)}", close
                    )
                    return
        span = key.span if key else node.span
        self.error("S110", span, f"{_where(key)} does not say what the step does", f"one of these keys says it: {words}")

    def _type(self, error: jsonschema.ValidationError, node: Node, key: ScalarNode | None) -> None:
        wanted: Any = error.validator_value
        names = [wanted] if isinstance(wanted, str) else list(wanted)
        if isinstance(node, ScalarNode) and node.kind == "null" and not node.text.value:
            self.error("S103", key.span if key else node.span, f"{_where(key)} has no value", f"expected: {_kinds(names)}")
            return
        remedy = f"expected: {_kinds(names)}"
        if isinstance(node, ScalarNode) and "string" in names and node.kind in ("integer", "boolean", "null"):
            if node.kind == "integer" and "length of time" in _description(error):
                remedy = f"say the unit, for instance: {node.text.value} s"
            else:
                remedy += f'; quote it to make it a text: "{node.text.value}"'
        if (
            isinstance(node, MappingNode)
            and key is not None
            and len(node.entries)
            and "array" in names
            and "steps" in _description(error)
        ):
            remedy = "write a list: each step starts with a dash"
        self.error("S103", node.span, f"{_where(key)} is {_kind(node)}", remedy)

    def _word(self, node: Node, key: ScalarNode | None, words: list[str]) -> None:
        if isinstance(node, ScalarNode):
            shown = node.text.value
            remedy = did_you_mean(shown, words)
            listed = "expected: " + ", ".join(words)
            if _STATEMENT.match(shown):
                remedy, listed = "", "write {sql: …} for a statement"
            remedy = f"{remedy} {listed}" if remedy.startswith("did you mean") and len(words) > 1 else remedy or listed
            self.error(
                "S104",
                node.span,
                f"'{_short(shown)}' is not a word that {_where(key)} takes",
                remedy.replace("known here", "expected"),
            )
        else:
            self.error("S104", node.span, f"{_where(key)} is {_kind(node)}", "expected: " + ", ".join(words))

    def _name(self, error: jsonschema.ValidationError, span: Span, name: str) -> None:
        pattern = str(error.validator_value)
        if pattern == r"\S":
            self.error("S106", span, "the text is empty", "write SQL here or leave the key out")
            return
        if "/" in pattern:
            shape = "procedure.step or procedure.step/condition"
        elif r"\*" in pattern:
            shape = "the name of a scenario, or * for all"
        elif pattern.endswith(r")?$"):
            shape = "a table, or table.column"
        elif r"\." in pattern:
            shape = "table.column (or procedure.variable)"
        elif "-" in pattern.replace("A-Z", "").replace("a-z", "").replace("0-9", ""):
            shape = "letters, digits, _ and -, starting with a letter or _"
        else:
            shape = "letters, digits and _, starting with a letter or _"
        self.error("S105", span, f"'{_short(name)}' is not a name of the right form", f"expected: {shape}")

    def _step_shape(self, node: Node) -> None:
        if not isinstance(node, MappingNode):
            return
        first = node.entries[0]
        others = ", ".join(f"'{_short(k.text.value)}'" for k, _ in node.entries[1:])
        empty = isinstance(first[1], ScalarNode) and first[1].value is None
        name = _short(first[0].text.value)
        remedy = f"indent what belongs to '{name}' below it" if empty else "start each step with a dash of its own"
        self.error("S127", first[0].span, f"a step is one name and its body; beside '{name}' stand {others}", remedy)


def _locate(root: Node, path: list[Any], key: ScalarNode | None) -> tuple[ScalarNode | None, Node]:
    """The nearest key and the node at a path of keys and indexes."""
    node = root
    for part in path:
        if isinstance(node, MappingNode):
            key, node = node.index[str(part)]
        elif isinstance(node, SequenceNode):
            node = node.items[int(part)]
    return key, node


def _head(node: Node) -> Span:
    """The first key of a mapping, or the start of any other node: where to point when the whole is meant."""
    if isinstance(node, MappingNode) and node.entries:
        return node.entries[0][0].span
    return node.span


def _where(key: ScalarNode | None) -> str:
    return f"'{_short(key.text.value)}'" if key else "the file"


def _schema(error: jsonschema.ValidationError) -> dict[str, Any]:
    """The part of the schema that was violated."""
    return error.schema if isinstance(error.schema, dict) else {}


def _meaning(error: jsonschema.ValidationError, name: str) -> str:
    properties = _schema(error).get("properties", {})
    description = properties.get(name, {}).get("description", "")
    return f"{name}: {description}" if description else ""


def _description(error: jsonschema.ValidationError) -> str:
    return str(_schema(error).get("description", "")).lower()


def _kinds(names: list[str]) -> str:
    words = [_TYPES[name] for name in names]
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " or " + words[-1]


def _kind(node: Node) -> str:
    if isinstance(node, MappingNode):
        return "a mapping"
    if isinstance(node, SequenceNode):
        return "a list"
    names = {"integer": "the integer", "boolean": "the truth value", "null": "null:"}
    return f"{names.get(node.kind, 'the text')} {_show(node)}"


def _show(node: Node) -> str:
    return f"'{_short(node.text.value)}'" if isinstance(node, ScalarNode) else _kind(node)


def _short(word: str) -> str:
    word = " ".join(word.split())
    return word if len(word) <= 60 else word[:57] + "…"
