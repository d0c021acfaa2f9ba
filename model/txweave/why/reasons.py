"""The reasons of a counterexample, each with the steps that it is about.

A reason is given only where it was shown: a read is *stale* where another step changed what it had read before its process had
taken its last step, *early* where a process that was in the middle of its work would have changed it.  And it is a reason only if
the run in which it is read later does not break the property.  For a violation that is for ever, the step after which nothing
can mend it any more, and what could have made the conditions true that stay false.
"""

from __future__ import annotations

from collections.abc import Iterator

from txweave.report.story import Reason, Why
from txweave.system.expr import Elem
from txweave.system.ground import GroundAction
from txweave.trace import State, Taken, Trace
from txweave.view import Viewer
from txweave.why.blocked import Blocked, shortened
from txweave.why.order import Orders
from txweave.why.reading import Flip, Reads
from txweave.why.replay import Runner, Unsure, breaks

AHEAD = 12
"""A process that is in the middle of its work is followed for so many of its steps."""

SAID = 4
"""Reasons of one kind that are given at most."""


def explain(trace: Trace, name: str, viewer: Viewer) -> Why:
    """Why the property called ``name`` breaks in a counterexample."""
    return _Explanation(trace, name, viewer).why()


class _Explanation:
    def __init__(self, trace: Trace, name: str, viewer: Viewer) -> None:
        self.trace = trace
        self.item = trace.system.find(name)
        self.viewer = viewer
        self.runner = Runner(viewer)
        self.reads = Reads(viewer)
        self.orders = Orders(trace, name, viewer, self.runner)
        self.blocked = Blocked(trace, name, viewer, self.runner, self.reads)
        self.states = trace.states
        self.steps = self.orders.steps
        self.actions = [taken.action for taken in self.steps]

    def why(self) -> Why:
        order = self.orders.smallest()
        reasons = [*self._stale(), *self._early(), *self._faults(), *self._deadlocks()]
        if self.item.kind != "never":
            reasons += self.blocked.reasons()
        pairs = order.pairs if order is not None else ()
        return Why(tuple(reasons), pairs, fewest=order is not None and order.fewest, known=order is not None)

    # --------------------------------------------------------------------------------------------------- other runs

    def mended(self, run: tuple[Taken, ...]) -> bool:
        """Whether another run of the system does not break the property, and is one on the reference interpreter as well.

        A run that should not last for ever is mended where the property can still be satisfied from its end.
        """
        good = not breaks(self.item, run, self.states[0]) if self.item.kind == "never" else self._can_recover(run)
        return good and self.runner.confirmed(run)

    def _can_recover(self, run: tuple[Taken, ...]) -> bool:
        wanted = self.blocked.recovery()
        if wanted is None:
            return False
        condition, _ = wanted
        last = run[-1].state if run else self.states[0]
        try:
            return self.runner.way(self.states[-1], condition) is None and self.runner.way(last, condition) is not None
        except Unsure:
            return False

    def last_of(self, actor: Elem | None) -> int:
        """The index of a process's last step, -1 where it takes none."""
        return max((n for n, action in enumerate(self.actions) if action.actor == actor), default=-1)

    # -------------------------------------------------------------------------------------------------------- stale

    def _stale(self) -> Iterator[Reason]:
        """Reads whose answer was another before the process was through with what it did because of it."""
        said = 0
        for n, action in enumerate(self.actions):
            actor = action.actor
            if actor is None or self.reads.reading(action, self.states[n]) is None:
                continue
            for m in range(n + 1, self.last_of(actor)):
                if self.actions[m].actor == actor or said == SAID:
                    continue
                before, after = (self.reads.at_its_place(actor, self.states[n], self.states[k]) for k in (m, m + 1))
                read, was, now = (self.reads.reading(action, state) for state in (self.states[n], before, after))
                if read is None or was is None or now is None or was.values != read.values or now.values == read.values:
                    continue
                held = [k for k in range(n, m) if self.actions[k].actor == actor]
                rest = [k for k in range(len(self.actions)) if k not in held and k > m]
                order = [*(k for k in range(m + 1) if k not in held), *held, *rest]
                run = self.runner.replay(self.states[0], [self.actions[k] for k in order])
                if not self.mended(run):
                    continue
                said += 1
                yield Reason("stale", (n + 1, m + 1, self.last_of(actor) + 1), self._stale_words(n, m, before, after, run))
                break

    def _stale_words(self, n: int, m: int, before: State, after: State, run: tuple[Taken, ...]) -> str:
        action, other = self.actions[n], self.actions[m]
        actor = self._name(action.actor)
        was, now = self.reads.reading(action, self.states[n]), self.reads.reading(action, after)
        assert was is not None
        assert now is not None
        used = next(k for k in range(m + 1, len(self.actions)) if self.actions[k].actor == action.actor)
        # With a parameter of its own (which row of LIMIT 1) the action cannot tell what else it would have found.
        changed = f" and made it {now.text}" if now.text != was.text and len(action.params) == 1 else " and changed that"
        words = (
            f"{actor} read {was.text} in step {n + 1} ({_step(action)}). Step {m + 1} ({self._whose(other)}) came between"
            f"{changed}, but {actor} went on with what it had read in step {used + 1} ({_step(self.actions[used])})."
        )
        return (
            words + self._because(action, before, after) + self._instead(action, run, f"Had step {n + 1} come after step {m + 1}")
        )

    # -------------------------------------------------------------------------------------------------------- early

    def _early(self) -> Iterator[Reason]:
        """Reads that were taken while another process was in the middle of what would have changed them."""
        said = 0
        for n, action in enumerate(self.actions):
            actor = action.actor
            was = self.reads.reading(action, self.states[n]) if actor is not None else None
            if actor is None or was is None:
                continue
            for other in self._in_the_middle(actor, n):
                if said == SAID:
                    return
                found = self._gone_on(n, action, actor, other, was.values)
                if found is None:
                    continue
                ahead, after = found
                run = self._with(n, ahead)
                if not self.mended(run):
                    continue
                said += 1
                yield Reason("early", self._about(n, other), self._early_words(n, action, other, ahead, after, run))

    def _in_the_middle(self, actor: Elem, n: int) -> Iterator[Elem]:
        view = self.viewer.view(self.states[n])
        for process in view.processes:
            element = Elem(process.role, process.number)
            if element != actor and process.status == "running" and any(a.actor == element for a in self.actions[:n]):
                yield element

    def _gone_on(
        self, n: int, action: GroundAction, actor: Elem, other: Elem, was: tuple[object, ...]
    ) -> tuple[tuple[Taken, ...], State] | None:
        """The steps of ``other`` alone up to where the read is another, and the state there."""
        state, ahead = self.states[n], []
        for _ in range(AHEAD):
            taken = next(iter(self.runner.moves(state, other)), None)
            if taken is None:
                return None
            ahead.append(taken)
            state = taken.state
            there = self.reads.at_its_place(actor, self.states[n], state)
            now = self.reads.reading(action, there)
            if now is not None and now.values != was:
                return tuple(ahead), there
            view = self.viewer.view(state).process(self.viewer.process_name(other))
            if view.status != "running":
                return None
        return None

    def _with(self, n: int, ahead: tuple[Taken, ...]) -> tuple[Taken, ...]:
        """The run with these steps before its step ``n``, and then the rest as far as it is not among them."""
        used = {taken.action.index for taken in ahead}
        rest = [action for action in self.actions[n:] if action.index not in used]
        moves = [*self.actions[:n], *(taken.action for taken in ahead), *rest]
        return self.runner.replay(self.states[0], moves)

    def _about(self, n: int, other: Elem) -> tuple[int, ...]:
        last = max(k for k in range(n) if self.actions[k].actor == other)
        return last + 1, n + 1

    def _early_words(
        self, n: int, action: GroundAction, other: Elem, ahead: tuple[Taken, ...], after: State, run: tuple[Taken, ...]
    ) -> str:
        actor, name = self._name(action.actor), self._name(other)
        was, now = self.reads.reading(action, self.states[n]), self.reads.reading(action, after)
        assert was is not None
        assert now is not None
        last = max(k for k in range(n) if self.actions[k].actor == other)
        names = list(dict.fromkeys(_step(taken.action) for taken in ahead))
        come = f"{_listed(names)} {'was' if len(names) == 1 else 'were'} still to come"
        words = (
            f"{actor} read {was.text} in step {n + 1} ({_step(action)}) while {name} was in the middle of its work: it had taken "
            f"step {last + 1} ({_step(self.actions[last])}), and {come}."
        )
        return words + self._because(action, self.states[n], after) + self._instead(action, run, f"Had {name} gone on so far first")

    # ------------------------------------------------------------------------------------------------------- faults

    def _faults(self) -> Iterator[Reason]:
        """Faults and errors without which the rest of the run breaks nothing."""
        for n, action in enumerate(self.actions):
            if action.kind not in {"fault", "error"}:
                continue
            run = self.runner.replay(self.states[0], [other for k, other in enumerate(self.actions) if k != n])
            if self.item.kind == "never" and self.mended(run):
                what = action.action.info.note or action.action.info.outcome
                words = f"Without step {n + 1} ({self._name(action.actor)}: {what}) the same run does not break the property."
                yield Reason("fault", (n + 1,), words)

    def _deadlocks(self) -> Iterator[Reason]:
        """Who waited for whom where the server broke a deadlock."""
        for n, action in enumerate(self.actions):
            if action.kind != "database" or action.actor is None:
                continue
            view = self.viewer.view(self.states[n])
            circle = [self.viewer.process_name(action.actor)]
            while (blocker := view.process(circle[-1]).waits_for) and blocker not in circle:
                circle.append(blocker)
            links = [
                f"{name} waited for {other} (since step {self.blocked.waits_since(name, n)})" for name, other in _around(circle)
            ]
            words = f"Step {n + 1} broke a circle of waits: {', '.join(links)}."
            yield Reason("deadlock", (n + 1,), words)

    # -------------------------------------------------------------------------------------------------------- words

    def _because(self, action: GroundAction, before: State, after: State) -> str:
        """Which row, or which condition on it, makes the difference between two readings."""
        found = []
        for flip in self.reads.flips(action, before, after):
            label = self.reads.label(flip.rows, before if flip.before else after)
            if not flip.condition:
                found.append(self._appeared(flip, label, before))
            else:
                found.append(
                    f" The condition {shortened(flip.condition)} was {_truth(flip.before)} for {label}"
                    f"{self._missing(flip, before, after)}; afterwards it is {_truth(not flip.before)}."
                )
        return "".join(dict.fromkeys(found[:2]))

    def _appeared(self, flip: Flip, label: str, before: State) -> str:
        if flip.before:
            return f" {label} was there, and no longer is."
        written = self._writer(flip, before)
        if written is not None:
            return f" {label} was there already, but not committed: only {self._name(written)} could see it."
        return f" {label} was not there yet."

    def _writer(self, flip: Flip, state: State) -> Elem | None:
        """Who had written the row, and not committed it."""
        for _, row in flip.rows:
            if isinstance(row, Elem) and ("writer", row.sort) in self.viewer.about:
                writer = self.viewer.system.value(state, self.viewer.about["writer", row.sort].name, (row,))
                if isinstance(writer, Elem):
                    return writer
        return None

    def _missing(self, flip: Flip, before: State, after: State) -> str:
        """Rows of the tables that a condition reads which are there in only one of the states."""
        tables = set(self.reads.tables(flip.term)) - {row.sort for _, row in flip.rows if isinstance(row, Elem)}
        old, new = self.viewer.view(before), self.viewer.view(after)
        had = {row.label for table in old.tables if table.name in tables for row in table.rows}
        uncommitted = {v.row.label: v.writer for table in old.tables for v in table.versions}
        more = [row.label for table in new.tables if table.name in tables for row in table.rows if row.label not in had]
        hidden = [v.row.label for t in new.tables if t.name in tables for v in t.versions if v.row.label not in uncommitted]
        pending = [f"{label} ({uncommitted[label]})" for label in more if label in uncommitted]
        if pending:
            return f", because {_listed(pending)} was not committed yet"
        absent = [*more, *(label for label in hidden if label not in more)]
        return f", because {_listed(absent)} did not exist yet" if absent else ""

    def _instead(self, action: GroundAction, run: tuple[Taken, ...], had: str) -> str:
        """What happens in the other run, which was replayed."""
        later = next((t for t in run if t.action.actor == action.actor and _step(t.action) == _step(action)), None)
        state = self.states[0]
        for taken in run:
            if taken is later:
                break
            state = taken.state
        reading = self.reads.reading(later.action, state) if later is not None else None
        read = f", it would have read {reading.text}" if reading is not None and reading.text else ""
        verb = "would hold" if self.item.kind == "never" else "could still be satisfied"
        return f" {had}{read}{', and' if read else ','} the property {verb} in this run."

    def _name(self, actor: Elem | None) -> str:
        return "time" if actor is None else self.viewer.process_name(actor)

    def _whose(self, action: GroundAction) -> str:
        what = action.action.info.note if action.kind != "step" else _step(action)
        return f"{self._name(action.actor)}, {what or _step(action)}"


def _step(action: GroundAction) -> str:
    info = action.action.info
    return info.step or info.note or action.name


def _around(circle: list[str]) -> list[tuple[str, str]]:
    return list(zip(circle, [*circle[1:], circle[0]], strict=True))


def _truth(value: bool) -> str:
    return "true" if value else "false"


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
