"""Why a property breaks, in words that are made from the run: nothing here knows any particular model.

``explain`` gives the reasons of a counterexample, ``calm`` the same steps with the fewest switches between processes,
``different`` counterexamples that are not the same story again.  What is said was replayed: every run that a sentence speaks of
was taken step by step on the reference interpreter.
"""

from txweave.why.different import different
from txweave.why.order import calm
from txweave.why.reasons import explain

__all__ = ["calm", "different", "explain"]
