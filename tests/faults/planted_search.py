"""The explicit search: liveness, single states, blocks of states, reductions."""

from __future__ import annotations

from fault import fault

EXPLICIT = "engines/test_explicit.py::test_"
CODE = "engines/test_explicit_program.py::test_"
LIVENESS = "engines/test_liveness.py::test_"
FRONTIER = "engines/test_frontier.py::test_"
REDUCTION = "engines/test_reduction.py::test_"

# --------------------------------------------------------------------------------------------------------------- liveness

fault(
    "liveness",
    "stuttering-forgotten",
    "a run may end where nothing is owed",
    "engines/explicit/liveness.py",
    "self.region & (fairness.enabled == 0)",
    "self.region & (fairness.enabled == -1)",
    LIVENESS + "without_fairness_a_process_need_not_go_on",
)
fault(
    "liveness",
    "time-may-end",
    "in a timed system no run ends",
    "engines/explicit/liveness.py",
    "        if not fairness.timed:\n",
    "        if True:\n",
    LIVENESS + "time_goes_on_where_nobody_moves",
)
fault(
    "liveness",
    "starved-component-dropped",
    "a component with a starved process may have a smaller fair part",
    "engines/explicit/fair.py",
    "(starving & ~dead)[parts.labels]",
    "(starving & ~starving)[parts.labels]",
    LIVENESS + "a_component_whose_fair_part_is_smaller",
)
fault(
    "liveness",
    "whole-component-taken",
    "a component in which a process is starved under strong fairness is no fair one",
    "engines/explicit/fair.py",
    "starving = starved != 0",
    "starving = starved != starved",
    LIVENESS + "strong_fairness_does",
)
fault(
    "liveness",
    "weakly-starved-component-taken",
    "a process that is enabled all around a loop moves on it",
    "engines/explicit/fair.py",
    "dead = (always & self.weak & ~moved) != 0",
    "dead = (always & 0) != 0",
    LIVENESS + "the_same_step_of_another_process_is_not",
)
fault(
    "liveness",
    "faults-on-loops",
    "what does not recur is not on a loop",
    "engines/explicit/fair.py",
    "np.array([action.action.recurs for action in ground.actions], dtype=bool)",
    "np.array([True for action in ground.actions], dtype=bool)",
    LIVENESS + "a_fault_is_not_on_a_loop",
)
fault(
    "liveness",
    "loop-without-a-tick",
    "time passes on every loop of a timed system",
    "engines/explicit/fair.py",
    "                dead |= ~ticked\n",
    "                pass\n",
    LIVENESS + "a_loop_without_a_tick_is_no_run_when_time_passes",
)
fault(
    "liveness",
    "enabled-by-edges-only",
    "a move that leads out of bounds is enabled",
    "engines/explicit/search.py",
    """                    if targets is not None:
                        targets.append(target)""",
    """                    if targets is not None and target >= 0:
                        targets.append(target)""",
    LIVENESS + "enabled_out_of_bounds_is_enabled",
)
fault(
    "liveness",
    "weak-is-strong",
    "weak fairness asks nothing of a process that is disabled again and again",
    "engines/explicit/fair.py",
    """            if entity.kind == "weak":
""",
    """            if entity.kind == "":
""",
    LIVENESS + "weak_fairness_asks_nothing_of_a_process_that_is_disabled_again_and_again",
)
fault(
    "liveness",
    "strong-is-weak",
    "strong fairness lets no process be enabled again and again without moving",
    "engines/explicit/fair.py",
    "                self.strong |= 1 << number\n",
    "                self.weak |= 1 << number\n",
    LIVENESS + "strong_fairness_does",
)
fault(
    "liveness",
    "owed-ignored",
    "nothing is owed to a process where it is not owed",
    "engines/explicit/fair.py",
    "if e.owed is not x.TRUE]",
    "if e.owed is None]",
    LIVENESS + "fairness_that_is_not_owed_where_a_process_is_idle",
)
fault(
    "liveness",
    "unfair-moves-owed",
    "an action that is not fair is not owed",
    "engines/explicit/fair.py",
    'if a.kind == "step" and a.action.fair and a.actor == item.process',
    'if a.kind == "step" and a.actor == item.process',
    LIVENESS + "an_enabled_action_that_is_not_fair_does_not_keep_a_run_from_ending",
)
fault(
    "liveness",
    "server-not-owed",
    "the server's breaking of deadlocks is owed",
    "engines/explicit/fair.py",
    "for process, actions in victims.items()]",
    "for process, actions in {}.items()]",
    LIVENESS + "the_server_is_owed_its_move",
)
fault(
    "liveness",
    "pending-state-not-required",
    "the row is pending somewhere on the lasso",
    "engines/explicit/liveness.py",
    "and not new[2] and new[3] and new[4]:",
    "and not new[2] and new[3]:",
    LIVENESS + "the_loop_must_pass_a_pending_state_if_the_stem_does_not",
)
fault(
    "liveness",
    "goal-not-excluded",
    "a row that reaches its goal is no longer pending",
    "engines/explicit/liveness.py",
    "open_ = ~_mask(size, goals.get(values, []))",
    "open_ = ~_mask(size, [])",
    LIVENESS + "under_weak_fairness_it_must",
)
fault(
    "liveness",
    "goal-of-another-row",
    "a row is discharged by its own goal only",
    "engines/explicit/liveness.py",
    "goals.get(values, [])",
    "[state for states_ in goals.values() for state in states_]",
    LIVENESS + "a_goal_for_another_row_does_not_help",
)
fault(
    "liveness",
    "stem-through-the-goal",
    "after the row became pending the stem does not pass the goal",
    "engines/explicit/liveness.py",
    "good = ~stems.known[targets] & open_[targets]",
    "good = ~stems.known[targets]",
    LIVENESS + "a_stem_does_not_pass_the_goal_to_be_shorter",
)
fault(
    "liveness",
    "first-row-taken",
    "the shortest lasso over all rows is reported",
    "engines/explicit/liveness.py",
    "if best is None or len(lasso.stem) < len(best.stem):",
    "if best is None:",
    "faults/test_faults_engines.py::test_the_row_with_the_shortest_stem_is_reported_though_another_was_pending_first",
)
fault(
    "liveness",
    "timelock-ignored",
    "a reachable timelock makes liveness unknown",
    "engines/explicit/__init__.py",
    'or ("timelock" if self.timelocked else "")',
    'or ""',
    LIVENESS + "a_timelock_is_told",
)
fault(
    "liveness",
    "truncated-liveness-holds",
    "beyond a bound liveness is unknown even where the bound is accepted",
    "engines/explicit/__init__.py",
    "reason = self._cut(self.exploration.bounds_hit) or",
    "reason = self._cut([b for b in self.exploration.bounds_hit if b not in self.ground.system.truncated]) or",
    LIVENESS + "beyond_a_bound_liveness_is_unknown_even_if_the_bound_is_accepted",
)
fault(
    "liveness",
    "limit-is-no-reason",
    "what a limit cut off is unknown",
    "engines/explicit/__init__.py",
    """        if self.exploration.stopped:
            return""",
    """        if not self.exploration:
            return""",
    EXPLICIT + "as_many_states_as_allowed_and_no_more",
)
fault(
    "liveness",
    "vacuity-overlooked",
    "a `whenever` that never has a row is told",
    "engines/explicit/liveness.py",
    "return bool(exploration.holds(item.rows.some, watch.poll).any())",
    "return exploration.holds(item.rows.some, watch.poll).size > 0",
    LIVENESS + "whether_the_whenever_ever_happens_is_told",
)
fault(
    "liveness",
    "faults-are-moves",
    "faults and errors are no moves: they do not save from deadlock",
    "engines/explicit/search.py",
    'MOVES = ("step", "database")',
    'MOVES = ("step", "database", "fault", "error")',
    LIVENESS + "deadlock_counts_only_moves",
)
fault(
    "liveness",
    "deadlock-without-time",
    "what time makes possible is no deadlock",
    "engines/explicit/stuck.py",
    "    while (lively := ~stuck[targets]).any():\n",
    "    while (lively := ~stuck[targets]).size < 0:\n",
    LIVENESS + "what_time_makes_possible_is_no_deadlock",
)
fault(
    "liveness",
    "frontier-is-dead-end",
    "a state that was not expanded is no deadlock",
    "engines/explicit/stuck.py",
    "    stuck[quiet.states] = True\n",
    "    stuck[quiet.states] = True\n    stuck[exploration.expanded :] = True\n",
    LIVENESS + "a_state_that_was_not_expanded_is_no_deadlock",
)
fault(
    "liveness",
    "finished-are-stuck",
    "where all have finished there is no deadlock",
    "engines/explicit/stuck.py",
    "stuck[:-1] & ~exploration.holds(finished, watch.poll)",
    "stuck[:-1]",
    LIVENESS + "finished_processes_are_not_stuck",
)
fault(
    "liveness",
    "dead-ends-overlooked",
    "always_possible is violated where no way leads back",
    "engines/explicit/stuck.py",
    "np.flatnonzero(~graph.backward.closure(some))",
    "np.flatnonzero(~graph.forward.closure(some))",
    LIVENESS + "always_possible",
)

# -------------------------------------------------------------------------------------------------------- explicit search

fault(
    "explicit",
    "packed-too-narrow",
    "each cell has room for all its values",
    "engines/explicit/layout.py",
    "widths = [(len(codes.boxes) - 1).bit_length() for codes in domains]",
    "widths = [min(2, (len(codes.boxes) - 1).bit_length()) for codes in domains]",
    EXPLICIT + "shortest_counterexamples",
    CODE + "wide_states",
)
fault(
    "explicit",
    "true-packed-as-one",
    "TRUE is not 1",
    "engines/explicit/layout.py",
    "return (YES if value else NO) if isinstance(value, bool) else value",
    "return value",
    CODE + "true_is_not_one",
)
fault(
    "explicit",
    "states-counted-twice",
    "a state is stored once",
    "engines/explicit/search.py",
    "target = numbers[after] = count",
    "target = count\n                            if state:\n                                numbers[after] = count",
    EXPLICIT + "known_numbers",
)
fault(
    "explicit",
    "last-violation-reported",
    "the first violation in breadth-first order is reported",
    "engines/explicit/search.py",
    "self.wanted = [number for number in self.wanted if number not in self.found]",
    "self.wanted = [number for number in self.wanted if number >= 0]",
    EXPLICIT + "shortest_counterexamples",
)
fault(
    "explicit",
    "longer-parent-kept",
    "the path to a state is a shortest one",
    "engines/explicit/search.py",
    "            number = int(self.parents[number])\n",
    "            number = max(0, int(self.parents[number]) - (self.parents[number] == number - 1))\n",
    EXPLICIT + "shortest_counterexamples",
)
fault(
    "explicit",
    "bound-hit-ignored",
    "a bound that was hit makes safety unknown unless it is accepted",
    "engines/explicit/__init__.py",
    "[bound for bound in hit if bound not in accepted]",
    "[bound for bound in hit if bound in accepted and bound not in accepted]",
    LIVENESS + "a_move_beyond_a_bound_is_a_move",
)
fault(
    "explicit",
    "wrong-witness",
    "the witness is the first row",
    "engines/explicit/__init__.py",
    "_, values = found.program.rows(item.rows)(found.packed[state])[0]",
    "_, values = found.program.rows(item.rows)(found.packed[state])[-1]",
    EXPLICIT + "the_first_row_in_order_is_the_witness",
)
fault(
    "explicit",
    "one-state-too-many",
    "no more states are stored than the limit allows",
    "engines/explicit/search.py",
    "elif count >= most:",
    "elif count > most:",
    EXPLICIT + "as_many_states_as_allowed_and_no_more",
)

# ------------------------------------------------------------------------------------------------------ blocks of states
fault(
    "frontier",
    "wrong-mask",
    "a cell's code is all of its bits, and no others",
    "engines/frontier/circuit.py",
    "self.constant(unit, field.mask))",
    "self.constant(unit, field.mask >> 1))",
    FRONTIER + "toys",
    FRONTIER + "columns_say_what_the_expressions_say",
)
fault(
    "frontier",
    "neighbour-read",
    "a cell's code is all of its bits, and no others",
    "engines/frontier/circuit.py",
    "        if shift + field.mask.bit_length() < 8 * field.unit:\n",
    "        if shift + field.mask.bit_length() < 0:\n",
    FRONTIER + "toys",
)
fault(
    "frontier",
    "range-check-dropped",
    "no value outside its domain is stored",
    "engines/frontier/kernel.py",
    "if (column(register) == nothing).any():",
    "if (column(register) > nothing).any():",
    FRONTIER + "values_outside_their_domain_are_not_stored",
)
fault(
    "frontier",
    "range-check-where-the-guard-is-false",
    "only what an action that is taken writes need be in its domain",
    "engines/frontier/kernel.py",
    "if (column(register) == nothing).any():",
    "if (registers[register] == nothing).any():",
    FRONTIER + "a_value_outside_its_domain_does_not_matter_where_the_guard_is_false",
)
fault(
    "frontier",
    "one-block-ahead-too-short",
    "a block that is computed ahead is all of the next one",
    "engines/frontier/search.py",
    "self._rows(stop, following))",
    "self._rows(stop, following - 1))",
    FRONTIER + "toys",
)
fault(
    "frontier",
    "next-level-begun-too-late",
    "a level that was begun ahead is continued after the states that were expanded",
    "engines/frontier/search.py",
    "            start = stop\n",
    "            start += size\n",
    FRONTIER + "toys",
)
fault(
    "frontier",
    "action-numbers-cut-off",
    "the first action that led to a state is known however many actions there are",
    "engines/frontier/search.py",
    "< 1 << 15 else",
    "< 1 << 16 else",
    FRONTIER + "more_actions_than_two_bytes_can_number",
)
fault(
    "frontier",
    "set-where-it-should-stay",
    "a cell that is set under a condition keeps its value where that does not hold",
    "engines/frontier/kernel.py",
    "                if choice.negated:\n",
    "                if not choice.negated:\n",
    FRONTIER + "cells_that_are_set_where_a_condition_holds_and_stay_elsewhere",
)
fault(
    "frontier",
    "one-condition-for-a-word",
    "each cell is set under its own condition",
    "engines/frontier/kernel.py",
    "                        bits, ones = bits | before, circuit.joined(others, ones, word_kind)\n",
    "                        bits, ones = bits | before, others\n",
    FRONTIER + "cells_that_are_set_where_a_condition_holds_and_stay_elsewhere",
)
fault(
    "frontier",
    "hash-taken-for-state",
    "states are the same if all their words are",
    "engines/frontier/store.py",
    "        same &= one[:, word] == other[:, word]\n",
    "        same &= one[:, word] == one[:, word]\n",
    FRONTIER + "a_hash_only_says_where_to_look",
)
fault(
    "frontier",
    "last-copy-counts",
    "a state's number is that of its first transition",
    "engines/frontier/store.py",
    "self._slots[wanted[::-1]] = claim[::-1]",
    "self._slots[wanted] = claim",
    FRONTIER + "the_store_numbers_states_in_the_order_in_which_they_come",
)
fault(
    "frontier",
    "actions-in-any-order",
    "transitions are in the order of the actions",
    "engines/frontier/kernel.py",
    "found = sorted(self.found, key=lambda piece: piece[0])",
    "found = self.found",
    FRONTIER + "toys",
    FRONTIER + "columns_say_what_the_expressions_say",
)
fault(
    "frontier",
    "old-bits-kept",
    "what an action changes is cleared first",
    "engines/frontier/kernel.py",
    "if mask != _WORD",
    "if mask == _WORD",
    FRONTIER + "toys",
)
fault(
    "frontier",
    "bounds-not-crossed",
    "an action that leads out of bounds leads to no state",
    "engines/frontier/kernel.py",
    "            if move.out is not None:\n                bounds =",
    "            if move.out is None and move.out is not None:\n                bounds =",
    FRONTIER + "toys",
)
fault(
    "frontier",
    "null-is-less",
    "nothing is less than NULL",
    "engines/frontier/columns.py",
    "            if None not in b:\n",
    "            if None in b:\n",
    FRONTIER + "columns_of_sums_with_null_and_of_words_without_order",
)
fault(
    "frontier",
    "null-is-zero",
    "a sum with NULL is NULL",
    "engines/frontier/columns.py",
    "return self.select(r[1], null, self.mapped(away, padded, ring, kind), kind)",
    "return self.mapped(away, padded, ring, kind)",
    FRONTIER + "columns_of_sums_with_null_and_of_words_without_order",
)
fault(
    "frontier",
    "sums-wrap",
    "a sum is computed in as many bits as it takes",
    "engines/frontier/columns.py",
    "ring = UNITS[1] if high - low < 1 << 8 else UNITS[2]",
    "ring = UNITS[1] if high - low < 1 << 9 else UNITS[2]",
    FRONTIER + "columns_of_sums_beyond_a_byte",
)
fault(
    "frontier",
    "block-beyond-the-limit",
    "no more states are stored than the limit allows",
    "engines/frontier/search.py",
    "if most is not None and known + new.size > most:",
    "if most is not None and known + new.size > most + 1:",
    FRONTIER + "as_many_states_as_allowed_and_no_more",
)
fault(
    "frontier",
    "cut-state-counts-as-expanded",
    "a state is expanded when all its transitions are known",
    "engines/frontier/search.py",
    'last + 1, int(batch.sources[last]), "max-states"',
    'last + 1, int(batch.sources[last]) + 1, "max-states"',
    FRONTIER + "as_many_states_as_allowed_and_no_more",
)
fault(
    "frontier",
    "moves-overlooked",
    "a state in which a process can move is not quiet",
    "engines/frontier/search.py",
    "still[sources[self.moves[actions]]] = False",
    "still[sources[~self.moves[actions]]] = False",
    FRONTIER + "toys",
)
fault(
    "frontier",
    "expanded-too-early",
    "an interrupted block is not expanded",
    "engines/frontier/search.py",
    "        self._record(batch, start, (count, whole, expanded), targets, new)\n",
    "        self.expanded = start + expanded\n        self._record(batch, start, (count, whole, expanded), targets, new)\n",
    FRONTIER + "an_interruption_at_any_moment",
)

# ------------------------------------------------------------------------------------------ reductions

fault(
    "reductions",
    "what-others-read-is-dead",
    "a cell matters as long as any process may still read it",
    "engines/reduction",
    "if cell != own:\n                        others |= bits",
    "if cell != own:\n                        others |= 0",
    REDUCTION + "what_matters_is_handed_on",
)
fault(
    "reductions",
    "counting-up-overwrites",
    "a value that the new one is made of is read",
    "engines/reduction",
    "if (after | others) & bit:",
    "if False:",
    REDUCTION + "what_matters_is_handed_on",
)
fault(
    "reductions",
    "queries-read-nothing",
    "what a property asks for matters",
    "engines/reduction",
    "self._observe(row.condition, self.cells.read(*row.values))",
    "pass",
    REDUCTION + "what_a_property_reads_matters",
    REDUCTION + "random_systems",
)
fault(
    "reductions",
    "time-reads-nothing",
    "what passing time makes a value of matters where that value does",
    "engines/reduction",
    "changed |= self._ticks()",
    "pass",
    REDUCTION + "what_matters_is_handed_on",
)
fault(
    "reductions",
    "names-are-no-difference",
    "a process that a condition names is not like the others",
    "engines/reduction",
    "case x.Const(Elem(sort, _)):\n                found.add(sort)",
    "case x.Const(Elem(sort, _)):\n                pass",
    REDUCTION + "a_property_that_names_a_process",
    REDUCTION + "an_action_of_one_process",
)
fault(
    "reductions",
    "order-is-no-difference",
    "processes that are compared with each other are not alike",
    "engines/reduction",
    "found |= sorts.of(left) | sorts.of(right)",
    "pass",
    REDUCTION + "a_property_that_asks_for_an_order_of_processes",
)
fault(
    "reductions",
    "the-first-is-no-difference",
    "where the first process is taken that will do, processes are not alike",
    "engines/reduction",
    "found.update(sort for local in bound for sort in local.domain.sorts)",
    "pass",
    REDUCTION + "a_property_that_asks_for_an_order_of_processes",
)
fault(
    "reductions",
    "beginnings-are-no-difference",
    "processes that begin differently are not alike",
    "engines/reduction",
    "if all(_unchanged(function, sort, members[0], element) for function in system.functions):",
    "if True:",
    REDUCTION + "processes_that_begin_differently",
    REDUCTION + "random_systems",
)
fault(
    "reductions",
    "values-keep-their-names",
    "a renaming of processes renames those that are values, too",
    "engines/reduction",
    "codes = [there.codes.of[renaming.get(box, box) if isinstance(box, Elem) else box] for box in boxes]",
    "codes = list(range(len(boxes)))",
    REDUCTION + "a_renaming_moves_cells_and_values",
)
fault(
    "reductions",
    "blocks-have-other-keys",
    "blocks of states have the keys of single states",
    "engines/reduction",
    "result = (a < b) | (a == b) & result",
    "result = (a < b) & result",
    REDUCTION + "generated_specifications",
)
fault(
    "reductions",
    "fair-loops-of-classes",
    "leads-to properties are checked on every state",
    "engines/explicit",
    'if "leads_to" in kinds:\n            found',
    "if False:\n            found",
    REDUCTION + "leads_to_properties_are_checked_on_every_state",
)
