"""Sessions: one connection per process, whose statement may be under way while others go on."""

from __future__ import annotations

import select
from dataclasses import dataclass
from typing import TypeAlias

from psycopg import pq
from psycopg.pq import abc

Datum: TypeAlias = bool | int | str | None
"""A value as the server returned it."""

_BOOL, _NUMBERS = 16, frozenset({20, 21, 23, 1700})

IDLE, OPEN, FAILED = "none", "open", "failed"
_STATUS = {
    pq.TransactionStatus.IDLE: IDLE,
    pq.TransactionStatus.INTRANS: OPEN,
    pq.TransactionStatus.INERROR: FAILED,
}


@dataclass(frozen=True)
class Answer:
    """What a statement did: rows, the number of rows that it wrote, or the error's SQLSTATE and message."""

    rows: tuple[tuple[Datum, ...], ...] = ()
    affected: int | None = None
    sqlstate: str = ""
    message: str = ""


def connect(dsn: str) -> abc.PGconn:
    """A connection.

    Raises:
        ConnectionError: there is none to be had.
    """
    connection = pq.PGconn.connect(dsn.encode())
    if connection.status != pq.ConnStatus.OK:
        message = connection.error_message.decode(errors="replace").strip()
        raise ConnectionError(message)
    return connection


class Session:
    """A connection that can have one statement under way."""

    def __init__(self, connection: abc.PGconn) -> None:
        self._connection = connection
        self.pid = connection.backend_pid
        self.busy = False
        self.stopped = False
        self.closed = False
        self.sent = ""
        self._answers: list[Answer] = []

    def send(self, sql: str) -> None:
        """Send SQL text; :meth:`poll` says when it is done."""
        assert not self.busy
        self.sent = sql
        self._answers = []
        self._connection.send_query(sql.encode())
        self._connection.flush()
        self.busy = True

    def poll(self, seconds: float) -> bool:
        """Whether the text that was sent is done, within so many seconds."""
        if not self.busy:
            return True
        while True:
            self._connection.consume_input()
            while not self._connection.is_busy():
                result = self._connection.get_result()
                if result is None:
                    self.busy = False
                    return True
                self._answers.append(_answer(result))
            ready, _, _ = select.select([self._connection.socket], [], [], seconds)
            if not ready:
                return False

    def answers(self) -> list[Answer]:
        """The answers to all statements of the text, up to the first error."""
        assert not self.busy
        return self._answers

    def answer(self) -> Answer:
        """The answer to the last statement of the text."""
        return self.answers()[-1]

    def run(self, sql: str) -> Answer:
        """Send and wait.

        Raises:
            RuntimeError: it fails.
        """
        self.send(sql)
        while not self.poll(5.0):
            pass
        answer = self.answer()
        if answer.sqlstate:
            raise RuntimeError(f"{answer.sqlstate} {answer.message}: {sql}")
        return answer

    @property
    def transaction(self) -> str:
        """``none``, ``open`` or ``failed``."""
        return _STATUS.get(pq.TransactionStatus(self._connection.transaction_status), "unknown")

    def close(self) -> None:
        """Close the connection."""
        if not self.closed:
            self.closed = True
            self._connection.finish()


def _answer(result: abc.PGresult) -> Answer:
    if result.status in (pq.ExecStatus.FATAL_ERROR, pq.ExecStatus.BAD_RESPONSE, pq.ExecStatus.NONFATAL_ERROR):
        code = result.error_field(pq.DiagnosticField.SQLSTATE) or b"?????"
        message = result.error_field(pq.DiagnosticField.MESSAGE_PRIMARY) or result.error_message or b""
        return Answer(sqlstate=code.decode(), message=message.decode(errors="replace"))
    types = [result.ftype(column) for column in range(result.nfields)]
    rows = tuple(
        tuple(_datum(result.get_value(row, column), types[column]) for column in range(result.nfields))
        for row in range(result.ntuples)
    )
    return Answer(rows, result.command_tuples)


def _datum(raw: bytes | None, kind: int) -> Datum:
    if raw is None:
        return None
    if kind == _BOOL:
        return raw == b"t"
    if kind in _NUMBERS:
        return int(raw)
    return raw.decode()
