"""The script of a trace: what each session sends to a server, in which order, with concrete values, and what it gets back.

A server lets a waiting statement go on as soon as it can; a trace may let it wait longer.  So the waiting processes of the script
go on at once, and where the trace is no violation then, it is refused.  Generated ids are those that a fresh sequence gives.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from txweave.judge import review
from txweave.replay.machine import SQLSTATES, Belief, Machine, Move, time_literal
from txweave.replay.order import OrderError, at_once
from txweave.replay.schema import began_at, setup, tick
from txweave.semantics.context import walk
from txweave.sql import program as bound
from txweave.sql import tree
from txweave.sql.render import literal, name_of, sql_of
from txweave.system import expr as x
from txweave.system.expr import Elem, Value
from txweave.system.ground import GroundAction, GroundRows
from txweave.trace import State, Trace
from txweave.tracefile import Rerun
from txweave.view import evaluate

Datum = bool | int | str | None
"""A value that a server returns; a timestamp is the text ``a time``."""

INJECTED = "SELECT 1 / 0"
"""Fails a transaction, as an injected error does."""

_CLIENT = "too_many_rows"
"""The one error that the program raises and not the server."""


class InexpressibleError(Exception):
    """A trace has something that the wanted form cannot say; tells what, and where."""


@dataclass(frozen=True)
class Command:
    """One thing that happens.

    ``kind``: ``run`` (a statement that ends), ``wait`` (one that waits), ``resume`` (one that waited ends), ``stay`` (it still
    waits), ``deadlock`` (one that waited fails, to break a cycle), ``crash`` (the connection closes), ``local`` (nothing is
    sent), ``clock`` (time passes), ``check`` (a query of the property).
    ``number``: the step of the trace; 0 for a query.  ``first``: statements that the same session sends right before.
    ``rows`` and ``count``: None where they are not looked at.  ``error``: SQLSTATE.  ``several``: more rows than the program
    takes.  ``blocker``: the session that is waited for.  ``exact``: whether ``rows`` are all rows; ``absent``: rows that must
    not be there.
    """

    kind: str
    number: int
    title: str
    session: str = ""
    first: tuple[str, ...] = ()
    sql: str = ""
    rows: tuple[tuple[Datum, ...], ...] | None = None
    count: int | None = None
    error: str = ""
    several: bool = False
    blocker: str = ""
    exact: bool = True
    absent: tuple[tuple[Datum, ...], ...] = ()


@dataclass(frozen=True)
class Script:
    """A trace as a script.

    ``title``: what the specification is called; ``claim``: what the trace shows.  ``sessions``: in the order of their first
    statement.  ``victims`` and ``survivors``: the sessions that deadlocks hit and spare.  ``setup`` fills a schema that is first
    in the search path.  ``notes``: what a reader must know.
    """

    name: str
    title: str
    origin: str
    claim: str
    setup: tuple[str, ...]
    timed: bool
    sessions: tuple[str, ...]
    commands: tuple[Command, ...]
    victims: frozenset[str]
    survivors: frozenset[str]
    notes: tuple[str, ...]


def script(run: Rerun, name: str) -> Script:
    """The script of a trace.

    Args:
        run: the trace, as it was found again on its specification.
        name: of the script; an identifier.

    Raises:
        InexpressibleError: it cannot be run on a server that is not stopped in between.
    """
    machine = Machine(run.bound, run.selected.case.scenario, run.system.system)
    try:
        trace = at_once(machine, run.trace)
    except OrderError as error:
        raise InexpressibleError(str(error)) from error
    notes: list[str] = []
    if trace is not run.trace:
        notes.append("processes that wait go on as soon as they can, as on a server: some steps come earlier than in the trace")
        problems = review(trace, run.file.property).problems if run.file.property else ()
        if problems:
            raise InexpressibleError(
                f"on a server processes that wait go on as soon as they can, and the run is then no violation: {problems[0]}"
            )
    return _Writer(run, machine, trace, name, notes).script()


# ---------------------------------------------------------------------------------------------------------- the statements


@dataclass
class _Server:
    """What a server knows of a session: its name, its transaction (none, open, failed), the statement that waits."""

    name: str
    transaction: str = "none"
    waiting: bool = False
    ids: dict[str, list[int] | None] = field(default_factory=dict)
    """Ids that the statement under way has drawn, by table; None: not known which."""


class _Writer:
    def __init__(self, run: Rerun, machine: Machine, trace: Trace, name: str, notes: list[str]) -> None:
        self.run = run
        self.machine = machine
        self.trace = trace
        self.name = name
        self.notes = notes
        self.model = run.bound
        self.timed = machine.system.timed
        self.clock = 0
        self.belief = machine.initial()
        self.beliefs = [self.belief]
        self.clocks = [0]
        self.servers: dict[Elem, _Server] = {}
        self.names: dict[str, None] = {}
        self.commands: list[Command] = []
        self.victims: set[str] = set()
        self.survivors: set[str] = set()
        self.sequences: dict[str, int | None] = {}
        for element, number in self.belief.ids:
            self.sequences[element.sort] = max(number, self.sequences.get(element.sort) or 0)

    def script(self) -> Script:
        """The whole script."""
        self._check_at(0)
        for number, taken in enumerate(self.trace.steps, 1):
            self._step(number, taken.action)
            self.beliefs.append(self.belief)
            self.clocks.append(self.clock)
            self._check_at(number)
        both = self.victims & self.survivors
        if both:
            raise InexpressibleError(f"{', '.join(sorted(both))} is the victim of one deadlock and survives another")
        file = self.run.file
        return Script(
            name=self.name,
            title=self.model.source.title or self.model.name,
            origin=file.path,
            claim=self._claim(),
            setup=tuple(setup(self.model, timed=self.timed)),
            timed=self.timed,
            sessions=tuple(self.names),
            commands=tuple(self.commands),
            victims=frozenset(self.victims),
            survivors=frozenset(self.survivors),
            notes=tuple(dict.fromkeys(self.notes)),
        )

    def _claim(self) -> str:
        file = self.run.file
        if not file.property:
            return "a run, and no violation"
        source = self.model.properties[file.property]
        title = f" ({source.title})" if source.title else ""
        return f"violates {file.property}{title}"

    def _step(self, number: int, ground: GroundAction) -> None:
        machine, before = self.machine, self.belief
        move = Move(ground.action, ground.params)
        op = machine.op(before, move, self.clock, learn=False)
        after = machine.successor(before, move, self.clock)
        process = op.process
        info = ground.action.info
        title = f"{self._who(process)}: {info.step}" if process is not None else info.note
        make = Command("local", number, title)
        if process is None:
            self.clock += machine.tick
            self.belief = after
            self.commands.append(replace(make, kind="clock", sql=tick(self.clock)))
            return
        if op.kind in ("pause", "go on"):
            raise InexpressibleError(
                f"step {number}: {title} stops in the middle of its statement, which a server does not do on demand"
            )
        if op.kind in ("statement", "resume", "transaction"):
            self._alternatives(number, title, before, after, move)
        if op.kind == "resume":
            behind = [p for p in machine.actors if p != process and machine.blocker(before.state, p) == process]
            if behind:
                who = " and ".join(map(self._who, behind))
                self.notes.append(
                    f"step {number} ({title}): {who} waits behind it, and may be served first if it is for the same row"
                )
        server = self._server(process) if op.kind not in ("choose", "set", "hang", "crash") else None
        if op.kind == "statement" and server is not None:
            self._draw(server, move)
            self._observe(replace(make, first=self._begin(server), sql=op.text), server, move, after)
        elif op.kind == "resume" and server is not None:
            self._observe(make, server, move, after)
        elif op.kind in ("transaction", "commit error") and server is not None:
            self._transaction(make, server, op.text, op.kind, info.outcome)
        elif op.kind == "error" and server is not None:
            first = self._begin(server)
            self._send(
                server, replace(make, kind="run", title=f"{title}, an injected error", first=first, sql=INJECTED, error="22012")
            )
            server.transaction = "failed"
        elif op.kind == "deadlock" and server is not None:
            server.waiting = False
            server.transaction = "failed"
            self.victims.add(server.name)
            self.survivors |= {self.servers[p].name for p in self._cycle(before.state, process) if p != process}
            self._send(server, replace(make, kind="deadlock", error=SQLSTATES["deadlock_detected"]))
        elif op.kind == "crash":
            gone = self.servers.pop(process, None)
            note = replace(make, title=f"{title}: it crashes")
            if gone is not None:
                note = replace(note, kind="crash", session=gone.name)
            self.commands.append(note)
        elif op.kind == "hang":
            if process in self.servers and self.servers[process].waiting:
                raise InexpressibleError(
                    f"step {number}: {title} hangs while its statement waits; on a server the statement goes on"
                )
            self.commands.append(replace(make, title=f"{title}: it hangs, its connection open"))
        else:
            chosen = f" chooses {', '.join(map(str, op.detail))}" if op.detail else ""
            self.commands.append(replace(make, title=f"{title}{chosen}"))
        self.belief = replace(after, ids=self.belief.ids)
        self._end(number, process)

    def _who(self, process: Elem) -> str:
        return self.run.viewer.process_name(process)

    def _server(self, process: Elem) -> _Server:
        server = self.servers.get(process)
        if server is None:
            name = self._who(process).replace(" ", "_")
            while name in self.names:
                name += "_again"
            server = self.servers[process] = _Server(name)
            self.names[name] = None
        return server

    def _begin(self, server: _Server) -> tuple[str, ...]:
        """A transaction opens by itself at the first statement."""
        if server.transaction != "none":
            return ()
        server.transaction = "open"
        return (began_at(self.clock), "BEGIN") if self.timed else ("BEGIN",)

    def _send(self, server: _Server, command: Command) -> None:
        self.commands.append(replace(command, session=server.name))

    def _alternatives(self, number: int, title: str, before: Belief, after: Belief, move: Move) -> None:
        """Note where the server may as well do something else that the model allows."""
        op = self.machine.op(before, move, self.clock)
        for other in self.machine.enabled(before.state, move.actor):
            if self.machine.op(before, other, self.clock) == op:
                result = self.machine.successor(before, other, self.clock)
                if result.state != after.state:
                    self.notes.append(
                        f"step {number} ({title}): the model allows other outcomes as well; a server that takes one fails here"
                    )
                    return

    def _transaction(self, make: Command, server: _Server, text: str, kind: str, outcome: str) -> None:
        first: tuple[str, ...] = ()
        if text.startswith("SAVEPOINT"):
            first = self._begin(server)
        elif text.startswith("BEGIN") and self.timed and server.transaction == "none":
            first = (began_at(self.clock),)
        error = SQLSTATES.get(outcome, "") if kind == "transaction" else ""
        self._send(server, replace(make, kind="run", first=first, sql=text, error=error))
        if text in ("COMMIT", "ROLLBACK"):
            server.transaction = "none"
        elif error:
            server.transaction = "failed" if server.transaction != "none" else "none"
        elif text.startswith(("BEGIN", "ROLLBACK TO")):
            server.transaction = "open"

    def _observe(self, make: Command, server: _Server, move: Move, after: Belief) -> None:
        """A statement's end, or its waiting."""
        process = move.actor
        assert process is not None
        wanted = self.machine.expected(self.belief, move, after)
        self._number(make, server, move, after)
        if wanted.exit == "waits":
            blocker = self.machine.blocker(after.state, process)
            known = self.servers.get(blocker) if blocker is not None else None
            kind = "stay" if server.waiting else "wait"
            server.waiting = True
            self._send(server, replace(make, kind=kind, blocker=known.name if known is not None else ""))
            return
        done = replace(make, kind="resume" if server.waiting else "run")
        server.waiting = False
        if wanted.exit == "error" and wanted.label != _CLIENT:
            server.transaction = "failed"
            self._send(server, replace(done, error=wanted.error))
            return
        if wanted.exit == "error":
            self._send(server, replace(done, several=True))
            return
        node = self.machine.node(move)
        assert isinstance(node, bound.Execute)
        rows = None
        if wanted.rows is not None:
            rows = self._rows(wanted.rows, _types(node.statement), dict(self.belief.ids))
        self._send(server, replace(done, rows=rows, count=None if isinstance(node.statement, tree.Select) else wanted.affected))
        text, insert = self.machine.ghost(self.belief, dict(self.belief.ids), move, self.clock, learn=False)
        if text:
            if insert is not None and self.model.schema.tables[insert.table].serial is not None:
                self._draw_rows(server, insert, after)
            self._send(server, Command("run", make.number, f"{make.title}, the ghost statement", sql=text))

    def _rows(
        self, rows: tuple[tuple[Value, ...], ...], types: list[tree.Type], ids: dict[Elem, int]
    ) -> tuple[tuple[Datum, ...], ...]:
        shown = [tuple(self._datum(v, kind, ids) for v, kind in zip(row, types, strict=True)) for row in rows]
        return tuple(sorted(shown, key=repr))

    def _datum(self, value: Value, kind: tree.Type, ids: dict[Elem, int]) -> Datum:
        if isinstance(value, Elem):
            return ids[value] if value in ids else value.number + 1
        found = self.machine.outside(value, kind, ids)
        assert not isinstance(found, Elem)
        return found

    def _end(self, number: int, process: Elem) -> None:
        """A procedure that ends rolls back."""
        server = self.servers.get(process)
        if server is None or server.waiting or server.transaction == "none":
            return
        if self.machine.point(self.belief.state, process).status in ("done", "failed", "idle"):
            title = f"{self._who(process)}: rolls back, because the procedure ends"
            self._send(server, Command("run", number, title, sql="ROLLBACK"))
            server.transaction = "none"

    def _cycle(self, state: State, process: Elem) -> Iterator[Elem]:
        seen: list[Elem] = []
        here: Elem | None = process
        while here is not None and here not in seen:
            seen.append(here)
            here = self.machine.blocker(state, here)
        yield from seen

    # ---------------------------------------------------------------------------------------------------- generated ids

    def _draw(self, server: _Server, move: Move) -> None:
        """What an INSERT draws from the sequence of its table, when it is sent."""
        node = self.machine.node(move)
        assert isinstance(node, bound.Execute)
        server.ids = {}
        if isinstance(node.statement, tree.Insert):
            self._draw_rows(server, node.statement, None, failed=move.action.info.outcome in SQLSTATES)

    def _draw_rows(self, server: _Server, insert: tree.Insert, after: Belief | None, *, failed: bool = False) -> None:
        table = self.model.schema.tables[insert.table]
        if table.serial is None:
            return
        last = self.sequences.get(table.name, 0)
        if last is None:
            server.ids[table.name] = None
            return
        if insert.query is not None:
            # How many rows the query has is known when they are written; not where some are left out.
            server.ids[table.name] = [] if insert.on_conflict is None and not failed else None
        else:
            count = len(insert.rows)
            server.ids[table.name] = list(range(last + 1, last + count + 1))
            self.sequences[table.name] = None if failed and count > 1 else last + count
        if server.ids[table.name] is None:
            self.sequences[table.name] = None
        if after is not None:
            self._assign(server, table.name, self._unnumbered(table.name, after, server), f"the ghost table {table.name}")

    def _unnumbered(self, table: str, after: Belief, server: _Server) -> tuple[Elem, ...]:
        known = dict(self.belief.ids)
        process = next(p for p, s in self.servers.items() if s is server)
        rows = self.machine.grounder.elements(table)
        return tuple(slot for slot in rows if slot not in known and self.machine.writer(after.state, slot) == process)

    def _number(self, make: Command, server: _Server, move: Move, after: Belief) -> None:
        """Give the new rows their ids: slots are in the order of the rows."""
        process = move.actor
        assert process is not None
        fresh = self.machine.fresh(self.belief, after, process) if after.state[-1] is None else {}
        for table, slots in fresh.items():
            if not self.model.schema.tables[table].ghost:
                self._assign(server, table, slots, f"step {make.number} ({make.title})")

    def _assign(self, server: _Server, table: str, slots: tuple[Elem, ...], where: str) -> None:
        drawn = server.ids.get(table)
        if drawn == [] and slots:  # INSERT … SELECT
            last = self.sequences.get(table, 0)
            if len(slots) > 1 or last is None:
                drawn = None
            else:
                drawn = [last + 1]
                self.sequences[table] = last + 1
        if drawn is None or len(drawn) != len(slots):
            raise InexpressibleError(f"{where}: which ids the new rows of {table} get is not known beforehand")
        self.belief = replace(
            self.belief, ids=tuple(sorted({**dict(self.belief.ids), **dict(zip(slots, drawn, strict=True))}.items()))
        )

    # ----------------------------------------------------------------------------------------------------- the property

    def _check_at(self, position: int) -> None:
        """The queries of the property: a row that must never be, or that is pending and stays so."""
        last = position == len(self.trace.steps)
        item = next((p for p in self.run.system.properties if p.name == self.run.file.property), None)
        if item is None or item.rows is None:
            if last and item is not None:
                self.notes.append(f"{item.name} has no query: that nothing can move any more is not asked of the server")
            return
        formula = self.model.properties[item.name].formula
        state = self.belief.state
        if isinstance(formula, bound.BoundNever) and last:
            self._check("never", formula.query, self._there(item.rows, formula.query, state), exact=True)
        elif isinstance(formula, bound.BoundAlwaysPossible) and last:
            self._check("always_possible", formula.query, (), exact=True)
            self.notes.append(f"{item.name}: that no row can come any more is not asked of the server, only that there is none now")
        elif isinstance(formula, bound.BoundLeadsTo):
            witness = self.trace.witness
            assert witness is not None
            types = [o.expression.type for o in formula.whenever.outputs]
            row = self._rows((witness,), types, dict(self.belief.ids))
            if position == self._pending(item.rows, witness):
                self._check("whenever", formula.whenever, row, exact=False)
            if last and formula.eventually is not None:
                self._check("eventually", formula.eventually, (), exact=False, absent=row)

    def _pending(self, rows: GroundRows, witness: tuple[Value, ...]) -> int:
        """The last position where the witness is there; the judge has seen that nothing answers it from an earlier one on."""
        there = [evaluate(rows.has(witness), state) is True for state in self.trace.states]
        return max(position for position, found in enumerate(there) if found)

    def _there(self, rows: GroundRows, query: tree.Query, state: State) -> tuple[tuple[Datum, ...], ...]:
        types = [o.expression.type for o in query.outputs]
        found = dict.fromkeys(
            tuple(evaluate(value, state) for value in row.values) for row in rows.rows if evaluate(row.condition, state) is True
        )
        return self._rows(tuple(found), types, dict(self.belief.ids))

    def _check(
        self,
        name: str,
        query: tree.Query,
        rows: tuple[tuple[Datum, ...], ...],
        *,
        exact: bool,
        absent: tuple[tuple[Datum, ...], ...] = (),
    ) -> None:
        texts = [self._role(role, query) for role in self._roles(query)]
        sql = (f"WITH {', '.join(texts)} " if texts else "") + sql_of(query)
        first = (began_at(self.clock),) if self.timed else ()
        title = f"the property's query ({name})" + (", processes as they are now" if texts else "")
        self.commands.append(Command("check", 0, title, first=first, sql=sql, rows=rows, exact=exact, absent=absent))

    @staticmethod
    def _roles(query: tree.Query) -> list[str]:
        return list(dict.fromkeys(n.table for n in walk(query) if isinstance(n, tree.TableSource) and n.role))

    def _role(self, role: str, query: tree.Query) -> str:
        """The processes of a role as the table that the property reads: only columns that it does read."""
        sources = {n.source for n in walk(query) if isinstance(n, tree.TableSource) and n.table == role and n.role}
        read = {n.column for n in walk(query) if isinstance(n, tree.ColumnRef) and n.source in sources}
        columns = [c for c in self.model.roles[role].columns if c.name in read] or [self.model.roles[role].columns[0]]
        head = f"{name_of(role)} ({', '.join(name_of(c.name) for c in columns)})"
        rows = [
            "(" + ", ".join(self._literal(self._role_value(process, c), c.type, process, c.name) for c in columns) + ")"
            for process in self.machine.actors
            if process.sort == role
        ]
        if not rows:
            nulls = ", ".join(self._null(c.type) for c in columns)
            return f"{head} AS (SELECT {nulls} WHERE FALSE)"
        return f"{head} AS (VALUES {', '.join(rows)})"

    def _role_value(self, process: Elem, column: tree.Column) -> Value:
        state = self.belief.state
        point = self.machine.point(state, process)
        if column.name == "id":
            return process
        if column.name == "status":
            return point.status or None
        if column.name == "step":
            return point.step or None
        for function in self._variables(process, column.name):
            value = self.machine.value(state, function, (process,))
            if value is not None:
                return value
        return None

    def _variables(self, process: Elem, column: str) -> list[str]:
        roles = self.model.source.scenarios[self.run.selected.case.scenario].roles
        runs = [run.value for role in roles if role.name.value == process.sort for run in role.run]
        wanted = {column, *(f"{run}.{column}" for run in runs)}
        return [
            f.name
            for f in self.machine.system.functions
            if f.about[:2] == ("variable", process.sort) and len(f.about) == 3 and f.about[2] in wanted
        ]

    def _literal(self, value: Value, kind: tree.Type, process: Elem, column: str) -> str:
        if value is None:
            return self._null(kind)
        if kind.kind == "timestamp":
            for function in self._variables(process, column):
                moment = self.machine.moment(self.belief, x.apply(function, x.const(process)), {}, self.clock)
                if moment is not None:
                    return time_literal(moment)
        found = self._datum(value, kind, dict(self.belief.ids))
        return literal(found, kind)

    @staticmethod
    def _null(kind: tree.Type) -> str:
        return "CAST(NULL AS INTEGER)" if kind.kind == "reference" else literal(None, kind)


def _types(statement: tree.Statement) -> list[tree.Type]:
    outputs = statement.query.outputs if isinstance(statement, tree.Select) else statement.returning
    return [o.expression.type for o in outputs]
