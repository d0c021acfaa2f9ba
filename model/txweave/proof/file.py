"""Certificate files: JSON with the clauses in SMT-LIB, as ``certificate.schema.json`` beside this module says."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeAlias

import txweave
from txweave.results import CaseResult, Proof, ProofClause

FORMAT, VERSION = "txweave-certificate", 1

Json: TypeAlias = dict[str, Any]


class FileError(ValueError):
    """A file that is no certificate; the message names the file and the place in it."""


@dataclass(frozen=True)
class Claim:
    """One proof of a file: of which composition and property it is said to be, the proof, and whether it is as it was written."""

    model: str
    case: str
    scenario: str
    fixes: tuple[str, ...]
    settings: tuple[tuple[str, str], ...]
    name: str
    proof: Proof
    intact: bool = True

    @property
    def label(self) -> str:
        """What the proof is of, in words."""
        changed = [*self.fixes, *(f"{name}={value}" for name, value in self.settings)]
        return f"{self.name} in {self.case}" + (f" ({', '.join(changed)})" if changed else "")


@cache
def schema() -> Json:
    """The JSON Schema of a certificate file."""
    loaded: Json = json.loads((files("txweave.proof") / "certificate.schema.json").read_text(encoding="utf-8"))
    return loaded


def claims(results: Iterable[CaseResult]) -> list[Claim]:
    """The proofs that results carry."""
    return [
        Claim(result.model, result.case, result.scenario, result.fixes, result.settings, item.name, item.proof)
        for result in results
        for item in result.properties
        if item.proof is not None
    ]


def dumps(found: Sequence[Claim]) -> str:
    """The text of a certificate file."""
    document = {"format": FORMAT, "version": VERSION, "txweave": txweave.__version__, "proofs": [_json(claim) for claim in found]}
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _json(claim: Claim) -> Json:
    proof = claim.proof
    content = {
        "kind": proof.kind,
        "clock": proof.clock,
        "of": {
            "model": claim.model,
            "case": claim.case,
            "scenario": claim.scenario,
            "fixes": list(claim.fixes),
            "settings": dict(claim.settings),
        },
        "property": claim.name,
        "scope": proof.scope,
        **({"lifted": list(proof.lifted)} if proof.lifted else {}),
        "meaning": proof.meaning,
        "truncated": list(proof.truncated),
        "ticks": proof.ticks,
        "clauses": [{"smt": clause.smt, "words": clause.words} for clause in proof.clauses],
    }
    return {**content, "digest": digest(content)}


def digest(content: Mapping[str, Any]) -> str:
    """The digest of a proof's keys, its own excepted: that nothing was changed since; whether it is right is another question."""
    text = json.dumps({key: content[key] for key in content if key != "digest"}, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def load(path: str | Path) -> list[Claim]:
    """The proofs of a file.

    Raises:
        FileError: it cannot be read, or is no certificate.
    """
    import jsonschema

    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise FileError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise FileError(f"{path} is no certificate: it is not UTF-8 (byte {error.start + 1})") from error
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise FileError(f"{path}:{error.lineno}:{error.colno}: not JSON: {error.msg}") from error
    except RecursionError as error:
        raise FileError(f"{path} is no certificate: it is nested too deeply") from error
    problems = sorted(jsonschema.Draft7Validator(schema()).iter_errors(document), key=lambda e: list(map(str, e.absolute_path)))
    if problems:
        where = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in problems[0].absolute_path).lstrip(".")
        message = problems[0].message
        raise FileError(f"{path}: {where or 'the document'}: {message if len(message) < 200 else message[:200] + ' …'}")
    return [_claim(content) for content in document["proofs"]]


def _claim(content: Json) -> Claim:
    of = content["of"]
    proof = Proof(
        kind=content["kind"],
        clock=content["clock"],
        scope=content["scope"],
        meaning=content["meaning"],
        truncated=tuple(content["truncated"]),
        ticks=content["ticks"],
        clauses=tuple(ProofClause(clause["smt"], clause["words"]) for clause in content["clauses"]),
        lifted=tuple(content.get("lifted", ())),
    )
    settings = tuple(of["settings"].items())
    intact = content["digest"] == digest(content)
    return Claim(of["model"], of["case"], of["scenario"], tuple(of["fixes"]), settings, content["property"], proof, intact)
