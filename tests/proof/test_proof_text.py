"""Expressions as text: what is written is read again, and nothing else is."""

from __future__ import annotations

import pytest
from hypothesis import given

import random_systems as rs
from txweave.proof.smt import expressions
from txweave.proof.text import Reader, TextError, parse, write
from txweave.system import expr as x
from txweave.system.expr import Domain, Elem
from txweave.system.sorted import System

ARITIES = {"f": 1, "n": 0, "t.~pc": 1, "t.c'": 1, "forall": 1}
SORTS = frozenset(["t", "u"])


def read(text: str) -> x.Expr:
    return Reader(ARITIES, SORTS).read(text)


def samples() -> list[x.Expr]:
    t, u = x.local("t", "t"), x.local("u", "u")
    v = x.local("v", Domain((1, "a b", True), ("t",), ("t", "u"), (-2, 3), True))
    n, f = x.apply("n"), x.apply("f", t)
    other = x.local("t", "t")
    g = x.apply("f", other)
    return [
        x.equal(n, x.const('say "no"; |or| (not)')),
        x.conj(x.equal(x.apply("t.~pc", x.const(Elem("t", 1))), x.NULL), x.neg(x.less(n, x.const(-3)))),
        x.forall((t,), x.exists((u, v), x.disj(x.equal(f, u), x.equal(v, x.TRUE), x.equal(x.apply("forall", t), x.const(1))))),
        x.equal(x.count((t,), x.equal(x.apply("t.c'", t), x.const("x"))), x.arith("-", n, x.const(1))),
        x.equal(x.fold("sum", (t,), x.less(n, f), f), x.fold("max", (other,), x.less(g, n), x.arith("*", g, x.const(2)))),
        x.equal(x.pick((t,), x.equal(f, x.const(1)), f, x.pick((other,), x.less(g, n), other, n)), x.const(1)),
        x.least(t, x.const(Elem("t", 0)), x.equal(f, n)),
        x.equal(x.ite(x.less(n, x.const(1)), x.const(True), x.const(1)), x.const(1)),
    ]


@pytest.mark.parametrize("node", samples())
def test_what_is_written_is_read_again(node: x.Expr) -> None:
    text = write(node)
    again = read(text)
    assert write(again) == text
    assert x.free_locals(again) == x.free_locals(node) == frozenset()
    if "((" not in text:
        assert again is node, "without locals it is the same node"


def test_values_that_look_alike_are_told_apart() -> None:
    nodes = [x.equal(x.apply("n"), x.const(value)) for value in (1, True, "1", "true", None, "null", Elem("t", 0), "t#1")]
    texts = [write(node) for node in nodes]
    assert len(set(texts)) == len(texts)
    # A truth value as a term folds to the formula itself; all others come back as they are.
    assert [read(text) for text in texts] == nodes


def test_expressions_that_differ_in_names_of_locals_are_written_alike() -> None:
    def made(hint: str) -> x.Expr:
        one, two = x.local(hint, "t"), x.local(hint, "t")
        return x.forall((one, two), x.disj(x.equal(x.apply("f", one), x.const(1)), x.equal(one, two)))

    assert write(made("a")) == write(made("a"))
    assert write(made("a")).count("a.1") == 3


@given(rs.systems())
@rs.examples(20)
def test_every_closed_expression_of_a_random_system_comes_back(system: System) -> None:
    reader = Reader({f.name: len(f.params) for f in system.functions}, frozenset(s.name for s in system.sorts))
    for node in expressions(system):
        closed = x.forall(sorted(x.free_locals(node), key=lambda item: item.name), node)
        if closed.boolean:
            assert write(reader.read(write(closed))) == write(closed)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the text is empty"),
        ("(= n 1", "at character 1: '(' is never closed"),
        ("(= n 1))", "at character 8: nothing is open"),
        ("(= n 1) n", "at character 9: the expression has ended here"),
        ("(= n m)", "at character 6: there is no function 'm'"),
        ("(= (f |t#1| |t#2|) 1)", "at character 5: 'f' takes 1 arguments, not 2"),
        ("(= f 1)", "at character 4: 'f' takes 1 arguments, not 0"),
        ("(= n |w#1|)", "there is no sort 'w'"),
        ("(forall ((r w)) true)", "there is no sort 'w'"),
        ("(forall () true)", "takes a list of variables"),
        ("(and (forall ((r t)) (= r r)) (= r n))", "at character 34: there is no function 'r'"),
        ("(not n n)", "'not' does not take 2 arguments"),
        ("(least ((r t) (s t)) |t#1| true)", "binds one variable"),
        ("()", "an empty list"),
        ('"open', "is no symbol"),
        ("(not " * 5000 + "true" + ")" * 5000, "nested too deeply"),
    ],
)
def test_what_is_no_closed_expression_is_refused_with_its_place(text: str, message: str) -> None:
    with pytest.raises(TextError) as caught:
        read(text)
    assert message in str(caught.value)


def test_comments_and_blanks_are_passed_over() -> None:
    assert read(" (= n ; why\n\t1 ) ") is x.equal(x.apply("n"), x.const(1))
    assert parse("(a |b c|)").parts[1].text == "b c"
