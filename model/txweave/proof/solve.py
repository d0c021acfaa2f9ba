"""Solvers that are given SMT-LIB: Z3, and cvc5 as a second opinion (``pip install txweave[cvc5]``).

Both read the same text.  An answer is ``sat``, ``unsat``, or anything else that the solver says, which is no answer.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

SOLVERS = ("z3", "cvc5")

RLIMIT = 50_000_000
"""Budget of one query in the solver's own units."""


class MissingSolverError(ImportError):
    """A solver is not installed."""


class Solver(Protocol):
    """A solver with a script that goes on."""

    def run(self, lines: Iterable[str]) -> str:
        """What the solver prints for the next commands: the answer to a query, or nothing."""


def solver(name: str, rlimit: int = RLIMIT) -> Solver:
    """A new solver.

    Raises:
        MissingSolverError: it is not installed.
    """
    try:
        return Z3(rlimit) if name == "z3" else Cvc5(rlimit)
    except ImportError as error:
        raise MissingSolverError(f"{name} is not installed: pip install 'txweave[{name}]'") from error


class Z3:
    """Z3, by its own reader of SMT-LIB."""

    def __init__(self, rlimit: int) -> None:
        import z3

        self._z3, self._context = z3, z3.Context()
        self.run([f"(set-option :rlimit {rlimit})"])

    def run(self, lines: Iterable[str]) -> str:
        """What Z3 prints for the next commands."""
        try:
            return str(self._z3.Z3_eval_smtlib2_string(self._context.ref(), "\n".join(lines))).strip()
        except self._z3.Z3Exception as error:
            return f"error: {error}"


class Cvc5:
    """cvc5, by its own reader of SMT-LIB."""

    def __init__(self, rlimit: int) -> None:
        import cvc5

        self._language = cvc5.InputLanguage.SMT_LIB_2_6
        self._solver: Any = cvc5.Solver(cvc5.TermManager())
        self._parser: Any = cvc5.InputParser(self._solver)
        self.run(["(set-option :incremental true)", f"(set-option :rlimit-per {rlimit})"])

    def run(self, lines: Iterable[str]) -> str:
        """What cvc5 prints for the next commands."""
        self._parser.setStringInput(self._language, "\n".join(lines) + "\n", "certificate")
        printed: list[str] = []
        while True:
            command = self._parser.nextCommand()
            if command.isNull():
                return "".join(printed).strip()
            printed.append(str(command.invoke(self._solver, self._parser.getSymbolManager())))
