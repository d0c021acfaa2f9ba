"""Constraints and queries."""

from __future__ import annotations

from fault import fault

ROWS = "semantics/test_rows.py::test_"
CONSTRAINTS = "semantics/test_constraints.py::test_"
IN_PLACE = "semantics/test_keys_in_place.py::test_"
PROGRAMS = "semantics/test_faults_programs.py::test_"
QUERIES = "semantics/test_faults_queries.py::test_"
CHECK = "test_check.py::test_"

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
