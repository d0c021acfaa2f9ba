"""The planted faults: for each rule of the semantics and of the engines a patch that breaks it, and the tests that must notice.

The old text stands exactly once in its file or folder.  A rule may be broken by several faults; the rule says what is right.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """``rule``: what is right, and is broken; ``file``: below the package, or a folder whose files
    are looked through; ``tests``: below ``tests``, as pytest selects them."""

    name: str
    rule: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    area: str


FAULTS: list[Fault] = []

ROWS = "semantics/test_rows.py::test_"
CONSTRAINTS = "semantics/test_constraints.py::test_"
IN_PLACE = "semantics/test_keys_in_place.py::test_"
PROGRAMS = "semantics/test_faults_programs.py::test_"
QUERIES = "semantics/test_faults_queries.py::test_"
EXPLICIT = "engines/test_explicit.py::test_"
CODE = "engines/test_explicit_program.py::test_"
LIVENESS = "engines/test_liveness.py::test_"
FRONTIER = "engines/test_frontier.py::test_"
Z3 = "engines/test_z3.py::test_"
TRAPS = "engines/test_z3_traps.py::test_"
VERIFY = "proof/test_verify.py::test_"
PARAMETRIC = "engines/test_parametric.py::test_"
JUDGE = "test_judge.py::test_"
CHECK = "test_check.py::test_"
REFERENCE = "system/test_reference.py::test_"
SQL = "sql/test_sql_"
SPEC = "spec/test_"


def fault(area: str, name: str, rule: str, file: str, old: str, new: str, *tests: str) -> None:
    """Add a fault."""
    FAULTS.append(Fault(name, rule, file, old, new, tests, area))


# ----------------------------------------------------------------------------------------------- snapshots and versions

fault(
    "versions",
    "dirty-read",
    "uncommitted versions of others are invisible",
    "semantics",
    "return x.ite(own, self.pending(state, table, column, row), self.committed(state, table, column, row))",
    "return x.ite(x.neg(x.equal(self.writer(state, table, row), x.NULL)), self.pending(state, table, column, row), "
    "self.committed(state, table, column, row))",
    PROGRAMS + "uncommitted_writes_of_others_are_not_seen",
)
fault(
    "versions",
    "own-writes-unseen",
    "a process sees its own uncommitted writes",
    "semantics",
    "return x.ite(own, self.pending(state, table, column, row), self.committed(state, table, column, row))",
    "return self.committed(state, table, column, row)",
    ROWS + "own_writes_are_seen_and_uncommitted_ones_of_others_are_not",
)
fault(
    "versions",
    "own-inserts-unseen",
    "a process sees its own uncommitted insertions and deletions",
    "semantics",
    "return x.ite(own, self.staying(state, table, row), self.live(state, table, row))",
    "return self.live(state, table, row)",
    PROGRAMS + "own_insertions_and_deletions_are_seen",
)
fault(
    "versions",
    "uncommitted-inserts-seen",
    "an uncommitted insertion of another is no row",
    "semantics",
    "return x.ite(own, self.staying(state, table, row), self.live(state, table, row))",
    "return x.disj(x.conj(x.neg(x.equal(self.writer(state, table, row), x.NULL)), self.staying(state, table, row)), "
    "x.conj(x.neg(own), self.live(state, table, row)))",
    PROGRAMS + "uncommitted_writes_of_others_are_not_seen",
)
fault(
    "versions",
    "snapshot-of-transaction",
    "each statement has a snapshot of its own: a second read sees what was committed after the first",
    "semantics",
    """            found = _select(ctx, node, query, state)
""",
    """            found = _select(ctx, node, query, state)
            held = [f"{ctx.role}.{ctx.scope}{name}" for name in node.into]
            earlier = [n for n, f in ctx.world.functions.functions.items() if f.about[0] == "variable" and n not in held
                       and f.params == (ctx.role,)]
            if held and earlier:
                known = x.neg(x.equal(state.read(earlier[0], ctx.process), x.NULL))
                for o in found:
                    value = o.state.read(held[0], ctx.process)
                    o.state.write(held[0], (ctx.process,), x.ite(known, state.read(earlier[0], ctx.process), value))
""",
    ROWS + "each_statement_has_a_snapshot_of_its_own",
)
fault(
    "versions",
    "rollback-commits",
    "a rollback takes everything back",
    "semantics",
    'commit=operation == "commit" and config.transaction == "open"',
    "commit=True",
    ROWS + "rollback_takes_everything_back",
)
fault(
    "versions",
    "end-commits",
    "a procedure that ends with an open transaction rolls it back",
    "semantics",
    """        if config.transaction != "none":
            self._end_transaction(state, config, commit=False)
        if status == DONE""",
    """        if config.transaction != "none":
            self._end_transaction(state, config, commit=True)
        if status == DONE""",
    ROWS + "a_procedure_that_ends_without_commit_rolls_back",
)
fault(
    "versions",
    "properties-see-uncommitted",
    "properties see the committed state",
    "semantics",
    "return self.world.storage.committed(self.state, name, column, row)",
    "return self.world.storage.pending(self.state, name, column, row)",
    PROGRAMS + "properties_see_the_committed_state",
)

# ---------------------------------------------------------------------------------------------------- locks and waiting

fault(
    "waiting",
    "select-for-update-locks-nothing",
    "a locking clause holds its rows to the end of the transaction",
    "semantics",
    """        self.storage.lock_all(after, self.table, chosen, row, self.mode, self.ctx.process, self.ctx.role)
        return [ok(x.TRUE, after)]""",
    """        return [ok(x.TRUE, after)]""",
    ROWS + "for_update_reads_the_newest_version_after_waiting",
)
fault(
    "waiting",
    "write-lock-released-early",
    "who has written a row holds it against other writers",
    "semantics",
    "            holds = x.equal(self.writer(state, table, row), other)\n",
    "            holds = x.conj(x.equal(self.writer(state, table, row), other), x.equal(x.const(True), x.const(False)))\n",
    ROWS + "increments_are_not_lost",
)
fault(
    "waiting",
    "share-meets-no-key-update",
    "FOR SHARE and FOR NO KEY UPDATE conflict",
    "semantics",
    '"share": frozenset({"no key update", "update"}),',
    '"share": frozenset({"update"}),',
    ROWS + "the_conflict_matrix",
)
fault(
    "waiting",
    "key-share-meets-no-key-update",
    "FOR KEY SHARE and FOR NO KEY UPDATE do not conflict",
    "semantics",
    '"key share": frozenset({"update"}),',
    '"key share": frozenset({"no key update", "update"}),',
    ROWS + "the_conflict_matrix",
)
fault(
    "waiting",
    "update-lets-key-share-through",
    "FOR UPDATE conflicts with FOR KEY SHARE",
    "semantics",
    '"update": frozenset(MODES),',
    '"update": frozenset(MODES) - {"key share"},',
    ROWS + "the_conflict_matrix",
)
fault(
    "waiting",
    "weaker-lock-replaces-stronger",
    "a weaker lock does not weaken one that is held",
    "semantics",
    "return x.conj(x.equal(p, process), x.substitute(chosen, {formal: row}), x.neg(already)), x.const(mode)",
    "return x.conj(x.equal(p, process), x.substitute(chosen, {formal: row})), x.const(mode)",
    PROGRAMS + "a_weaker_lock_does_not_weaken_a_stronger_one",
)
fault(
    "waiting",
    "update-of-no-key-blocks-key-share",
    "an uncommitted UPDATE of no key column lets FOR KEY SHARE through",
    "semantics",
    'if mode == "key share":  # conflicts',
    'if mode == "":  # conflicts',
    ROWS + "an_update_of_no_key_lets_key_share_through",
)
fault(
    "waiting",
    "new-key-takes-weak-lock",
    "an UPDATE of a key column conflicts with FOR KEY SHARE",
    "semantics",
    'return "update" if {c for c, _ in statement.sets} & key_columns(table) else "no key update"',
    'return "no key update" if {c for c, _ in statement.sets} & key_columns(table) else "no key update"',
    PROGRAMS + "an_update_of_a_key_waits_for_key_share",
)
fault(
    "waiting",
    "no-recheck-after-waiting",
    "after waiting the condition is looked at again in the newest version",
    "semantics",
    """        env = self.env(state, here, kept)
        where = self.where()
        matches = x.TRUE if where is None else self.world.terms.true(where, env)
""",
    """        matches = x.TRUE
""",
    ROWS + "after_waiting_the_condition_is_looked_at_again",
)
fault(
    "waiting",
    "statement-begins-again-after-waiting",
    "after waiting only the row waited for is looked at in its newest version, under the old snapshot",
    "semantics",
    '    if resumed == "redo":\n',
    "    if resumed:\n",
    ROWS + "a_row_that_was_deleted_and_inserted_again_is_another_one",
    ROWS + "subqueries_keep_the_value_of_the_old_snapshot",
)
fault(
    "waiting",
    "subqueries-see-new-snapshot",
    "after waiting subqueries keep the value of the old snapshot",
    "semantics",
    "        kept, choices = self._kept(state, here)\n",
    "        kept, choices = {}, ()\n",
    ROWS + "subqueries_keep_the_value_of_the_old_snapshot",
)
fault(
    "waiting",
    "row-that-fails-recheck-not-locked",
    "a row that no longer matches after waiting stays locked",
    "semantics",
    "            self.lock_only(skipped, x.equal(row, here), row)\n",
    "",
    PROGRAMS + "a_row_that_fails_the_second_look_stays_locked",
)
fault(
    "waiting",
    "gone-row-is-found",
    "a row that is gone after waiting is passed over",
    "semantics",
    "                found.append(outcome.given(x.conj(place, x.neg(there)), (here,)))\n",
    "                found.append(outcome.given(x.FALSE, (here,)))\n",
    ROWS + "a_row_that_is_gone_is_passed_over",
)
fault(
    "waiting",
    "no-other-row-before-waiting",
    "a statement that waits for a row has dealt with any subset of the others",
    "semantics",
    "canonical = x.conj(x.forall((row,), x.implies(taken, free)), self._in_order(state, held, row, rest, taken, here))",
    "canonical = x.forall((row,), x.neg(taken))",
    ROWS + "a_multi_row_update_waits_after_locking_any_of_the_others",
)
fault(
    "waiting",
    "queue-order-ignored",
    "those who wait for a row are served in order",
    "semantics",
    "= [] if first else list(waiters(world, table))",
    "= []",
    ROWS + "those_who_wait_are_served_in_order",
)
fault(
    "waiting",
    "no-barging",
    "a newcomer may take a free row before the first in the queue has woken up",
    "semantics",
    """        parts.append(x.exists((other,), storage.conflict(state, table, row, mode, ctx.process, other, role)))
    return x.disj(*parts)""",
    """        parts.append(x.exists((other,), storage.conflict(state, table, row, mode, ctx.process, other, role)))
    for role, name in waiters(ctx.world, table):
        q = x.local(role, role)
        mine = x.equal(state.read(f"{ctx.role}.~at.{table}", ctx.process), row) if (
            f"{ctx.role}.~at.{table}" in ctx.world.functions.functions) else x.FALSE
        parts.append(x.conj(x.neg(mine), x.exists((q,), x.conj(x.neg(x.equal(q, ctx.process)), x.equal(state.read(name, q), row)))))
    return x.disj(*parts)""",
    ROWS + "a_newcomer_may_take_the_row_before_the_first_in_the_queue_has_woken_up",
)
fault(
    "waiting",
    "waiters-not-woken",
    "who waits may go on once the transaction waited for has ended",
    "semantics",
    """            state.write(f"{self.name}.~began", (self.process,), x.NULL)
        waiting.release(self.world, state, self.process)
""",
    """            state.write(f"{self.name}.~began", (self.process,), x.NULL)
""",
    PROGRAMS + "who_waits_goes_on_once_the_blocker_has_ended",
)
fault(
    "waiting",
    "waiters-not-woken-by-rollback-to",
    "who waits may go on once the lock is given up by ROLLBACK TO",
    "semantics",
    """                self.saved.rollback_to(state, self.process, self.name, level)
                waiting.release_after_rollback_to(self.world, state, self.process, self.name)
""",
    """                self.saved.rollback_to(state, self.process, self.name, level)
""",
    PROGRAMS + "who_waits_goes_on_after_rollback_to",
)
fault(
    "waiting",
    "skip-locked-waits",
    "SKIP LOCKED never waits",
    "semantics",
    'if self.wait == "wait" and not self.joined and self.limit is None:',
    'if self.wait != "nowait" and not self.joined and self.limit is None:',
    ROWS + "the_conflict_matrix",
)
fault(
    "waiting",
    "skip-locked-takes-locked-rows",
    "SKIP LOCKED passes over rows that others hold",
    "semantics",
    "condition=x.conj(branch.condition, x.neg(busy))",
    "condition=branch.condition",
    ROWS + "skip_locked_takes_another_row",
)
fault(
    "waiting",
    "nowait-waits",
    "NOWAIT fails at once",
    "semantics",
    'if self.wait == "wait" and not self.joined and self.limit is None:',
    'if self.wait != "skip locked" and not self.joined and self.limit is None:',
    ROWS + "nowait_fails_at_once",
)
fault(
    "waiting",
    "one-victim-only",
    "any process in a cycle of waits may be the victim",
    "semantics",
    "cycle = waiting.in_cycle(self.world, self.process, self.name)",
    "cycle = waiting.in_cycle(self.world, self.process, self.name) if self.name == self.world.roles[0] else x.FALSE",
    ROWS + "updates_of_two_rows_in_opposite_order_deadlock_and_any_may_be_the_victim",
)
fault(
    "waiting",
    "long-cycles-overlooked",
    "a cycle of waits of any length is broken",
    "semantics",
    "depth = sum(world.counts[r] for r in waiting)",
    "depth = min(2, sum(world.counts[r] for r in waiting))",
    ROWS + "a_cycle_of_three_is_found",
)
fault(
    "waiting",
    "server-need-not-break-cycles",
    "the server breaks a cycle for certain",
    "semantics",
    'yield from self._emit(config, at, paths, info, kind="database")',
    'yield from self._emit(config, at, paths, info, kind="error")',
    PROGRAMS + "the_server_breaks_a_cycle_for_certain",
)
fault(
    "waiting",
    "limit-1-for-update-gives-up",
    "LIMIT 1 FOR UPDATE goes on to the next row when the one waited for no longer matches",
    "semantics",
    "chosen = x.conj(place, at(eligible, mine), first)",
    "chosen = x.conj(place, at(eligible, mine), first, x.equal(mine, here) if resumed else x.TRUE)",
    ROWS + "limit_1_for_update_goes_on_to_the_next_row",
)

# ----------------------------------------------------------------------------------------------------------- constraints

fault(
    "constraints",
    "unique-does-not-wait",
    "a key that another transaction is writing is waited for",
    "semantics",
    "theirs = x.conj(x.equal(storage.writer(state, name, rival), other), x.disj(committed, present, older))",
    "theirs = x.FALSE",
    CONSTRAINTS + "an_insert_waits_for_an_uncommitted_one_of_the_same_key",
)
fault(
    "constraints",
    "unique-ignores-the-old-key",
    "a key that an uncommitted UPDATE gives up is still waited for",
    "semantics",
    "theirs = x.conj(x.equal(storage.writer(state, name, rival), other), x.disj(committed, present, older))",
    "theirs = x.conj(x.equal(storage.writer(state, name, rival), other), x.disj(present, older))",
    PROGRAMS + "a_key_that_is_being_given_up_may_come_back",
)
fault(
    "constraints",
    "deleted-key-is-duplicate",
    "a key whose row is deleted and not yet committed is no duplicate but waited for",
    "semantics",
    "x.disj(x.conj(nobody, committed), x.conj(own, storage.staying(state, name, rival), present))",
    "x.disj(committed, x.conj(own, storage.staying(state, name, rival), present))",
    PROGRAMS + "a_key_that_is_being_deleted_is_waited_for",
)
fault(
    "constraints",
    "own-duplicates-ignored",
    "a duplicate of the transaction's own uncommitted row fails",
    "semantics",
    "x.disj(x.conj(nobody, committed), x.conj(own, storage.staying(state, name, rival), present))",
    "x.conj(nobody, committed)",
    CONSTRAINTS + "a_duplicate_of_the_own_uncommitted_row_fails",
)
fault(
    "constraints",
    "null-is-duplicate",
    "NULL is no duplicate of NULL",
    "semantics",
    "applies = [terms.not_null(values[c]) for c in unique.columns]",
    "applies = [x.TRUE]",
    CONSTRAINTS + "null_is_no_duplicate",
)
fault(
    "constraints",
    "partial-index-concerns-all",
    "a partial index concerns the rows of its predicate only",
    "semantics",
    """    if unique.where is not None:
        applies.append(""",
    """    if unique.where is not None:
        applies.append(x.TRUE or """,
    PROGRAMS + "a_row_outside_of_a_partial_index_has_no_rivals",
)
fault(
    "constraints",
    "partial-index-written-columns",
    "a change of a column in the predicate is looked at by the index",
    "semantics",
    "return bool((set(unique.columns) | inside) & columns)",
    "return bool(set(unique.columns) & columns)",
    PROGRAMS + "a_row_that_enters_a_partial_index_by_its_predicate_is_looked_at",
)
fault(
    "constraints",
    "foreign-key-unchecked",
    "a child without its parent is refused",
    "semantics",
    'fails(x.conj(required, x.neg(x.exists((parent,), there))), "foreign_key_violation")',
    "pass",
    CONSTRAINTS + "a_missing_parent_is_refused_and_null_is_none",
)
fault(
    "constraints",
    "parent-not-locked",
    "a child holds its parent FOR KEY SHARE",
    "semantics",
    """        ctx.world.storage.lock_all(final, key.parent, x.conj(required, there), parent""",
    """        ctx.world.storage.lock_all(final, key.parent, x.FALSE, parent""",
    CONSTRAINTS + "a_child_races_the_deletion_of_its_parent",
)
fault(
    "constraints",
    "key-given-up-is-free",
    "a key that a live transaction gave a row and changed again is waited for",
    "semantics",
    "x.disj(committed, present, older))",
    "x.disj(committed, present))",
    IN_PLACE + "whoever_took_a_key_is_waited_for_when_he_has_given_it_up",
)
fault(
    "constraints",
    "kept-reference-asks",
    "an UPDATE that leaves the reference as it is does not ask for the parent",
    "semantics",
    "return x.conj(given, x.disj(changed, written_before(ctx, old, table.name, row)))",
    "return given",
    IN_PLACE + "an_update_that_keeps_the_reference_does_not_lock_the_parent",
)
fault(
    "constraints",
    "second-update-asks-not",
    "an UPDATE of a row that its transaction has written before asks for the parent",
    "semantics",
    "return x.conj(given, x.disj(changed, written_before(ctx, old, table.name, row)))",
    "return x.conj(given, changed)",
    IN_PLACE + "a_second_update_of_a_child_locks_its_parent_whatever_it_sets",
)
fault(
    "constraints",
    "second-try-is-second-update",
    "a statement that is tried again has not written its row before",
    "semantics",
    "return x.conj(own, x.neg(x.truth(x.apply(name, ctx.process, row))))",
    "return own",
    IN_PLACE + "a_statement_tried_again_is_no_second_update",
)
fault(
    "constraints",
    "later-keys-claimed",
    "a row that waits for its second key has claimed the first and no other",
    "semantics",
    "theirs = x.conj(theirs, x.neg(waiting.unclaimed(ctx.world, state, name, rival, role, other, number)))",
    "pass",
    IN_PLACE + "a_row_that_waits_for_its_second_key_has_claimed_the_first",
)
fault(
    "constraints",
    "rows-on-the-way-never-meet",
    "an UPDATE of several keys may fail where one row takes the key that another gives up",
    "semantics",
    '            found.append(failed(x.conj(free, x.disj(*clashes)), before, "unique_violation"))',
    "            pass",
    IN_PLACE + "keys_of_several_rows_at_once",
)
fault(
    "constraints",
    "key-share-looks-again",
    "KEY SHARE does not look a second time at a row whose key is the same",
    "semantics",
    "if not resumed or not self.watched():",
    "if True:",
    IN_PLACE + "key_share_of_a_row_that_was_changed_during_the_wait_leaves_the_model",
)
fault(
    "constraints",
    "rollback-to-wakes-all",
    "ROLLBACK TO wakes those only whose row is free",
    "semantics",
    "x.conj(x.equal(before.read(name, q), process), x.neg(stays(q)))",
    "x.equal(before.read(name, q), process)",
    IN_PLACE + "rollback_to_wakes_those_whose_row_is_free_again",
)
fault(
    "constraints",
    "deleted-parent-not-waited-for",
    "a child waits for the deletion of its parent to be decided",
    "semantics",
    'held = storage.conflict(state, key.parent, parent, "key share", ctx.process, other, role)',
    "held = x.FALSE",
    CONSTRAINTS + "a_child_races_the_deletion_of_its_parent",
)
fault(
    "constraints",
    "cascade-forgotten",
    "ON DELETE CASCADE deletes the children",
    "semantics",
    "            storage.delete_all(state, child.name, orphaned, kid, ctx.process)\n",
    "",
    CONSTRAINTS + "cascade_and_set_null",
)
fault(
    "constraints",
    "cascade-stops-at-children",
    "ON DELETE CASCADE goes on to grandchildren",
    "semantics",
    "deeper = check_deleted(ctx, prior, state, child.name, orphaned, kid)",
    "deeper = [ok(x.TRUE, state)]",
    CONSTRAINTS + "cascade_goes_on_to_grandchildren",
)
fault(
    "constraints",
    "set-null-forgotten",
    "ON DELETE SET NULL makes the children's reference NULL",
    "semantics",
    "            storage.update_all(state, child.name, orphaned, kid, dict.fromkeys(key.columns, x.NULL), ctx.process, ctx.role)\n",
    "            pass\n",
    CONSTRAINTS + "cascade_and_set_null",
)
fault(
    "constraints",
    "restrict-forgotten",
    "a parent with children is not deleted",
    "semantics",
    "bad = x.exists((kid,), orphaned)",
    "bad = x.FALSE",
    CONSTRAINTS + "cascade_and_set_null",
)
fault(
    "constraints",
    "check-refuses-null",
    "a CHECK that is NULL passes",
    "semantics",
    'yield terms.false(check.condition, env), "check_violation"',
    'yield x.neg(terms.true(check.condition, env)), "check_violation"',
    CONSTRAINTS + "a_check_that_is_null_passes",
)
fault(
    "constraints",
    "check-ignored",
    "a CHECK that is false refuses the row",
    "semantics",
    'yield terms.false(check.condition, env), "check_violation"',
    'yield x.FALSE, "check_violation"',
    CONSTRAINTS + "a_check_refuses",
)
fault(
    "constraints",
    "not-null-ignored",
    "NULL in a NOT NULL column is refused",
    "semantics",
    "if not c.nullable and not c.serial)), ",
    "if c is None)), ",
    CONSTRAINTS + "not_null_refuses_what_a_variable_brings",
)
fault(
    "constraints",
    "do-nothing-does-not-wait",
    "ON CONFLICT DO NOTHING waits for an uncommitted row of the same key",
    "semantics",
    """                    found.append((Outcome("redo", guard, waits, "waits", (other,), note="waits for"), x.NULL))
""",
    """                    found.append((ok(guard, state, params=(other,)), x.NULL))
""",
    CONSTRAINTS + "do_nothing_waits_and_then_does_nothing",
)
fault(
    "constraints",
    "slot-used-while-referenced",
    "a generated id is not used again while something refers to it",
    "semantics",
    "            if not (serial or waits):\n",
    "            if True:\n",
    CONSTRAINTS + "a_slot_that_a_variable_refers_to_is_not_used_again",
    PROGRAMS + "an_id_is_not_used_again_while_a_waiting_statement_means_its_row",
)
fault(
    "constraints",
    "slot-used-while-waited-for",
    "a row slot is not used again while a waiting statement means its old row",
    "semantics",
    'waits = function.about[0] in ("at", "todo")',
    "waits = False",
    PROGRAMS + "a_row_slot_is_not_used_again_while_a_statement_waits_for_its_old_row",
)
fault(
    "constraints",
    "insert-beyond-the-bound-blocked",
    "an INSERT beyond the bound leads out of bounds, and is told",
    "semantics",
    "full = x.neg(x.exists((slot,), free))",
    "full = x.FALSE",
    CONSTRAINTS + "an_insert_beyond_the_bound_is_told",
)

# ---------------------------------------------------------------------------------------------------------------- queries

fault(
    "queries",
    "order-by-ignored-by-limit",
    "LIMIT takes the first rows in the order",
    "semantics",
    "if keys and number:",
    "if number < 0:",
    QUERIES + "order",
)
fault(
    "queries",
    "limit-takes-the-first-slot",
    "which of several equal rows LIMIT takes is not determined",
    "semantics",
    "        among = x.disj(",
    """        if number and not keys:
            rest = rename(branch)
            parts.append(x.neg(x.exists(rest.locals, x.conj(rest.condition, before(rest.locals, chosen[0].locals)))))
        among = x.disj(""",
    ROWS + "limit_without_order_takes_any_row",
)
fault(
    "queries",
    "descending-ignored",
    "DESC turns the order round",
    "semantics",
    "proper = larger if key.descending else smaller",
    "proper = smaller",
    QUERIES + "order",
)
fault(
    "queries",
    "nulls-on-the-wrong-side",
    "NULLs come last, with DESC first, or where NULLS FIRST / LAST says",
    "semantics",
    "if key.nulls_first else x.conj(x.neg(null_a), null_b)",
    "if not key.nulls_first else x.conj(x.neg(null_a), null_b)",
    QUERIES + "order",
)
fault(
    "queries",
    "loop-order-ignored",
    "a loop over rows visits them in the order of their query",
    "semantics",
    "if query is not None and query.order_by:",
    "if query is None:",
    PROGRAMS + "rows_are_visited_in_the_order_of_the_query",
)
fault(
    "queries",
    "null-equals-null",
    "a comparison with NULL is neither true nor false",
    "semantics",
    "return x.conj(known, holds if want else x.neg(holds))",
    "return holds if want else x.neg(holds)",
    QUERIES + "rows",
)
fault(
    "queries",
    "not-in-subquery-with-null",
    "NOT IN a subquery with a NULL is never true",
    "semantics",
    """                    x.conj(self.not_null(a), self.not_null(b), x.neg(x.equal(a, b)))
                    for a, b""",
    """                    x.neg(x.equal(a, b))
                    for a, b""",
    QUERIES + "rows",
)
fault(
    "queries",
    "not-in-list-with-null",
    "NOT IN a list with NULL is never true",
    "semantics",
    "*(x.conj(self.not_null(o), x.neg(x.equal(term, o))) for o in others)",
    "*(x.neg(x.equal(term, o)) for o in others)",
    QUERIES + "rows",
)
fault(
    "queries",
    "count-counts-nulls",
    "count(x) does not count NULLs",
    "semantics",
    """                if node.operand is not None:
                    condition""",
    """                if node.operand is not None:
                    unused""",
    QUERIES + "rows",
)
fault(
    "queries",
    "group-listed-twice",
    "GROUP BY gives one row for each group",
    "semantics",
    "first = before(fresh.locals, combo.locals) if position == number else x.TRUE",
    "first = x.FALSE",
    QUERIES + "rows",
)
fault(
    "queries",
    "aggregate-over-all-groups",
    "an aggregate is over the rows of its group",
    "semantics",
    """                condition = x.conj(condition, *_same(keys, self._keys(query, fresh, env)))
            if node.function""",
    """                condition = x.conj(condition)
            if node.function""",
    QUERIES + "rows",
)
fault(
    "queries",
    "left-join-is-inner",
    "LEFT JOIN keeps rows without a partner",
    "semantics",
    'if kind == "left":',
    'if kind == "":',
    QUERIES + "rows",
)
fault(
    "queries",
    "left-join-always-adds-null",
    "LEFT JOIN adds NULLs only where there is no partner",
    "semantics",
    "x.conj(a.condition, x.neg(matched))",
    "x.conj(a.condition)",
    QUERIES + "rows",
)
fault(
    "queries",
    "distinct-ignored",
    "DISTINCT gives equal rows once",
    "semantics",
    "        if query.distinct:\n",
    "        if not query:\n",
    QUERIES + "rows",
)
fault(
    "queries",
    "several-rows-into-one-variable",
    "`into` of several rows is an error",
    "semantics",
    "            if many is not x.FALSE:\n",
    "            if many is None:\n",
    QUERIES + "limit_beyond_what_there_is",
)

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

# -------------------------------------------------------------------------------------------------------- certificates

fault(
    "proof",
    "verifier-skips-initiation",
    "the verification of a certificate asks whether it is true initially",
    "proof/verify.py",
    "    _ask(_started(new, beginning), query, found)\n",
    "",
    VERIFY + "each_part_of_the_argument_is_asked_for",
)
fault(
    "proof",
    "verifier-skips-an-action",
    "the verification of a certificate asks of every action whether it preserves the clauses",
    "proof/obligations.py",
    "                yield from self._step(action, env)\n",
    "                if action is not self.system.actions[0]:\n                    yield from self._step(action, env)\n",
    VERIFY + "the_broken_system_goes_the_same_way_and_fails_there",
)
fault(
    "proof",
    "verifier-skips-safety",
    "the verification of a certificate asks whether the property follows",
    "proof/obligations.py",
    '        yield Query("safety", ',
    '        return Query("safety", ',
    VERIFY + "each_part_of_the_argument_is_asked_for",
)
fault(
    "proof",
    "verifier-skips-bounds",
    "the verification of a certificate asks whether a bound is crossed",
    "proof/obligations.py",
    '        if disjunction(beyond) != "false":',
    '        if disjunction(beyond) == "":',
    VERIFY + "bounds_are_asked_for",
)
fault(
    "proof",
    "unknown-verifies",
    "an answer that is neither sat nor unsat verifies nothing",
    "proof/verify.py",
    """    found.queries += 1
    answer = running.run(query.lines())
    if answer == "unsat":
        return
""",
    """    found.queries += 1
    answer = running.run(query.lines())
    if answer != "sat":
        return
""",
    VERIFY + "an_answer_that_is_none_is_no_verification",
)
fault(
    "proof",
    "any-specification-will-do",
    "a certificate is of one specification",
    "proof/verify.py",
    "    if proof.meaning != meaning(system, claim.name):",
    "    if not proof.meaning:",
    VERIFY + "a_certificate_of_a_changed_specification_is_rejected",
    VERIFY + "a_certificate_that_proves_nothing_is_rejected_with_the_reason",
)
fault(
    "proof",
    "fixes-of-a-certificate-ignored",
    "a certificate is of a set of fixes",
    "proof/verify.py",
    "    if result.fixes != claim.fixes:",
    "    if result.fixes is None:",
    VERIFY + "a_certificate_that_proves_nothing_is_rejected_with_the_reason",
)
fault(
    "proof",
    "changed-file-accepted",
    "a certificate that was changed is rejected, also where it would still prove something",
    "proof/verify.py",
    "    if not claim.intact:",
    "    if claim.intact is None:",
    VERIFY + "every_clause_that_is_changed_is_noticed_by_the_digest",
)
fault(
    "proof",
    "guards-have-no-part-in-the-meaning",
    "the digest of what a system means depends on every guard",
    "proof/record.py",
    " {action.out} {sums.of(action.guard)}",
    " {action.out}",
    VERIFY + "what_a_system_means_does_not_depend_on_names_of_locals_or_places",
)
fault(
    "proof",
    "clock-not-simulated",
    "a proof over ages is one for the clock only if the ages stand for it",
    "proof/verify.py",
    "    if obligations.ages and found.verified:",
    "    if obligations.ages and not found.verified:",
    VERIFY + "ages_that_stop_too_early_do_not",
)
fault(
    "proof",
    "clock-given-up-without-end",
    "what the coarsest relation to the clock does not preserve is a problem",
    "proof/verify.py",
    "if isinstance(part, str) or not exact[part]:",
    "if not exact.get(part, 1):  # type: ignore[arg-type]",
    VERIFY + "ages_that_stop_too_early_do_not",
)
fault(
    "proof",
    "order-of-the-fold",
    "minimum and maximum are what the reference interpreter says",
    "proof/smt.py",
    'first, second = (term, result) if kind == "min" else (result, term)',
    'first, second = (term, result) if kind == "max" else (result, term)',
    VERIFY + "the_translation_means_what_the_reference_interpreter_means",
)
fault(
    "proof",
    "least-of-any",
    "the canonical choice is the first that satisfies the body",
    "proof/smt.py",
    "here, *map(negation, before)]))",
    "here]))",
    VERIFY + "the_translation_means_what_the_reference_interpreter_means",
)
fault(
    "proof",
    "verification-at-check-ignored",
    "an invariant that the verification rejects is a failed self-check",
    "check.py",
    "        if found.verified and not verdict.truncated:",
    "        if not verdict.truncated and not broken.clear():",
    VERIFY + "an_invariant_that_the_verification_rejects_is_a_failed_self_check",
)
fault(
    "proof",
    "truth-values-as-numbers",
    "`true` and 1 are different values in a text",
    "proof/text.py",
    """    if isinstance(constant, bool):
        return "true" if constant else "false"
""",
    "",
    "proof/test_proof_text.py::test_values_that_look_alike_are_told_apart",
)

# --------------------------------------------------------------------------------------------------------------------- z3

fault(
    "z3",
    "unknown-is-unsat",
    "`unknown` of Z3 is no answer",
    "engines/z3/session.py",
    "if answer == self.z3.unsat:",
    "if answer != self.z3.sat:",
    Z3 + "a_solver_that_does_not_know",
)
fault(
    "z3",
    "budget-of-a-query-only",
    "a budget is of all queries of a question together",
    "engines/z3/session.py",
    "        self.spent = self._count(solver)\n",
    "",
    TRAPS + "the_same_input_has_the_same_verdicts_in_three_fresh_processes",
    Z3 + "limits_end_a_query",
)
fault(
    "z3",
    "initiation-unchecked",
    "an invariant is true initially",
    "engines/z3/recheck.py",
    '    refuted("it is not true initially", x.disj(*map(x.neg, facts)), start=True)\n',
    "",
    Z3 + "wrong_invariants_are_rejected",
)
fault(
    "z3",
    "consecution-unchecked",
    "every action preserves every clause of an invariant",
    "engines/z3/recheck.py",
    "        if broken is not x.FALSE:\n",
    "        if broken is None:\n",
    Z3 + "an_invariant_of_the_right_system_does_not_do_for_the_broken_one",
)
fault(
    "z3",
    "recheck-ignored",
    "the claim rests on the check of the certificate",
    "engines/z3/__init__.py",
    "problems = recheck(self.session, self.ground, certificate)",
    "problems = recheck(self.session, self.ground, certificate)[:0]",
    Z3 + "the_claim_rests_on_the_recheck",
)
fault(
    "z3",
    "domains-forgotten-in-search",
    "bits beyond the end of a domain are no states",
    "engines/z3/invariant.py",
    "        self.states.add(self.encoding.within())\n        self.steps.add(self.encoding.within(), self.encoding.step())\n",
    "        self.steps.add(self.encoding.step())\n",
    "faults/test_faults_engines.py::test_numbers_beyond_a_domain_do_not_spoil_a_proof",
)
fault(
    "z3",
    "domains-forgotten-in-recheck",
    "the check of a certificate looks at states only",
    "engines/z3/recheck.py",
    "assuming.add(encoding.within(), *map(encoding.formula, facts))",
    "assuming.add(*map(encoding.formula, facts))",
    Z3 + "bounds",
    Z3 + "an_invariant_is_found_and_readable",
    "faults/test_faults_engines.py::test_numbers_beyond_a_domain_do_not_spoil_a_proof",
)
fault(
    "z3",
    "depth-is-proof",
    "no violation to a depth is no proof",
    "engines/z3/bmc.py",
    "if not alive and not encoding.session.ask(unrolling.solver):",
    "if not alive:",
    Z3 + "no_violation_to_a_depth_is_no_proof",
)
fault(
    "z3",
    "crossed-bound-accepted",
    "a bound that is crossed makes the answer unknown unless it is accepted",
    "engines/z3/__init__.py",
    "fatal = [bound for bound in hits if bound not in self.ground.system.truncated]",
    "fatal: list[str] = []",
    Z3 + "bounds",
)
fault(
    "z3",
    "any-crossing-accepted",
    "an invariant accepts no crossing that the scenario does not accept",
    "engines/z3/recheck.py",
    'problems = [f"crossing {bound} is not accepted" for bound in certificate.truncated if bound not in system.system.truncated]',
    "problems: list[str] = []",
    Z3 + "a_bound_that_is_claimed_is_checked",
)
fault(
    "z3",
    "lasso-not-closed",
    "the last state of a lasso is the one where its loop begins",
    "engines/z3/lasso.py",
    "parts = [a.disjunction(starts), *self.closing(starts, length),",
    "parts = [a.disjunction(starts),",
    Z3 + "lassos",
)
fault(
    "z3",
    "lasso-with-faults",
    "what does not recur is not on a loop",
    "engines/z3/lasso.py",
    "parts = [a.implies(here, place(self.recurs, i)) for i, here in enumerate(on)]",
    "parts = [a.true for i, here in enumerate(on)]",
    Z3 + "what_does_not_recur_is_not_on_a_loop",
)
fault(
    "z3",
    "lasso-strong-is-weak",
    "strong fairness is stronger than weak",
    "engines/z3/lasso.py",
    'if kind == "weak":',
    'if kind != "":',
    Z3 + "strong_fairness_is_stronger",
)
fault(
    "z3",
    "lasso-without-a-tick",
    "time passes on every loop of a timed system",
    "engines/z3/lasso.py",
    "            parts.append(a.disjunction([a.conjunction([here, place(self.tick, i)]) for i, here in enumerate(on)]))\n",
    "",
    "faults/test_faults_engines.py::test_time_passes_on_the_loop_of_a_lasso",
)
fault(
    "z3",
    "frame-forgotten",
    "a cell that an action does not write keeps its value",
    "engines/z3/encode.py",
    "a.disjunction([*cases, a.conjunction([kept, now[place]])])",
    "a.disjunction([*cases, kept])",
    Z3 + "shortest_counterexamples",
)

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

# ---------------------------------------------------------------------------------------------------------------- pauses

PAUSES = "semantics/test_pauses.py::test_"

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

EXACT = "semantics/test_serial_exact.py::test_"
QUEUE = "semantics/test_queue_idiom.py::test_"
WORDS = "semantics/test_words.py::test_"

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

SELECTED = "semantics/test_insert_select.py::test_"

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

REDUCTION = "engines/test_reduction.py::test_"
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

# ------------------------------------------------------------------------------------------------------------- the explorer

EXPLORER = "explorer/test_session.py::test_"

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
PAGE = "browser/test_page.py::test_"

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

# ------------------------------------------------------------------------------------------------------------------------ why

WHY = "test_why.py::test_"

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

# ------------------------------------------------------------------------------------------- proofs for any number

fault(
    "any-number",
    "any-number-steps-change-nothing",
    "a clause has to hold after the step, with what the step writes",
    "engines/parametric/logic.py",
    "        if update is None:\n            return x.apply(item.function, *args)\n",
    "        if update is None or True:\n            return x.apply(item.function, *args)\n",
    PARAMETRIC + "a_lock_that_nobody_looks_at_proves_nothing",
)
fault(
    "any-number",
    "any-number-sizes-not-compared",
    "what is lowered for one size speaks for all only if another size gives the same",
    "engines/parametric/template.py",
    "            if _canonical(a) != _canonical(b):\n",
    "            if False:\n",
    PARAMETRIC + "systems_that_differ_in_more_than_their_sizes_are_refused",
)
fault(
    "any-number",
    "any-number-start-not-asked",
    "every clause of an invariant holds at the start",
    "engines/parametric/search.py",
    "        if fact.inductive and not questions.starts(fact):\n",
    "        if False:\n",
    PARAMETRIC + "a_clause_that_fails_at_the_start_or_is_not_kept_is_not_confirmed",
)
fault(
    "any-number",
    "any-number-unknown-is-unsat",
    "a question that Z3 does not decide is no proof",
    "engines/parametric/search.py",
    "        if answer == self.z3.unsat:\n",
    "        if answer != self.z3.sat:\n",
    PARAMETRIC + "a_budget_that_is_used_up_is_no_proof",
)
fault(
    "any-number",
    "any-number-guards-forgotten",
    "a step is taken only where its guard holds",
    "engines/parametric/search.py",
    "        guard = action.guard if action is not None else x.TRUE\n",
    "        guard = x.TRUE\n",
    PARAMETRIC + "one_lock_serialises_any_number_of_processes",
)
