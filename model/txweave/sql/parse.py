"""SQL text to sqlglot's tree, with nothing lost on the way.

sqlglot is a lenient parser: it takes ``SAVEPOINT a`` for an alias, ``UPDATE b SET`` for a statement, drops ``ALL``, and hangs
options as flags on nodes.  Five nets keep what it reads equal to what was written:

* every character of the text belongs to a token, a comment or white space;
* the first word decides the kind of statement, and there is one statement;
* the tree agrees with PostgreSQL's operator precedence on every edge;
* the tree, written out again, has the same words as the text (:func:`_compare_words`);
* :class:`Reader` records every argument of every node that was read: what is left over is an error (:meth:`Reader.unread`).
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, NoReturn

from sqlglot import exp
from sqlglot.dialects.postgres import Postgres
from sqlglot.errors import ErrorLevel, ParseError, TokenError
from sqlglot.tokenizer_core import Token, TokenType

from txweave.spec.diagnostics import Report
from txweave.spec.text import Span, Text
from txweave.sql.intervals import duration
from txweave.sql.words import ARGUMENTS, CONSTRUCTS, FALSE_IS_ABSENT, RESERVED, SEQUENCES, STATEMENTS, TRANSACTION_CONTROL

logging.getLogger("sqlglot").setLevel(logging.CRITICAL)  # its warnings are errors here, told with a place

_DEPTH = 50
_NESTED = {TokenType.L_PAREN, TokenType.CASE, TokenType.L_BRACKET}
_NOT_TOKENS = {
    TokenType.PARAMETER: "a numbered parameter",
    TokenType.PLACEHOLDER: "the placeholder ?",
    TokenType.COLON: "a colon",
    TokenType.L_BRACKET: "an array",
    TokenType.L_BRACE: "a brace",
}


class Refused(Exception):  # noqa: N818 - it is no error of the program: the diagnostic is already in the report
    """The construct at hand is wrong and has been reported; whoever can go on without it catches this."""


class Reader:
    """A parsed text: gives access to its nodes, remembers what was read, and knows where everything stands."""

    def __init__(self, text: Text, tokens: list[Token], root: exp.Expr, report: Report) -> None:
        self.text = text
        self.tokens = tokens
        self.root = root
        self.report = report
        self._read: set[tuple[int, str]] = set()

    def get(self, node: exp.Expr, argument: str) -> Any:
        """An argument of a node; from now on it counts as read."""
        self._read.add((id(node), argument))
        return node.args.get(argument)

    def many(self, node: exp.Expr, argument: str) -> list[Any]:
        """A list argument."""
        value = self.get(node, argument)
        if isinstance(value, list):
            return list(value)
        if value:
            self.refuse("Q302", node, f"{argument} of {_class_words(node)} is not in the SQL subset here")
        return []

    def skip(self, node: exp.Expr, *arguments: str) -> None:
        """Mark arguments as read that say nothing beyond the node's class."""
        for argument in arguments:
            self._read.add((id(node), argument))

    def place(self, node: object) -> Span:
        """Where a node stands: the stretch between its outermost words that have a position, with balanced parentheses.

        A node without a position (NULL, TRUE, ``*``) stands where its only word does; else the first word of the text answers.
        """
        if isinstance(node, exp.Expr):
            places = [(n.meta["start"], n.meta["end"] + 1) for n in node.walk() if "start" in n.meta and n.meta["start"] >= 0]
            if places:
                return self._balanced(min(start for start, _ in places), max(end for _, end in places))
            if isinstance(node, (exp.Null, exp.Boolean, exp.Star)):
                shown = node.sql(dialect="postgres").upper()
                found = [t for t in self.tokens if t.text.upper() == shown and t.token_type is not TokenType.STRING]
                if len(found) == 1:
                    return self.text.span(found[0].start, found[0].end + 1)
        return self.word(self.tokens[0].text) if self.tokens else self.text.span()

    def _balanced(self, start: int, end: int) -> Span:
        inside = [i for i, t in enumerate(self.tokens) if start <= t.start and t.end < end]
        if inside:
            first, last, depth, lowest = inside[0], inside[-1], 0, 0
            for index in inside:
                kind = self.tokens[index].token_type
                depth += (kind is TokenType.L_PAREN) - (kind is TokenType.R_PAREN)
                lowest = min(lowest, depth)
            while lowest < 0 and first > 0 and self.tokens[first - 1].token_type is TokenType.L_PAREN:
                first, lowest, depth = first - 1, lowest + 1, depth + 1
            while depth > 0 and last + 1 < len(self.tokens) and self.tokens[last + 1].token_type is TokenType.R_PAREN:
                last, depth = last + 1, depth - 1
            start, end = min(start, self.tokens[first].start), max(end, self.tokens[last].end + 1)
        return self.text.span(start, end)

    def word(self, *words: str) -> Span:
        """Where the first of some words stands, or the whole text."""
        wanted = {w.upper() for w in words}
        for token in self.tokens:
            if token.token_type is not TokenType.STRING and wanted & set(token.text.upper().split()):
                return self.text.span(token.start, token.end + 1)
        return self.text.span()

    def refuse(self, code: str, where: object, message: str, remedy: str = "") -> NoReturn:
        """Report an error at a node or span and give up what is being read.

        Raises:
            Refused: always.
        """
        self.error(code, where, message, remedy)
        raise Refused

    def error(self, code: str, where: object, message: str, remedy: str = "") -> None:
        """Report an error at a node or span."""
        self.report.error(code, where if isinstance(where, Span) else self.place(where), message, remedy)

    def unsupported(self, node: exp.Expr, remedy: str = "") -> NoReturn:
        """Refuse a node by its name.

        Raises:
            Refused: always.
        """
        name, words, known = CONSTRUCTS.get(type(node).__name__, (_class_words(node), (), ""))
        if isinstance(node, exp.Anonymous):
            name = f"the function {str(node.this).lower()}()"
            words = (str(node.this),)
        elif isinstance(node, exp.Func) and type(node).__name__ not in CONSTRUCTS:
            name = f"the function {node.sql_name().lower()}()"
            words = (node.sql_name(),)
        where: object = self.word(*words) if words and self._has(words) else node
        self.refuse("Q302", where, f"{name} is not in the SQL subset", remedy or known)

    def _has(self, words: tuple[str, ...]) -> bool:
        wanted = {w.upper() for w in words}
        return any(wanted & set(t.text.upper().split()) for t in self.tokens)

    def unread(self) -> None:
        """Report every non-empty argument of every node that nobody has read."""
        for node in self.root.walk():
            for argument, value in node.args.items():
                if value is None or value == [] or value == "" or (id(node), argument) in self._read:
                    continue
                if value is False and (type(node).__name__, argument) in FALSE_IS_ABSENT:
                    continue
                name, words, remedy = ARGUMENTS.get(
                    argument, (f"{argument.strip('_').replace('_', ' ')} of {_class_words(node)}", (), "")
                )
                inner = value[0] if isinstance(value, list) else value
                if words and self._has(words):
                    where: object = self.word(*words)
                elif isinstance(inner, exp.Expr) and any("start" in n.meta for n in inner.walk()):
                    where = inner
                else:
                    where = node
                self.error("Q302", where, f"{name} is not in the SQL subset here", remedy)
                return  # the first is enough: what hangs below it is unread as well


def _tokenize(text: Text, report: Report) -> list[Token]:
    """The tokens of a text, ``:name`` made one quoted identifier whose name starts with a colon.

    Raises:
        Refused: a character or token has no meaning here.
    """
    value = text.value
    if "\x00" in value:
        report.error("Q300", text.span(), "the text contains a NUL character")
        raise Refused
    try:
        raw = Postgres().tokenize(value)
    except (TokenError, ValueError, IndexError, KeyError) as error:
        report.error("Q300", text.span(), f"the SQL cannot be read: {str(error).splitlines()[0]}", "a quote is probably not closed")
        raise Refused from error

    def refuse(code: str, start: int, end: int, message: str, remedy: str = "") -> NoReturn:
        report.error(code, text.span(start, end), message, remedy)
        raise Refused

    tokens: list[Token] = []
    at, depth, index = 0, 0, 0
    while index < len(raw):
        token = raw[index]
        index += 1
        start, end = token.start, token.end + 1
        _check_gap(text, at, start, report)
        if token.token_type is TokenType.COLON and index < len(raw) and raw[index].start == end:
            name = re.match(r"[A-Za-z_][A-Za-z0-9_]*", value[end:])
            if name:
                stop = end + name.end()
                while index < len(raw) and raw[index].end < stop:
                    index += 1
                if index < len(raw) and raw[index].start < stop:  # a keyword of several words, such as ``:order by``
                    refuse("Q305", start, stop, f"the variable name {name.group()!r} runs into a keyword", "rename the variable")
                token = Token(TokenType.IDENTIFIER, ":" + name.group(), token.line, token.col, start, stop - 1, [])
                end = stop
        elif token.token_type is TokenType.IDENTIFIER and token.text.startswith(":"):
            refuse("Q305", start, end, "a quoted name cannot start with a colon", "write a variable as :name, without quotes")
        array = token.token_type is TokenType.L_BRACKET and bool(tokens) and tokens[-1].text.upper() == "ARRAY"
        if token.token_type in _NOT_TOKENS and not array:
            what = _NOT_TOKENS[token.token_type]
            refuse("Q305", start, end, f"{what} has no meaning here: {value[start:end]!r}", "variables are written :name")
        if token.token_type is TokenType.NUMBER and index < len(raw) and raw[index].start == end:
            after = value[end : end + 1]
            if after.isalnum() or after in "_.":
                refuse("Q305", start, raw[index].end + 1, f"not a number: {value[start : raw[index].end + 1]!r}")
        if tokens and tokens[-1].token_type is TokenType.STRING and token.token_type is TokenType.STRING:
            refuse("Q305", start, end, "two string literals stand side by side", "write one literal; double a quote to mean it")
        depth += 1 if token.token_type in _NESTED else -1 if token.token_type in {TokenType.R_PAREN, TokenType.END} else 0
        if depth > _DEPTH:
            refuse("Q300", start, end, f"the SQL is nested more than {_DEPTH} levels deep")
        tokens.append(Token(token.token_type, token.text, token.line, token.col, start, end - 1, []))
        at = end
    _check_gap(text, at, len(value), report)
    while tokens and tokens[-1].token_type is TokenType.SEMICOLON:
        tokens.pop()
    if len(tokens) > 5000:
        report.error("Q300", text.span(), "the SQL is too long: more than 5000 words")
        raise Refused
    return tokens


def _check_gap(text: Text, start: int, end: int, report: Report) -> None:
    gap = text.value[start:end]
    if hint := re.search(r"/\*\+", gap):
        where = text.span(start + hint.start(), end)
        report.error("Q302", where, "an optimizer hint is not in the SQL subset", "remove the hint")
        raise Refused
    rest = re.sub(r"--[^\n\r]*", " ", re.sub(r"/\*.*?\*/", " ", gap, flags=re.DOTALL))
    if rest.strip(" \t\r\n\f\v"):
        report.error("Q300", text.span(start, end), f"this text was not read as SQL: {gap.strip()!r}")
        raise Refused


def _parse(text: Text, tokens: list[Token], report: Report) -> exp.Expr:
    parser = Postgres().parser(error_level=ErrorLevel.IMMEDIATE, error_message_context=10**7)
    try:
        trees = parser.parse(list(tokens), text.value)
    except ParseError as error:
        found = error.errors[0] if error.errors else {}
        start = len(found.get("start_context") or "")
        length = len(found.get("highlight") or "") or 1
        what = text.value[start : start + length].strip()
        reason = str(found.get("description") or "").rstrip(".")
        message = f"the SQL cannot be read at {what!r}" if what else "the SQL ends too early"
        report.error("Q300", text.span(start, start + length), message + (f": {_plain(reason)}" if reason else ""))
        raise Refused from error
    except (AttributeError, TypeError, ValueError, IndexError, KeyError, RecursionError, AssertionError) as error:
        report.error("Q300", text.span(), "the SQL cannot be read")
        raise Refused from error
    if len(trees) != 1 or trees[0] is None:
        place = next((text.span(t.start, t.end + 1) for t in tokens if t.token_type is TokenType.SEMICOLON), text.span())
        report.error("Q301", place, "one statement is expected here, not several", "write one step per statement")
        raise Refused
    return trees[0]


def _plain(reason: str) -> str:
    """Sqlglot's words without its class names."""
    reason = re.sub(r" but got <Token.*", "", reason)
    reason = re.sub(r"Required keyword: '(\w+)' missing for <class '[\w.]*\.(\w+)'>", r"something is missing in \2", reason)
    return reason[:1].lower() + reason[1:]


def parse_statement(text: Text, report: Report, kinds: tuple[str, ...] = ("SELECT", "INSERT", "UPDATE", "DELETE")) -> Reader:
    """Parse one statement whose first word, after WITH queries, is in ``kinds``.

    Raises:
        Refused: it is no such statement; the report says why.
    """
    tokens = _tokenize(text, report)
    if not tokens:
        report.error("Q300", text.span(), "an SQL statement is expected here, and the text is empty")
        raise Refused
    lead = next((t for t in tokens if t.token_type is not TokenType.L_PAREN), tokens[0])
    word = lead.text.upper().split()[0] if lead.text.split() else lead.text
    place = text.span(lead.start, lead.end + 1)
    if word in TRANSACTION_CONTROL:
        report.error("Q301", place, f"{word} is no statement of a step", TRANSACTION_CONTROL[word])
        raise Refused
    named = word == "WITH" and "SELECT" in kinds
    if word not in kinds and not named:
        known = STATEMENTS.get(word, "")
        report.error("Q301", place, f"a statement here starts with {_either(kinds)}, not with {lead.text!r}", known)
        raise Refused
    for words, name, remedy in SEQUENCES:
        for index in range(len(tokens)):
            run = tokens[index : index + len(words)]
            if tuple(t.text.upper() for t in run) == words and run[0].token_type not in (TokenType.STRING, TokenType.IDENTIFIER):
                place = text.span(run[0].start, run[-1].end + 1)
                report.error("Q302", place, f"{name} is not in the SQL subset", remedy)
                raise Refused
    root = _parse(text, tokens, report)
    reader = Reader(text, tokens, root, report)
    if isinstance(root, exp.Command):
        reader.refuse("Q302", place, f"this form of {word} is not in the SQL subset")
    if named and type(root).__name__.upper() not in kinds:
        reader.refuse("Q301", place, f"after WITH … stands {_either(kinds)}")
    _check_tree(reader)
    return reader


def parse_expression(text: Text, report: Report) -> tuple[Reader, exp.Expr]:
    """Parse one expression; returns its reader and its node.

    Raises:
        Refused: it is no expression; the report says why.
    """
    tokens = _tokenize(text, report)
    if not tokens:
        report.error("Q300", text.span(), "an SQL expression is expected here, and the text is empty")
        raise Refused
    for token in tokens:
        if token.token_type is TokenType.SEMICOLON:
            report.error("Q301", text.span(token.start, token.end + 1), "an expression is expected here, not a statement")
            raise Refused
    root = _parse(text, [Token(TokenType.SELECT, "SELECT", 1, 0, -1, -1, []), *tokens], report)
    reader = Reader(text, tokens, root, report)
    if not isinstance(root, exp.Select) or [k for k, v in root.args.items() if v and k != "expressions"]:
        reader.refuse("Q301", text.span(), "an expression is expected here, not a query", "put a subquery in parentheses")
    outputs = reader.many(root, "expressions")
    if len(outputs) != 1 or isinstance(outputs[0], (exp.Alias, exp.Star)):
        reader.refuse("Q301", text.span(), "one expression is expected here")
    _check_tree(reader, ("SELECT",))
    return reader, outputs[0]


def _either(words: tuple[str, ...]) -> str:
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " or " + words[-1]


# ------------------------------------------------------------------------------------------------- operator precedence

_COMPARISONS = (exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE)


def _level(node: exp.Expr) -> int:
    """PostgreSQL's binding strength; what is no operator binds strongest."""
    if isinstance(node, exp.Or):
        return 1
    if isinstance(node, exp.And):
        return 2
    if isinstance(node, exp.Not):
        return 3
    if isinstance(node, (exp.Is, exp.NullSafeEQ, exp.NullSafeNEQ)):
        return 4
    if isinstance(node, _COMPARISONS):
        return 5
    if isinstance(node, (exp.In, exp.Between)):
        return 6
    if isinstance(node, (exp.Add, exp.Sub)):
        return 8
    if isinstance(node, exp.Mul):
        return 9
    return 11 if isinstance(node, exp.Neg) else 20


_LEFT_ASSOCIATIVE = (exp.Or, exp.And, exp.Add, exp.Sub, exp.Mul)


def _operands(node: exp.Expr) -> Iterator[tuple[exp.Expr, int]]:
    """The operands of an operator and the least level that each may have without parentheses."""
    level = _level(node)
    if level == 20:
        return
    for argument in ("this", "expression", "low", "high"):
        child = node.args.get(argument)
        if isinstance(child, exp.Expr):
            same = isinstance(node, _LEFT_ASSOCIATIVE) and (argument == "this" or level <= 2)
            yield child, level if same or isinstance(node, (exp.Not, exp.Neg)) else level + 1


def _check_tree(reader: Reader, added: tuple[str, ...] = ()) -> None:
    for node in reader.root.walk():
        if isinstance(node, exp.EQ) and isinstance(node.parent, (exp.Update, exp.OnConflict)):
            continue  # an assignment: anything may stand on its right
        for child, least in _operands(node):
            if _level(child) < least:
                reader.refuse(
                    "Q304",
                    child,
                    "operators side by side that PostgreSQL groups in another way than it looks, or not at all",
                    "write parentheses",
                )
    _compare_words(reader, added)


# --------------------------------------------------------------------------------------------------- writing out again

_IGNORED = {"(", ")", ";", "AS", "INNER", "OUTER", "ASC"}
_SAME = {
    "!=": ("<>",),
    "::": ("CAST",),
    "NOW": ("CURRENT_TIMESTAMP",),
    "NOTNULL": ("IS", "NOT", "NULL"),
    "ISNULL": ("IS", "NULL"),
    "INTEGER": ("INT",),
    "INT4": ("INT",),
    "INT8": ("BIGINT",),
    "INT2": ("SMALLINT",),
    "BOOL": ("BOOLEAN",),
}


def _words(tokens: list[Token]) -> list[tuple[tuple[str, object], Token]]:
    """The tokens in a form in which two spellings of the same thing are equal."""
    words: list[tuple[tuple[str, object], Token]] = []
    index = 0
    while index < len(tokens):
        token = tokens[index]
        kind = token.token_type
        upper = token.text.upper()
        index += 1
        if kind is TokenType.STRING:
            words.append((("string", token.text), token))
        elif kind is TokenType.IDENTIFIER:
            words.append((("name", token.text), token))
        elif kind is TokenType.INTERVAL and index < len(tokens) and tokens[index].token_type is TokenType.STRING:
            literal, unit = tokens[index].text, None
            index += 1
            if index < len(tokens) and duration("1", tokens[index].text.lower()) is not None:
                unit = tokens[index].text.lower()
                index += 1
            amount = duration(literal, unit)
            if amount is None and unit is None:
                amount = duration(literal, "s")
            shown = " ".join(filter(None, [literal, unit])).lower()
            words.append((("interval", shown if amount is None else amount), token))
        elif upper == "NULLS" and index < len(tokens) and tokens[index].text.upper() in {"FIRST", "LAST"}:
            index += 1
        else:
            parts = [p for word in upper.split() for p in _SAME.get(word, (word,))] or [token.text]
            words += [(("word", part), token) for part in parts if part not in _IGNORED]
    return words


def _compare_words(reader: Reader, added: tuple[str, ...]) -> None:
    """Refuse a text in which the parser dropped or invented a word.

    Definitions are left out: the generator rewrites types there, and :meth:`Reader.unread` covers their short lists of options.
    """
    if isinstance(reader.root, (exp.Create, exp.Alter)):
        return
    try:
        written = reader.root.sql(dialect="postgres", comments=False)
        again = Postgres().tokenize(written)
    except (ParseError, TokenError, ValueError, AttributeError, TypeError, KeyError, IndexError, RecursionError):
        reader.refuse("Q303", reader.text.span(), "the SQL cannot be written out again as it was read")
    expected = Counter(word for word, _ in _words(again))
    expected.subtract(("word", word) for word in added)
    for word, token in _words(reader.tokens):
        expected[word] -= 1
        if expected[word] < 0:
            name, _, remedy = next((c for c in CONSTRUCTS.values() if token.text.upper() in c[1]), ("", (), ""))
            shown = f": {name} is not in the SQL subset" if name else " and has no meaning here"
            place = reader.text.span(token.start, token.end + 1)
            reader.refuse("Q303", place, f"{token.text!r} is not read as part of the statement{shown}", remedy)
    missing = [word for word, count in expected.items() if count > 0]
    if missing:
        shown = ", ".join(str(word[1]) for word in missing)
        reader.refuse(
            "Q303", reader.text.span(), f"the SQL is incomplete, or means something else than it says (it would need {shown})"
        )


def is_reserved(name: str) -> bool:
    """Whether PostgreSQL keeps the word for itself, so that an unquoted name cannot be it."""
    return name.upper() in RESERVED


def _class_words(node: exp.Expr) -> str:
    """What a node is called that has no name of its own here: the words of its class."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(node).__name__).lower()
