"""What breaks the properties of Airflow's models: for each one a way in which the program could be worse.

Where a design rests on a fix, taking the fix away is the weakening (:data:`RESTS_ON`); otherwise one of :data:`WORSE` is added.
"""

from __future__ import annotations

from txweave.spec import syntax
from txweave.spec.files import parse_fix
from txweave.spec.text import SourceFile

WORSE = {
    "P1_no_premature_completion": """
fix: careless-scheduler
title: Somebody completes a backfill without looking for runs
procedures:
  careless:
    steps:
      - choose_any: {choose: victim, from: SELECT id FROM backfill WHERE completed_at IS NULL}
      - careless_clock: {set: {careless_now: clock}}
      - complete_carelessly:
          sql: UPDATE backfill SET completed_at = :careless_now WHERE id = :victim
          ghost: UPDATE backfill SET completed_by = COALESCE(completed_by, 'scheduler') WHERE id = :victim
      - completed_carelessly: commit
processes: {SCENARIO: {careless_scheduler: {run: careless}}}
""",
    "P2_never_blocked": """
fix: never-completes
title: What the scheduler completes is never committed
changes:
  mark_complete.done: {replace: {rollback: true}}
""",
    "P3_one_active": """
fix: careless-request
title: Somebody inserts a backfill without counting
procedures:
  barge_in:
    steps:
      - barge_clock: {set: {barged_at: clock}}
      - insert_uncounted:
          sql: INSERT INTO backfill (dag_id, created_at) VALUES (1, :barged_at)
      - barged: commit
processes: {SCENARIO: {careless_request: {run: barge_in}}}
""",
    "P4_no_stranded_run": """
fix: never-starts
title: The start of a run is never committed
changes:
  start_runs.started: {replace: {rollback: true}}
""",
    "P5_limit_respected": """
fix: limit-is-lowered
title: Somebody lowers the limit, which Airflow lets nobody do, below what is running
domains:
  backfill.max_active_runs: [0, 1]
procedures:
  lower:
    steps:
      - choose_backfill: {choose: limited, from: SELECT id FROM backfill}
      - lower_limit:
          sql: UPDATE backfill SET max_active_runs = 0 WHERE id = :limited
      - lowered: commit
processes: {SCENARIO: {user: {run: lower}}}
""",
    "P6_accepted_whole": """
fix: forgets-associations
title: Creation makes no associations
changes:
  create.associate: {set: {sql: DELETE FROM backfill_dag_run WHERE id IS NULL}}
  create.associate_in_flight: {set: {sql: DELETE FROM backfill_dag_run WHERE id IS NULL}}
  create.associate_left_alone: {set: {sql: DELETE FROM backfill_dag_run WHERE id IS NULL}}
  create.associate_reprocessed: {set: {sql: DELETE FROM backfill_dag_run WHERE id IS NULL}}
""",
    "P6_refused_clean": """
fix: fails-after-publishing
title: An error right after the first commit
changes:
  create.publish: {after: [{unlucky: {raise: Unlucky}}]}
""",
    "P7_scheduler_survives": """
fix: scheduler-raises
title: An exception in the scheduler's timer
changes:
  mark_complete.done: {after: [{dies: {raise: Unlucky}}]}
""",
}
"""Property → a fix that makes the program worse, in the scenario that stands for SCENARIO.  (P1 strict: as P1.)"""

WORSE["P1_strict"] = WORSE["P1_no_premature_completion"]

RESTS_ON = {
    "P1_strict": ("flush",),
    "P3_one_active": ("unique-index",),
    "P6_refused_clean": ("flush", "lock-clean-up", "dates-first"),
}
"""Property → fixes without which the worse program breaks it: with them, it is impossible by construction."""


def worse(name: str, scenario: str) -> syntax.Fix:
    """The fix that makes the program worse in what the property asks, in a scenario."""
    return parse_fix(SourceFile(f"{name}.fix.yaml", WORSE[name].lstrip().replace("SCENARIO", scenario)))
