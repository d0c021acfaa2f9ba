"""txweave model-checks procedures that share an SQL database.

>>> import txweave as tw
>>> model = tw.load("specs/backfill.model.yaml")  # doctest: +SKIP
>>> tw.check(model)["no_premature_completion"].trace  # doctest: +SKIP

What is below is described in :mod:`txweave.api`; it is imported when it is first used.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from txweave.api import Comparison, Explorer, Model, Result, SpecError, Trace, Usage, Verdict, check, compare, explore, load

__version__ = "0.1.0"

__all__ = [
    "Comparison",
    "Explorer",
    "Model",
    "Result",
    "SpecError",
    "Trace",
    "Usage",
    "Verdict",
    "check",
    "compare",
    "explore",
    "load",
]


def __getattr__(name: str) -> Any:
    if name in __all__:
        if name in _Package.functions:
            return import_module(f"txweave.{name}")
        return getattr(import_module("txweave.api"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def load_ipython_extension(shell: Any) -> None:
    """``%load_ext txweave``: the cell magic ``%%txweave`` (:mod:`txweave.notebook.magic`)."""
    import_module("txweave.notebook").load_ipython_extension(shell)


class _Function(ModuleType):
    """A module that can be called: the function of its name in :mod:`txweave.api`."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return getattr(import_module("txweave.api"), self.__name__.rpartition(".")[2])(*arguments, **options)


class _Package(ModuleType):
    """``tw.check`` is a function for users and a module of the package.

    A module that is imported becomes an attribute of its package, whatever had that name: so these two can be called
    (https://docs.python.org/3/reference/datamodel.html#customizing-module-attribute-access).
    """

    functions = frozenset({"check", "compare"})

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.functions and isinstance(value, ModuleType):
            value.__class__ = _Function
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
