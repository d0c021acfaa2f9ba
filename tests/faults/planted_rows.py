"""Versions of rows, locks and waiting."""

from __future__ import annotations

from fault import fault

ROWS = "semantics/test_rows.py::test_"
PROGRAMS = "semantics/test_faults_programs.py::test_"

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
