"""Transactions, errors, time; pauses; ids and picked rows."""

from __future__ import annotations

from fault import fault

PROGRAMS = "semantics/test_faults_programs.py::test_"
PAUSES = "semantics/test_pauses.py::test_"
EXACT = "semantics/test_serial_exact.py::test_"
QUEUE = "semantics/test_queue_idiom.py::test_"
WORDS = "semantics/test_words.py::test_"
SELECTED = "semantics/test_insert_select.py::test_"

# ---------------------------------------------------------------------------------- transactions, errors, crashes, hangs

fault(
    "programs",
    "error-does-not-abort",
    "an error of the database aborts the transaction",
    "semantics",
    'if database and config.transaction == "open":',
    'if database and config.transaction == "":',
    PROGRAMS + "an_error_of_the_database_undoes_the_transaction",
)
fault(
    "programs",
    "failed-transaction-works",
    "a failed transaction refuses every statement",
    "semantics",
    """        if config.transaction == "failed":
            info = self._info(instruction, "in_failed""",
    """        if config.transaction == "":
            info = self._info(instruction, "in_failed""",
    PROGRAMS + "a_failed_transaction_refuses_statements",
)
fault(
    "programs",
    "failed-transaction-commits",
    "COMMIT of a failed transaction rolls back",
    "semantics",
    'commit=operation == "commit" and config.transaction == "open"',
    'commit=operation == "commit"',
    PROGRAMS + "commit_of_a_failed_transaction_rolls_back",
)
fault(
    "programs",
    "savepoint-not-restored",
    "ROLLBACK TO restores what was written before the savepoint",
    "semantics",
    'x.ite(saved(row), before.read(f"{part}.~saved{level}", row), initial),',
    "x.ite(saved(row), before.read(part, row), initial),",
    PROGRAMS + "back_to_a_savepoint_restores_what_was_written_before_it",
)
fault(
    "programs",
    "rollback-to-releases-too-much",
    "locks taken before a savepoint stay after ROLLBACK TO",
    "semantics",
    '(x.equal(p, process), before.read(f"{lock}.~saved{level}", p, row)))',
    "(x.equal(p, process), x.NULL))",
    PROGRAMS + "locks_taken_before_a_savepoint_stay_and_those_after_it_go",
)
fault(
    "programs",
    "rollback-to-releases-nothing",
    "rows written after a savepoint are free after ROLLBACK TO",
    "semantics",
    "(x.conj(own(row), x.neg(saved(row))), x.NULL))",
    "(x.conj(own(row), x.neg(saved(row)), x.neg(own(row))), x.NULL))",
    PROGRAMS + "locks_taken_before_a_savepoint_stay_and_those_after_it_go",
)
fault(
    "programs",
    "handler-catches-all",
    "a handler takes its own errors only",
    "semantics",
    "if not catch.errors or error in catch.errors:",
    "if catch is not None:",
    PROGRAMS + "a_handler_is_for_its_errors_only_and_finally_for_all",
)
fault(
    "programs",
    "crash-keeps-locks",
    "a crash rolls the transaction back and releases its locks",
    "semantics",
    """            self._end_transaction(state, config, commit=False)
            info = self._info(instruction, "crash\"""",
    """            info = self._info(instruction, "crash\"""",
    PROGRAMS + "a_crash_gives_up_locks_and_versions",
)
fault(
    "programs",
    "crash-commits",
    "nothing of a crashed transaction is ever seen",
    "semantics",
    """            self._end_transaction(state, config, commit=False)
            info = self._info(instruction, "crash\"""",
    """            self._end_transaction(state, config, commit=True)
            info = self._info(instruction, "crash\"""",
    PROGRAMS + "a_crash_comes_between_two_writes",
)
fault(
    "programs",
    "crash-anywhere",
    "a crash comes only where the scenario lets it",
    "semantics",
    "return bool(names & set(instruction.place.path))",
    "return bool(names)",
    PROGRAMS + "a_crash_comes_where_it_may",
)
fault(
    "programs",
    "hang-releases-locks",
    "a process that hangs keeps its locks",
    "semantics",
    """            info = self._info(instruction, "hang\"""",
    """            self._end_transaction(state, config, commit=False)
            info = self._info(instruction, "hang\"""",
    PROGRAMS + "a_process_that_hangs_keeps_its_locks",
)
fault(
    "programs",
    "error-at-commit-means-done",
    "an error at COMMIT leaves open whether it was done",
    "semantics",
    "for done in (True, False):",
    "for done in (True,):",
    PROGRAMS + "an_error_at_commit_has_two_outcomes",
)
fault(
    "programs",
    "injected-error-does-not-abort",
    "an injected error aborts the transaction",
    "semantics",
    'self.raise_error(started.copy(), here, name, config.transaction != "failed", x.TRUE, ())',
    "self.raise_error(started.copy(), here, name, False, x.TRUE, ())",
    PROGRAMS + "an_injected_error_aborts_and_runs_the_handlers",
)
fault(
    "programs",
    "crashes-recur",
    "crashes do not go on for ever unless the scenario says so",
    "semantics",
    'recurs="crash" in role.forever',
    "recurs=True",
    PROGRAMS + "faults_do_not_recur_unless_the_scenario_says_so",
)
fault(
    "programs",
    "variables-outlive-the-round",
    "variables are unset at the start of each round",
    "semantics",
    "        self.fresh_variables(state)\n",
    "",
    PROGRAMS + "variables_are_fresh_in_each_round",
)
fault(
    "programs",
    "live-variable-reset",
    "a variable is kept until it is last read",
    "semantics",
    "needed = uses[number] | (live.get(target, set()) - kills[number])",
    "needed = uses[number]",
    PROGRAMS + "a_variable_that_is_read_again_is_kept_and_one_that_is_not_is_no_state",
)
fault(
    "programs",
    "fairness-before-the-start",
    "a process need not start",
    "semantics",
    """        if fair == "started" and not process.code.repeat:
            owed""",
    """        if fair == "" and not process.code.repeat:
            owed""",
    PROGRAMS + "a_process_need_not_start_but_goes_on",
)
fault(
    "programs",
    "repeating-process-need-not-start",
    "a repeating process is fair throughout",
    "semantics",
    """        if fair == "started" and not process.code.repeat:
            owed""",
    """        if fair == "started":
            owed""",
    PROGRAMS + "a_repeating_process_is_fair_from_the_start",
)
fault(
    "programs",
    "failed-process-not-finished",
    "failed, crashed and hung processes count as finished",
    "semantics",
    """        ends = [p for p in (DONE, FAILED, CRASHED, HUNG) if p in process.points]
        if process.code.repeat:""",
    """        ends = [p for p in (DONE,) if p in process.points]
        if process.code.repeat:""",
    PROGRAMS + "who_has_finished",
)
fault(
    "programs",
    "idle-repeater-is-stuck",
    "a repeating process that waits in its first step counts as finished",
    "semantics",
    "            ends.append(IDLE)\n",
    "            pass\n",
    PROGRAMS + "who_has_finished",
)

# ------------------------------------------------------------------------------------------------------------------- time

fault(
    "time",
    "within-does-not-stop-the-tick",
    "`within` bounds how much time passes",
    "semantics",
    "            guard.append(x.forall((process.process,), x.neg(x.equal(x.apply(name, process.process), limit))))\n",
    "",
    PROGRAMS + "within_stops_the_tick",
)
fault(
    "time",
    "every-ignored",
    "`every` is the least time between two starts",
    "semantics",
    "at = x.conj(at, x.disj(x.equal(since, x.NULL), x.equal(since, x.const(limit))))",
    "at = x.conj(at)",
    PROGRAMS + "every_is_the_least_time_between_two_starts",
)
fault(
    "time",
    "ages-saturate-early",
    "ages are kept apart as long as a comparison can tell them apart",
    "semantics",
    "variables, constant + 1, rows",
    "variables, constant, rows",
    PROGRAMS + "an_age_is_known_beyond_the_constant",
)
fault(
    "time",
    "now-is-the-clock",
    "now() is the transaction's start",
    "semantics",
    'if kind == "now":',
    'if kind == "":',
    PROGRAMS + "now_is_the_start_of_the_transaction_and_clock_timestamp_the_moment",
)
fault(
    "time",
    "later-is-larger-age",
    "a later timestamp is the larger one",
    "semantics",
    "return x.less(right, left) if timestamps else x.less(left, right)",
    "return x.less(left, right)",
    PROGRAMS + "now_begins_again_with_the_next_transaction",
)
fault(
    "time",
    "distance-lost-with-age",
    "two old timestamps keep their distance",
    "semantics",
    "            stays = x.conj(past(age), beyond_a_gap(age))\n",
    "            stays = x.neg(x.less(age, x.const(gap)))\n",
    PROGRAMS + "two_timestamps_keep_their_distance_however_old",
)

# ---------------------------------------------------------------------------------------------------------------- pauses


fault(
    "pauses",
    "no-pause-before-the-locks",
    "others may come between a statement's snapshot and its locks",
    "semantics",
    "late = self._touched(role, locks, own) and self._stale(role, statement)",
    "late = False",
    PAUSES + "what_others_do_in_the_middle_of_a_statement",
)
fault(
    "pauses",
    "no-pause-between-two-locks",
    "others may come between two of a statement's locks",
    "semantics",
    "partly = self._halfway(role, statement, locks, late)",
    "partly = False",
    PAUSES + "what_others_do_in_the_middle_of_a_statement",
)
fault(
    "pauses",
    "atomic-is-not-told",
    "where a statement is taken as one step and is not, the assumptions say so",
    "semantics",
    "return Pause(gap=found != Pause()) if role in self.atomic else found",
    "return Pause() if role in self.atomic else found",
    PAUSES + "not_if_each_statement_is_one_step_and_then_this_is_said",
)
fault(
    "crashes",
    "no-crash-after-the-last-commit",
    "a process that is restarted may crash when its last COMMIT is done",
    "semantics",
    'if not self.role.restart or self.role.crash != "anywhere" or DONE not in self.points:',
    "if True:",
    "semantics/test_ends.py::test_a_process_crashes_after_its_last_commit",
)
fault(
    "data",
    "initial-rows-unchecked",
    "rows at the start keep the constraints",
    "semantics",
    "        check_data(model, self.data, terms, self.report)\n",
    "",
    "semantics/test_initial.py::test_rows_that_it_refuses",
)
fault(
    "local-steps",
    "rounds-uncounted",
    "a loop over rows ends after as many rounds as there are rows",
    "semantics",
    "taken.rounds[relation] = rounds + 1",
    "taken.rounds[relation] = rounds",
    "semantics/test_loops.py::test_every_row_once",
)

# ------------------------------------------------------------------------------------- exact ids, picked rows, chosen values


fault(
    "exact ids",
    "exact-id-given-back-on-error",
    "a statement that fails has used up the exact ids that it took",
    "semantics/storage.py",
    "if table in self.exact and name in after.changed:",
    "if False:",
    EXACT + "foreign_keys_fail_when_all_rows_have_their_ids",
)
fault(
    "exact ids",
    "exact-id-not-taken-by-conflict",
    "a row that is left to ON CONFLICT, or refused, has taken its id",
    "semantics/inserts.py",
    "    storage.take(state, name, slot)\n    storage.take(before, name, slot)\n",
    "",
    EXACT + "a_row_that_is_left_to_on_conflict_has_taken_its_id",
    EXACT + "an_insert_that_fails_has_taken_its_id",
)
fault(
    "exact ids",
    "exact-id-taken-again-after-waiting",
    "an INSERT that waits for a key keeps the id that it has taken",
    "semantics/inserts.py",
    "chosen = x.equal(x.apply(held, ctx.process), slot) if drawn else x.least(slot, slot, free)",
    "chosen = x.least(slot, slot, free)",
    EXACT + "an_insert_that_waits_keeps_its_id",
)
fault(
    "exact ids",
    "exact-ids-out-of-order",
    "rows of INSERT … SELECT take exact ids in the order of the query",
    "semantics/insert_select.py",
    "return ordered_before(ctx.world.terms, keys, one.order, two.order) if exact else row_before(one.locals, two.locals)",
    "return row_before(one.locals, two.locals)",
    EXACT + "a_query_gives_ids_in_its_order",
)
fault(
    "exact ids",
    "loop-takes-the-row-of-another-table",
    "a loop over rows gets the row that the query selects, and not another of the join",
    "semantics/results.py",
    "if branch.locals[index : index + 1] == (term,):",
    "if term in branch.locals:",
    EXACT + "a_loop_gets_the_row_that_the_query_selects",
)
fault(
    "queue",
    "picked-row-waited-for-is-not-written",
    "the rows that a locking subquery has waited for are written too",
    "semantics/picking.py",
    "return self.write(state, x.substitute(done, {row: target}), target, guard, label, note)",
    "return super().finish(state, done, row, guard, label, note)",
    QUEUE + "without_skip_locked_a_worker_waits_and_takes_the_next",
)
fault(
    "queue",
    "locking-subquery-in-IN",
    "IN with a locking subquery is refused, for it may run once for each row",
    "semantics/picking.py",
    "return using is None and len(where.operands) == 1 and mine(where.operands[0]) and _named(where.query, query)",
    "return using is None and len(where.operands) == 1 and mine(where.operands[0])",
    QUEUE + "what_is_refused",
)
fault(
    "queue",
    "chosen-value-not-kept",
    "a subquery with LIMIT 1 is what was chosen when the statement began",
    "semantics/statements.py",
    "        ctx.fixed = values\n",
    "",
    QUEUE + "which_of_equal_first_rows_it_is_is_open",
)
fault(
    "queue",
    "limit-dropped-too-early",
    "a high LIMIT is left out only where the tables cannot have more rows",
    "semantics/context.py",
    "return prod(max(1, sizes[n.table]) for n in sources if isinstance(n, tree.TableSource)) <= query.limit.value",
    "return True",
    WORDS + "a_limit_that_cannot_be_reached",
)
fault(
    "queue",
    "quotient-rounds-down",
    "/ rounds towards zero",
    "sql/expressions.py",
    "whole = abs(value) // abs(by) * (1 if (value < 0) == (by < 0) else -1)",
    "whole = value // by",
    WORDS + "by_cases",
)


fault(
    "insert-select",
    "what-was-read-is-not-kept",
    "an INSERT … SELECT that waits has what it has read",
    "semantics/inserts.py",
    "state.write(waiting.value(ctx.world, ctx.role, table, column), (ctx.process,), value)",
    "state.write(waiting.value(ctx.world, ctx.role, table, column), (ctx.process,), x.NULL)",
    SELECTED + "what_it_has_read_is_kept",
)
fault(
    "insert-select",
    "condition-looked-at-again",
    "an INSERT … SELECT looks at its condition once",
    "semantics/statements.py",
    "            if resumed or drawn:\n                found = insert_selected",
    "            if resumed:\n                found = insert_selected",
    SELECTED + "two_who_find_no_row_meet_at_the_key",
)
fault(
    "pauses",
    "insert-select-in-one-step",
    "others may come between the snapshot of an INSERT … SELECT and its row",
    "semantics/inserts.py",
    "if ctx.pause(statement).late:",
    "if False:",
    SELECTED + "others_may_come_between_its_snapshot_and_its_row",
)
fault(
    "pauses",
    "ids-and-rows-in-one-step",
    "others may come between an exact id and its row",
    "semantics/pauses.py",
    "drawn = self._drawn(role, locks)",
    "drawn = False",
    "semantics/test_serial_exact.py::test_others_may_come_between_an_id_and_its_row",
)
fault(
    "pauses",
    "picking-in-one-step",
    "others may come between the snapshot of a locking subquery and its locks",
    "semantics/pauses.py",
    "            return query.source.source, query.source.table, query.where",
    "            return None if isinstance(statement, tree.Update) else (query.source.source, query.source.table, query.where)",
    QUEUE + "others_may_come_between_its_snapshot_and_its_locks",
)
