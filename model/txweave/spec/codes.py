"""The registry of diagnostic codes of this package: what each means, with an example of wrong and right.

``Y0xx``: the YAML; ``S1xx``: structure and names of a specification; ``F2xx``: fixes and studies.
"""

from __future__ import annotations

from typing import NamedTuple


class Code(NamedTuple):
    """``title`` in a few words, ``explanation`` with why, ``wrong`` and ``right`` as a piece of specification."""

    title: str
    explanation: str
    wrong: str = ""
    right: str = ""


CODES: dict[str, Code] = {
    # ------------------------------------------------------------------------------------------------------------ YAML
    "Y001": Code("the file cannot be read", "The path does not exist, is a directory, or may not be read."),
    "Y002": Code("the file is not UTF-8", "Specifications are UTF-8 text. The message points at the first byte that is not."),
    "Y003": Code("the file is too large", "A specification has at most a million bytes; more is a mistake or an attack."),
    "Y004": Code(
        "a tab character",
        "Editors disagree on the width of a tab, and YAML forbids it in indentation. It is refused everywhere.",
        "steps:\n\t- done: commit",
        "steps:\n  - done: commit",
    ),
    "Y005": Code(
        "not YAML",
        "The text does not follow YAML's grammar. Most often a text that starts with a colon or contains ': ' is not quoted.",
        "- test: {if: :n > 0, then: [...]}",
        '- test: {if: ":n > 0", then: [...]}',
    ),
    "Y006": Code("several documents", "A file holds one specification; a line with --- starts a second document.", "---\n...\n---"),
    "Y007": Code("the file is empty", "There is nothing in the file but blanks and comments."),
    "Y008": Code(
        "the top is not a mapping", "A file is a mapping that starts with model:, fix: or study:.", "- model: m", "model: m"
    ),
    "Y009": Code(
        "a key stands twice",
        "YAML readers silently take the last of two equal keys. Here both places are told.",
        "bounds: {job: 2, job: 3}",
        "bounds: {job: 3}",
    ),
    "Y010": Code(
        "a doubtful truth value",
        "on, off, yes, no, y and n are truth values in YAML 1.1 and words in YAML 1.2. Write true or false, or quote the word. "
        "A plain y or n is accepted where a name is wanted (a variable called n).",
        "state: [on, off]",
        'state: ["on", "off"]',
    ),
    "Y011": Code(
        "a doubtful number",
        "010 is eight or ten, 12:30 is 750 or a text, 1_000 a number or a text, depending on the reader of YAML; floating point "
        "numbers have no use here. Numbers are decimal integers.",
        "parameters: {limit: 010}",
        "parameters: {limit: 10}",
    ),
    "Y012": Code(
        "a doubtful date",
        "Some readers of YAML make a date of it. Quote it to have a text.",
        "day: 2026-01-31",
        'day: "2026-01-31"',
    ),
    "Y013": Code(
        "a doubtful null or truth value",
        "Only true, false and null are written plainly. TRUE, NULL and the like are accepted where an SQL expression is wanted.",
        "restart: TRUE",
        "restart: true",
    ),
    "Y014": Code("a tag", "Tags such as !!str change what a value is. Quote a text instead.", "state: !!str 1", 'state: "1"'),
    "Y015": Code("a merge key", "<< is not part of YAML 1.2 and hides where a key comes from. Write the keys out."),
    "Y016": Code(
        "an alias without its anchor", "An alias (*name) stands for a node with that anchor (&name) before it, declared once."
    ),
    "Y017": Code("aliases that stand for too much", "Aliases of aliases can make a small file stand for billions of nodes."),
    "Y018": Code("nested too deep", "Collections are nested at most 64 levels deep."),
    "Y019": Code("a key that is not a word", "Keys are names. A list or a mapping cannot be one.", "? [a, b]\n: 1", "a: 1\nb: 1"),
    "Y020": Code(
        "a comma ended a text",
        "Within {…} a comma ends a text, and what follows it is read as a key without a value. Quote the text or write a block.",
        "pick: {choose: [a, b], from: SELECT id, state FROM job}",
        'pick: {choose: [a, b], from: "SELECT id, state FROM job"}',
    ),
    "Y021": Code(
        "a refused character",
        "Control characters, and characters that some readers take for the end of a line, would make lines and columns ambiguous.",
    ),
    "Y022": Code(
        "a YAML directive",
        "Lines that start with % set up YAML itself; there is nothing to set up.",
        "%YAML 1.1\n---\nmodel: m",
        "model: m",
    ),
    "Y023": Code(
        "an SQL comment that swallows the text",
        "Plain, quoted and folded (>) texts join their lines, so that -- makes a comment of all that follows. Use a block (|).",
        "sql: >\n  SELECT id -- the job\n  FROM job",
        "sql: |\n  SELECT id -- the job\n  FROM job",
    ),
    "Y024": Code("a number that is too large", "Numbers have at most 18 digits."),
    "Y025": Code("more findings than are told", "A report tells 200 findings; correct those first, then look again."),
    # ------------------------------------------------------------------------------------------------------- structure
    "S100": Code(
        "cannot be read",
        "The node has the structure of the schema and yet cannot be read: a gap between the two, which is a defect of txweave.",
    ),
    "S101": Code(
        "an unknown key", "The key is not known here. A misspelt key is never ignored.", "proccesses: {…}", "processes: {…}"
    ),
    "S102": Code(
        "a missing key",
        "A key that must be there is not.",
        "model: m\nprocedures: {…}",
        "model: m\nschema: |\n  …\nprocedures: {…}",
    ),
    "S103": Code(
        "a value of the wrong kind",
        "A text, a number, a list or a mapping stands where another is wanted.",
        "count: two",
        "count: 2",
    ),
    "S104": Code("an unknown word", "One of a few words is wanted here.", "fair: strongly", "fair: strong"),
    "S105": Code(
        "not a name",
        "Names of procedures, steps, variables, roles and parameters have letters, digits and _ and start with a letter or _; "
        "those of models, scenarios, properties, fixes and cases may have hyphens as well.",
        "procedures: {mark-complete: …}",
        "procedures: {mark_complete: …}",
    ),
    "S106": Code(
        "empty, or of the wrong length", "A text, list or mapping with nothing in it says nothing: leave the key out.", "crash: []"
    ),
    "S107": Code("another kind of file", "A file is a model (model:), a fix (fix:) or a study (study: with its model:)."),
    "S108": Code("a number out of range", "The number is too small or too large for what it counts.", "count: 0", "count: 1"),
    "S109": Code(
        "keys that do not go together",
        "A step does one thing; a result is kept in into or in rows; conditions are added by and or by or.",
        "find: {sql: …, into: id, rows: ids}",
        "find: {sql: …, rows: ids}",
    ),
    "S110": Code(
        "a step that does nothing",
        "One key says what a step does: sql, commit, if, for, …",
        "find: {rows: ids}",
        "find: {sql: …, rows: ids}",
    ),
    "S111": Code(
        "a step name twice",
        "Step names are unique within a procedure at any depth, so that fixes, faults and traces can name a step.",
    ),
    "S112": Code("an unknown procedure", "run and call name procedures of the model.", "run: mark_completed", "run: mark_complete"),
    "S113": Code("an unknown step", "crash, hang and errors name steps of the procedures that the role runs or that these call."),
    "S114": Code("an unknown parameter", "set, sweep and --set name parameters that the model or a fix declares."),
    "S115": Code(
        "not a duration", "A duration is a positive integer and a unit: us, ms, s, min, h or d.", "within: 60", "within: 60 s"
    ),
    "S116": Code(
        "not a domain",
        "A domain is a list of different values of one kind, a range of integers such as 0..10, or {like: table.column}.",
        "job.state: [1, done]",
        "job.state: [waiting, done]",
    ),
    "S117": Code(
        "a domain of an unknown variable", "procedure.variable names a variable that the procedure sets or has as an input."
    ),
    "S118": Code(
        "a call that never ends", "A procedure cannot call itself, directly or through others, nor one that repeats for ever."
    ),
    "S119": Code(
        "inputs that do not match",
        "with gives every input of the procedure a value, and nothing else.",
        "with: {jbo: 1}",
        "with: {job: 1}",
    ),
    "S120": Code("a variable with a parameter's name", "Both are read as :name, so they need different names."),
    "S121": Code(
        "not a property",
        "A property is never, whenever with eventually, always_possible, or deadlock: never.",
        "p: {whenever: SELECT …}",
        "p: {whenever: SELECT …, eventually: gone}",
    ),
    "S122": Code("an unknown property", "Expectations name properties of the model."),
    "S124": Code("named twice", "A list of names or values has each of them once.", "into: [id, id]", "into: [id, state]"),
    "S125": Code(
        "a parameter of another kind", "A parameter keeps the kind of its default: integer, truth value, duration, text or list."
    ),
    "S126": Code("a handler that is never reached", "any takes every error: it is the last of several handlers."),
    "S127": Code(
        "a step that is not one name and its body",
        "A step is a dash, its name, and its body indented below the name.",
        "- find:\n  sql: SELECT …",
        "- find:\n    sql: SELECT …",
    ),
    "S128": Code(
        "a reserved name",
        "A step cannot be called anywhere; a variable cannot be called status or step, which every role has as columns.",
    ),
    "S129": Code(
        "a known violation without a day or a reason",
        "A known violation is accepted up to a day, which is written YYYY-MM-DD in quotes, for a reason. Past it the check fails.",
        'p: {violated: 6, known: {until: "next year", reason: "…"}}',
        'p: {violated: 6, known: {until: "2027-03-01", reason: "fixed by the next release"}}',
    ),
    # --------------------------------------------------------------------------------------------------- fixes, studies
    "F201": Code(
        "a requirement that is not met", "A fix that builds on another names it under requires; both are applied together."
    ),
    "F202": Code("fixes that exclude each other", "A fix names under conflicts what it cannot be combined with."),
    "F203": Code("fixes that require each other", "What two fixes require cannot be put in an order; make one fix of them."),
    "F204": Code(
        "an unknown target",
        "Changes name procedure.step, or procedure.step/condition, of the model or of another fix that is applied.",
        "changes: {mark_complete.fnd: …}",
        "changes: {mark_complete.find: …}",
    ),
    "F205": Code("an unknown scenario", "Cases and processes name scenarios of the model."),
    "F206": Code(
        "a change that does not fit its step", "Conditions are added to statements; set changes keys that the step's form has."
    ),
    "F207": Code("a change that does not fit a condition", "A named condition can only be extended, by and or by or."),
    "F208": Code("a fix applied twice", "A set of fixes has each fix once."),
    "F209": Code("a list without steps", "Removing the last step of a list leaves nothing to do there; remove what contains it."),
    "F210": Code(
        "fixes in conflict",
        "A set of fixes has one meaning whatever its order. Changes whose order would matter are refused: and with or at one "
        "target, two before (or after) at one step, replace or remove with anything on the same step or inside it, a condition "
        "of the same name, the same key set twice, spans of wrap that overlap.",
    ),
    "F214": Code("added twice", "A table, index, column, procedure, parameter, role or bound that a fix adds must be new."),
    "F215": Code("a domain that cannot be widened", "A fix widens a domain with further values of its kind."),
    "F221": Code("a case without a scenario", "When a model has several scenarios, a case (or its study) names one."),
    "F222": Code("given and varied", "What a case says for itself cannot be varied as well."),
    "F223": Code("too many cases", "vary and sweep multiply; a case stands for at most a thousand."),
    "F224": Code(
        "expectations that do not match the cases", "A list of expectations has one entry for each case that vary and sweep make."
    ),
}


def explain(code: str) -> str | None:
    """What ``txweave explain CODE`` prints; None when the code is not of this package."""
    found = CODES.get(code.strip().upper())
    if found is None:
        return None
    parts = [f"{code.strip().upper()}: {found.title}", found.explanation]
    for word, example in (("Wrong", found.wrong), ("Right", found.right)):
        if example:
            parts.append(f"{word}:\n" + "\n".join("    " + line for line in example.splitlines()))
    return "\n\n".join(parts)
