"""Replay: a run of the model and a real server in step, compared after every step.

The server decides some things by itself (the order of rows, which rows were locked before a wait, a plan).  So the replay
keeps all states of the model
that agree with what the server has answered so far; when none is left, the server has done what the model does not allow.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from types import TracebackType

from txweave.replay.machine import PAUSES, SQLSTATES, Belief, Expected, Machine, Move, Op, plain
from txweave.replay.order import OrderError, at_once
from txweave.replay.schema import began_at, contents, create, tick
from txweave.replay.server import Server
from txweave.replay.session import FAILED, IDLE, OPEN, Answer, Session
from txweave.sql import program as bound
from txweave.sql import tree
from txweave.system.expr import Elem, Value
from txweave.trace import State, Trace

_MOST_BELIEFS = 4000
_CANCELED = "57014"


@dataclass(frozen=True)
class Observation:
    """What the server did: ``exit`` is ok, error or waits; ``blockers`` are those waited for."""

    exit: str
    answer: Answer = field(default_factory=Answer)
    blockers: frozenset[Elem] = frozenset()
    fresh: tuple[tuple[object, ...], ...] = ()
    """The rows that an INSERT returned on top, all columns."""

    def __str__(self) -> str:
        if self.exit == "waits":
            return f"waits for {', '.join(sorted(map(str, self.blockers)))}"
        if self.exit == "error":
            return f"{self.answer.sqlstate} {self.answer.message}".strip()
        parts = ["ok"]
        if self.answer.rows:
            parts.append(f"rows {sorted(self.answer.rows, key=repr)}")
        if self.answer.affected is not None:
            parts.append(f"count {self.answer.affected}")
        return ", ".join(parts)


class Divergence(Exception):  # noqa: N818 - it is a finding
    """The server did what the model does not allow (or the other way round)."""

    def __init__(self, step: int, op: Op, expected: Iterable[str], got: str) -> None:
        self.step = step
        self.op = op
        self.expected = tuple(dict.fromkeys(expected))
        self.got = got
        super().__init__(f"step {step}: {op}\n  expected: {' | '.join(self.expected) or 'nothing'}\n  got:      {got}")


class NotPossibleError(Exception):
    """The server cannot take this step now, although the model may (a waiter that stands behind another one)."""


class LeftModelError(Exception):
    """The model has left its ground (a bound, a construct that is not modelled); carries its name."""


class Replay:
    """A run in progress on a server."""

    def __init__(self, server: Server, machine: Machine) -> None:
        self.server = server
        self.machine = machine
        self.schema = create(server, machine.model, machine.system.timed)
        self.sessions: dict[Elem, Session] = {}
        self.clock = 0
        self.step = 0
        self.log: list[str] = []
        self.hung: set[Elem] = set()
        self.pending: dict[Elem, Op] = {}
        """Statements that wait."""
        self.genuine = False
        """Let the server itself break deadlocks, at once."""
        self.broken_by_server = 0
        self.beliefs = [machine.initial()]

    def __enter__(self) -> Replay:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Give the sessions back and drop the schema."""
        if self.server.monitor.busy:  # interrupted in the middle: the server's own end clears up
            self.sessions.clear()
            return
        for session in self.sessions.values():
            # Every session goes on only when none holds a lock that it waits for.
            if session.busy:
                self.server.terminate(session)
        for session in self.sessions.values():
            if not session.closed:
                self.server.release(session)
        self.sessions.clear()
        self.server.drop_schema(self.schema)

    # --------------------------------------------------------------------------------------------------------- choices

    def options(self, actors: Iterable[Elem | None] | None = None) -> dict[Op, list[tuple[Belief, Move]]]:
        """What can be done next, with the actions that agree with it."""
        found: dict[Op, list[tuple[Belief, Move]]] = {}
        woken = self._woken()
        if woken is not None:
            actors = [woken] if actors is None or woken in actors else []
        for belief in self.beliefs:
            for actor in (None, *self.machine.actors) if actors is None else actors:
                for action in self.machine.enabled(belief.state, actor):
                    found.setdefault(self.machine.op(belief, action, self.clock), []).append((belief, action))
        return found

    def _woken(self) -> Elem | None:
        """On a server whose backends we cannot stop, a waiter that may go on has gone on already: it is the next to move."""
        if self.server.local:
            return None
        free = [
            process
            for process in self.pending
            if process not in self.hung and all(self.machine.blocker(b.state, process) is None for b in self.beliefs)
        ]
        if len(free) > 1:
            raise LeftModelError("several waiters go on at once, on a server that cannot be made to wait")
        return free[0] if free else None

    # --------------------------------------------------------------------------------------------------------- one step

    def perform(self, op: Op) -> None:
        """Do something to the server, and keep what agrees.

        Raises:
            Divergence: nothing agrees.
            NotPossibleError: the server cannot do this now; nothing was done.
            LeftModelError: the model does not say what happens.
        """
        candidates = self.options([op.process]).get(op)
        if candidates is None:
            raise NotPossibleError(str(op))
        handler = {
            "tick": self._tick,
            "statement": self._statement,
            "resume": self._resume,
            "transaction": self._transaction,
            "choose": self._silent,
            "set": self._silent,
            "hang": self._silent,
            "crash": self._crash,
            "error": self._error,
            "commit error": self._transaction,
            "deadlock": self._deadlock,
            "pause": self._not_possible,
            "go on": self._not_possible,
        }[op.kind]
        self.step += 1
        try:
            handler(op, candidates)
        except NotPossibleError:
            self.step -= 1
            raise
        if op.process is not None and op.kind != "hang":
            self._finish_transaction(op, op.process)
        self._settle(op)
        self._compare_contents(op)
        if len(self.beliefs) > _MOST_BELIEFS:
            raise LeftModelError("too many possibilities")

    def _note(self, op: Op, observation: object) -> None:
        self.log.append(f"{self.step:3} {op}  ->  {observation}")

    def _keep(self, op: Op, found: list[Belief], expected: Iterable[str], got: str) -> None:
        """Go on with these beliefs."""
        distinct = list(dict.fromkeys(found))
        if not distinct:
            raise Divergence(self.step, op, expected, got)
        self.beliefs = distinct

    def _session(self, process: Elem) -> Session:
        session = self.sessions.get(process)
        if session is None:
            session = self.sessions[process] = self.server.session(self.schema)
            if self.genuine:
                session.run("SET deadlock_timeout TO '10ms'")
        return session

    def _open(self, session: Session) -> None:
        """A transaction opens by itself at the first statement."""
        if session.transaction == IDLE:
            if self.machine.system.timed:
                session.run(began_at(self.clock))
            session.run("BEGIN")

    def _silent(self, op: Op, candidates: list[tuple[Belief, Move]]) -> None:
        """Steps of the program itself: nothing is sent."""
        if op.kind == "hang" and op.process is not None:
            self.hung.add(op.process)
        self._note(op, op.detail or "")
        self._keep(op, [self.machine.successor(b, a, self.clock) for b, a in candidates], (), "")

    def _not_possible(self, op: Op, candidates: list[tuple[Belief, Move]]) -> None:
        """A server does not stop in the middle of a statement when one wants it to."""
        del candidates
        raise NotPossibleError(str(op))

    def _tick(self, op: Op, candidates: list[tuple[Belief, Move]]) -> None:
        self.beliefs = list(dict.fromkeys(self.machine.successor(b, a, self.clock) for b, a in candidates))
        self.clock += self.machine.tick
        self.server.monitor.run(tick(self.clock, self.schema))
        self._note(op, "")

    def _crash(self, op: Op, candidates: list[tuple[Belief, Move]]) -> None:
        assert op.process is not None
        session = self.sessions.pop(op.process, None)
        self.pending.pop(op.process, None)
        if session is not None:
            self.server.terminate(session)
        self._silent(op, candidates)

    def _error(self, op: Op, candidates: list[tuple[Belief, Move]]) -> None:
        """An injected error: the statement is not sent; its transaction fails as with any error."""
        assert op.process is not None
        session = self._session(op.process)
        self._open(session)
        session.send("SELECT 1 / 0")
        self.server.finish(session)
        self._silent(op, candidates)

    def _transaction(self, op: Op, candidates: list[tuple[Belief, Move]]) -> None:
        assert op.process is not None
        session = self._session(op.process)
        if op.text.startswith("BEGIN") and self.machine.system.timed and session.transaction == IDLE:
            session.run(began_at(self.clock))
        if op.text.startswith("SAVEPOINT"):
            self._open(session)
        session.send(op.text)
        self.server.finish(session)
        answer = session.answer()
        self._note(op, answer.sqlstate or "ok")
        found, expected = [], []
        for belief, action in candidates:
            wanted = SQLSTATES.get(action.action.info.outcome, "") if op.kind == "transaction" else ""
            expected.append(action.action.info.outcome)
            after = self.machine.successor(belief, action, self.clock)
            self._check_bound(after)
            if wanted == answer.sqlstate:
                found.append(after)
        self._keep(op, found, expected, f"{answer.sqlstate} {answer.message}".strip() or "ok")

    @staticmethod
    def _check_bound(after: Belief) -> None:
        if after.state[-1] is not None:
            raise LeftModelError(str(after.state[-1]))

    def _statement(self, op: Op, candidates: list[tuple[Belief, Move]]) -> None:
        assert op.process is not None
        session = self._session(op.process)
        self._open(session)
        session.send(op.text)
        self._observe(op, op, candidates)

    def _resume(self, op: Op, candidates: list[tuple[Belief, Move]]) -> None:
        assert op.process is not None
        session = self.sessions[op.process]
        sent = self.pending[op.process]
        if session.busy and self.server.local and self.server.blockers([session])[session.pid]:
            # The model lets it look again (a savepoint was rolled back to); on the server it has not stopped waiting.
            found = []
            for belief, action in candidates:
                after = self.machine.successor(belief, action, self.clock)
                self._check_bound(after)
                if self.machine.expected(belief, action, after).exit == "waits":
                    found.append(after)
            if not found:
                raise NotPossibleError(str(op))
            found.extend(self._blocked(op.process))
            self._note(op, "waits on")
            self._keep(op, found, (), "")
            return
        self.server.resume(session)
        self._observe(op, sent, candidates)

    def _observe(self, op: Op, sent: Op, candidates: list[tuple[Belief, Move]]) -> None:
        """Wait for the end of the statement, or for it to wait, and keep the actions that agree."""
        assert op.process is not None
        session = self.sessions[op.process]
        struck = False
        if self.server.watch(session):
            observation = self._answer(session.answer(), sent)
        else:
            self.server.stop(session)
            observation = Observation("waits", blockers=self._blockers(session))
            self.pending[op.process] = replace(sent, process=op.process)
            if self.genuine and self._in_cycle(op.process):
                struck = True
        if self.genuine and observation.answer.sqlstate == SQLSTATES["deadlock_detected"] and op.kind != "deadlock":
            # It closed a cycle, and the server has struck before anybody looked: two steps of the model.
            observation, struck = Observation("waits"), True
        self._note(op, observation)
        found: list[Belief] = []
        expected: list[str] = []
        left: str | None = None
        ghosts: dict[str, list[tuple[Belief, Move, tree.Insert | None]]] = {}
        for belief, action in candidates:
            after = self.machine.successor(belief, action, self.clock)
            wanted = self.machine.expected(belief, action, after)
            if wanted.exit == "out":
                left = wanted.label
                continue
            expected.append(self._describe(wanted, belief))
            kept = self._agree(belief, action, after, wanted, observation)
            if kept is None:
                continue
            if wanted.exit == "ok":
                text, insert = self.machine.ghost(belief, dict(kept.ids), action, self.clock)
                if text:
                    ghosts.setdefault(text, []).append((kept, action, insert))
                    continue
            found.append(kept)
        if left is not None:
            raise LeftModelError(left)
        if ghosts:
            found = self._ghost(op, session, ghosts)
        if observation.exit != "waits":
            self.pending.pop(op.process, None)
        elif op.kind == "resume":
            found.extend(self._blocked(op.process))
        self._keep(op, found, expected, str(observation))
        if struck:
            self._let_server_break(op.process)

    def _blocked(self, process: Elem) -> list[Belief]:
        """States in which a waiter waits on: what is seen of one that has only been handed on."""
        return [b for b in self.beliefs if self.machine.blocker(b.state, process) is not None]

    def _answer(self, answer: Answer, sent: Op) -> Observation:
        if answer.sqlstate:
            return Observation("error", answer)
        fresh: tuple[tuple[object, ...], ...] = ()
        if sent.hidden:
            fresh = tuple(row[len(row) - sent.hidden :] for row in answer.rows)
            answer = replace(answer, rows=tuple(row[: len(row) - sent.hidden] for row in answer.rows))
        if sent.into and len(answer.rows) > 1:
            return Observation("error", Answer(answer.rows, None, SQLSTATES["too_many_rows"], "into: several rows"), fresh=fresh)
        return Observation("ok", answer, fresh=fresh)

    def _describe(self, wanted: Expected, belief: Belief) -> str:
        if wanted.exit != "ok":
            return wanted.label
        parts = [wanted.label]
        if wanted.rows:
            ids = dict(belief.ids)
            shown = [tuple(ids.get(v, v) if isinstance(v, Elem) else v for v in row) for row in wanted.rows]
            parts.append(f"rows {sorted(shown, key=repr)}")
        if wanted.affected is not None:
            parts.append(f"count {wanted.affected}")
        return ", ".join(parts)

    def _agree(self, belief: Belief, action: Move, after: Belief, wanted: Expected, observation: Observation) -> Belief | None:
        """The belief after the action, if the observation agrees with it."""
        if wanted.exit != observation.exit:
            return None
        if wanted.exit == "error":
            return after if wanted.error == observation.answer.sqlstate else None
        if wanted.exit == "waits":
            # Rows may be in their places already; the server tells their ids when the statement ends.
            assert action.actor is not None
            new = {slot for slots in self.machine.fresh(belief, after, action.actor).values() for slot in slots}
            return replace(after, ids=tuple(pair for pair in after.ids if pair[0] not in new)) if new else after
        node = self.machine.node(action)
        assert isinstance(node, bound.Execute)
        if wanted.affected is not None and wanted.affected != observation.answer.affected:
            return None
        ids = dict(belief.ids)
        for name, slots in wanted.fresh.items():
            table = self.machine.model.schema.tables[name]
            if table.ghost:
                continue
            known = self._match_rows(after.state, table, slots, ids, observation.fresh)
            if known is None:
                return None
            ids.update(known)
        if wanted.rows is not None:
            kinds = _kinds(node.statement)
            shown = Counter(
                tuple(self.machine.outside(v, kind, ids) for v, kind in zip(row, kinds, strict=True)) for row in wanted.rows
            )
            got = Counter(
                tuple(
                    ("a time" if v is not None else None) if k.kind == "timestamp" else v for v, k in zip(row, kinds, strict=True)
                )
                for row in observation.answer.rows
            )
            if shown != got:
                return None
        return replace(after, ids=tuple(sorted(ids.items())))

    def _match_rows(
        self, state: State, table: tree.Table, slots: tuple[Elem, ...], ids: dict[Elem, int], rows: tuple[tuple[object, ...], ...]
    ) -> dict[Elem, int] | None:
        """The server's ids of new rows, matched by their values."""
        place = next(i for i, c in enumerate(table.columns) if c.serial)
        kinds = [c.type for c in table.columns]
        seen = set(ids.values())
        fresh: dict[tuple[object, ...], list[int]] = {}
        count = 0
        for row in rows:
            number = row[place]
            assert isinstance(number, int)
            if number in {v for e, v in ids.items() if e.sort == table.name} and number in seen:
                continue  # ON CONFLICT DO UPDATE returns the row that was there
            key = tuple(
                ("a time" if v is not None else None) if k.kind == "timestamp" else v
                for i, (v, k) in enumerate(zip(row, kinds, strict=True))
                if i != place
            )
            fresh.setdefault(key, []).append(number)
            count += 1
        if count != len(slots):
            return None
        found: dict[Elem, int] = {}
        for slot in slots:
            known = fresh.get(self.machine.row(state, table, slot, ids))
            if not known:
                return None
            number = slot.number + 1 if table.name in self.machine.exact else known[0]
            if number not in known:
                return None
            known.remove(number)
            found[slot] = number
        return found

    def _ghost(self, op: Op, session: Session, ghosts: dict[str, list[tuple[Belief, Move, tree.Insert | None]]]) -> list[Belief]:
        """The ghost statement, right behind what it records."""
        text = next(iter(ghosts))
        session.send(text)
        if not self.server.watch(session):
            raise Divergence(self.step, op, ["the ghost statement never waits"], "it waits")
        answer = session.answer()
        if answer.sqlstate:
            raise Divergence(self.step, op, ["the ghost statement succeeds"], f"{answer.sqlstate} {answer.message}")
        found = []
        for kept, _, insert in ghosts[text]:
            if insert is not None and self.machine.model.schema.tables[insert.table].serial is not None:
                table = self.machine.model.schema.tables[insert.table]
                ids = dict(kept.ids)
                slots = tuple(
                    slot
                    for slot in self.machine.grounder.elements(table.name)
                    if slot not in ids and self.machine.writer(kept.state, slot) == op.process
                )
                rows = tuple(row[len(row) - len(table.columns) :] for row in answer.rows)
                known = self._match_rows(kept.state, table, slots, ids, rows)
                if known is None:
                    continue
                found.append(replace(kept, ids=tuple(sorted({**ids, **known}.items()))))
            else:
                found.append(kept)
        return found

    # -------------------------------------------------------------------------------------------------------- deadlocks

    def _blockers(self, session: Session) -> frozenset[Elem]:
        names = {s.pid: process for process, s in self.sessions.items()}
        return frozenset(names[pid] for pid in self.server.blockers([session])[session.pid] if pid in names)

    def _waits(self) -> dict[Elem, frozenset[Elem]]:
        """Who waits for whom on the server."""
        waiting = [s for s in self.sessions.values() if s.busy]
        names = {s.pid: process for process, s in self.sessions.items()}
        found = self.server.blockers(waiting)
        return {names[pid]: frozenset(names[o] for o in others if o in names) for pid, others in found.items()}

    def _in_cycle(self, process: Elem) -> bool:
        return process in self._reach(self._waits(), process)

    @staticmethod
    def _reach(waits: dict[Elem, frozenset[Elem]], process: Elem) -> set[Elem]:
        seen: set[Elem] = set()
        queue = list(waits.get(process, ()))
        while queue:
            item = queue.pop()
            if item not in seen:
                seen.add(item)
                queue.extend(waits.get(item, ()))
        return seen

    def _deadlock(self, op: Op, candidates: list[tuple[Belief, Move]]) -> None:
        """The server breaks a cycle: the driver names the victim, having seen the cycle in the server's own views."""
        assert op.process is not None
        session = self.sessions[op.process]
        if not self._in_cycle(op.process):
            raise Divergence(self.step, op, ["a cycle of waits with this process"], f"{self._waits()}")
        self.server.cancel(session)
        self.server.finish(session)
        answer = session.answer()
        if answer.sqlstate != _CANCELED:
            raise Divergence(self.step, op, ["the victim's statement fails"], f"{answer.sqlstate} {answer.message}")
        self.pending.pop(op.process, None)
        self._silent(op, candidates)

    def _let_server_break(self, process: Elem) -> None:
        """The server's own detection strikes the process that closed the cycle."""
        session = self.sessions[process]
        op = next((o for o in self.options([process]) if o.kind == "deadlock"), None)
        if op is None:
            raise Divergence(self.step, Op("deadlock", process), ["no cycle of waits"], f"{self._waits()}")
        self.server.resume(session)
        self.server.finish(session)
        answer = session.answer()
        if answer.sqlstate != SQLSTATES["deadlock_detected"]:
            raise Divergence(self.step, op, ["deadlock_detected"], f"{answer.sqlstate} {answer.message}")
        self.step += 1
        self.broken_by_server += 1
        self.pending.pop(process, None)
        self._silent(op, self.options([process])[op])

    # ------------------------------------------------------------------------------------------------ after every step

    def _finish_transaction(self, op: Op, process: Elem) -> None:
        """A procedure that ends rolls back; what is known of the transaction must agree."""
        session = self.sessions.get(process)
        if session is None or session.busy:
            return
        points = [(b, self.machine.point(b.state, process)) for b in self.beliefs]
        if session.transaction != IDLE and any(p.status in ("done", "failed", "idle") for _, p in points):
            session.run("ROLLBACK")
        status = session.transaction
        found = [b for b, p in points if p.transaction == status]
        self._keep(op, found, (f"transaction {p.transaction} at {p.name}" for _, p in points), f"transaction {status}")

    def _settle(self, op: Op) -> None:
        """Who waits for whom must agree; a waiter that is handed on from one lock to the next is let go that far."""
        for _ in range(50):
            waiting = {p: s for p, s in self.sessions.items() if s.busy}
            if not self.server.local:
                self._settle_loose(op)
                return
            if not waiting:
                return
            waits = self._waits()
            moved = False
            for process, session in waiting.items():
                pairs = [(b, self.machine.blocker(b.state, process)) for b in self.beliefs]
                now = waits.get(process, frozenset())
                if now:
                    reach = self._reach(waits, process)
                    # Behind a waiter that may go on itself, but sleeps, nothing is wrong with being free in the model.
                    lagging = any(o in waiting and not waits.get(o) for o in reach)
                    found = [
                        b
                        for b, other in pairs
                        if (other in reach if other is not None else lagging or self._waits_again(b, process, reach))
                    ]
                    self._keep(
                        op,
                        found,
                        (f"{process} waits for {o}" if o else f"{process} may go on" for _, o in pairs),
                        f"{process} waits for {sorted(now)}",
                    )
                    continue
                if any(other is None for _, other in pairs):
                    continue  # it may go on, or has only been handed on: its resumption will tell
                # The model says that it waits on: it has only been handed on, and waits again behind the next lock.
                self.server.resume(session)
                if self.server.watch(session):
                    answer = session.answer()
                    if answer.sqlstate == SQLSTATES["deadlock_detected"]:
                        self._let_server_break(process)
                        moved = True
                        break
                    raise Divergence(
                        self.step,
                        op,
                        (f"{process} waits on for {o}" for _, o in pairs),
                        f"{process} goes on: {self._answer(answer, self.pending[process])}",
                    )
                self.server.stop(session)
                moved = True
            if not moved:
                return
        raise Divergence(self.step, op, ["waits settle"], "they do not")

    def _waits_again(self, belief: Belief, process: Elem, reach: set[Elem]) -> bool:
        """A waiter that the model has woken would find that it must wait again: on the server it just waits on."""
        for action in self.machine.enabled(belief.state, process):
            after = self.machine.successor(belief, action, self.clock)
            if action.kind == "step" and (after.state[-1] is not None or self.machine.blocker(after.state, process) in reach):
                return True
        return False

    def _settle_loose(self, op: Op) -> None:
        """On a server whose backends we cannot stop, a waiter goes on as soon as it can: nothing to compare until it is resumed."""
        waits = self._waits()
        for process, now in waits.items():
            if now:
                pairs = [(b, self.machine.blocker(b.state, process)) for b in self.beliefs]
                reach = self._reach(waits, process)
                found = [b for b, other in pairs if other is None or other in reach]
                self._keep(op, found, (f"{process} waits for {o}" for _, o in pairs), f"{process} waits for {sorted(now)}")

    def _compare_contents(self, op: Op) -> None:
        """The committed database, as a new session sees it."""
        got = contents(self.server, self.machine.model, self.schema)
        counted = {name: Counter(rows) for name, rows in got.items()}
        found, expected = [], []
        for belief in self.beliefs:
            wanted = self.machine.committed(belief)
            if all(Counter(wanted[name]) == counted[name] for name in counted):
                found.append(belief)
            else:
                different = {n: sorted(wanted[n], key=repr) for n in counted if Counter(wanted[n]) != counted[n]}
                expected.append(str(different))
        names = {n for n in counted if any(n in e for e in expected)}
        self._keep(op, found, expected, str({n: sorted(got[n], key=repr) for n in sorted(names)}))


def _kinds(statement: tree.Statement) -> list[tree.Type]:
    outputs = statement.query.outputs if isinstance(statement, tree.Select) else statement.returning
    return [o.expression.type for o in outputs]


@dataclass(frozen=True)
class Replayed:
    """The result of replaying a trace.

    ``outcome``: ``agrees``; ``diverged (allowed)`` (the server took another branch that the model allows as well); ``diverged``;
    ``left the model`` (a bound); ``cannot be replayed`` (a statement stops in the middle: nothing was compared).
    ``steps``: how many were compared.  ``log`` tells every step.
    """

    outcome: str
    steps: int
    detail: str = ""
    log: tuple[str, ...] = ()
    divergence: Divergence | None = None


def replay(server: Server, machine: Machine, trace: Trace) -> Replayed:
    """Replay a trace (of a lasso the stem and one round of the loop).

    On a server whose backends cannot be stopped, processes that wait go on as soon as they can; there the trace is put into
    that order first, as far as that is possible.
    """
    for number, taken in enumerate(trace.steps, 1):
        if taken.action.action.info.outcome == PAUSES:
            info = taken.action.action.info
            why = f"step {number} stops in the middle of {info.procedure}.{info.step}, which a server does not do on demand"
            return Replayed("cannot be replayed", 0, why)
    if not server.local:
        with suppress(OrderError):
            trace = at_once(machine, trace)
    with Replay(server, machine) as run:
        for number, taken in enumerate(trace.steps):
            before = trace.states[number]
            here = [b for b in run.beliefs if b.state == before]
            if not here:
                return Replayed(
                    "diverged (allowed)", number, "the server took another branch that the model allows", tuple(run.log)
                )
            op = machine.op(here[0], Move(taken.action.action, taken.action.params), run.clock)
            if taken.action.kind == "database":
                run.genuine = False
            try:
                run.perform(op)
            except Divergence as found:
                return Replayed("diverged", number + 1, str(found), tuple(run.log), found)
            except LeftModelError as found:
                return Replayed("left the model", number + 1, str(found), tuple(run.log))
            except NotPossibleError:
                return Replayed("diverged (allowed)", number, "the server serves its waiters in another order", tuple(run.log))
        if not any(b.state == trace.states[-1] for b in run.beliefs):
            return Replayed("diverged (allowed)", len(trace.steps), "the server took another branch", tuple(run.log))
        return Replayed("agrees", len(trace.steps), "", tuple(run.log))


__all__ = ["FAILED", "OPEN", "Divergence", "LeftModelError", "NotPossibleError", "Replay", "Replayed", "Value", "plain", "replay"]
