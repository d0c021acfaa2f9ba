"""Nodes of the YAML tree to typed syntax.

The structure was checked before; a node that still has the wrong shape raises :class:`Malformed`, which skips the unit that it
stands in.  ``load`` sees to it that this is never silent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any

from txweave.spec import syntax
from txweave.spec.diagnostics import Report
from txweave.spec.durations import duration_error, parse_duration
from txweave.spec.reader import MappingNode, Node, ScalarNode, SequenceNode
from txweave.spec.structure import FORMS, check_structure
from txweave.spec.syntax import Scalar
from txweave.spec.text import Span, Text

MAX_RANGE = 1000


class Malformed(Exception):  # noqa: N818 - never leaves the package
    """A node does not have the shape that its place asks for."""

    def __init__(self, node: Node) -> None:
        super().__init__()
        self.node = node


@dataclass(frozen=True)
class _Key:
    """A key of a step form: the field it fills, the method that reads it, whether a fix may take it out."""

    field: str
    read: str
    optional: bool = False


_FORM_KEYS: dict[str, dict[str, _Key]] = {
    "sql": {
        "sql": _Key("sql", "sql"),
        "into": _Key("into", "names", optional=True),
        "rows": _Key("rows", "name", optional=True),
        "affected": _Key("affected", "name", optional=True),
        "ghost": _Key("ghost", "sql", optional=True),
    },
    "begin": {},
    "commit": {},
    "rollback": {},
    "return": {},
    "savepoint": {"savepoint": _Key("name", "name")},
    "release": {"release": _Key("name", "name")},
    "rollback_to": {"rollback_to": _Key("name", "name")},
    "if": {"if": _Key("condition", "sql"), "then": _Key("then", "steps"), "else": _Key("otherwise", "steps", optional=True)},
    "for": {"for": _Key("variables", "names"), "in": _Key("over", "name"), "steps": _Key("steps", "steps")},
    "while": {"while": _Key("condition", "sql"), "steps": _Key("steps", "steps")},
    "set": {"set": _Key("assignments", "assignments")},
    "choose": {"choose": _Key("variables", "names"), "from": _Key("source", "sql")},
    "raise": {"raise": _Key("error", "name")},
    "try": {
        "try": _Key("steps", "steps"),
        "except": _Key("handlers", "handlers", optional=True),
        "finally": _Key("final", "steps", optional=True),
    },
    "call": {"call": _Key("procedure", "name"), "with": _Key("arguments", "assignments", optional=True)},
}
_EVERY_FORM = {"within": _Key("within", "duration", optional=True), "source": _Key("source", "source", optional=True)}
_CLASSES: dict[str, Callable[..., syntax.Body]] = {
    "sql": syntax.Sql,
    "savepoint": syntax.Savepoint,
    "release": syntax.Release,
    "rollback_to": syntax.RollbackTo,
    "if": syntax.If,
    "for": syntax.For,
    "while": syntax.While,
    "set": syntax.Set,
    "choose": syntax.Choose,
    "raise": syntax.Raise,
    "try": syntax.Try,
    "call": syntax.Call,
    "commit": syntax.Commit,
    "rollback": syntax.Rollback,
    "return": syntax.Return,
}
EMPTY_FIELDS: dict[str, object] = {"rows": None, "affected": None, "ghost": None, "within": None}
"""What a field holds when its key is left out; every other optional field is then an empty tuple."""


def form_of(body: syntax.Body) -> str:
    """The step form (its key in YAML) of a body."""
    if isinstance(body, syntax.Begin):
        return "begin"
    return next(form for form, made in _CLASSES.items() if made is type(body))


class Builder:
    """Reads units of a specification; findings go to ``report``, units that could not be read to ``skipped``."""

    def __init__(self, report: Report, origin: str = "") -> None:
        self.report = report
        self.origin = origin
        self.skipped: list[Node] = []

    # ------------------------------------------------------------------------------------------------------- scalars

    @contextmanager
    def unit(self) -> Iterator[None]:
        """A unit that is left out when something in it has the wrong shape."""
        try:
            yield
        except Malformed as error:
            self.skipped.append(error.node)

    def mapping(self, node: Node | None, parent: Node) -> MappingNode:
        """The mapping that must stand here."""
        if not isinstance(node, MappingNode):
            raise Malformed(node or parent)
        return node

    def items(self, node: Node) -> tuple[Node, ...]:
        """The items of a list."""
        if not isinstance(node, SequenceNode):
            raise Malformed(node)
        return node.items

    def need(self, node: MappingNode, name: str) -> Node:
        """The value at a key that must be there."""
        found = node.get(name)
        if found is None:
            raise Malformed(node)
        return found

    def text(self, node: Node) -> Text:
        """Any scalar as text."""
        if not isinstance(node, ScalarNode):
            raise Malformed(node)
        return node.text

    def title(self, node: MappingNode) -> str:
        """The ``title`` of a mapping, or nothing."""
        found = node.get("title")
        return self.text(found).value.strip() if found is not None else ""

    def name(self, node: Node) -> Text:
        """A name."""
        if not isinstance(node, ScalarNode) or node.kind in ("integer", "boolean", "null"):
            raise Malformed(node)
        return node.text

    def names(self, node: Node) -> tuple[Text, ...]:
        """One name or a list of names, each once."""
        if isinstance(node, ScalarNode):
            return (self.name(node),)
        found: dict[str, Text] = {}
        for item in self.items(node):
            text = self.name(item)
            if text.value in found:
                first = found[text.value].span()
                message = f"'{text.value}' stands twice in the list"
                self.report.error("S124", text.span(), message, "name each once", [(first, "it stands here first")])
            found.setdefault(text.value, text)
        return tuple(found.values())

    def value(self, node: Node) -> Scalar:
        """A plain value; words that are values only to some are refused."""
        if not isinstance(node, ScalarNode):
            raise Malformed(node)
        if node.kind == "letter":
            message = f"'{node.value}' is a truth value to some readers of YAML and a word to others"
            self.report.error("Y010", node.span, message, f'write true or false, or quote the word: "{node.value}"')
        elif node.kind == "word":
            message = f"'{node.value}' is not written the way that every reader of YAML takes it"
            remedy = f'write {str(node.value).lower()}, or quote the word: "{node.value}"'
            self.report.error("Y013", node.span, message, remedy)
        return node.value

    def integer(self, node: Node) -> int:
        """An integer."""
        if not isinstance(node, ScalarNode) or node.kind != "integer" or not isinstance(node.value, int):
            raise Malformed(node)
        return node.value

    def sql(self, node: Node) -> Text:
        """An SQL text, or a plain value where an expression stands."""
        if not isinstance(node, ScalarNode):
            raise Malformed(node)
        if node.style != "|":
            self._swallowed(node)
        return node.text

    def _swallowed(self, node: ScalarNode) -> None:
        """Refuse an SQL line comment whose line end was folded away: it would swallow the lines that follow it."""
        value = node.text.value
        quote = ""
        for index, char in enumerate(value):
            if quote:
                quote = "" if char == quote else quote
            elif char in ("'", '"'):
                quote = char
            elif value.startswith("--", index):
                content = node.text.file.content
                end = value.find("\n", index)
                end = len(value) if end < 0 else end
                at = node.text.offsets[index]
                last = node.text.offsets[end - 1]
                if "\n" in content[at:last]:
                    message = "the SQL comment runs over what follows: this style of text joins its lines"
                    self.report.error("Y023", node.text.span(index, index + 2), message, "write the text as a block: |")
                return

    def texts(self, node: Node) -> tuple[Text, ...]:
        """One SQL text or a list of them."""
        if isinstance(node, ScalarNode):
            return (self.sql(node),)
        return tuple(self.sql(item) for item in self.items(node))

    def duration(self, node: Node) -> Text:
        """A duration such as ``60 s``, or a parameter that is one, as ``:limit``."""
        text = self.text(node)
        number = isinstance(node, ScalarNode) and node.kind == "integer"  # the schema has told that the unit is missing
        if parse_duration(text.value) is None and not text.value.startswith(":") and not number:
            self.report.error("S115", text.span(), f"'{text.value}' is not a duration", duration_error(text.value))
        return text

    def source(self, node: Node) -> tuple[tuple[str, str], ...]:
        """``source: {module: …, function: …}``."""
        return tuple((key.text.value, self.text(value).value) for key, value in self.mapping(node, node).entries)

    # --------------------------------------------------------------------------------------------------------- steps

    def steps(self, node: Node) -> tuple[syntax.Step, ...]:
        """A list of steps; those that could not be read are left out."""
        found = []
        for item in self.items(node):
            with self.unit():
                found.append(self.step(item))
        return tuple(found)

    def step(self, node: Node) -> syntax.Step:
        """One step: ``name: body``."""
        entries = self.mapping(node, node).entries
        if len(entries) != 1:
            raise Malformed(node)
        key, body = entries[0]
        return self.named_step(key.text, body)

    def named_step(self, name: Text, node: Node) -> syntax.Step:
        """The step of this name with the body at ``node``."""
        if isinstance(node, ScalarNode):
            words: dict[str, syntax.Body] = {
                "commit": syntax.Commit(),
                "rollback": syntax.Rollback(),
                "return": syntax.Return(),
                "begin": syntax.Begin(),
            }
            if node.text.value not in words:
                raise Malformed(node)
            return syntax.Step(name, words[node.text.value], origin=self.origin)
        body = self.mapping(node, node)
        within = body.get("within")
        source = body.get("source")
        return syntax.Step(
            name,
            self.body(body),
            self.duration(within) if within is not None else None,
            self.source(source) if source is not None else (),
            self.origin,
        )

    def body(self, node: MappingNode) -> syntax.Body:
        """The body of a step, by its form."""
        forms = [form for form in FORMS if node.get(form) is not None]
        if len(forms) != 1:
            raise Malformed(node)
        form = forms[0]
        if form == "begin":
            return self._begin(self.need(node, "begin"))
        fields: dict[str, Any] = {}
        for name, key in _FORM_KEYS[form].items():
            value = node.get(name)
            if value is not None:
                fields[key.field] = getattr(self, key.read)(value)
            elif not key.optional:
                raise Malformed(node)
        if form == "sql":
            self._exclusive(node, "into", "rows")
            fields["conditions"] = self._conditions_of(node)
        if form == "try" and node.get("except") is None and node.get("finally") is None:
            key_node = node.key("try")
            assert key_node is not None
            self.report.error(
                "S102", key_node.span, "'try' has neither 'except' nor 'finally'", "add one of them, or take the try away"
            )
        return _CLASSES[form](**fields)

    def _begin(self, node: Node) -> syntax.Begin:
        options = self.mapping(node, node)
        isolation, mode = options.get("isolation"), options.get("mode")
        return syntax.Begin(
            self.text(isolation) if isolation is not None else None,
            self.text(mode) if mode is not None else None,
        )

    def _exclusive(self, node: MappingNode, first: str, second: str) -> None:
        one, other = node.key(first), node.key(second)
        if one is not None and other is not None:
            message = f"'{first}' and '{second}' do not go together"
            self.report.error("S109", other.span, message, "keep one of the two", [(one.span, f"'{first}' stands here")])

    def assignments(self, node: Node) -> tuple[tuple[Text, Text], ...]:
        """Names and the expressions that they are set to."""
        return tuple((key.text, self.sql(value)) for key, value in self.mapping(node, node).entries)

    def handlers(self, node: Node) -> tuple[syntax.Handler, ...]:
        """``except``: steps for any error, or by the error's name (``any``: all others)."""
        if isinstance(node, SequenceNode):
            return (syntax.Handler((), self.steps(node)),)
        found = []
        entries = self.mapping(node, node).entries
        for index, (key, value) in enumerate(entries):
            anything = key.text.value == "any"
            if anything and index < len(entries) - 1:
                message = "'any' takes every error, those named after it would never be reached"
                self.report.error("S126", key.span, message, "put 'any' last")
            found.append(syntax.Handler(() if anything else (key.text,), self.steps(value)))
        return tuple(found)

    def _conditions_of(self, node: MappingNode) -> tuple[syntax.Condition, ...]:
        found: tuple[syntax.Condition, ...] = ()
        self._exclusive(node, "and", "or")
        for operator in ("and", "or"):
            value = node.get(operator)
            if value is not None:
                found += self.conditions(value, operator)
        return found

    def conditions(self, node: Node, operator: str) -> tuple[syntax.Condition, ...]:
        """Named conditions, sorted by name: their order has no meaning."""
        found = []
        for key, value in self.mapping(node, node).entries:
            if isinstance(value, ScalarNode):
                found.append(syntax.Condition(key.text, operator, self.sql(value)))
            else:
                inner = self.mapping(value, node)
                text = self.sql(self.need(inner, "condition"))
                found.append(syntax.Condition(key.text, operator, text, self._conditions_of(inner)))
        return tuple(sorted(found, key=lambda c: c.name.value))

    def settings(self, node: Node) -> tuple[syntax.Setting, ...]:
        """``set`` of a fix: some keys of a step."""
        found = []
        for key, value in self.mapping(node, node).entries:
            with self.unit():
                setting = self._setting(key, value)
                if setting is not None:
                    found.append(setting)
        return tuple(found)

    def _setting(self, key: ScalarNode, value: Node) -> syntax.Setting | None:
        name = key.text.value
        form, found = "", _EVERY_FORM.get(name)
        if found is None:
            for form, keys in _FORM_KEYS.items():  # noqa: B007 - the form is used after the loop
                if name in keys:
                    found = keys[name]
                    break
        if found is None:
            known = sorted({k for keys in _FORM_KEYS.values() for k, v in keys.items() if v.read != "steps"} | set(_EVERY_FORM))
            self.report.error(
                "S101", key.span, f"'{name}' is not a key of a step that can be set", "known here: " + ", ".join(known)
            )
            return None
        if found.read in ("steps", "handlers"):
            message = f"'{name}' holds steps, which set does not change"
            self.report.error("F206", key.span, message, "change the steps by their own names, or replace the step")
            return None
        if isinstance(value, ScalarNode) and value.kind == "null" and found.read != "sql":
            if found.optional:
                return syntax.Setting(key.text, form, found.field, None)
            self.report.error("F206", key.span, f"'{name}' cannot be taken out of a step", "give it a value, or remove the step")
            return None
        if isinstance(value, ScalarNode) and value.kind == "null" and name == "ghost":
            return syntax.Setting(key.text, form, found.field, None)
        place = "sqlStep" if not form else f"{form}Step"
        if not check_structure(value, f"{place}/properties/{name}", self.report, key=key):
            return None
        return syntax.Setting(key.text, form, found.field, getattr(self, found.read)(value))

    def change(self, target: Text, node: Node) -> syntax.Change:
        """What a fix does to one target."""
        place, *path = target.value.split("/")
        procedure, dot, step = place.partition(".")
        if not dot:
            raise Malformed(node)
        if isinstance(node, ScalarNode):
            if node.text.value != "remove":
                raise Malformed(node)
            return syntax.Change(target, procedure, step, tuple(path), remove=True)
        entry = self.mapping(node, node)
        settings, replace, before, after, wrap = (entry.get(key) for key in ("set", "replace", "before", "after", "wrap"))
        name = target.slice(len(procedure) + 1, len(place))
        return syntax.Change(
            target,
            procedure,
            step,
            tuple(path),
            self._conditions_of(entry),
            self.settings(settings) if settings is not None else (),
            self.named_step(name, replace) if replace is not None else None,
            self.steps(before) if before is not None else (),
            self.steps(after) if after is not None else (),
            self._wrap(name, self.mapping(wrap, node), entry) if wrap is not None else None,
            entry.get("remove") is not None,
        )

    def _wrap(self, first: Text, node: MappingNode, parent: MappingNode) -> syntax.Wrap:
        name, to, handlers, final = (node.get(key) for key in ("name", "to", "except", "finally"))
        if handlers is None and final is None:
            key = parent.key("wrap")
            assert key is not None
            self.report.error("S102", key.span, "'wrap' has neither 'except' nor 'finally'", "add one of them")
        default = Text("try_" + first.value, first.file, (first.offsets[0],) * 4 + first.offsets)
        return syntax.Wrap(
            self.name(name) if name is not None else default,
            self.name(to) if to is not None else None,
            self.handlers(handlers) if handlers is not None else (),
            self.steps(final) if final is not None else (),
            self.origin,
        )

    # -------------------------------------------------------------------------------------------------- named things

    def procedures(self, node: Node) -> dict[str, syntax.Procedure]:
        """All procedures."""
        found = {}
        for key, value in self.mapping(node, node).entries:
            with self.unit():
                found[key.text.value] = self.procedure(key.text, self.mapping(value, node))
        return found

    def procedure(self, name: Text, node: MappingNode) -> syntax.Procedure:
        """One procedure."""
        repeat: str | None = None
        repeat_span: Span | None = None
        repeated = node.get("repeat")
        if isinstance(repeated, ScalarNode):
            if repeated.text.value != "forever":
                raise Malformed(repeated)
            repeat, repeat_span = "", repeated.span
        elif repeated is not None:
            every = self.duration(self.need(self.mapping(repeated, node), "every"))
            repeat, repeat_span = every.value, every.span()
        within, inputs = node.get("within"), node.get("inputs")
        return syntax.Procedure(
            name,
            self.steps(self.need(node, "steps")),
            repeat,
            repeat_span,
            self.duration(within) if within is not None else None,
            self.names(inputs) if inputs is not None else (),
        )

    def database(self, node: Node) -> syntax.Database:
        """``database``; what is not said is the default."""
        found = self.mapping(node, node)
        engine, isolation = found.get("engine"), found.get("isolation")
        default = default_database()
        return syntax.Database(
            self.text(engine) if engine is not None else default.engine,
            self.text(isolation) if isolation is not None else default.isolation,
        )

    def parameters(self, node: Node) -> dict[str, syntax.Parameter]:
        """All parameters."""
        found = {}
        for key, value in self.mapping(node, node).entries:
            with self.unit():
                found[key.text.value] = syntax.Parameter(key.text, self.parameter_value(value), value.span)
        return found

    def parameter_value(self, node: Node) -> Scalar | tuple[Scalar, ...]:
        """The value of a parameter: a scalar, or a list of scalars of one kind."""
        if isinstance(node, SequenceNode):
            values = tuple(self.value(item) for item in node.items)
            if len({type(value) for value in values}) > 1:
                self.report.error("S116", node.span, "the values are not of one kind", "integers, texts or truth values only")
            return values
        return self.value(node)

    def domains(self, node: Node) -> tuple[syntax.Domain, ...]:
        """All domains."""
        found = []
        for key, value in self.mapping(node, node).entries:
            with self.unit():
                found.append(self._domain(key.text, value))
        return tuple(found)

    def _domain(self, target: Text, node: Node) -> syntax.Domain:
        if isinstance(node, MappingNode):
            return syntax.Domain(target, (), node.span, self.name(self.need(node, "like")))
        if isinstance(node, ScalarNode):
            return syntax.Domain(target, self._range(node), node.span)
        values: dict[tuple[type, Scalar], Node] = {}
        for item in self.items(node):
            value = self.value(item)
            first = values.setdefault((type(value), value), item)
            if first is not item:
                remedy = "name each value once"
                self.report.error(
                    "S116", item.span, f"the value {value} stands twice", remedy, [(first.span, "it stands here first")]
                )
        if len({kind for kind, _ in values}) > 1:
            self.report.error("S116", node.span, "the values are not of one kind", "integers, texts or truth values only")
        return syntax.Domain(target, tuple(value for _, value in values), node.span)

    def _range(self, node: ScalarNode) -> tuple[Scalar, ...]:
        low, dots, high = node.text.value.partition("..")
        try:
            first, last = int(low[:20]), int(high[:20])
        except ValueError:
            dots = ""
            first = last = 0
        if not dots:
            message = f"'{node.text.value}' is not a domain"
            self.report.error("S116", node.span, message, "write a list of values, or a range of integers such as 0..10")
        elif first > last:
            self.report.error("S116", node.span, f"the range {node.text.value} is empty", "the first number is the smaller one")
        elif last - first >= MAX_RANGE:
            message = f"the range {node.text.value} has more than {MAX_RANGE} values"
            self.report.error("S116", node.span, message, "the state space grows with every value: name fewer")
        else:
            return tuple(range(first, last + 1))
        return ()

    def scenarios(self, node: Node) -> dict[str, syntax.Scenario]:
        """All scenarios."""
        found = {}
        for key, value in self.mapping(node, node).entries:
            with self.unit():
                entry = self.mapping(value, node)
                truncate = entry.get("truncate")
                bounds, tick = entry.get("bounds"), entry.get("tick")
                found[key.text.value] = syntax.Scenario(
                    key.text,
                    self.roles(self.need(entry, "processes")),
                    self.bounds(bounds) if bounds is not None else (),
                    self.names(truncate) if truncate is not None else (),
                    self.title(entry),
                    self.duration(tick) if tick is not None else None,
                )
        return found

    def bounds(self, node: Node) -> tuple[tuple[Text, int], ...]:
        """Rows per table."""
        return tuple((key.text, self.integer(value)) for key, value in self.mapping(node, node).entries)

    def roles(self, node: Node) -> tuple[syntax.Role, ...]:
        """The roles of a scenario."""
        found = []
        for key, value in self.mapping(node, node).entries:
            with self.unit():
                found.append(self._role(key.text, self.mapping(value, node)))
        return tuple(found)

    def _role(self, name: Text, node: MappingNode) -> syntax.Role:
        count, fair, restart, forever, given = (node.get(key) for key in ("count", "fair", "restart", "forever", "with"))
        errors, statements = node.get("errors"), node.get("statements")
        return syntax.Role(
            name,
            self.names(self.need(node, "run")),
            self.integer(count) if count is not None else 1,
            self._places(node.get("crash")),
            self._places(node.get("hang")),
            self._errors(errors) if errors is not None else (),
            self.text(fair).value if fair is not None else "started",
            self._flag(restart) if restart is not None else False,
            tuple(text.value for text in self.names(forever)) if forever is not None else (),
            tuple((key.text, self.value(value)) for key, value in self.mapping(given, node).entries) if given is not None else (),
            self.text(statements).value if statements is not None else "preemptible",
        )

    def _flag(self, node: Node) -> bool:
        if not isinstance(node, ScalarNode) or not isinstance(node.value, bool):
            raise Malformed(node)
        return node.value

    def _places(self, node: Node | None) -> str | tuple[Text, ...] | None:
        if node is None:
            return None
        if isinstance(node, ScalarNode):
            if node.text.value != "anywhere":
                raise Malformed(node)
            return "anywhere"
        return self.names(node)

    def _errors(self, node: Node) -> tuple[tuple[Text, Text], ...]:
        return tuple((key.text, error) for key, value in self.mapping(node, node).entries for error in self.names(value))

    def properties(self, node: Node) -> dict[str, syntax.Property]:
        """All properties."""
        found = {}
        for key, value in self.mapping(node, node).entries:
            with self.unit():
                entry = self.mapping(value, node)
                formula = self._formula(key.text, entry)
                if formula is not None:
                    found[key.text.value] = syntax.Property(key.text, formula, self.title(entry))
        return found

    def _formula(
        self, name: Text, node: MappingNode
    ) -> syntax.Never | syntax.LeadsTo | syntax.AlwaysPossible | syntax.DeadlockFree | None:
        forms = [key for key in ("never", "whenever", "eventually", "always_possible", "deadlock") if node.get(key) is not None]
        remedy = "write never, whenever with eventually, always_possible, or deadlock: never"
        if forms == ["never"]:
            return syntax.Never(self.sql(self.need(node, "never")))
        if forms == ["whenever", "eventually"]:
            then = self.need(node, "eventually")
            gone = isinstance(then, ScalarNode) and then.text.value.strip() == "gone"
            return syntax.LeadsTo(self.sql(self.need(node, "whenever")), None if gone else self.sql(then))
        if forms == ["always_possible"]:
            return syntax.AlwaysPossible(self.sql(self.need(node, "always_possible")))
        if forms == ["deadlock"]:
            return syntax.DeadlockFree()
        if forms in (["whenever"], ["eventually"]):
            other = "eventually" if forms == ["whenever"] else "whenever"
            self.report.error("S121", name.span(), f"the property '{name}' has '{forms[0]}' without '{other}'", f"add '{other}'")
        elif forms:
            both = " and ".join(f"'{form}'" for form in forms)
            self.report.error("S121", name.span(), f"the property '{name}' says several things: {both}", remedy)
        else:
            self.report.error("S121", name.span(), f"the property '{name}' says nothing", remedy)
        return None

    def expectation(self, node: Node) -> syntax.Expectation:
        """``holds``, ``proved``, ``violated``, or ``violated`` with a length, and known where it is accepted for a while."""
        if isinstance(node, ScalarNode):
            if node.text.value not in ("holds", "proved", "violated"):
                raise Malformed(node)
            return syntax.Expectation(node.text.value, None, node.span)
        said = self.mapping(node, node)
        length = self.need(said, "violated")
        known = said.get("known")
        accepted = self._known(self.mapping(known, node)) if known is not None else None
        if isinstance(length, SequenceNode):
            stem, loop = (self.integer(item) for item in length.items)
            return syntax.Expectation("violated", (stem, loop), node.span, accepted)
        return syntax.Expectation("violated", self.integer(length), node.span, accepted)

    def _known(self, node: MappingNode) -> syntax.Known | None:
        until, reason = self.text(self.need(node, "until")), self.text(self.need(node, "reason"))
        if not reason.value.strip():
            remedy = "say what will end it, for whoever reads this on its last day"
            self.report.error("S129", reason.span(), "a known violation has no reason", remedy)
        try:
            # fromisoformat takes more forms than are meant.
            day = date.fromisoformat(until.value) if re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", until.value) else None
        except ValueError:
            day = None
        if day is not None:
            return syntax.Known(day, reason.value)
        remedy = 'write the last day on which it is accepted as "YYYY-MM-DD"'
        self.report.error("S129", until.span(), f"'{until}' is not a day", remedy)
        return None


def default_database() -> syntax.Database:
    """PostgreSQL at READ COMMITTED."""
    return syntax.Database(Text.of("postgresql", "<default>"), Text.of("read committed", "<default>"))
