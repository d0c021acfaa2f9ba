"""Z3, certificates, proofs for any number."""

from __future__ import annotations

from fault import fault

Z3 = "engines/test_z3.py::test_"
TRAPS = "engines/test_z3_traps.py::test_"
VERIFY = "proof/test_verify.py::test_"
PARAMETRIC = "engines/test_parametric.py::test_"

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
