"""Random walks: one run of many, told like a counterexample."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

from txweave.report.story import StoryStep, step_of
from txweave.system.expr import Elem
from txweave.system.ground import GroundAction, GroundSystem
from txweave.trace import State
from txweave.view import Keys, StateView, Viewer, evaluate

FAULTS = 0.1
"""The chance of a fault or an injected error where one is possible."""


@dataclass(frozen=True)
class Walk:
    """A walk: its steps, why it ended, and the ``never`` properties that it broke, with the step after which each first was."""

    seed: int
    initial: StateView
    steps: tuple[StoryStep, ...]
    ended: str
    broken: tuple[tuple[str, int], ...]


def walk(system: GroundSystem, keys: Mapping[str, Keys], seed: int, length: int) -> Walk:
    """A random walk of at most ``length`` steps; the same seed gives the same walk."""
    chance = random.Random(seed)  # noqa: S311 - a walk is no secret
    viewer = Viewer(system, keys)
    state = system.initial
    steps: list[StoryStep] = []
    broken: dict[str, int] = {}
    ended = f"after {length} steps, as asked"
    for number in range(length + 1):
        for item in system.properties:
            if (
                item.kind == "never"
                and item.name not in broken
                and item.rows is not None
                and evaluate(item.rows.some, state) is True
            ):
                broken[item.name] = number
        if number == length:
            break
        enabled = [action for action in system.actions if evaluate(action.guard, state) is True]
        if not enabled:
            ended = "nothing more can happen"
            break
        action = _choose(enabled, chance)
        after = successor(action, state)
        steps.append(step_of(viewer, number + 1, action, state, after))
        state = after
        if state[-1] is not None:
            ended = f"out of bounds: {state[-1]}"
            break
    return Walk(seed, viewer.view(system.initial), tuple(steps), ended, tuple(broken.items()))


def successor(action: GroundAction, state: State) -> State:
    """The state after an action."""
    values = list(state)
    for cell, term in action.updates:
        values[cell] = evaluate(term, state)
    return tuple(values)


def _choose(enabled: list[GroundAction], chance: random.Random) -> GroundAction:
    faults = [a for a in enabled if a.kind in {"fault", "error"}]
    moves = [a for a in enabled if a.kind not in {"fault", "error"}]
    if faults and (not moves or chance.random() < FAULTS):
        return chance.choice(faults)
    actors: dict[Elem | None, list[GroundAction]] = {}
    for action in moves:
        actors.setdefault(action.actor, []).append(action)
    return chance.choice(chance.choice(list(actors.values())))
