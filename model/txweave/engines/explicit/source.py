"""Python functions made of guarded cases: a decision tree over what the guards share, and variables for what is needed twice.

A variable is set in the innermost block that contains every use of it, so that nothing is computed twice, and little in vain.  No
text grows beyond the number of distinct subexpressions, and none nests deeper than Python's parser likes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from txweave.engines.explicit.translate import Form, Piece, Texts, Translator
from txweave.system import expr as x
from txweave.system.expr import Expr

NESTED_TEXT = 20
"""Operators that are nested in one expression before a variable is used."""

NESTED_BLOCKS = 40
"""Blocks within blocks, before a guard is tested as a whole."""


@dataclass(frozen=True)
class Leaf:
    """What a case does: lines of code, given the texts of the pieces it ``uses``."""

    uses: tuple[Piece, ...]
    lines: Callable[[Texts], list[str]]


@dataclass(frozen=True)
class Case:
    """If all ``conjuncts`` hold, ``leaf``."""

    conjuncts: tuple[Expr, ...]
    leaf: Leaf


@dataclass(eq=False)
class _Block:
    outer: _Block | None
    depth: int
    statements: list[_If | Leaf] = field(default_factory=list)
    variables: list[Piece] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class _If:
    conditions: tuple[Piece, ...]
    then: _Block
    otherwise: _Block | None = None


def _tree(cases: Sequence[Case], outer: _Block | None = None) -> _Block:
    """The cases as nested tests: what most guards share is tested first, and once."""
    block = _Block(outer, outer.depth + 1 if outer else 0)
    counts = Counter(conjunct for case in cases for conjunct in case.conjuncts)
    opposites = {conjunct: x.neg(conjunct) for conjunct in counts}
    rest = list(cases)
    while rest:
        shared, most = None, 1
        if block.depth < NESTED_BLOCKS:
            for conjunct, number in counts.items():
                if number and number + counts.get(opposites[conjunct], 0) > most:
                    shared, most = conjunct, number + counts.get(opposites[conjunct], 0)
        if shared is None:
            break
        opposite = opposites[shared]
        yes = [case for case in rest if shared in case.conjuncts]
        no = [case for case in rest if opposite in case.conjuncts and shared not in case.conjuncts]
        taken = set(map(id, (*yes, *no)))
        for case in (*yes, *no):
            counts.subtract(case.conjuncts)
        rest = [case for case in rest if id(case) not in taken]
        then = _tree([_without(case, shared) for case in yes], block)
        otherwise = _tree([_without(case, opposite) for case in no], block) if no else None
        block.statements.append(_If((Piece(shared, Form.TRUTH),), then, otherwise))
    for case in rest:
        inner = block
        conjuncts = list(case.conjuncts)
        while conjuncts and inner.depth < NESTED_BLOCKS:
            then = _Block(inner, inner.depth + 1)
            inner.statements.append(_If((Piece(conjuncts.pop(0), Form.TRUTH),), then))
            inner = then
        if conjuncts:
            then = _Block(inner, inner.depth + 1)
            inner.statements.append(_If(tuple(Piece(c, Form.TRUTH) for c in conjuncts), then))
            inner = then
        inner.statements.append(case.leaf)
    return block


def _without(case: Case, conjunct: Expr) -> Case:
    return Case(tuple(c for c in case.conjuncts if c is not conjunct), case.leaf)


class _Writer:
    """Lays out one function: which pieces are variables, where they are set, and all the text."""

    def __init__(self, translator: Translator, root: _Block, known: Mapping[Piece, str]) -> None:
        self.translator = translator
        self.known = known
        self.needs: dict[Piece, tuple[Piece, ...]] = {}
        """For every piece, in an order in which what is needed comes first."""
        self.references: Counter[Piece] = Counter()
        self.place: dict[Piece, _Block] = {}
        self._register(root)
        self.names: dict[Piece, str] = {}
        self._name()
        self._place()

    def _register(self, block: _Block) -> None:
        for statement in block.statements:
            pieces = statement.uses if isinstance(statement, Leaf) else statement.conditions
            for piece in map(self.translator.canonical, pieces):
                self._order(piece)
                self._use(piece, block)
            if isinstance(statement, _If):
                self._register(statement.then)
                if statement.otherwise is not None:
                    self._register(statement.otherwise)

    def _order(self, root: Piece) -> None:
        stack = [root]
        while stack:
            piece = stack[-1]
            if piece in self.needs:
                stack.pop()
                continue
            needs: tuple[Piece, ...] = ()
            if piece not in self.known:
                needs = tuple(map(self.translator.canonical, self.translator.recipe(piece).needs))
            waiting = [p for p in needs if p not in self.needs]
            if waiting:
                stack.extend(reversed(waiting))
            else:
                self.needs[piece] = needs
                self.references.update(needs)
                stack.pop()

    def _use(self, piece: Piece, block: _Block) -> None:
        self.references[piece] += 1
        self._meet(piece, block)

    def _meet(self, piece: Piece, block: _Block) -> None:
        other = self.place.get(piece)
        self.place[piece] = block if other is None else _common(other, block)

    def _name(self) -> None:
        depth: dict[Piece, int] = {}
        for piece, needs in self.needs.items():
            inner = 1 + max((depth[p] for p in needs), default=0)
            trivial = piece in self.known or self.translator.recipe(piece).trivial
            if not trivial and (self.references[piece] > 1 or inner > NESTED_TEXT):
                self.names[piece] = f"v{len(self.names)}"
                inner = 0
            depth[piece] = inner

    def _place(self) -> None:
        for piece in reversed(self.needs):
            for needed in self.needs[piece]:
                self._meet(needed, self.place[piece])
        for piece in self.names:
            self.place[piece].variables.append(piece)

    def text(self, piece: Piece, defining: bool = False) -> str:
        name = self.known.get(piece) or (None if defining else self.names.get(piece))
        if name is not None:
            return name
        return self.translator.recipe(piece).text([self.text(p) for p in self.needs[piece]])

    def lines(self, block: _Block, indent: str) -> list[str]:
        found = [f"{indent}{self.names[piece]} = {self.text(piece, defining=True)}" for piece in block.variables]
        for statement in block.statements:
            if isinstance(statement, Leaf):
                texts = [self.text(self.translator.canonical(p)) for p in statement.uses]
                found += [indent + line for line in statement.lines(texts)]
                continue
            tests, then = list(statement.conditions), statement.then
            while statement.otherwise is None and not then.variables and len(then.statements) == 1:
                only = then.statements[0]
                if not isinstance(only, _If) or only.otherwise is not None:
                    break
                tests += only.conditions
                then = only.then
            found.append(f"{indent}if {' and '.join(self.text(self.translator.canonical(p)) for p in tests)}:")
            found += self.lines(then, indent + " ")
            if statement.otherwise is not None:
                found.append(f"{indent}else:")
                found += self.lines(statement.otherwise, indent + " ")
        return found


def _common(a: _Block, b: _Block) -> _Block:
    while a is not b:
        if a.depth < b.depth:
            a, b = b, a
        assert a.outer is not None
        a = a.outer
    return a


def write(
    translator: Translator,
    header: str,
    cases: Sequence[Case],
    known: Mapping[Piece, str] | None = None,
    first: Sequence[str] = (),
    last: Sequence[str] = (),
) -> str:
    """The text of a function: ``first``, the cases (in an order of their own), ``last``."""
    root = _tree(cases)
    body = [*(f" {line}" for line in first), *_Writer(translator, root, known or {}).lines(root, " ")]
    return "\n".join([header, *body, *(f" {line}" for line in last), " return" if not last else ""])


def make(name: str, text: str, names: dict[str, Any]) -> Callable[..., Any]:
    """The function ``name`` that a text defines."""
    space = dict(names)
    exec(compile(text, f"<{name}>", "exec"), space)  # noqa: S102  # the text is this package's own, made from a checked system
    return space[name]  # type: ignore[no-any-return]
