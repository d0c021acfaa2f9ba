"""Statements that are stopped in the middle, while another process commits: is a statement really one step?

The model takes a statement as one step, or as several with waits between them when it meets a lock, or lets it pause where that
makes a difference (``semantics/pauses.py``).  Here the server stops a statement between two of its rows (a function in its WHERE
asks for an advisory lock that the test holds), another process runs to its end, and the statement goes on.  What the server answers
must be what the model answers for some place of the statement's steps between the steps of the other process, which keep the order
in which they were seen.

    python tests/replay/slowed.py --statements 1500 --seed 1000

does so with generated statements, and says how many are explained.

Sources for what a statement may see: PostgreSQL manual, 13.2.1; ``EvalPlanQual`` in ``src/backend/executor/README``.
"""

from __future__ import annotations

import argparse
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from txweave.replay.conform import machine_of
from txweave.replay.generate import Document, Generator
from txweave.replay.machine import SQLSTATES, Belief, Machine, Move
from txweave.replay.schema import contents, create
from txweave.replay.server import Server
from txweave.replay.session import Answer, Session
from txweave.spec.diagnostics import SpecError
from txweave.system.expr import Elem

GATE = 7227
"""The advisory lock at which a statement stops."""

FUNCTION = f"""
CREATE SEQUENCE passed MINVALUE 0 START 0;
CREATE FUNCTION gate(k integer) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    IF k = 2 THEN
        PERFORM pg_advisory_xact_lock_shared({GATE});
    END IF;
    PERFORM nextval('passed');
    RETURN TRUE;
END $$;
"""
"""True for every row, but only when the lock can be had for the row 2; ``passed`` counts the rows that came through."""

SLOW, OTHER = Elem("slow", 0), Elem("other", 0)
END = "COMMIT"


@dataclass(frozen=True)
class Seen:
    """What a statement was seen to do: ``exit`` is ok, waits or error."""

    process: Elem
    exit: str
    rows: tuple[tuple[object, ...], ...] = ()
    affected: int | None = None
    sqlstate: str = ""

    @classmethod
    def of(cls, process: Elem, answer: Answer) -> Seen:
        """What an answer tells."""
        rows = tuple(sorted(answer.rows, key=repr))
        return cls(process, "error" if answer.sqlstate else "ok", rows, answer.affected, answer.sqlstate)

    @property
    def key(self) -> tuple[object, ...]:
        """What is compared."""
        return (self.exit, self.rows, None if self.rows else self.affected, self.sqlstate)


Contents = dict[str, "Counter[tuple[Any, ...]]"]


@dataclass(frozen=True)
class Happened:
    """On the server: the other's steps while the statement was stopped, what the statement answered and the next ones of its
    transaction, what came after its commit, and the committed rows at the end.

    ``begun``: the statement had dealt with a row when it stopped.
    """

    begun: bool
    meanwhile: tuple[Seen, ...]
    slow: tuple[Seen, ...]
    afterwards: tuple[Seen, ...]
    contents: Contents


def specification(schema: str, data: str, domains: Document, slow: list[str], others: list[str]) -> Document:
    """The slowed statement without its gate, with those after it in its transaction, and the statements of the other process."""

    def body(text: str, name: str) -> Document | str:
        if text == END:
            return "commit"
        return {"sql": text, ("rows" if text.startswith("SELECT") or " RETURNING " in text else "affected"): f"n_{name}"}

    def steps(texts: list[str]) -> list[Document]:
        return [{f"s{number}": body(text, f"s{number}")} for number, text in enumerate(texts)]

    bounds = {"p": 5, "c": 4} if "TABLE c" in schema else {"p": 5}
    return {
        "model": "slowed",
        "title": "A statement that is stopped in the middle",
        "database": {"engine": "postgresql", "isolation": "read committed"},
        "schema": schema,
        "data": data,
        "domains": domains,
        "procedures": {
            "slow": {"steps": steps([*slow, END])},
            "other": {"steps": steps(others)},
        },
        "scenarios": {"all": {"processes": {"slow": {"run": "slow"}, "other": {"run": "other"}}, "bounds": bounds}},
        "properties": {"nothing": {"never": "SELECT k FROM p WHERE FALSE"}},
    }


# ---------------------------------------------------------------------------------------------------------- the server


def run_slowed(server: Server, machine: Machine, slow: list[str], others: list[str]) -> Happened | None:
    """Stop the first statement at its second row, run the others, let it go on and its transaction commit, run what is left.

    None if it does not stop: it does not come to that row.
    """
    schema = create(server, machine.model, timed=False)
    monitor = server.monitor
    monitor.run(f"SET search_path TO {schema}, pg_catalog; {FUNCTION}; SET search_path TO pg_catalog")
    sessions = {process: server.session(schema) for process in (SLOW, OTHER)}
    slowly, other = sessions[SLOW], sessions[OTHER]
    monitor.run(f"SELECT pg_advisory_lock({GATE})")
    try:
        # Should it close a cycle, the server strikes it, and not the other.
        slowly.run("SET deadlock_timeout TO '10ms'; BEGIN")
        slowly.send(slow[0])
        if server.watch(slowly):
            return None
        assert server.blockers([slowly])[slowly.pid] == {monitor.pid}
        ((begun,),) = monitor.run(f"SELECT is_called FROM {schema}.passed").rows
        left = list(others)
        meanwhile: list[Seen] = []
        while left and not other.busy:
            _send(other, left.pop(0))
            if server.watch(other):
                meanwhile.append(Seen.of(OTHER, other.answer()))
                if meanwhile[-1].sqlstate:
                    left.clear()  # the procedure has failed
                    other.run("ROLLBACK")
            else:
                assert server.blockers([other])[other.pid] == {slowly.pid}
                meanwhile.append(Seen(OTHER, "waits"))
        monitor.run(f"SELECT pg_advisory_unlock({GATE})")
        server.finish(slowly)
        answers = [Seen.of(SLOW, slowly.answer())]
        for text in [] if answers[0].sqlstate else slow[1:]:
            answers.append(Seen.of(SLOW, slowly.run(text)))
        slowly.run("ROLLBACK" if answers[0].sqlstate else "COMMIT")
        afterwards: list[Seen] = []
        if other.busy:
            server.finish(other)
            afterwards.append(Seen.of(OTHER, other.answer()))
        while left and not (afterwards and afterwards[-1].sqlstate):
            _send(other, left.pop(0))
            server.finish(other)
            afterwards.append(Seen.of(OTHER, other.answer()))
        if other.transaction != "none":
            other.run("ROLLBACK")
        found = counted(contents(server, machine.model, schema))
        return Happened(begun is True, tuple(meanwhile), tuple(answers), tuple(afterwards), found)
    finally:
        monitor.run("SELECT pg_advisory_unlock_all()")
        for session in sessions.values():
            server.release(session)
        server.drop_schema(schema)


def _send(session: Session, text: str) -> None:
    if session.transaction == "none":
        session.run("BEGIN")
    session.send(text)


def counted(rows: dict[str, list[tuple[Any, ...]]]) -> Contents:
    """Rows without their order."""
    return {name: Counter(found) for name, found in rows.items()}


# ----------------------------------------------------------------------------------------------------------- the model


class Model:
    """The model's interleavings; ``left`` are the places at which it does not say what happens."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.left: set[str] = set()

    def moves(self, belief: Belief, process: Elem) -> Iterator[tuple[Seen | None, Belief]]:
        """What a process may do next, as it would be seen (None: transaction control), and what the model believes then."""
        for move in self.machine.enabled(belief.state, process):
            after = self.machine.successor(belief, move, 0)
            if after.state[-1] is not None:
                self.left.add(str(after.state[-1]))
                continue
            kind = self.machine.op(belief, move, 0).kind
            if kind == "deadlock":
                yield Seen(process, "error", sqlstate=SQLSTATES["deadlock_detected"]), after
            elif kind == "transaction":
                yield None, after
            elif kind == "pause":
                yield Seen(process, "waits"), after
            else:
                assert kind in ("statement", "resume", "go on"), kind
                yield self.expected(belief, move, after), after

    def expected(self, belief: Belief, move: Move, after: Belief) -> Seen:
        """What a statement's move would be seen to do."""
        assert move.actor is not None
        wanted = self.machine.expected(belief, move, after)
        rows = tuple(sorted(wanted.rows or (), key=repr))
        affected = len(rows) if wanted.affected is None and wanted.exit == "ok" else wanted.affected
        return Seen(move.actor, wanted.exit, rows, affected, SQLSTATES[wanted.label] if wanted.exit == "error" else "")

    def explains(self, happened: Happened) -> bool:
        """Whether some place of the statement's steps among the other's, in their order, gives all that was seen."""
        meanwhile = happened.meanwhile
        queue: list[tuple[Belief, int, bool]] = [(self.machine.initial(), 0, False)]
        known = set(queue)
        ends: list[Belief] = []
        while queue:
            belief, place, done = queue.pop()
            found: list[tuple[Belief, int, bool]] = []
            if done and place == len(meanwhile):
                ends.append(belief)
            if not done:
                for told, after in self.moves(belief, SLOW):
                    if told is not None and told.exit == "waits":
                        found.append((after, place, False))
                    elif agrees(told, happened.slow[0]):
                        found.append((after, place, True))
            if place < len(meanwhile):
                for told, after in self.moves(belief, OTHER):
                    if agrees(told, meanwhile[place]):
                        found.append((after, place + 1, done))
            for item in found:
                if item not in known:
                    known.add(item)
                    queue.append(item)
        for seen in happened.slow[1:]:
            ends = [after for end in ends for told, after in self.moves(end, SLOW) if agrees(told, seen)]
        if not happened.slow[0].sqlstate:
            ends = [after for end in ends for _, after in self.moves(end, SLOW)]
        for seen in happened.afterwards:
            ends = [after for end in ends for told, after in self.moves(end, OTHER) if agrees(told, seen)]
        return any(counted(self.machine.committed(end)) == happened.contents for end in ends)

    def allows(self, happened: Happened) -> bool:
        """Whether any interleaving at all gives each process the answers that it got, and the same committed rows."""
        answers = {
            SLOW: list(happened.slow),
            OTHER: [seen for seen in (*happened.meanwhile, *happened.afterwards) if seen.exit != "waits"],
        }
        ended = (len(answers[SLOW]), len(answers[OTHER]))
        queue: list[tuple[Belief, tuple[int, int]]] = [(self.machine.initial(), (0, 0))]
        known = set(queue)
        while queue:
            belief, places = queue.pop()
            if places == ended and counted(self.machine.committed(belief)) == happened.contents:
                return True
            found: list[tuple[Belief, tuple[int, int]]] = []
            for number, process in enumerate((SLOW, OTHER)):
                for told, after in self.moves(belief, process):
                    place = places[number]
                    if told is not None and told.exit == "waits":
                        found.append((after, places))
                    elif place < ended[number] and agrees(told, answers[process][place]):
                        found.append((after, (places[0] + (number == 0), places[1] + (number == 1))))
                    elif told is None and place == ended[number]:
                        found.append((after, places))  # the slowed process commits
            for item in found:
                if item not in known:
                    known.add(item)
                    queue.append(item)
        return False


def agrees(told: Seen | None, seen: Seen) -> bool:
    """Whether a move of the model is what was seen; of transaction control only that it succeeds."""
    return (seen.exit == "ok" and not seen.rows and not seen.affected) if told is None else told.key == seen.key


# ------------------------------------------------------------------------------------------------- generated statements

_SLOWED = re.compile(r"(?P<head>(?:UPDATE p|DELETE FROM p|SELECT .* FROM p|INSERT INTO c .* FROM p)\b.*?) WHERE (?P<rest>.*)")
_PICKED = re.compile(r"(?P<head>.*\(SELECT p\.k FROM p WHERE )(?P<condition>.*?)(?P<tail> (?:ORDER BY|LIMIT|FOR) .*\).*)")
_TAIL = re.compile(r"(?= ORDER BY| LIMIT| FOR | RETURNING| ON CONFLICT|$)")


def generated(seed: str) -> tuple[Document, str, list[str]] | None:
    """A specification, its statement with a gate, and the statements of the other process; None if the seed gives no such one."""
    generator = Generator(seed)
    generator.serial = False
    schema, data = generator.schema(), generator.data()
    if "SERIAL" in schema:
        return None
    for _ in range(50):
        slow = str(generator.statement()["sql"])
        picks = _PICKED.fullmatch(slow)
        match = _SLOWED.fullmatch(slow) if " LIMIT " not in slow or slow.startswith("SELECT") else None
        if match is not None or picks is not None:
            break
    else:
        return None
    if picks is not None:
        gated = f"{picks['head']}gate(p.k) AND ({picks['condition']}){picks['tail']}"
    else:
        assert match is not None
        condition, tail = _TAIL.split(match["rest"], maxsplit=1)
        gated = f"{match['head']} WHERE gate(p.k) AND ({condition}){tail}"
    others = [str(generator.statement()["sql"]) for _ in range(generator.one_of(1, 2, 2, 3))] + [END]
    document = specification(schema, data, generator.domains(), [slow], others)
    return document, gated, others


def verdict(server: Server, seed: str) -> tuple[str, str]:
    """What became of a generated statement, in a word or two, and its story."""
    made = generated(seed)
    if made is None:
        return "no statement", ""
    document, slow, others = made
    try:
        model = Model(machine_of(document))
    except SpecError:
        return "refused", ""
    happened = run_slowed(server, model.machine, [slow], others)
    if happened is None:
        return "not stopped", ""
    story = f"{document['schema']}{document['data']}{slow}\n{others}\n{happened}"
    if model.explains(happened):
        return "explained", story
    if model.left:
        return "the model does not say", story
    if happened.slow[0].sqlstate and model.allows(happened):
        return "explained but for the locks of a statement that fails", story
    if any(said.startswith("slow: nobody comes into the middle") for said in model.machine.system.assumptions):
        return "assumed not to happen", story
    return "not explained", story


def main() -> None:
    """Slow generated statements, and count what becomes of them."""
    parser = argparse.ArgumentParser(description="Slows generated statements, and says how many are explained.")
    parser.add_argument("--statements", type=int, default=300, help="how many to generate (default 300)")
    parser.add_argument("--seed", type=int, default=0, help="the first (default 0)")
    given = parser.parse_args()
    found: Counter[str] = Counter()
    with Server.start() as server:
        for number in range(given.seed, given.seed + given.statements):
            word, story = verdict(server, f"slow.{number}")
            found[word] += 1
            if word not in ("explained", "not stopped", "no statement", "refused"):
                print(f"{number}: {word}\n{story}\n")
    for word, count in found.most_common():
        print(f"{count:6} {word}")


if __name__ == "__main__":
    main()
