"""Changes of steps: every change of every fix, grouped by its target and woven into the procedures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from txweave.spec import syntax
from txweave.spec.build import EMPTY_FIELDS, form_of
from txweave.spec.diagnostics import Report, did_you_mean
from txweave.spec.names import step_lists, walk
from txweave.spec.syntax import Change, Condition, Step
from txweave.spec.text import Span, Text


class Weaver:
    """Applies the changes of fixes (in canonical order) to procedures."""

    def __init__(self, model: syntax.Model, fixes: Sequence[syntax.Fix], report: Report) -> None:
        self.model = model
        self.report = report
        self.changes: dict[tuple[str, str], list[Change]] = {}
        for fix in fixes:
            for change in fix.changes:
                if change.procedure not in model.procedures:
                    remedy = did_you_mean(change.procedure, model.procedures)
                    place = change.target.span(0, len(change.procedure))
                    report.error("F204", place, f"there is no procedure '{change.procedure}'", remedy)
                    continue
                self.changes.setdefault((change.procedure, change.step), []).append(change)
        self.met: set[tuple[str, str]] = set()
        self.gone: set[tuple[str, str]] = set()
        for changes in self.changes.values():
            self._conflicts(changes)
        self._swept_away()

    # ----------------------------------------------------------------------------------------------------- conflicts

    def conflict(self, first: Span, second: Span, message: str, remedy: str) -> None:
        """Two places that cannot both have their way."""
        self.report.error("F210", second, message, remedy, [(first, "the other place")])

    def _conflicts(self, changes: list[Change]) -> None:
        """Changes at one step whose order would matter."""
        target = f"{changes[0].procedure}.{changes[0].step}"
        for word, of in (("before", _before), ("after", _after)):
            places = [change.target.span() for change in changes if of(change)]
            for place in places[1:]:
                message = f"two fixes put steps {word} '{target}'"
                self.conflict(places[0], place, message, f"their order would matter: put one of them {word} the other's step")
        parts = [part for change in changes for part in _parts(change)]
        whole = [part for part in parts if part[0] in ("replace", "remove")]
        for word, place in whole[:1]:
            for other_word, other in parts:
                if (other_word, other) != (word, place) or (parts.count((word, place)) > 1):
                    message = f"'{word}' of the step '{target}' and '{other_word}' at the same step"
                    self.conflict(place, other, message, "keep one of the two")
                    break
        keys: dict[str, syntax.Setting] = {}
        for change in changes:
            for setting in change.settings:
                first = keys.setdefault(setting.key.value, setting)
                if first is not setting:
                    message = f"'{setting.key}' of the step '{target}' is set twice"
                    self.conflict(first.key.span(), setting.key.span(), message, "keep one of the two")
        for change in changes:
            if change.path and (change.settings or change.replace or change.before or change.after or change.wrap or change.remove):
                message = f"'{change.target}' is a condition of a step"
                self.report.error("F207", change.target.span(), message, "a condition can only be extended, by and or by or")

    def _swept_away(self) -> None:
        """Changes of steps inside a step that another change replaces or removes."""
        for procedure in self.model.procedures.values():
            name = procedure.name.value
            steps = list(walk(procedure.steps))
            for change in (c for changes in self.changes.values() for c in changes if c.procedure == name):
                inserted = [change.before, change.after, *(step_lists(change.replace.body) if change.replace else ())]
                if change.wrap is not None:
                    inserted += [*(handler.steps for handler in change.wrap.handlers), change.wrap.final]
                steps += [step for inner in inserted for step in walk(inner)]
            for step in steps:
                key = (name, step.name.value)
                sweeping = next((c for c in self.changes.get(key, ()) if c.replace or c.remove), None)
                if sweeping is None:
                    continue
                for inner in (s for nested in step_lists(step.body) for s in walk(nested)):
                    inner_key = (name, inner.name.value)
                    for change in self.changes.get(inner_key, ()):
                        word = "replaced" if sweeping.replace else "removed"
                        message = f"'{change.target}' is changed inside '{sweeping.target}', which is {word} as a whole"
                        self.conflict(sweeping.target.span(), change.target.span(), message, "keep one of the two")
                    self.gone.add(inner_key)

    # ------------------------------------------------------------------------------------------------------- weaving

    def procedure(self, procedure: syntax.Procedure) -> syntax.Procedure:
        """The procedure with all changes of its steps."""
        steps = _Lists(self, procedure.name.value).weave(procedure.steps, procedure.name)
        return procedure if steps == procedure.steps else replace(procedure, steps=steps)

    def finish(self) -> None:
        """Report targets that were not met anywhere."""
        for key, changes in self.changes.items():
            if key in self.met or key in self.gone:
                continue
            name, step = key
            known = {s.name.value for s in walk(self.model.procedures[name].steps)}
            known |= {target for procedure, target in self.met if procedure == name}
            for change in changes:
                place = change.target.span(len(name) + 1, len(name) + 1 + len(step))
                message = f"the procedure '{name}' has no step '{step}'"
                self.report.error("F204", place, message, did_you_mean(step, known))

    def conditions(self, step: Step, changes: list[Change]) -> Step:
        """The step with the conditions that changes add to it or to its conditions."""
        added = [change for change in changes if change.conditions or change.path]
        if not added:
            return step
        if not isinstance(step.body, syntax.Sql):
            for change in added:
                message = f"the step '{step.name}' sends no statement to which a condition could be added"
                self.report.error("F206", change.target.span(), message, "set its keys, or replace it")
            return step
        conditions = self._extend(step.body.conditions, added, 0, f"the step '{step.name}'")
        return replace(step, body=replace(step.body, conditions=conditions))

    def _extend(self, own: tuple[Condition, ...], changes: list[Change], depth: int, what: str) -> tuple[Condition, ...]:
        """The named conditions at one target: its own, those added here, and those further down extended."""
        found = {condition.name.value: condition for condition in own}
        for change in changes:
            if len(change.path) != depth:
                continue
            for condition in change.conditions:
                other = next((c for c in found.values() if c.operator != condition.operator), None)
                first = found.setdefault(condition.name.value, condition)
                if first is not condition:
                    message = f"the condition '{condition.name}' is added twice to {what}"
                    self.conflict(first.name.span(), condition.name.span(), message, "rename one of the two")
                elif other is not None:
                    message = f"'{condition.operator}' and '{other.operator}' are both added to {what}"
                    remedy = f"their order would matter: extend the condition '{other.name}' itself, or add both in the same way"
                    self.conflict(other.name.span(), condition.name.span(), message, remedy)
        deeper: dict[str, list[Change]] = {}
        for change in changes:
            if len(change.path) > depth:
                deeper.setdefault(change.path[depth], []).append(change)
        for name, further in deeper.items():
            extended = found.get(name)
            if extended is None:
                for change in further:
                    start = len(change.procedure) + len(change.step) + 2 + sum(len(part) + 1 for part in change.path[:depth])
                    place = change.target.span(start, start + len(name))
                    remedy = did_you_mean(name, found) or "name a condition that the model or another fix has added"
                    self.report.error("F204", place, f"{what} has no condition '{name}'", remedy)
                continue
            inner = self._extend(extended.conditions, further, depth + 1, f"the condition '{name}'")
            found[name] = replace(extended, conditions=inner)
        return tuple(sorted(found.values(), key=lambda c: c.name.value))

    def settings(self, step: Step, changes: list[Change]) -> Step:
        """The step with the keys that changes set."""
        body = step.body
        for setting in (setting for change in changes for setting in change.settings):
            value = setting.value
            if value is None:
                value = EMPTY_FIELDS.get(setting.field, ())
            fields: dict[str, Any] = {setting.field: value}
            if not setting.form:
                step = replace(step, **fields)
            elif setting.form != form_of(body):
                message = f"the step '{step.name}' has no key '{setting.key}': it is of the form '{form_of(body)}'"
                self.report.error("F206", setting.key.span(), message, "replace the step to make it another one")
            else:
                body = replace(body, **fields)
        if isinstance(body, syntax.Sql) and body.into and body.rows is not None and body != step.body:
            message = f"the step '{step.name}' comes to have both 'into' and 'rows'"
            place = next(s.key for c in changes for s in c.settings if s.field in ("into", "rows"))
            self.report.error("F206", place.span(), message, "set the other one to null")
        return replace(step, body=body)


class _Lists:
    """Weaves the lists of steps of one procedure."""

    def __init__(self, weaver: Weaver, procedure: str) -> None:
        self.weaver = weaver
        self.procedure = procedure
        self.report = weaver.report

    def weave(self, steps: tuple[Step, ...], owner: Text, may_be_empty: bool = False) -> tuple[Step, ...]:
        """One list of steps with all changes, inside the steps as well."""
        flat: list[Step] = []
        extents: dict[str, tuple[int, int]] = {}
        wraps: list[Change] = []
        self._flatten(steps, flat, extents, wraps)
        if steps and not flat and not may_be_empty:
            change = next(c for c in self._changes(steps[-1]) if c.remove)
            message = f"removing '{change.target}' leaves '{owner}' without steps"
            self.report.error("F209", change.target.span(), message, f"remove or replace '{owner}' as a whole")
        return self._wrapped(flat, extents, wraps) if wraps else tuple(flat)

    def _changes(self, step: Step) -> list[Change]:
        return self.weaver.changes.get((self.procedure, step.name.value), [])

    def _flatten(self, steps: tuple[Step, ...], flat: list[Step], extents: dict[str, tuple[int, int]], wraps: list[Change]) -> None:
        """The list with what is inserted before and after each step, and the extent of each step with its insertions."""
        for step in steps:
            key = (self.procedure, step.name.value)
            changes = self._changes(step)
            if key in self.weaver.met:
                changes = []  # a second step of the name: refused when the names of the result are checked
            self.weaver.met.add(key)
            start = len(flat)
            for change in changes:
                self._flatten(change.before, flat, extents, wraps)
            if not any(change.remove for change in changes):
                flat.append(self._step(step, changes))
            for change in changes:
                self._flatten(change.after, flat, extents, wraps)
            extents.setdefault(step.name.value, (start, len(flat)))
            wraps += [change for change in changes if change.wrap]

    def _step(self, step: Step, changes: list[Change]) -> Step:
        for change in changes:
            if change.replace is not None:
                step = replace(change.replace, name=step.name)
        step = self.weaver.settings(step, changes)
        step = self.weaver.conditions(step, changes)
        return replace(step, body=self._inside(step))

    def _inside(self, step: Step) -> syntax.Body:
        body = step.body

        def optional(steps: tuple[Step, ...]) -> tuple[Step, ...]:
            return self.weave(steps, step.name, may_be_empty=True)

        match body:
            case syntax.If():
                return replace(body, then=self.weave(body.then, step.name), otherwise=optional(body.otherwise))
            case syntax.For() | syntax.While():
                return replace(body, steps=self.weave(body.steps, step.name))
            case syntax.Try():
                return replace(
                    body,
                    steps=self.weave(body.steps, step.name),
                    handlers=self._handlers(body.handlers, optional),
                    final=optional(body.final),
                )
            case _:
                return body

    @staticmethod
    def _handlers(
        handlers: tuple[syntax.Handler, ...], weave: Callable[[tuple[Step, ...]], tuple[Step, ...]]
    ) -> tuple[syntax.Handler, ...]:
        return tuple(replace(handler, steps=weave(handler.steps)) for handler in handlers)

    def _wrapped(self, flat: list[Step], extents: dict[str, tuple[int, int]], wraps: list[Change]) -> tuple[Step, ...]:
        """The list with spans of it under try steps; spans are nested or apart."""
        spans: list[tuple[int, int, Change]] = []
        for change in wraps:
            assert change.wrap is not None
            last = change.wrap.to
            name = last.value if last is not None else change.step
            if name not in extents:
                place = last.span() if last is not None else change.target.span()
                message = f"the list of '{change.step}' has no step '{name}'"
                self.report.error("F204", place, message, did_you_mean(name, extents))
                continue
            if last is not None and any(c.replace or c.remove for c in self.weaver.changes.get((self.procedure, name), ())):
                other = next(c for c in self.weaver.changes[self.procedure, name] if c.replace or c.remove)
                message = f"'wrap' up to the step '{name}', which is replaced or removed"
                self.weaver.conflict(other.target.span(), last.span(), message, "keep one of the two")
            start, end = extents[change.step][0], extents[name][1]
            if extents[name][0] < extents[change.step][0]:
                place = last.span() if last is not None else change.target.span()
                self.report.error(
                    "F206", place, f"the step '{name}' stands before '{change.step}'", "start the span at the first step"
                )
                continue
            spans.append((start, end, change))
        spans.sort(key=lambda s: (s[0], -s[1], s[2].target.value))
        for index, (start, end, change) in enumerate(spans):
            for other_start, other_end, other in spans[:index]:
                if start < other_end and (end > other_end or (start, end) == (other_start, other_end)):
                    message = f"'wrap' of '{change.target}' and 'wrap' of '{other.target}' overlap"
                    self.weaver.conflict(other.target.span(), change.target.span(), message, "make one span contain the other")
                    return tuple(flat)
        return tuple(self._nest(flat, 0, len(flat), spans))

    def _nest(self, flat: list[Step], start: int, end: int, spans: list[tuple[int, int, Change]]) -> list[Step]:
        found: list[Step] = []
        index = start
        rest = list(spans)
        while index < end:
            outer = next((s for s in rest if s[0] == index and s[1] <= end), None)
            if outer is None:
                found.append(flat[index])
                index += 1
                continue
            rest.remove(outer)
            inside = [s for s in rest if s[0] >= outer[0] and s[1] <= outer[1]]
            rest = [s for s in rest if s not in inside]
            found.append(self._try(outer[2], tuple(self._nest(flat, outer[0], outer[1], inside))))
            index = outer[1]
        return found

    def _try(self, change: Change, steps: tuple[Step, ...]) -> Step:
        wrap = change.wrap
        assert wrap is not None

        def weave(inner: tuple[Step, ...]) -> tuple[Step, ...]:
            return self.weave(inner, wrap.name, may_be_empty=True)

        body = syntax.Try(steps, self._handlers(wrap.handlers, weave), weave(wrap.final))
        return Step(wrap.name, body, origin=wrap.origin)


def _before(change: Change) -> tuple[Step, ...]:
    return change.before


def _after(change: Change) -> tuple[Step, ...]:
    return change.after


def _parts(change: Change) -> list[tuple[str, Span]]:
    """The operations of a change by their words, each with its place."""
    place = change.target.span()
    found = []
    for word, there in (
        ("replace", change.replace),
        ("remove", change.remove),
        ("and / or", change.conditions),
        ("set", change.settings),
        ("before", change.before),
        ("after", change.after),
        ("wrap", change.wrap),
    ):
        if there:
            found.append((word, place))
    return found
