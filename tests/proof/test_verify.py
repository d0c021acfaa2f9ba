"""The verification of certificates: what it accepts is a proof, and what was changed or is of something else is rejected."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner, Result
from hypothesis import given

import random_systems as rs
import z3_toys as toys
from txweave.certificate import Certificate
from txweave.cli import cli
from txweave.engines import z3 as engine
from txweave.proof.file import digest
from txweave.proof.obligations import Obligations
from txweave.proof.record import meaning, record
from txweave.proof.smt import Numbers, Text, Translation, Untranslatable
from txweave.proof.solve import solver
from txweave.proof.text import TextError, Token, parse, write
from txweave.proof.verify import Verification, certificate, check
from txweave.report.json import schema
from txweave.results import ProofClause
from txweave.system import expr as x
from txweave.system import reference as ref
from txweave.system.expr import Domain
from txweave.system.ground import ground
from txweave.system.reference import environments
from txweave.system.sorted import Action, Function, Property, Sort, System, Update
from txweave.verdict import Limits, Status

SPECS = Path(__file__).resolve().parents[2] / "specs"
STUDY = str(SPECS / "lost-update" / "lost-update.study.yaml")
SOLVERS = ("z3", "cvc5")


def proved(system: System, name: str) -> Certificate:
    grounded = ground(system)
    states = [toys.cells(grounded, state) for state in ref.explore(system, 5000).states]
    verdict = engine.check(grounded, [name], Limits(max_depth=8), states).verdicts[name]
    assert verdict.status is Status.HOLDS
    assert verdict.certificate is not None
    return verdict.certificate


def verified(system: System, what: Certificate, use: str = "z3") -> Verification:
    found = Verification()
    check(system, what, found, lambda: solver(use))
    return found


# -------------------------------------------------------------------------------------------------- on hand-made systems


@pytest.mark.parametrize("use", SOLVERS)
def test_what_the_engine_proves_is_verified(use: str) -> None:
    for system, name in [
        (toys.mutex(True, 2, crash=True), "exclusive"),
        (toys.mutex(True, 3), "exclusive"),
        (toys.counter(4, bound=True, truncated=True), "small"),
        (toys.clocked(True), "no_deadlock"),
    ]:
        found = verified(system, proved(system, name), use)
        assert found.verified, (system.name, found)


@pytest.mark.parametrize("use", SOLVERS)
def test_the_broken_system_goes_the_same_way_and_fails_there(use: str) -> None:
    """The lock in two steps instead of one: the invariant of the right one is not preserved by exactly the step that is wrong."""
    found = verified(toys.mutex(False), proved(toys.mutex(True), "exclusive"), use)
    assert found.problems
    assert all("is not preserved by test(P#" in problem for problem in found.problems)
    for broken, name in [(toys.mutex(False), "exclusive"), (toys.counter(3), "below"), (toys.clocked(False), "no_deadlock")]:
        item = next(p for p in broken.properties if p.name == name)
        own = (x.neg(x.exists(w.locals, w.condition)) for w in item.rows.witnesses) if item.rows is not None else ()
        assert verified(broken, Certificate(name, tuple(own)), use).problems


@pytest.mark.parametrize("use", SOLVERS)
def test_each_part_of_the_argument_is_asked_for(use: str) -> None:
    system = toys.mutex(True)
    right = proved(system, "exclusive")
    first, second, third = right.clauses
    lock = x.equal(x.apply("lock"), x.NULL)
    assert (
        verified(system, replace(right, clauses=(first, second)), use).problems[0].startswith("clause 1 is not preserved by test")
    )
    assert verified(system, replace(right, clauses=(second, third)), use).verified, "what follows need not be said"
    assert verified(system, replace(right, clauses=(second,)), use).problems[-1] == "exclusive does not follow"
    assert (
        "clause 4 is not preserved by test(P#1)" in verified(system, replace(right, clauses=(*right.clauses, lock)), use).problems
    )
    assert verified(system, replace(right, clauses=(*right.clauses, x.neg(lock))), use).problems[0] == (
        "clause 4 is not true initially"
    )
    assert verified(system, replace(right, clauses=(x.FALSE,)), use).problems == ["clause 1 is not true initially"]


def test_bounds_are_asked_for() -> None:
    system = toys.counter(4, bound=True, truncated=True)
    right = proved(system, "small")
    assert right.truncated == ("n",)
    assert verified(system, replace(right, truncated=())).problems == ["count(P#1) crosses a bound"]


def test_time_may_pass_before_somebody_can_move() -> None:
    system = toys.clocked(True)
    right = proved(system, "no_deadlock")
    assert right.ticks == 2
    assert verified(system, replace(right, ticks=1)).problems == ["no_deadlock does not follow"]


def test_an_answer_that_is_none_is_no_verification() -> None:
    """A budget of nearly nothing: nothing is refuted, and nothing verified."""
    system = toys.mutex(True, 3)
    found = Verification()
    check(system, proved(system, "exclusive"), found, lambda: solver("z3", 1))
    assert found.undecided
    assert not found.verified

    class Silent:
        def run(self, lines: Any) -> str:
            return "unknown" if "(check-sat)" in lines or "(check-sat)" in list(lines) else ""

    found = Verification()
    check(system, proved(system, "exclusive"), found, Silent)
    assert len(found.undecided) == found.queries > 1
    assert not Verification().verified, "nothing asked is nothing verified"


@given(rs.systems())
@rs.examples(25)
def test_the_translation_means_what_the_reference_interpreter_means(system: System) -> None:
    """In a state whose values are known every formula folds to its truth; guards and new values are compared in each state."""
    numbers = Numbers.count(system)
    for state in ref.explore(system, 12).states:
        cells = {key: numbers.of(value) for key, value in state.items() if key != ref.BOUND}
        here = Translation(system, numbers, Text(), cells)
        for action in system.actions:
            for env in environments(system, action.params, {}):
                assert here.formula(action.guard, env) == str(ref.holds(system, action.guard, state, env)).lower()
                for update in action.updates:
                    for inner in environments(system, update.formals, env):
                        value = ref.evaluate(system, update.body, state, inner)
                        if value is not ref.ANY:
                            assert here.term(update.body, inner) == numbers.of(value)


@given(rs.systems())
@rs.examples(12)
def test_no_certificate_is_accepted_where_the_property_is_violated(system: System) -> None:
    """The strongest set of clauses that is true at the start, and the weakest: neither passes."""
    for item in system.properties:
        if item.kind == "never" and isinstance(toys.violation(system, item.name, 300), int):
            obligations = Obligations(system, Certificate(item.name, ()))
            clauses = tuple(
                x.equal(x.apply(function, *map(x.const, args)), x.const(ref.initial(system)[function, args]))
                for function, args in obligations.symbols
            )
            for what in (clauses, ()):
                found = verified(system, Certificate(item.name, what, tuple(sorted(system.truncated))))
                assert found.problems or found.undecided


# --------------------------------------------------------------------------------------------------- files and commands


@cache
def written() -> str:
    """The certificate file of a case with two properties."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "c.json"
        result = CliRunner().invoke(cli, ["check", STUDY, "--case", "locked", "--no-cache", "--certificate", str(path)])
        assert result.exit_code == 0, result.output
        return path.read_text(encoding="utf-8")


def run(tmp_path: Path, document: Any, *arguments: str, spec: str = STUDY) -> Result:
    path = tmp_path / "c.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document), encoding="utf-8")
    return CliRunner().invoke(cli, ["verify-certificate", str(path), spec, *arguments])


def changed(change: Any, *, seal: bool = True) -> Any:
    """The file with its first proof changed, and its digest made anew, as somebody would who wants to deceive."""
    document = json.loads(written())
    document["proofs"] = document["proofs"][:1]
    change(document["proofs"][0])
    if seal:
        document["proofs"][0]["digest"] = digest(document["proofs"][0])
    return document


@pytest.mark.parametrize("use", SOLVERS)
def test_a_certificate_is_verified_in_a_fresh_process(tmp_path: Path, use: str) -> None:
    path = tmp_path / "c.json"
    path.write_text(written(), encoding="utf-8")
    command = [sys.executable, "-m", "txweave", "verify-certificate", str(path), STUDY, "--solver", use]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=300, check=False, env={**os.environ, "PYTHONHASHSEED": "7"}
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split(":")[:2] for line in done.stdout.splitlines()] == [
        ["verified", " every_sale_counts in locked (for-update)"],
        ["verified", " nobody_fails in locked (for-update)"],
    ]


def test_every_clause_that_is_changed_is_noticed_by_the_digest(tmp_path: Path) -> None:
    for change in (
        lambda proof: proof["clauses"].pop(),
        lambda proof: proof["clauses"][3].update(smt="true"),
        lambda proof: proof.update(property="nobody_fails"),
        lambda proof: proof["of"].update(model="another"),
        lambda proof: proof.update(meaning="0" * 64),
    ):
        result = run(tmp_path, changed(change, seal=False))
        assert result.exit_code == 1
        assert "rejected: " in result.output


def test_a_certificate_that_proves_nothing_is_rejected_with_the_reason(tmp_path: Path) -> None:
    def weaken(proof: Any) -> None:
        for clause in proof["clauses"][1:]:
            clause["smt"] = "(= 1 1)"

    def strengthen(proof: Any) -> None:
        text = proof["clauses"][1]["smt"]
        proof["clauses"][1]["smt"] = f'(and {text} (= (clerk.~pc |clerk#1|) "(idle)"))'

    def remove(proof: Any) -> None:
        proof["clauses"] = proof["clauses"][:2]

    cases = [
        (weaken, "is not preserved by"),
        (strengthen, "clause 2 is not preserved by clerk."),
        (remove, "is not preserved by"),
        (lambda proof: proof["clauses"][2].update(smt="false"), "clause 3 is not true initially"),
        (lambda proof: proof.update(property="nobody_fails"), "the specification is another one, or was changed"),
        (lambda proof: proof.update(property="every_sale_ends"), "is no safety property"),
        (lambda proof: proof.update(property="none"), "has no property 'none'"),
        (lambda proof: proof.update(meaning="0" * 64), "the specification is another one, or was changed"),
        (lambda proof: proof["of"].update(model="another"), "it is of the model another, not of lost-update"),
        (lambda proof: proof["of"].update(case="compared"), "it is of the fixes for-update, not of compare-and-set"),
        (lambda proof: proof["of"].update(case="absent"), "it is of case absent"),
        (lambda proof: proof["of"].update(fixes=[]), "it is of the fixes none, not of for-update"),
        (lambda proof: proof["of"].update(settings={"a": "1"}), "it is of the settings a=1, not of none"),
        (lambda proof: proof.update(truncated=["show"]), "accepts that the bound show is crossed"),
        (lambda proof: proof.update(clock="ages"), "it says of the clock 'ages'"),
        (lambda proof: proof.update(kind="any number"), "are not verified by this version"),
        (lambda proof: proof["clauses"][1].update(smt="(= gone 1)"), "clause 2, at character 4: there is no function 'gone'"),
        (
            lambda proof: proof["clauses"][1].update(smt="(= (clerk.~pc |clerk#9|) 1)"),
            "clause 2: there is no clerk#9, only 2 clerk",
        ),
    ]
    for change, reason in cases:
        result = run(tmp_path, changed(change))
        assert result.exit_code == 1, (reason, result.output)
        assert reason in result.output, result.output
        assert "internal error" not in result.output
        assert not result.output.startswith("verified")


def test_a_certificate_of_a_changed_specification_is_rejected(tmp_path: Path) -> None:
    folder = tmp_path / "specs"
    folder.mkdir()
    for path in (SPECS / "lost-update").iterdir():
        text = path.read_text(encoding="utf-8")
        (folder / path.name).write_text(
            text.replace(" FOR UPDATE", "") if path.name.startswith("for-update") else text, encoding="utf-8"
        )
    result = run(tmp_path, written(), spec=str(folder / "lost-update.study.yaml"))
    assert result.exit_code == 1
    assert result.output.count("the specification is another one, or was changed") == 2


def test_words_are_not_trusted(tmp_path: Path) -> None:
    result = run(tmp_path, changed(lambda proof: proof["clauses"][1].update(words="all is well")), "-v")
    assert result.exit_code == 0
    assert "all is well" in result.output


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"format": "txweave-certificate",\n "version" 1}', "c.json:2:12: not JSON"),
        ("[]", "c.json: the document: [] is not of type 'object'"),
        ('{"format": "x", "version": 1, "txweave": "", "proofs": []}', "c.json: format: 'txweave-certificate' was expected"),
        ('{"format": "txweave-certificate", "version": 2, "txweave": "", "proofs": [1]}', "c.json: proofs[0]: 1 is not of type"),
        ("\x00", "not JSON"),
    ],
)
def test_a_file_that_is_no_certificate_is_said_to_be_none(tmp_path: Path, text: str, message: str) -> None:
    result = run(tmp_path, text)
    assert result.exit_code == 2
    assert message in result.output


def test_a_version_that_is_not_known_is_not_read(tmp_path: Path) -> None:
    document = json.loads(written())
    result = run(tmp_path, {**document, "version": 2})
    assert result.exit_code == 2
    assert "version: 1 was expected" in result.output


def test_what_a_system_means_does_not_depend_on_names_of_locals_or_places() -> None:
    one, other = toys.mutex(True), toys.mutex(True)
    assert meaning(one, "exclusive") == meaning(other, "exclusive")
    assert meaning(one, "exclusive") != meaning(toys.mutex(False), "exclusive")
    assert meaning(one, "exclusive") != meaning(one, "no_deadlock")
    assert meaning(one, "exclusive") != meaning(toys.with_size(one, 3), "exclusive")
    slower = replace(one, actions=tuple(reversed(one.actions)))
    assert meaning(one, "exclusive") != meaning(slower, "exclusive")
    for number, action in enumerate(one.actions):
        weaker = replace(action, guard=x.TRUE)
        altered = replace(one, actions=(*one.actions[:number], weaker, *one.actions[number + 1 :]))
        assert meaning(altered, "exclusive") != meaning(one, "exclusive")


def test_a_proof_is_read_as_it_was_written() -> None:
    system = toys.mutex(True, 3, crash=True)
    what = proved(system, "exclusive")
    again = certificate(system, "exclusive", record(system, what))
    assert list(map(write, again.clauses)) == list(map(write, what.clauses))
    assert replace(again, clauses=()) == replace(what, clauses=())
    assert again.clauses[1:] == what.clauses[1:], "without locals they are the same nodes"
    odd = replace(record(system, what), clauses=(ProofClause("(= lock 1", ""),))
    with pytest.raises(ValueError, match="clause 1, at character 1"):
        certificate(system, "exclusive", odd)


def spelled(token: Token) -> str:
    if token.kind == "list":
        return f"({' '.join(map(spelled, token.parts))})"
    return {"string": f'"{token.text}"', "quoted": f"|{token.text}|"}.get(token.kind, token.text)


def within(token: Token) -> list[Token]:
    return [token, *(inner for part in token.parts for inner in within(part))]


def grafted(token: Token, where: Token, new: Token) -> Token:
    """The tree with another branch at one place."""
    return new if token is where else replace(token, parts=tuple(grafted(part, where, new) for part in token.parts))


def test_whatever_stands_in_a_clause_is_an_answer_or_an_error_with_its_place() -> None:
    """Branches of clauses put in place of others: each is refused as a text, or translated, and then the queries decide."""
    system = toys.mutex(True, 3)
    what = record(system, proved(system, "exclusive"))
    trees = [parse(clause.smt) for clause in what.clauses]
    extra = ['"nonsense"', "17", "(+ 1 lock)", "(* lock lock)", "(< lock null)", "(ite true 1 null)", "null", "()", "(pc lock)"]
    extra += ["(count ((p P)) true)", "(pick ((p P)) (= lock p) p null)", "(sum ((p P)) true 2)", "(least ((p P)) |P#1| true)"]
    branches = [inner for tree in [*trees, *map(parse, extra)] for inner in within(tree)]
    random, read = Random(1), 0
    for _ in range(300):
        tree = random.choice(trees)
        for _ in range(random.randint(1, 2)):
            tree = grafted(tree, random.choice(within(tree)), random.choice(branches))
        try:
            made = certificate(system, "exclusive", replace(what, clauses=(ProofClause(spelled(tree), ""),)))
            obligations = Obligations(system, made)
            assert obligations.prelude()
            assert list(obligations.queries())
        except (TextError, Untranslatable):
            continue
        read += 1
    assert read > 20
    unknown = x.neg(x.equal(x.apply("lock"), x.const("nonsense")))
    right = proved(system, "exclusive")
    assert verified(system, replace(right, clauses=(*right.clauses, unknown))).verified, "it is true, and of no use"


def test_the_clauses_come_in_the_order_in_which_they_are_needed() -> None:
    """Each prefix that is cut off leaves something that needs what was cut off."""
    system = toys.mutex(True, 3)
    what = proved(system, "exclusive")
    for length in range(len(what.clauses)):
        assert not verified(system, replace(what, clauses=what.clauses[:length])).verified


# --------------------------------------------------------------------------------------------------------------- clocks


def waiting(saturated: int, gap: int = 2) -> System:
    """A process wakes when its age is more than one tick; ages stop at ``saturated``."""
    p, f = x.local("p", "P"), x.local("f", "P")
    age = x.apply("age", f)
    older = Update("age", (f,), x.ite(x.less(age, x.const(saturated)), x.arith("+", age, x.const(1)), age))
    tick = Action("tick", "tick", None, (), x.TRUE, (older,), toys.info("tick"))
    old = x.less(x.const(1), x.apply("age", p))
    return System(
        "waiting",
        (Sort("P", "processes", 1),),
        (
            Function("pc", ("P",), Domain(("wait", "go")), "wait"),
            Function("age", ("P",), Domain(ages=(0, gap)), 0),
        ),
        (toys.step("wake", lambda q: x.conj(toys.pc(q, "wait"), x.less(x.const(1), x.apply("age", q))), toys.go("go")), tick),
        (
            Property("asleep", "never", toys.row(toys.pc(p, "go"), p, locals_=(p,))),
            Property("not_early", "never", toys.row(x.conj(toys.pc(p, "go"), x.neg(old)), p, locals_=(p,))),
        ),
        timed=True,
    )


@pytest.mark.parametrize("use", SOLVERS)
def test_ages_stand_for_a_clock_that_runs_on_for_ever(use: str) -> None:
    found = verified(waiting(2), proved(waiting(2), "not_early"), use)
    assert found.verified
    assert found.queries > verified(waiting(2), replace(proved(waiting(2), "not_early"), clauses=())).queries


@pytest.mark.parametrize("use", SOLVERS)
def test_ages_that_stop_too_early_do_not(use: str) -> None:
    """By the ages the process never wakes, which is an invariant; by the clock it does."""
    broken = waiting(1)
    what = proved(broken, "asleep")
    assert verified(broken, what, use).problems == [
        "its guard of wake(P#1) depends on more of the clock than the ages tell",
    ]
    assert verified(waiting(2), what).problems, "the right system wakes it by the ages as well"


def test_a_property_that_sees_more_than_the_ages_tell_is_not_shown() -> None:
    p = x.local("p", "P")
    exact = Property("exact", "never", toys.row(x.less(x.const(5), x.apply("age", p)), p, locals_=(p,)))
    system = replace(waiting(2), properties=(exact,))
    what = proved(system, "exact")
    assert verified(system, what).problems == ["exact may be violated by a clock that is not saturated"]


def test_a_broken_clause_is_told_before_the_clock() -> None:
    assert verified(waiting(2), Certificate("asleep", (x.TRUE,))).problems == ["asleep does not follow"]


# ------------------------------------------------------------------------------------------------------ check and report


def test_what_is_expected_to_be_proved_is_proved_and_shown(tmp_path: Path) -> None:
    for path in (SPECS / "lost-update").iterdir():
        text = path.read_text(encoding="utf-8").replace("nobody_fails: holds", "nobody_fails: proved")
        (tmp_path / path.name).write_text(text, encoding="utf-8")
    study = str(tmp_path / "lost-update.study.yaml")
    command = ["check", study, "--case", "added_by_the_database", "--no-cache", "--no-timing"]
    done = CliRunner().invoke(cli, [*command, "-v", "--property", "nobody_fails"])
    assert done.exit_code == 0, done.output
    assert "proved (for all time; 2 clerk; 1 show)" in " ".join(done.output.split())
    assert "1  nobody_fails is not violated" in done.output
    shown = json.loads(CliRunner().invoke(cli, [*command, "--format", "json"]).output)
    jsonschema.validate(shown, schema("check"))
    by_name = {item["name"]: item for item in shown["cases"][0]["properties"]}
    assert by_name["nobody_fails"]["verdict"] == "proved"
    assert by_name["nobody_fails"]["proof"]["clauses"][0]["words"] == "nobody_fails is not violated"
    assert by_name["every_sale_ends"]["proof"] is None


def test_an_invariant_that_the_verification_rejects_is_a_failed_self_check(monkeypatch: pytest.MonkeyPatch) -> None:
    def rejects(system: Any, what: Any, found: Verification, *_: Any) -> None:
        found.problems.append("clause 1 is made up")

    monkeypatch.setattr("txweave.proof.verify.check", rejects)
    with TemporaryDirectory() as folder:
        path = str(Path(folder) / "c.json")
        done = CliRunner().invoke(cli, ["check", STUDY, "--case", "added_by_the_database", "--no-cache", "--certificate", path])
    assert done.exit_code == 4
    assert "the invariant of z3 is rejected: clause 1 is made up" in done.output


def test_a_certificate_is_not_asked_of_exploration_alone(tmp_path: Path) -> None:
    path = str(tmp_path / "c.json")
    done = CliRunner().invoke(cli, ["check", STUDY, "--engine", "explicit", "--certificate", path])
    assert done.exit_code == 2
    assert "leave out --engine explicit" in done.output
    none = CliRunner().invoke(
        cli, ["check", STUDY, "--case", "as_written", "--property", "every_sale_counts", "--certificate", path]
    )
    assert "was not written: no property was shown by an invariant" in none.output
    assert none.exit_code == 2
