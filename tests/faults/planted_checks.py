"""The judge, reading specifications, checking, explaining, showing."""

from __future__ import annotations

from fault import fault

CODE = "engines/test_explicit_program.py::test_"
JUDGE = "test_judge.py::test_"
CHECK = "test_check.py::test_"
REFERENCE = "system/test_reference.py::test_"
SQL = "sql/test_sql_"
SPEC = "spec/test_"
EXPLORER = "explorer/test_session.py::test_"
PAGE = "browser/test_page.py::test_"
WHY = "test_why.py::test_"

# ---------------------------------------------------------------------------------------- judge, reference and grounding

fault(
    "judge",
    "judge-accepts-anything",
    "the judge confirms nothing without replaying it",
    "judge.py",
    "return _Replay(trace).review(name)",
    "return Judgement(())",
    JUDGE + "tampering_with_a_safety_trace",
)
fault(
    "judge",
    "judge-skips-guards",
    "every step of a trace is enabled",
    "judge.py",
    """            if not reference.enabled(self.system, state, action, params):
                self.problems.append(f"{where}: not""",
    """            if not reference:
                self.problems.append(f"{where}: not""",
    JUDGE + "tampering_with_a_safety_trace",
)
fault(
    "judge",
    "judge-believes-states",
    "the states of a trace are those that the reference finds",
    "judge.py",
    "if not self.agrees(where, state, taken.state):",
    "if not taken:",
    JUDGE + "every_wrong_value_in_every_state_is_found",
)
fault(
    "judge",
    "judge-ignores-fairness",
    "the loop of a lasso is fair",
    "judge.py",
    'if all(wants) if owner.kind == "weak" else any(wants):',
    "if not wants:",
    JUDGE + "weak_fairness_is_owed_on_the_loop",
)
fault(
    "judge",
    "judge-ignores-recurrence",
    "what does not recur is not on a loop",
    "judge.py",
    "if not action.action.recurs:",
    "if not action.action:",
    JUDGE + "what_does_not_recur_is_not_on_a_loop",
)
fault(
    "judge",
    "judge-ignores-discharge",
    "the pending row is not discharged on the loop",
    "judge.py",
    "elif any(discharged[loop:]):",
    "elif not discharged:",
    JUDGE + "tampering_with_a_lasso",
)
fault(
    "judge",
    "judge-ignores-time",
    "a deadlock stays one however much time passes",
    "judge.py",
    """                if not reference.enabled(self.system, state, action, params):
                    continue""",
    """                if reference.enabled(self.system, state, action, params) is not None:
                    continue""",
    JUDGE + "deadlock",
    JUDGE + "a_deadlock_is_not_claimed_where_time_leads_out_of_bounds",
)
fault(
    "reference",
    "updates-one-after-the-other",
    "all updates of an action read the state before it",
    "system/reference.py",
    "value = _certain(system, update.body, state, inner)",
    "value = _certain(system, update.body, result, inner)",
    REFERENCE + "transitions_are_simultaneous_and_in_order",
)
fault(
    "reference",
    "true-equals-one",
    "TRUE is not 1",
    "system/reference.py",
    "return type(left) is type(right) and left == right",
    "return bool(left == right)",
    JUDGE + "true_is_not_one",
    REFERENCE + "formulas",
)
fault(
    "reference",
    "domain-left-unnoticed",
    "a value outside its domain leads out of bounds",
    "system/reference.py",
    "if not any(same(value, other) for other in domain):",
    "if not domain:",
    REFERENCE + "leaving_a_domain_is_out_of_bounds_and_changes_nothing_else",
)
fault(
    "reference",
    "open-values-decided",
    "what the language leaves open is not decided",
    "system/reference.py",
    "    if left is ANY or right is ANY or left is None or right is None:\n        return ANY\n    if type(left)",
    "    if left is ANY or right is ANY or left is None or right is None:\n        return False\n    if type(left)",
    REFERENCE + "what_the_language_leaves_open_is_not_decided",
)
fault(
    "ground",
    "ground-domain-left-unnoticed",
    "a value outside its domain leads out of bounds",
    "system/ground.py",
    "outside = [v for v in possible(body, grounder.cells, grounder.possible) if not _in(v, domain)]",
    "outside = [v for v in possible(body, grounder.cells, grounder.possible) if not domain]",
    CODE + "grounding_leads_values_outside_their_domain_out_of_bounds",
)

# -------------------------------------------------------------------------------------------------------------------- sql

fault(
    "sql",
    "is-not-null-inverted",
    "IS NOT NULL is not IS NULL",
    "sql/expressions.py",
    "return Not(result, span=span) if negate else result",
    "return result",
    SQL + "trees.py::test_condition",
)
fault(
    "sql",
    "unread-argument-accepted",
    "every argument of the parsed SQL is read or refused",
    "sql/parse.py",
    'if value is None or value == [] or value == "" or (id(node), argument) in self._read:',
    "if True:",
    SQL + "diagnostics.py::test_wrong_statement",
)
fault(
    "sql",
    "lost-words-accepted",
    "every word of the SQL is read as part of it",
    "sql/parse.py",
    "        if expected[word] < 0:\n",
    "        if not expected:\n",
    SQL + "diagnostics.py::test_wrong_statement",
)
fault(
    "sql",
    "ambiguous-column-guessed",
    "an ambiguous column is an error",
    "sql/expressions.py",
    """            if len(found) > 1:
                options""",
    """            if len(found) > 9:
                options""",
    SQL + "diagnostics.py::test_wrong_statement",
)
fault(
    "sql",
    "ghost-read-by-the-program",
    "the program never reads a ghost",
    "sql/expressions.py",
    "if column.ghost and not self.environment.ghost_reads:",
    "if column.ghost and self.environment is None:",
    SQL + "models.py::test_ghosts_stay_ghosts",
)

# ------------------------------------------------------------------------------------------------------------------- spec

fault(
    "spec",
    "duplicate-key-accepted",
    "a key that stands twice is an error",
    "spec/reader.py",
    "            if name in index:\n",
    "            if name in ():\n",
    SPEC + "diagnostics.py::test_fixture",
)
fault(
    "spec",
    "misspelt-key-ignored",
    "a misspelt key is an error",
    "spec/structure.py",
    "            teller.tell(error, node)\n",
    '            if error.validator != "additionalProperties":\n                teller.tell(error, node)\n',
    SPEC + "load.py::test_a_misspelt_key_is_an_error_at_every_depth",
)
fault(
    "spec",
    "yes-is-a-word",
    "words that are truth values to some readers of YAML are refused",
    "spec/reader.py",
    """    if word.lower() in ("on", "off", "yes", "no"):
        return "truth\"""",
    """    if word.lower() in ("on", "off", "yes", "no"):
        return "string\"""",
    SPEC + "reader.py::test_plain_scalars",
)
fault(
    "spec",
    "order-of-fixes-matters",
    "a set of fixes has one meaning whatever its order",
    "spec/fixes.py",
    "    waiting = sorted(by_name.values(), key=lambda f: f.name.value)\n",
    "    waiting = list(by_name.values())\n",
    SPEC + "fixes.py::test_additions",
    "faults/test_faults_engines.py::test_what_fixes_add_has_one_order",
)
fault(
    "spec",
    "and-with-or-accepted",
    "`and` with `or` at one target is a conflict",
    "spec/weave.py",
    "                elif other is not None:\n",
    "                elif other is None and found is None:\n",
    SPEC + "diagnostics.py::test_fixture[F210-and-with-or.study.yaml]",
)
fault(
    "spec",
    "replace-with-other-changes-accepted",
    "`replace` or `remove` with another change of the step is a conflict",
    "spec/weave.py",
    "for word, place in whole[:1]:",
    "for word, place in whole[:0]:",
    SPEC + "diagnostics.py::test_fixture[F210-replace-and-set.study.yaml]",
)

# ------------------------------------------------------------------------------------------------------------------ check

fault(
    "check",
    "unknown-is-expected",
    "unknown is never a pass",
    "check.py",
    'return Relation.INCONCLUSIVE, ""',
    'return Relation.AS_EXPECTED, ""',
    CHECK + "compare",
)
fault(
    "check",
    "exit-status-order",
    "of several exit statuses 4 comes before 2, 1, 3 and 0",
    "results.py",
    "(Exit.SELF_CHECK, Exit.ERROR, Exit.DIFFERS, Exit.INCONCLUSIVE, Exit.OK)",
    "(Exit.SELF_CHECK, Exit.ERROR, Exit.INCONCLUSIVE, Exit.DIFFERS, Exit.OK)",
    CHECK + "the_order_of_exit_statuses",
)
fault(
    "check",
    "judge-not-asked",
    "every counterexample is judged before it is reported",
    "check.py",
    "problems = judge(verdict.trace, name)",
    "problems = judge(verdict.trace, name)[:0]",
    CHECK + "a_counterexample_that_the_reference_rejects_is_exit_4",
)
fault(
    "check",
    "disagreement-ignored",
    "engines that disagree are a failed self-check",
    "check.py",
    "broken = [*self._judged(name, verdicts), *disagreements(verdicts)]",
    "broken = [*self._judged(name, verdicts)]",
    CHECK + "engines_that_disagree_are_exit_4",
)
fault(
    "check",
    "unknown-beats-verdict",
    "an empty cell leaves the other engine's verdict standing",
    "check.py",
    "_STRENGTH = (Status.VIOLATED, Status.PROVED, Status.HOLDS, Status.UNKNOWN)",
    "_STRENGTH = (Status.UNKNOWN, Status.VIOLATED, Status.PROVED, Status.HOLDS)",
    CHECK + "an_empty_cell_leaves_the_other_verdict_standing",
)
fault(
    "check",
    "expected-length-ignored",
    "an expected length is compared",
    "check.py",
    "if expected.length is not None and expected.length != length:",
    "if expected.length is not None and length is None:",
    CHECK + "expectations",
)
fault(
    "check",
    "nothing-checked-is-success",
    "nothing to check is an error",
    "results.py",
    " or not (self.properties or self.failures):",
    ":",
    CHECK + "nothing_to_check_is_no_success",
)
fault(
    "check",
    "dead-steps-not-told",
    "steps that are never executed are told",
    "vacuity.py",
    "if (name, step.name) not in taken:",
    "if not name:",
    CHECK + "steps_that_are_never_executed",
)

# ------------------------------------------------------------------------------------------------------------------------ why


fault(
    "why",
    "order-not-needed",
    "every order that respects the pairs breaks the property",
    "why/order.py",
    "                if following is None:\n                    return False\n",
    "                if following is None:\n                    continue\n",
    WHY + "the_order_that_matters_is_enough_and_none_of_it_can_be_left_out",
)
fault(
    "why",
    "order-too-much",
    "no pair can be left out",
    "why/order.py",
    "for size in (1, 2):",
    "for size in (2,):",
    WHY + "the_order_that_matters_of_known_races",
)
fault(
    "why",
    "restless",
    "of the orders of the steps one with the fewest switches is shown",
    "why/order.py",
    "return steps if cost[0] < now else self.steps",
    "return steps if cost[0] > now else self.steps",
    WHY + "an_order_with_more_switches_becomes_calm",
)
fault(
    "why",
    "stale-anyway",
    "a read is stale only if the run in which it comes later does not break the property",
    "why/reasons.py",
    "return good and self.runner.confirmed(run)",
    "return self.runner.confirmed(run)",
    WHY + "no_reason_without_a_run_that_is_mended",
)
fault(
    "why",
    "unconfirmed",
    "what is said was replayed on the reference interpreter",
    "why/reasons.py",
    "return good and self.runner.confirmed(run)",
    "return good",
    WHY + "what_the_reference_does_not_confirm_is_not_said",
)
fault(
    "why",
    "own-versions",
    "a read is read again without what its process wrote later",
    "why/reading.py",
    "if name and self.viewer.system.value(state, name, (row,)) == actor:",
    "if False:",
    WHY + "a_stale_read_does_not_see_what_its_process_wrote_later",
)
fault(
    "why",
    "no-return-late",
    "the point of no return is the first step after which nothing mends it",
    "why/blocked.py",
    "low, high = self._since(condition), len(self.states) - 1",
    "low, high = len(self.states) - 1, len(self.states) - 1",
    WHY + "the_point_of_no_return_and_the_condition_that_stays_false",
)
fault(
    "why",
    "others-not-different",
    "processes of a role that are renamed make no other counterexample",
    "why/different.py",
    "lines.append((actor.sort, tuple(dict.fromkeys(keys))))",
    "lines.append((str(actor), tuple(dict.fromkeys(keys))))",
    WHY + "renamed_processes_are_no_other_counterexample",
)
fault(
    "graph",
    "quotient-loses-edges",
    "a quotient has the edges between its groups",
    "graph.py",
    "ends = node_of[a], node_of[b]",
    "ends = node_of[a], node_of[a]",
    "test_graph.py::test_the_quotient_by_a_column",
)

# ------------------------------------------------------------------------------------------------------------- the explorer


fault(
    "explorer",
    "explorer-owed-before-forgotten",
    "what a whenever had before the state that is asked about is owed from there on",
    "explorer/ask.py",
    "rows=(*item.rows.rows, *owed)",
    "rows=item.rows.rows",
    EXPLORER + "what_is_owed_from_before_counts",
)
fault(
    "explorer",
    "explorer-asks-from-the-start",
    "a question is about the state that is shown",
    "explorer/ask.py",
    "replace(cell, initial=value)",
    "replace(cell, initial=cell.initial)",
    EXPLORER + "yes_with_the_shortest_way_from_here",
)
fault(
    "explorer",
    "explorer-loop-not-moved",
    "the loop of a way from here begins after the steps before it",
    "explorer/ask.py",
    "None if loop is None else at + loop",
    "loop",
    EXPLORER + "a_lasso_goes_on_from_here",
)
fault(
    "explorer",
    "explorer-unknown-is-no",
    "a question that a limit ends has no answer",
    "explorer/ask.py",
    "    if verdict.status is Status.UNKNOWN:\n",
    "    if False:\n",
    EXPLORER + "no_and_not_known",
)
fault(
    "explorer",
    "explorer-claims-without-judge",
    "a text that says what its path shows is judged",
    "explorer/path.py",
    "return (judged(possible, trace, shows) if shows else Path(trace)), of",
    "return Path(trace, shows), of",
    EXPLORER + "a_text_that_is_no_path",
)
fault(
    "explorer",
    "explorer-loop-not-closed",
    "a loop comes back to the state in which it begins",
    "explorer/path.py",
    "if trace.loop is not None and trace.states[trace.loop] != trace.states[-1]:",
    "if False:",
    EXPLORER + "a_text_that_is_no_path",
)
fault(
    "explorer",
    "explorer-move-keeps-what-followed",
    "another move ends the path: what followed on the old one is not a part of it",
    "explorer/session.py",
    "(*before.steps[:at], move.taken)",
    "(*before.steps[:at], move.taken, *before.steps[at + 1 :])",
    EXPLORER + "take_another_move_and_go_on",
)
fault(
    "explorer",
    "explorer-error-lost",
    "an error of our own reaches the reader",
    "explorer/session.py",
    """{"id": number, "error": f"internal error: {type(error).__name__}: {error}\\n{where}"}""",
    """{"id": number}""",
    EXPLORER + "an_error_of_our_own_is_shown_as_well",
)
fault(
    "explorer",
    "explorer-watch-without-states",
    "what is watched is kept in the states, although nothing else reads it",
    "explorer/session.py",
    "bound, system = prepare(replace(self.selected, case=replace(case, model=model)))",
    "bound, system = prepare(replace(self.selected, case=replace(case, model=model if not watches else case.model)))",
    EXPLORER + "watch_expressions",
)
fault(
    "explorer",
    "explorer-beside-last-state",
    "the other composition is shown where it has followed to, step by step",
    "explorer/beside.py",
    "views = [viewer.view(run.at(mark)) for mark in run.marks]",
    "views = [viewer.view(run.at(0)) for mark in run.marks]",
    EXPLORER + "the_same_interleaving_under_a_fix",
)
fault(
    "explorer",
    "explorer-answered-is-owed",
    "a row that was answered is owed no more",
    "possible.py",
    "owed = {row: first for row, first in owed.items() if row not in met}",
    "owed = dict(owed)",
    EXPLORER + "what_is_owed_from_before_counts",
)
fault(
    "explorer",
    "explorer-patch-without-processes",
    "a state is all that differs from the one before",
    "report/explorer.py",
    "[[number, _process(new)] for number, (old, new) in others if old != new]",
    "[[number, _process(new)] for number, (old, new) in others if old.status != new.status]",
    EXPLORER + "the_document_has_every_state_and_every_move",
)

# What the page's script does: its tests start a browser.

fault(
    "page",
    "page-text-as-markup",
    "what a specification says is put into the page as text",
    "report/explorer.js",
    "element.append(child);",
    'if (typeof child === "string") element.insertAdjacentHTML("beforeend", child); else element.append(child);',
    PAGE + "a_hostile_specification_is_text",
)
fault(
    "page",
    "page-loses-the-focus",
    "the focus stays where it was when a part of the explorer is made anew",
    "report/explorer.js",
    "    if (found && !found.disabled) found.focus({ preventScroll: true });\n    else (",
    "    if (found && !found.disabled) found.focus({ preventScroll: true });\n    else if (false) (",
    PAGE + "the_keyboard_alone",
)
fault(
    "page",
    "page-wrong-step-before",
    "changes are those of the step that is shown",
    "report/explorer.js",
    "now = this.states[at], before = this.states[Math.max(at - 1, 0)];",
    "now = this.states[at], before = this.states[at];",
    PAGE + "click_a_cell_and_step",
)
fault(
    "page",
    "page-restores-anything",
    "a path that says of itself what the page does not show is refused",
    "report/explorer.js",
    "if ((shows && (shows !== this.first.property || !whole))",
    "if ((false)",
    PAGE + "a_path_is_kept_as_text_and_restored",
)
