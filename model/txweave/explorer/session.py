"""A session of the explorer: messages in, messages out, and no browser.

Every message is a dictionary with ``do``, what is to be done, and ``id``, which the reply repeats.  A reply has ``at``, the step to
show, and whatever was asked for; or ``error``, a sentence for the reader, and then nothing has changed.  What there is to
be shown is :meth:`Session.document`.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path as File
from typing import Any

from txweave.check import prepare
from txweave.collect import FIX, Selected, Usage, suggestion
from txweave.explorer import path as paths
from txweave.explorer.ask import Answer, ask
from txweave.explorer.beside import Other
from txweave.explorer.path import Path, PathError
from txweave.possible import Possible, SelfCheckError
from txweave.report import explorer
from txweave.report.story import Story, StoryStep, step_of, tell
from txweave.spec import syntax
from txweave.spec.diagnostics import SpecError
from txweave.spec.text import Text
from txweave.trace import State, Trace
from txweave.verdict import Limits
from txweave.view import Viewer, keys_of

MAX_STATES, SECONDS = 500_000, 30.0
"""What a question may take, unless it is said otherwise."""

WATCH = "watch "
"""A watched query is a property of this name and its number: no specification has a name with a space."""

WIDTH = 64
"""Runs that are followed at a time when a watch makes the states say more."""


@dataclass(frozen=True)
class _Ground:
    """The system in use, with the watched queries among its properties."""

    possible: Possible
    watches: tuple[str, ...] = ()


class Session:
    """One explorer.

    Args:
        selected: The case.
        heading: What it is called above the explorer.
        start: The run to begin with; the initial state alone where there is none.
        shows: The property that this run violates.
        others: Compositions that the same interleaving can be compared with.
        limits: What a question may take.

    Raises:
        SpecError: the case is wrong.
    """

    def __init__(
        self,
        selected: Selected,
        heading: str,
        start: Trace | None = None,
        shows: str = "",
        others: Sequence[Other] = (),
        limits: Limits | None = None,
    ) -> None:
        self.selected, self.heading, self.others = selected, heading, tuple(others)
        self.limits = limits or Limits(max_states=MAX_STATES, timeout=SECONDS)
        if start is None:
            bound, system = prepare(selected)
            start = Trace(system, ())
        else:
            from txweave.sql.bind import bind_model

            bound = bind_model(selected.case.model)
        self.keys = keys_of(bound)
        self.ground = _Ground(Possible(Viewer(start.system, self.keys)))
        self.original = self.path = Path(start, shows)
        self.earlier: list[Path] = []
        self.other: Other | None = None
        self._story: tuple[Path, Story] | None = None
        self._does: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
            "take": self._take,
            "original": lambda _: self._go(self.original),
            "undo": self._undo,
            "text": lambda _: {"text": self.text},
            "restore": self._restore,
            "save": self._save,
            "ask": self._ask,
            "watch": self._watch,
            "unwatch": self._unwatch,
            "beside": self._beside,
        }

    # -------------------------------------------------------------------------------------------------------- messages

    def handle(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """Do what a message says, and reply; whatever goes wrong is in the reply."""
        number = message.get("id")
        try:
            return {"id": number, **self._does.get(str(message.get("do")), self._unknown)(message)}
        except (PathError, Usage) as error:
            return {"id": number, "error": str(error)}
        except SpecError as error:
            return {"id": number, "error": "\n".join(found.render() for found in error.diagnostics)}
        except SelfCheckError as error:
            return {"id": number, "error": f"an internal check failed: {error}"}
        except KeyboardInterrupt:
            return {"id": number, "error": "interrupted"}
        except Exception as error:  # noqa: BLE001 - an error that is not shown is lost: a widget has no console
            where = traceback.format_exc(limit=-3)
            return {"id": number, "error": f"internal error: {type(error).__name__}: {error}\n{where}"}

    def _unknown(self, message: Mapping[str, Any]) -> dict[str, Any]:
        what = message.get("do")
        raise Usage(f"the explorer cannot do {what!r}{suggestion(str(what), self._does)}")

    # ------------------------------------------------------------------------------------------------------ what it is

    @property
    def possible(self) -> Possible:
        """Moves and truths of the system in use."""
        return self.ground.possible

    @property
    def text(self) -> str:
        """The path as text."""
        return paths.write(self.possible, self.path, self.heading)

    @property
    def watches(self) -> tuple[str, ...]:
        """The watched queries."""
        return self.ground.watches

    def told(self) -> tuple[StoryStep, ...]:
        """The path's steps for people."""
        trace, viewer = self.path.trace, self.possible.viewer
        pairs = zip(trace.states, trace.steps, strict=False)
        return tuple(step_of(viewer, n, taken.action, before, taken.state) for n, (before, taken) in enumerate(pairs, 1))

    def story(self) -> Story | None:
        """The path as the story of a counterexample, where it shows a violation."""
        name = self.path.shows
        if not name:
            return None
        if self._story is None or self._story[0] is not self.path:
            from txweave.why import explain

            trace, viewer = self.path.trace, self.possible.viewer
            told = tell(trace, name, viewer, self.selected.case.model.properties.get(name))
            self._story = self.path, replace(told, why=explain(trace, name, viewer))
        return self._story[1]

    def document(self) -> explorer.Document:
        """Everything that is shown: see :mod:`txweave.report.explorer`, and the fields that are added here."""
        possible, trace, case = self.possible, self.path.trace, self.selected.case
        told, story = self.told(), self.story()
        initial = possible.viewer.view(trace.states[0])
        steps = explorer.steps(initial, told)
        explorer.name_steps(steps, possible, trace)
        given = len(case.model.properties)
        truths = explorer.truths(possible, trace)
        return {
            "heading": self.heading,
            "property": self.path.shows,
            "broken": story.broken if story is not None else "",
            "why": explorer.reasons(story) if story is not None else [],
            "loop": trace.loop,
            "initial": explorer.state(initial),
            "steps": steps,
            **explorer.outlines(case),
            "properties": explorer.properties(possible, case.model)[:given],
            "truths": [line[:given] for line in truths],
            "moves": [explorer.moves(possible, trace, number, aside=False) for number in range(len(steps) + 1)],
            "watches": [
                {"sql": sql, "columns": self._columns(n), "rows": [line[given + n]["rows"] for line in truths]}
                for n, sql in enumerate(self.watches)
            ],
            "common": self._common(),
            "original": len(self.original),
            "undo": bool(self.earlier),
            "others": [other.name for other in self.others],
            "beside": self.other.beside(trace, told) if self.other is not None else None,
            "limits": self._limits(),
        }

    def _columns(self, number: int) -> list[str]:
        rows = self.possible.system.find(f"{WATCH}{number + 1}").rows
        assert rows is not None
        return list(rows.columns)

    def _common(self) -> int:
        """How many steps of the path are those of the original."""
        pairs = zip(self.path.trace.steps, self.original.trace.steps, strict=False)
        same = (mine.action is its.action and mine.state == its.state for mine, its in pairs)
        return next((number for number, one in enumerate(same) if not one), min(len(self.path), len(self.original)))

    def _limits(self) -> str:
        parts = [f"{self.limits.max_states:,} states"] if self.limits.max_states is not None else []
        parts += [f"{self.limits.timeout:g} s"] if self.limits.timeout is not None else []
        return ", ".join(parts)

    # --------------------------------------------------------------------------------------------------------- the path

    def _go(self, path: Path, at: int | None = None) -> dict[str, Any]:
        if path != self.path:
            self.earlier.append(self.path)
            self.path = path
        return {"at": len(path) if at is None else at}

    def _position(self, message: Mapping[str, Any]) -> int:
        at = message.get("at")
        if type(at) is not int or not 0 <= at <= len(self.path):
            raise Usage(f"the path has no step {at!r}")
        return at

    def _take(self, message: Mapping[str, Any]) -> dict[str, Any]:
        at, label = self._position(message), str(message.get("label"))
        before = self.path.trace
        state = before.states[at]
        move = next((move for move in self.possible.moves(state) if move.label == label), None) if state[-1] is None else None
        if move is None:
            raise Usage(f"this cannot be done here: {label}")
        following = before.steps[at] if at < len(before.steps) else None
        if following is not None and following.action is move.action and following.state == move.state:
            return {"at": at + 1}  # the path goes on so
        return self._go(Path(Trace(before.system, (*before.steps[:at], move.taken))))

    def _undo(self, _: Mapping[str, Any]) -> dict[str, Any]:
        if not self.earlier:
            raise Usage("there is no earlier path")
        self.path = self.earlier.pop()
        return {"at": min(self._common(), len(self.path))}

    def _restore(self, message: Mapping[str, Any]) -> dict[str, Any]:
        return self.restore(str(message.get("text", "")))

    def restore(self, text: str) -> dict[str, Any]:
        """Take a path that was written as text.

        Raises:
            PathError: it is none, or not possible here.
        """
        path, of = paths.read(self.possible, text)
        reply = self._go(path, 0 if path.shows else None)
        return (
            reply
            if of in {"", self.heading}
            else {**reply, "note": f"the path was written for {of}; every step of it is possible here"}
        )

    def _save(self, message: Mapping[str, Any]) -> dict[str, Any]:
        return {"saved": str(self.save(str(message.get("file", ""))))}

    def save(self, file: str | File) -> File:
        """Write the path as a trace file.

        Raises:
            Usage: the file has another name than a trace file, or a part of the model stands in no file.
        """
        from txweave import tracefile

        if not str(file).endswith(tracefile.SUFFIX):
            raise Usage(f"a trace is a JSON file: call it *{tracefile.SUFFIX}")
        if self.path.trace.states[-1][-1] is not None:
            raise Usage("a path that leads out of bounds is no run: go one step back")
        case = self.selected.case
        fixes = [] if self.selected.study else [fix.name.file.path for fix in case.patches]
        named = [(case.base or case.model).name.file.path, *fixes]
        for name in named:
            if not File(name).is_file() or (name in fixes and not name.endswith(FIX)):
                raise Usage(f"a trace file names the files of its specification, and {name} is none")
        try:
            tracefile.write(file, tracefile.record(self.selected, self.story() or self.told(), fixes))
        except tracefile.TraceError as error:
            raise Usage(str(error)) from error
        return File(file)

    # --------------------------------------------------------------------------------------------------------- questions

    def _ask(self, message: Mapping[str, Any]) -> dict[str, Any]:
        at, name = self._position(message), str(message.get("property"))
        answer = self.ask(name, at)
        if answer.path is None:
            return {"at": at, "answer": answer.status, "words": answer.words}
        return {**self._go(answer.path, at), "answer": answer.status, "words": answer.words}

    def ask(self, name: str, at: int | None = None) -> Answer:
        """Whether a property can still break after so many steps of the path (default: after all of them), and the shortest way.

        Raises:
            Usage: there is no such property.
        """
        names = list(self.selected.case.model.properties)
        if name not in names:
            raise Usage(f"there is no property {name!r}{suggestion(name, names)}")
        return ask(self.possible, self.path.trace, len(self.path) if at is None else at, name, replace(self.limits))

    def _beside(self, message: Mapping[str, Any]) -> dict[str, Any]:
        name = str(message.get("name", ""))
        at = self._position(message)
        found = next((other for other in self.others if other.name == name), None)
        if found is None and name:
            raise Usage(f"there is no composition {name!r} to compare with{suggestion(name, [o.name for o in self.others])}")
        if found is not None:
            _ = found.possible  # what is wrong with it is said before anything changes
        self.other = found
        return {"at": at}

    # ---------------------------------------------------------------------------------------------------------- watches

    def _watch(self, message: Mapping[str, Any]) -> dict[str, Any]:
        at, sql = self._position(message), str(message.get("sql", "")).strip()
        self.watch(sql)
        return {"at": at}

    def watch(self, sql: str) -> None:
        """Evaluate a SELECT in every state, as a property would: over the committed rows, with the roles as tables.

        Raises:
            SpecError: it is no query of the subset.
            Usage: it is watched already.
        """
        if sql in self.watches:
            raise Usage("this is watched already")
        self._look((*self.watches, sql))

    def _unwatch(self, message: Mapping[str, Any]) -> dict[str, Any]:
        at, number = self._position(message), message.get("number")
        if type(number) is not int or not 0 <= number < len(self.watches):
            raise Usage(f"there is no watch {number!r}")
        self._look(tuple(sql for n, sql in enumerate(self.watches) if n != number))
        return {"at": at}

    def _look(self, watches: tuple[str, ...]) -> None:
        """Lower the case once more with the watched queries among its properties: what they read is kept in the states."""
        case = self.selected.case
        more = {f"{WATCH}{n}": _watched(n, sql) for n, sql in enumerate(watches, 1)}
        model = replace(case.model, properties={**case.model.properties, **more})
        bound, system = prepare(replace(self.selected, case=replace(case, model=model)))
        ground = _Ground(Possible(Viewer(system, keys_of(bound))), watches)
        known: dict[int, Path] = {}
        for path in (self.original, self.path, *self.earlier):
            if id(path) not in known:
                known[id(path)] = _moved(self.possible, ground.possible, path)
        self.ground = ground
        self.original, self.path = known[id(self.original)], known[id(self.path)]
        self.earlier = [known[id(path)] for path in self.earlier]


def _watched(number: int, sql: str) -> syntax.Property:
    return syntax.Property(Text.of(f"{WATCH}{number}", "<watch>"), syntax.Never(Text.of(sql, "<watch>")))


def _moved(source: Possible, target: Possible, path: Path) -> Path:
    """The same path on a system whose states say more.

    Raises:
        SelfCheckError: there is none.
    """
    runs = [Trace(target.system, ())]
    for number, taken in enumerate(path.trace.steps):
        wanted = _seen(source, path.trace.states[number], taken.action.name, taken.state)
        following: dict[State, Trace] = {}
        for run in runs:
            for move in target.moves(run.states[-1]):
                if _seen(target, run.states[-1], move.action.name, move.state) == wanted:
                    following.setdefault(move.state, Trace(run.system, (*run.steps, move.taken)))
        runs = list(following.values())[:WIDTH]
    for run in runs:
        trace = replace(run, loop=path.trace.loop, witness=path.trace.witness)
        if trace.loop is not None and trace.states[trace.loop] != trace.states[-1]:
            continue
        if not path.shows:
            return Path(trace)
        found, _ = target.shown(trace, path.shows)
        if found is not None:
            return Path(found, path.shows)
    raise SelfCheckError("the path cannot be followed with this query among what is watched")


def _seen(possible: Possible, before: State, action: str, after: State) -> object:
    """What a step does, values of variables apart."""
    view = possible.viewer.view(after)
    places = [(p.status, p.procedure, p.step, p.transaction, p.waiting, p.waits_for, p.locks) for p in view.processes]
    return (action.split(" /")[0].split("(")[0], view.tables, places, view.bound, possible.viewer.view(before).tables)
