"""Small specifications at random: one or two tables with keys, constraints and rows, and two or three processes that get
in each other's way."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

Document = dict[str, Any]
"""A model as its YAML says."""

_MODES = ("UPDATE", "NO KEY UPDATE", "SHARE", "KEY SHARE")


class Generator:
    """Makes one specification.

    Table ``p`` has the key ``k`` (written by the program, or generated), ``v`` and ``u``; table ``c`` refers to it with
    ``r`` and has ``w``.  Some specifications are ``rich``: generated ids are exact, and statements pick their rows by subqueries.
    """

    def __init__(self, seed: str) -> None:
        self.chance = random.Random(seed)  # noqa: S311 - a spec is no secret
        # A stream of its own, so that the others stay what they were.
        self.more = random.Random(f"{seed} statements")  # noqa: S311 - as above
        self.rich = self.more.random() < 0.35
        self.serial = self.chance.random() < 0.3
        self.two = self.chance.random() < 0.65
        self.refers = self.two and self.chance.random() < 0.8
        self.number = 0
        self.uniques: list[str] = []

    def one_of(self, *options: Any) -> Any:
        """Any of the options."""
        return self.chance.choice(options)

    def maybe(self, probability: float) -> bool:
        """True with a probability."""
        return self.chance.random() < probability

    # --------------------------------------------------------------------------------------------------------- schema

    def schema(self) -> str:
        """The DDL."""
        key = "k SERIAL PRIMARY KEY" if self.serial else "k INTEGER PRIMARY KEY"
        columns = [key, f"v INTEGER{self.one_of('', ' NOT NULL', ' NOT NULL')}", "u INTEGER"]
        if self.maybe(0.35):
            columns.append("UNIQUE (v)")
            self.uniques.append("v")
        elif self.maybe(0.2):
            columns.append("UNIQUE (v, u)")
            self.uniques.append("v, u")
        if self.maybe(0.2):
            columns.append("CHECK (v < 2)")
        texts = [f"CREATE TABLE p ({', '.join(columns)})"]
        if self.maybe(0.25):
            texts.append(f"CREATE UNIQUE INDEX one_u ON p (u) WHERE v {self.one_of('> 0', '= 1', 'IS NOT NULL')}")
        if self.two:
            child = [self.one_of("i SERIAL PRIMARY KEY", "i SERIAL PRIMARY KEY", "i INTEGER PRIMARY KEY")]
            self.child_serial = "SERIAL" in child[0]
            action = self.one_of("", " ON DELETE CASCADE", " ON DELETE CASCADE", " ON DELETE SET NULL")
            child.append("r INTEGER" + (f" REFERENCES p (k){action}" if self.refers else ""))
            child.append("w INTEGER NOT NULL DEFAULT 0")
            if self.maybe(0.3):
                child.append("UNIQUE (r)")
            texts.append(f"CREATE TABLE c ({', '.join(child)})")
        return ";\n".join(texts) + ";\n"

    def domains(self) -> dict[str, Any]:
        """The domains of the integer columns."""
        found: dict[str, Any] = {"p.v": [0, 1, 2], "p.u": [0, 1]}
        if not self.serial:
            found["p.k"] = [1, 2, 3]
        if self.two:
            found["c.w"] = [0, 1]
            if not self.refers:
                found["c.r"] = [1, 2, 3]
            if not self.child_serial:
                found["c.i"] = [1, 2, 3]
        return found

    def data(self) -> str:
        """The rows at the start."""
        rows = []
        values = [0, 1, 2]
        self.chance.shuffle(values)
        checked = [v for v in values if v < 2]
        count = self.one_of(1, 2, 2, 2, 3)
        for number in range(1, count + 1):
            v = checked[(number - 1) % 2] if number <= 2 else "NULL"
            rows.append((number, v, self.one_of("NULL", "NULL", 0, 1) if number == 1 else "NULL"))
        if any(v == "NULL" for _, v, _ in rows):
            rows = [r for r in rows if r[1] != "NULL"]
        self.present = [r[0] for r in rows]
        texts = [f"INSERT INTO p (k, v, u) VALUES {', '.join(f'({k}, {v}, {u})' for k, v, u in rows)}"]
        if self.two and self.maybe(0.7):
            key = "" if self.child_serial else "i, "
            first = "" if self.child_serial else "1, "
            texts.append(f"INSERT INTO c ({key}r, w) VALUES ({first}{self.one_of(*self.present)}, {self.one_of(0, 1)})")
        return ";\n".join(texts) + ";\n"

    # ------------------------------------------------------------------------------------------------------ statements

    def key(self) -> str:
        """A key of ``p``; a generated one, if it is not exact, can only be a variable."""
        return str(self.one_of(1, 1, 2, 2, 3))

    def condition(self, table: str = "p") -> str:
        """A condition on a row."""
        simple: list[Callable[[], str]]
        if table == "p":
            simple = [
                lambda: f"p.v = {self.one_of(0, 1, 2)}",
                lambda: f"p.v < {self.one_of(1, 2)}",
                lambda: "p.v > 0",
                lambda: f"p.v <> {self.one_of(0, 1)}",
                lambda: "p.u IS NULL",
                lambda: "TRUE",
            ]
            if not self.serial or self.rich:
                simple += [lambda: f"p.k = {self.key()}", lambda: f"p.k = {self.key()}", lambda: "p.k < 3"]
            if self.two:
                simple += [
                    lambda: f"{self.one_of('', 'NOT ')}EXISTS (SELECT 1 FROM c WHERE c.r = p.k)",
                    lambda: f"{self.one_of('', 'NOT ')}EXISTS (SELECT 1 FROM c WHERE c.w = {self.one_of(0, 1)})",
                    lambda: f"{self.one_of('', 'NOT ')}EXISTS (SELECT 1 FROM c WHERE c.w = p.v)",
                    lambda: "p.v IN (SELECT c.w FROM c)",
                    lambda: "p.v = (SELECT max(c.w) FROM c)",
                    lambda: "(SELECT count(*) FROM c WHERE c.r = p.k) > 0",
                ]
            else:
                simple += [
                    lambda: "p.v = (SELECT min(q.v) FROM p q)",
                    lambda: "NOT EXISTS (SELECT 1 FROM p q WHERE q.v > p.v)",
                ]
        else:
            simple = [lambda: f"c.w = {self.one_of(0, 1)}", lambda: "c.r IS NOT NULL", lambda: "TRUE"]
            simple.append(lambda: f"EXISTS (SELECT 1 FROM p WHERE p.k = c.r AND p.v = {self.one_of(0, 1)})")
            if not self.refers:
                simple.append(lambda: f"c.r = {self.key()}")
        first = str(self.chance.choice(simple)())
        if self.maybe(0.25):
            return f"({first} {self.one_of('AND', 'AND', 'OR')} {self.chance.choice(simple)()})"
        return first

    def name(self, hint: str) -> str:
        """A fresh name of a step."""
        self.number += 1
        return f"{hint}_{self.number}"

    def select(self) -> Document:
        """A query."""
        kind = self.one_of("rows", "count", "max")
        if kind == "count":
            return {"sql": f"SELECT count(*) FROM p WHERE {self.condition()}", "into": self.name("n")}
        if kind == "max":
            return {"sql": f"SELECT max(p.v) FROM p WHERE {self.condition()}", "into": self.name("m")}
        return {"sql": f"SELECT p.k, p.v FROM p WHERE {self.condition()}", "rows": self.name("rows")}

    def lock(self) -> Document:
        """A locking query."""
        table = "c" if self.two and self.maybe(0.2) else "p"
        wait = self.one_of("", "", "", " SKIP LOCKED", " NOWAIT")
        order = limit = ""
        if table == "p" and self.maybe(0.3):
            order = f" ORDER BY p.{self.one_of('k', 'v')}" if not self.serial or self.maybe(0.0) else " ORDER BY p.v"
            limit = " LIMIT 1"
        elif self.maybe(0.1):
            limit = " LIMIT 1"
        if table == "p":
            columns, key = "p.k, p.v", "rows"
        else:
            columns, key = "c.i, c.w", "rows"
        text = f"SELECT {columns} FROM {table} WHERE {self.condition(table)}{order}{limit} FOR {self.one_of(*_MODES)}{wait}"
        return {"sql": text, key: self.name("rows")}

    def update(self) -> Document:
        """An UPDATE."""
        if self.two and self.maybe(0.3):
            sets = self.one_of("w = 1 - w", "w = 0", "w = 1") if self.maybe(0.75) else self._reference()
            return self._counted(f"UPDATE c SET {sets} WHERE {self.condition('c')}")
        sets = self.one_of(
            "v = 1", "v = 0", "v = 2", "v = CASE WHEN v < 2 THEN v + 1 ELSE 0 END", "u = 1", "u = 0", "u = NULL", "v = v"
        )
        if not self.serial and not self.refers and self.maybe(0.15):
            sets = f"k = {self.key()}"
        if self.two and self.maybe(0.1):
            return {"sql": f"UPDATE p SET {sets} FROM c WHERE c.r = p.k AND {self.condition()}"}
        where = self.condition()
        touched = sets.partition(" = ")[0]
        if any(touched in columns for columns in (*self.uniques, "k")) and self.maybe(0.8):
            # An UPDATE of several rows that must wait for a key leaves the modelled ground: mostly one row, then.
            where = f"p.v = {self.one_of(0, 1, 2)}" if self.serial else f"p.k = {self.key()}"
            if self.maybe(0.3):
                where = f"({where} AND {self.condition()})"
        text = f"UPDATE p SET {sets} WHERE {where}"
        if self.maybe(0.2):
            return {"sql": f"{text} RETURNING k, v", "rows": self.name("rows")}
        return self._counted(text)

    def _reference(self) -> str:
        if self.refers and self.serial:
            return "r = NULL"
        return f"r = {self.one_of(self.key(), 'NULL')}"

    def _counted(self, text: str) -> Document:
        return {"sql": text, "affected": self.name("n")} if self.maybe(0.5) else {"sql": text}

    def delete(self) -> Document:
        """A DELETE."""
        table = "c" if self.two and self.maybe(0.35) else "p"
        return self._counted(f"DELETE FROM {table} WHERE {self.condition(table)}")

    def pick(self) -> Document:
        """An UPDATE or DELETE of the rows that a subquery picks, mostly locking them."""
        any_of = self.more.choice
        order = any_of(["", " ORDER BY p.k", " ORDER BY p.k", " ORDER BY p.k DESC", " ORDER BY p.v"])
        named = any_of([False, True])
        limit = any_of([" LIMIT 1", " LIMIT 2", " LIMIT 2", ""]) if named else " LIMIT 1"
        lock = any_of([" FOR UPDATE", " FOR UPDATE", " FOR UPDATE SKIP LOCKED", " FOR UPDATE SKIP LOCKED", " FOR UPDATE NOWAIT"])
        if not named and self.more.random() < 0.2:
            lock = ""
        query = f"SELECT p.k FROM p WHERE {self.condition()}{order}{limit}{lock}"
        deletes = self.more.random() < 0.25
        head = "DELETE FROM p" if deletes else f"UPDATE p SET {any_of(['v = 1', 'v = 0', 'v = 2', 'u = 1', 'u = 0', 'u = NULL'])}"
        if not named:
            text = f"{head} WHERE p.k = ({query})"
        elif any_of([False, True]):
            text = f"WITH picked AS ({query}) {head} {'USING' if deletes else 'FROM'} picked WHERE p.k = picked.k"
        else:
            text = f"WITH picked AS ({query}) {head} WHERE p.k IN (SELECT k FROM picked)"
        if self.more.random() < 0.4:
            return {"sql": f"{text} RETURNING p.k, p.v", "rows": self.name("rows")}
        return self._counted(text)

    def insert(self) -> Document:
        """An INSERT."""
        if self.two and self.maybe(0.4):
            return self._insert_child()
        values = f"{self.one_of(0, 1, 1, 2)}, {self.one_of('NULL', '0', '1')}"
        if self.serial:
            text = f"INSERT INTO p (v, u) VALUES ({values})"
        else:
            text = f"INSERT INTO p (k, v, u) VALUES ({self.key()}, {values})"
            if self.maybe(0.15):
                text += f", ({self.key()}, {self.one_of(0, 1)}, NULL)"
        targets = [] if self.serial else ["(k)"]
        if "v" in self.uniques:
            targets.append("(v)")
        if targets and self.maybe(0.4):
            target = self.one_of(*targets)
            if self.maybe(0.5):
                text += f" ON CONFLICT {self.one_of(target, '')} DO NOTHING".replace("  ", " ")
            else:
                where = self.one_of("", " WHERE p.v < 2")
                text += f" ON CONFLICT {target} DO UPDATE SET u = {self.one_of('excluded.u', '1', '0')}{where}"
        if self.maybe(0.2):
            return {"sql": f"{text} RETURNING k, v", "rows": self.name("rows")}
        return self._counted(text)

    def _insert_child(self) -> Document:
        key = "" if self.child_serial else "i, "
        first = "" if self.child_serial else f"{self.one_of(1, 2, 3)}, "
        order = " ORDER BY p.k" if self.rich and self.child_serial else ""
        if self.maybe(0.35) and self.child_serial:
            text = f"INSERT INTO c (r, w) SELECT p.k, {self.one_of('0', '1')} FROM p WHERE {self.condition()}"
            return self._counted(text + order)
        if self.refers and self.serial:
            return self._counted(f"INSERT INTO c ({key}r, w) SELECT {first}p.k, 0 FROM p WHERE p.v = {self.one_of(0, 1)}{order}")
        return self._counted(f"INSERT INTO c ({key}r, w) VALUES ({first}{self.key()}, {self.one_of(0, 1)})")

    def statement(self) -> Document:
        """Any statement."""
        if self.rich and self.more.random() < 0.4:
            return self.pick()
        makers = [self.select, self.lock, self.update, self.delete, self.insert]
        return dict(self.chance.choices(makers, weights=[1, 3, 5, 2, 4])[0]())

    # ------------------------------------------------------------------------------------------------------- processes

    def steps(self) -> list[Document]:
        """The steps of a procedure: one or two transactions."""
        found: list[Document] = []
        for _ in range(self.one_of(1, 1, 2)):
            body: list[Document] = []
            for _ in range(self.one_of(1, 2, 2, 3)):
                body.append({self.name("s"): self.statement()})
            if self.maybe(0.3):
                at = self.chance.randrange(len(body))
                risky = body[at]
                body[at : at + 1] = [
                    {self.name("save"): {"savepoint": "sp"}},
                    {self.name("try"): {"try": [risky], "except": [{self.name("undo"): {"rollback_to": "sp"}}]}},
                ]
                if self.maybe(0.2):
                    body.append({self.name("undo"): {"rollback_to": "sp"}})
            if self.maybe(0.3):
                body = [{self.name("try"): {"try": body, "except": [{self.name("back"): "rollback"}]}}]
            found.extend(body)
            found.append({self.name("end"): self.one_of("commit", "commit", "commit", "commit", "rollback")})
        return found

    def document(self) -> Document:
        """A whole model."""
        schema = self.schema()
        data = self.data()
        procedures: Document = {}
        processes: Document = {}
        for number in range(self.one_of(2, 2, 3)):
            procedures[f"run_{number + 1}"] = {"steps": self.steps()}
            role: Document = {"run": f"run_{number + 1}"}
            if self.maybe(0.15):
                role["crash"] = "anywhere"
            processes[f"t{number + 1}"] = role
        # Exact ids are counted, not rows: what is rolled back has taken some.
        bounds = {"p": 4 + 3 * self.rich, **({"c": 3 + 3 * self.rich} if self.two else {})}
        return {
            "model": "walk",
            "title": "A generated specification",
            **({"serial": "exact"} if self.rich else {}),
            "database": {"engine": "postgresql", "isolation": "read committed"},
            "schema": schema,
            "data": data,
            "domains": self.domains(),
            "procedures": procedures,
            "scenarios": {"all": {"processes": processes, "bounds": bounds}},
            "properties": {"nothing": {"never": "SELECT k FROM p WHERE FALSE"}},
        }


def generate(seed: str) -> Document:
    """The specification of a seed."""
    return Generator(seed).document()
