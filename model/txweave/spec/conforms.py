"""Whether plain data conforms to the JSON Schema of specifications, without importing a validator.

A file that conforms, as nearly all do, needs no library that takes longer to import than the file to read; what is wrong with one
that does not is told by :mod:`txweave.spec.structure` with ``jsonschema``, which also has the last word on that.  Only the
keywords that our own schema uses are known here.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

Schema = dict[str, Any]

IGNORED = frozenset({"description", "examples", "title", "$schema", "definitions", "then", "else"})
_TYPES: dict[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: (
        not isinstance(value, bool) and (isinstance(value, int) or (isinstance(value, float) and value.is_integer()))
    ),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}


def conforms(value: Any, schema: Schema | bool, definitions: Schema) -> bool:
    """Whether a value conforms to a schema (draft-07).

    Raises:
        KeyError: the schema uses a keyword that is not known here.
    """
    if isinstance(schema, bool):
        return schema
    if "$ref" in schema:  # in draft-07 what stands beside a reference does not count
        return conforms(value, found(schema["$ref"].removeprefix("#/definitions/"), definitions), definitions)
    return all(key in IGNORED or KEYWORDS[key](value, wanted, schema, definitions) for key, wanted in schema.items())


def found(path: str, definitions: Schema) -> Any:
    """The schema at a path below the definitions."""
    node: Any = definitions
    for part in path.split("/"):
        node = node[part]
    return node


def _same(one: Any, other: Any) -> bool:
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def _type(value: Any, wanted: Any, schema: Schema, definitions: Schema) -> bool:  # noqa: ARG001
    names = [wanted] if isinstance(wanted, str) else wanted
    return any(_TYPES[name](value) for name in names)


def _properties(value: Any, wanted: Schema, schema: Schema, definitions: Schema) -> bool:  # noqa: ARG001
    return not isinstance(value, dict) or all(
        conforms(value[name], inner, definitions) for name, inner in wanted.items() if name in value
    )


def _additional(value: Any, wanted: Any, schema: Schema, definitions: Schema) -> bool:
    known = schema.get("properties", {})
    return not isinstance(value, dict) or all(
        conforms(item, wanted, definitions) for name, item in value.items() if name not in known
    )


def _if(value: Any, wanted: Any, schema: Schema, definitions: Schema) -> bool:
    return conforms(value, schema.get("then" if conforms(value, wanted, definitions) else "else", True), definitions)


KEYWORDS: dict[str, Callable[[Any, Any, Schema, Schema], bool]] = {
    "type": _type,
    "enum": lambda v, wanted, _s, _d: any(_same(v, one) for one in wanted),
    "const": lambda v, wanted, _s, _d: _same(v, wanted),
    "properties": _properties,
    "additionalProperties": _additional,
    "propertyNames": lambda v, wanted, _s, d: not isinstance(v, dict) or all(conforms(name, wanted, d) for name in v),
    "required": lambda v, wanted, _s, _d: not isinstance(v, dict) or all(name in v for name in wanted),
    "minProperties": lambda v, wanted, _s, _d: not isinstance(v, dict) or len(v) >= wanted,
    "maxProperties": lambda v, wanted, _s, _d: not isinstance(v, dict) or len(v) <= wanted,
    "items": lambda v, wanted, _s, d: not isinstance(v, list) or all(conforms(item, wanted, d) for item in v),
    "minItems": lambda v, wanted, _s, _d: not isinstance(v, list) or len(v) >= wanted,
    "maxItems": lambda v, wanted, _s, _d: not isinstance(v, list) or len(v) <= wanted,
    "minLength": lambda v, wanted, _s, _d: not isinstance(v, str) or len(v) >= wanted,
    "pattern": lambda v, wanted, _s, _d: not isinstance(v, str) or re.search(wanted, v) is not None,
    "minimum": lambda v, wanted, _s, _d: isinstance(v, bool) or not isinstance(v, int | float) or v >= wanted,
    "maximum": lambda v, wanted, _s, _d: isinstance(v, bool) or not isinstance(v, int | float) or v <= wanted,
    "anyOf": lambda v, wanted, _s, d: any(conforms(v, one, d) for one in wanted),
    "allOf": lambda v, wanted, _s, d: all(conforms(v, one, d) for one in wanted),
    "if": _if,
}
