"""The validator that says at once whether a file conforms, against the one that tells what is wrong."""

from __future__ import annotations

import copy
from pathlib import Path
from random import Random

import pytest
import yaml

from txweave.spec.structure import _conforms, _validator, schema

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted(path for folder in ("specs", "docs") for path in (ROOT / folder).rglob("*.yaml") if path.suffixes[:-1])
DEFINITIONS = {".model": "modelFile", ".fix": "fixFile", ".study": "studyFile"}


def both(value, definition):
    ours, theirs = _conforms(definition).is_valid(value), _validator(definition).is_valid(value)
    assert ours == theirs, value
    return ours


def load(path):
    class Loader(yaml.SafeLoader):
        """Dates stay texts, as in our reader."""

    Loader.add_constructor("tag:yaml.org,2002:timestamp", lambda loader, node: loader.construct_scalar(node))
    return yaml.load(path.read_text(encoding="utf-8"), Loader)


@pytest.mark.parametrize("kind", DEFINITIONS)
def test_files_and_broken_files(kind):
    random = Random(kind)
    broken = 0
    files = [path for path in FILES if path.suffixes[-2] == kind]
    assert files
    for path in files:
        value = load(path)
        assert both(value, DEFINITIONS[kind])
        for _ in range(12):
            changed = copy.deepcopy(value)
            mutate(changed, random)
            broken += not both(changed, DEFINITIONS[kind])
    assert broken > 3 * len(files)


def mutate(value, random):
    """Put something else somewhere into the value."""
    places = [(node, key) for node in nodes(value) for key in (node if isinstance(node, dict) else range(len(node)))]
    node, key = random.choice(places)
    other = random.choice(
        [None, True, False, 0, 1, -1, 1.0, 2.5, "", "x y", "a.b", "sql", [], ["a"], [None], {}, {"sql": "x"}, {"a": {}}]
    )
    match random.randrange(4):
        case 0:
            del node[key]
        case 1 if isinstance(node, dict):
            node[random.choice(["no_such_key", "sql", "", "if", "steps", "count"])] = other
        case 2 if isinstance(node, list):
            node.append(other)
        case _:
            node[key] = other


def nodes(value):
    if isinstance(value, dict | list) and value:
        yield value
        for item in value.values() if isinstance(value, dict) else value:
            yield from nodes(item)


@pytest.mark.parametrize("value", [True, 1, 1.0, 2.5, -1, "1", None, [], [1], {}, {"a": 1}, "", "a b"])
def test_every_definition_with_odd_values(value):
    for definition in schema()["definitions"]:
        both(value, definition)
