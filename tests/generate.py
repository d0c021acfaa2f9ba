"""Random small specifications as YAML text, from a seed: one or two tables, two processes, statements of the whole subset."""

from __future__ import annotations

import json
import re
from random import Random
from typing import Any


class Generator:
    """One specification.  ``plain`` leaves out control flow, faults and time, so that a server can run it as well."""

    def __init__(self, seed: int, *, plain: bool = False) -> None:
        self.random = Random(seed)
        self.seed, self.plain = seed, plain
        self.child = self.random.random() < 0.6
        self.timed = not plain and self.random.random() < 0.2
        self.action = self.random.choice(["CASCADE", "SET NULL", "RESTRICT", "NO ACTION"])
        self.unique = self.random.choice(["", "", "UNIQUE", "partial"])
        self.names = 0
        self.limited = self.random.random() < 0.3
        self.scalars: list[str] = []

    def pick(self, *options: Any) -> Any:
        """One of the options."""
        return self.random.choice(options)

    def chance(self, probability: float) -> bool:
        """True so often."""
        return self.random.random() < probability

    # ---------------------------------------------------------------------------------------------------- the parts

    def schema(self) -> str:
        """The tables."""
        check = self.pick("BETWEEN 0 AND 2", "IN (0, 1)")
        at = ", at TIMESTAMP" if self.timed else ""
        unique = " UNIQUE" if self.unique == "UNIQUE" else ""
        nullable = self.pick(" NOT NULL", " NOT NULL", "")
        value = f"v INTEGER{nullable}{unique} CHECK (v {check})"
        found = f"CREATE TABLE t (k INTEGER PRIMARY KEY CHECK (k BETWEEN 1 AND 3), {value}{at});"
        if self.unique == "partial":
            found += "\nCREATE UNIQUE INDEX one ON t (v) WHERE v = 1;"
        if self.child:
            found += (
                f"\nCREATE TABLE c (id SERIAL PRIMARY KEY, k INTEGER REFERENCES t (k) ON DELETE {self.action}, "
                "w INTEGER CHECK (w BETWEEN 0 AND 2));"
            )
        return found

    def data(self) -> str:
        """The rows at the start."""
        found = "INSERT INTO t (k, v) VALUES (1, 0)" + self.pick(";", ", (2, 1);")
        if self.child and self.chance(0.7):
            found += f"\nINSERT INTO c (k, w) VALUES (1, {self.pick('0', 'NULL')});"
        return found

    def atom(self, table: str) -> str:
        """A condition on a row of the table."""
        if table == "t":
            options = [
                "t.k = 1",
                "t.k = 1",
                "t.k = 2",
                "t.v = 0",
                "t.v = 1",
                "t.v <> 0",
                "t.k IN (1, 2)",
                "t.v IS NULL",
                "t.k < 2",
            ]
            if self.timed:
                options += ["t.at < now()", "t.at IS NULL", "t.at < clock_timestamp() - INTERVAL '2 s'"]
            if self.child:
                options += [
                    "EXISTS (SELECT 1 FROM c WHERE c.k = t.k)",
                    "NOT EXISTS (SELECT 1 FROM c WHERE c.k = t.k AND c.w = 1)",
                    "t.k NOT IN (SELECT c.k FROM c)",
                    "t.v IN (SELECT c.w FROM c WHERE c.k = 1)",
                    "t.v = (SELECT count(*) FROM c)",
                ]
        else:
            options = ["c.k = 1", "c.w = 0", "c.w IS NULL", "c.k IS NOT NULL", "c.w IS DISTINCT FROM 1", "c.w <> 1"]
            options += ["c.k IN (SELECT t.k FROM t WHERE t.v = 0)"]
        found = self.pick(*options)
        if self.scalars and self.chance(0.2):
            column = self.pick("t.v", "t.k") if table == "t" else "c.w"
            found = f"{column} = :{self.pick(*self.scalars)}"
        return f"NOT ({found})" if self.chance(0.1) else str(found)

    def where(self, table: str) -> str:
        """A WHERE clause, perhaps none."""
        roll = self.random.random()
        if roll < 0.1:
            return ""
        if roll < 0.75:
            return f" WHERE {self.atom(table)}"
        return f" WHERE {self.atom(table)} {self.pick('AND', 'OR')} {self.atom(table)}"

    def variable(self) -> str:
        """A new variable."""
        self.names += 1
        self.scalars.append(f"x{self.names}")
        return self.scalars[-1]

    def affected(self, statement: str) -> dict[str, Any]:
        """A writing statement, perhaps with its row count."""
        return {"sql": statement, "affected": self.variable()} if self.chance(0.2) else {"sql": statement}

    def statement(self) -> dict[str, Any]:
        """An SQL step."""
        table = "c" if self.child and self.chance(0.4) else "t"
        value = "v" if table == "t" else "w"
        match self.pick("select", "lock", "aggregate", "update", "update", "update", "delete", "insert", "insert", "join"):
            case "select":
                if self.chance(0.5):
                    return {"sql": f"SELECT {value} FROM {table}{self.where(table)}", "into": self.variable()}
                order = self.pick("", f" ORDER BY {value}", f" ORDER BY {value} DESC, {'k' if table == 't' else 'w'}")
                limit = " LIMIT 1" if self.limited and order and table == "t" else ""
                if limit:
                    return {"sql": f"SELECT k FROM t{self.where(table)} ORDER BY k{limit}", "into": self.variable()}
                return {"sql": f"SELECT DISTINCT {value} FROM {table}{self.where(table)}", "into": self.variable()}
            case "lock":
                mode = self.pick("UPDATE", "UPDATE", "NO KEY UPDATE", "SHARE", "KEY SHARE")
                wait = self.pick("", "", " SKIP LOCKED", " NOWAIT")
                if wait == "" and self.limited and table == "t":
                    return {"sql": f"SELECT k FROM t{self.where('t')} ORDER BY k LIMIT 1 FOR {mode}", "into": self.variable()}
                return {"sql": f"SELECT {value} FROM {table}{self.where(table)} FOR {mode}{wait}", "into": self.variable()}
            case "aggregate":
                function = self.pick("count(*)", f"sum({value})", f"min({value})", f"max({value})", f"count(DISTINCT {value})")
                return {"sql": f"SELECT {function} FROM {table}{self.where(table)}", "into": self.variable()}
            case "update":
                new = self.pick(
                    "0",
                    "1",
                    "2",
                    f"{value} + 1",
                    f"{value} - 1",
                    f"COALESCE({value}, 1)",
                    f"CASE WHEN {value} = 0 THEN 1 ELSE 0 END",
                )
                if self.scalars and self.chance(0.3):
                    new = f":{self.pick(*self.scalars)}"
                if table == "c" and self.chance(0.2):
                    return self.affected(f"UPDATE c SET k = {self.pick('1', '2', 'NULL')}{self.where('c')}")
                if self.timed and table == "t" and self.chance(0.5):
                    return self.affected(f"UPDATE t SET at = {self.pick('now()', 'clock_timestamp()', 'NULL')}{self.where('t')}")
                return self.affected(f"UPDATE {table} SET {value} = {new}{self.where(table)}")
            case "delete":
                if self.child and self.chance(0.2):
                    return self.affected(f"DELETE FROM c USING t WHERE t.k = c.k AND {self.atom('t')}")
                return self.affected(f"DELETE FROM {table}{self.where(table)}")
            case "insert" if table == "t":
                rows = f"({self.pick(1, 2, 3)}, {self.pick(0, 1)})"
                if self.chance(0.15):
                    rows = "(2, 0), (3, 1)"
                conflict = self.pick(
                    "",
                    "",
                    " ON CONFLICT DO NOTHING",
                    " ON CONFLICT (k) DO NOTHING",
                    " ON CONFLICT (k) DO UPDATE SET v = excluded.v",
                )
                return self.affected(f"INSERT INTO t (k, v) VALUES {rows}{conflict}")
            case "insert":
                if self.chance(0.3):
                    return self.affected(f"INSERT INTO c (k, w) SELECT t.k, t.v FROM t{self.where('t')}")
                return self.affected(f"INSERT INTO c (k, w) VALUES ({self.pick(1, 2, 'NULL')}, {self.pick(0, 1, 'NULL')})")
            case _:
                if self.child:
                    if self.chance(0.5):
                        return self.affected(f"UPDATE t SET v = 1 FROM c WHERE c.k = t.k AND {self.atom('c')}")
                    on = self.pick("c.k = t.k", "c.k = t.k AND c.w = 0")
                    return {
                        "sql": f"SELECT count(*) FROM t {self.pick('LEFT JOIN', 'JOIN')} c ON {on}{self.where('t')}",
                        "into": self.variable(),
                    }
                return {
                    "sql": f"SELECT count(*) FROM t GROUP BY v HAVING count(*) {self.pick('= 1', '> 1')}",
                    "into": self.variable(),
                }

    def block(self, length: int, depth: int) -> list[Any]:
        """Some steps in sequence."""
        found: list[Any] = []
        for _ in range(length):
            if not self.plain and depth < 2 and self.chance(0.3):
                found.append(self.control(depth))
            elif self.chance(0.12):
                found += [{"savepoint": "s"}, self.statement(), self.pick({"rollback_to": "s"}, {"release": "s"})]
            elif self.chance(0.1):
                found.append(self.pick("commit", "rollback"))
            else:
                found.append(self.statement())
        return found

    def control(self, depth: int) -> dict[str, Any]:
        """Control flow around statements."""
        kind = self.pick("if", "try", "for", "values", "set", "choose", "clock")
        before = list(self.scalars)
        inner = self.block(1, depth + 1)
        if kind != "values":
            # what is set on one way only may not be read after it
            self.scalars = before
        match kind:
            case "if":
                if before:
                    test = self.pick(f":{before[0]} > 0", f":{before[0]} IS NULL", f":{before[0]} = 0")
                    return {"if": test, "then": inner, "else": self.pick([], ["rollback"])}
            case "try":
                handler = self.pick({"any": ["rollback"]}, {"unique_violation": ["rollback"]}, {"any": []})
                return {"try": inner, "except": handler}
            case "for":
                self.names += 1
                rows, one = f"r{self.names}", f"y{self.names}"
                column = self.pick("k", "v")
                select = {"sql": f"SELECT {column} FROM t{self.where('t')} ORDER BY k", "rows": rows}
                return {
                    "try": [
                        select,
                        {"for": one, "in": rows, "steps": [{"sql": f"UPDATE t SET v = 1 WHERE {column} = :{one}"}]},
                    ],
                    "finally": [],
                }
            case "choose":
                self.names += 1
                return {
                    "try": [
                        {"choose": f"z{self.names}", "from": f"SELECT k FROM t{self.where('t')}"},
                        {"sql": f"UPDATE t SET v = 0 WHERE k = :z{self.names}"},
                    ],
                    "finally": [],
                }
            case "set":
                return {"try": [{"set": {self.variable(): self.pick("1", "0", "NULL")}}], "finally": inner}
            case _:
                pass
        return {"try": inner, "finally": []}

    # ---------------------------------------------------------------------------------------------------- the whole

    def text(self) -> str:
        """The specification."""
        procedures, roles = {}, {}
        for name, role in (("p", "a"), ("q", "b")):
            self.scalars = []
            body = [*self.block(self.pick(1, 2, 2), 0), self.pick("commit", "commit", "commit", "rollback")]
            procedures[name] = {"steps": self.named(body, name)}
            roles[role] = {"run": name}
            if not self.plain:
                if self.chance(0.2):
                    roles[role]["crash"] = "anywhere"
                if self.chance(0.1):
                    roles[role]["restart"] = roles[role].get("crash") is not None
                if self.chance(0.1):
                    roles[role]["errors"] = {"anywhere": "lost"}
                if self.chance(0.2):
                    roles[role]["fair"] = self.pick("weak", "strong", "none")
                if self.chance(0.15):
                    procedures[name]["repeat"] = "forever"
        schema = self.schema()
        if "v IN (0, 1)" in schema:  # 2 is outside of the domain then
            procedures = json.loads(re.sub(r"\bSET v = 2\b", "SET v = 1", json.dumps(procedures)))
        properties: dict[str, Any] = {
            "stuck": {"deadlock": "never"},
            "few": {"never": "SELECT count(*) FROM t WHERE v = 1 HAVING count(*) > 1"},
            "both": {"never": "SELECT t.k FROM t, a, b WHERE a.status = 'done' AND b.status = 'done' AND t.v = 1"},
            "gone": {"whenever": "SELECT k FROM t WHERE v = 1", "eventually": "gone"},
            "leads": {"whenever": "SELECT k FROM t WHERE v = 0", "eventually": "SELECT k FROM t WHERE v = 1"},
            "possible": {"always_possible": "SELECT k FROM t WHERE v = 0"},
        }
        bounds = {"t": 3}
        if self.child:
            bounds["c"] = 3
        model = {
            "model": f"random-{self.seed}",
            "title": "A random specification",
            "database": {"engine": "postgresql", "isolation": "read committed"},
            "schema": schema,
            "data": self.data(),
            "domains": {},
            "procedures": procedures,
            "scenarios": {"only": {"processes": roles, "bounds": bounds}},
            "properties": properties,
        }
        return "\n".join(f"{key}: {json.dumps(value)}" for key, value in model.items()) + "\n"

    def named(self, listed: list[Any], prefix: str) -> list[dict[str, Any]]:
        """Steps with names."""
        found = []
        for number, item in enumerate(listed, 1):
            name, body = f"{prefix}{number}", item
            if isinstance(body, dict):
                body = dict(body)
                for key in ("then", "else", "steps", "try", "finally"):
                    if isinstance(body.get(key), list):
                        body[key] = self.named(body[key], f"{name}_{key[0]}")
                if isinstance(body.get("except"), dict):
                    body["except"] = {e: self.named(h, f"{name}_x{n}") for n, (e, h) in enumerate(body["except"].items(), 1)}
                for key in ("else", "finally"):
                    if body.get(key) == []:
                        del body[key]
                if set(body) == {"try"}:
                    body["finally"] = [{f"{name}_end": {"set": {"unused": "0"}}}]
            found.append({name: body})
        return found


def generate(seed: int, *, plain: bool = False) -> str:
    """The specification with that seed."""
    return Generator(seed, plain=plain).text()
