"""The same interleaving under another composition, state beside state, up to where the two part."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from txweave.check import prepare
from txweave.collect import Selected
from txweave.compare import align, obstacles
from txweave.follow import Follower, Run
from txweave.possible import Possible
from txweave.report import explorer
from txweave.report.story import StoryStep, step_of
from txweave.trace import Trace
from txweave.view import Viewer, keys_of


@dataclass(frozen=True)
class Other:
    """A composition to compare with.  ``name``: what it is called among the others."""

    name: str
    selected: Selected

    @cached_property
    def possible(self) -> Possible:
        """Its moves and truths.

        Raises:
            SpecError: it is wrong.
        """
        bound, system = prepare(self.selected)
        return Possible(Viewer(system, keys_of(bound)))

    def beside(self, trace: Trace, told: tuple[StoryStep, ...]) -> explorer.Document:
        """How it follows a path of another composition; ``told`` are the steps of that path.

        ``states``: after none, one, two … steps of the path, as far as it follows.  ``steps``: what it did for each of them, and
        whether a reader sees a difference.  ``parts``: why it cannot take the next one; nothing where it follows to the end.
        """
        viewer, system = self.possible.viewer, self.possible.system
        actions = [taken.action for taken in trace.steps]
        run = Run(system)
        for runs in Follower(trace.system, system).follow(actions):
            run = runs[0]
        followed = len(run.marks) - 1
        steps = [step_of(viewer, n + 1, taken.action, run.at(n), taken.state) for n, taken in enumerate(run.steps)]
        aligned = [align(here, steps[a:b]) for here, a, b in zip(told, run.marks, run.marks[1:], strict=False)]
        views = [viewer.view(run.at(mark)) for mark in run.marks]
        every = [self.possible.truths(item, run.trace().states) for item in system.properties]
        pairs = [(item.name, one) for item, one in zip(system.properties, every, strict=True)]
        return {
            "name": self.name,
            "initial": explorer.state(views[0]),
            "patches": [explorer.patch(old, new) for old, new in pairwise(views)],
            "steps": [[[_words(step) for step in item.there], item.same] for item in aligned],
            "truths": [[[name, explorer.truth(one[mark])] for name, one in pairs] for mark in run.marks],
            **explorer.outlines(self.selected.case),
            "parts": list(obstacles(viewer, run, actions[followed])) if followed < len(actions) else None,
        }


def _words(step: StoryStep) -> str:
    said = step.note or (step.outcome if step.outcome != "ok" else "")
    returned = "".join(f", {name} = {value}" for name, value in step.returned)
    return f"{step.actor or 'time'}: {step.step or step.action}{f' ({said})' if said else ''}{returned}"
