"""Single files to typed syntax: models and fixes, with all errors of a file told at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from txweave.spec import syntax
from txweave.spec.build import Builder, Malformed, default_database
from txweave.spec.diagnostics import Diagnostic, Report
from txweave.spec.names import check_names
from txweave.spec.reader import MappingNode, Node, read_source, read_yaml
from txweave.spec.structure import check_structure
from txweave.spec.text import SourceFile, Span, Text

_Made = TypeVar("_Made")


def load_model(path: str | Path) -> syntax.Model:
    """Read a model as its file says, before fixes and settings.

    Raises:
        SpecError: everything that is wrong with the file, SQL apart.
    """
    return parse_model(read_source(path))


def load_fix(path: str | Path) -> syntax.Fix:
    """Read a fix.

    Raises:
        SpecError: everything that is wrong with the file by itself; its targets are checked when it is applied.
    """
    return parse_fix(read_source(path))


def parse_model(source: SourceFile) -> syntax.Model:
    """Read a model from a file's content.

    Raises:
        SpecError: everything that is wrong with it, SQL apart.
    """
    report = Report()
    root = open_file(source, "model", report)
    sound = check_structure(root, "modelFile", report, blamed(report))
    builder = Builder(report)
    model = build(builder, _model, root)
    if model is not None and sound and not builder.skipped:
        check_names(model, report)
    settle(builder, report)
    assert model is not None
    return model


def parse_fix(source: SourceFile) -> syntax.Fix:
    """Read a fix from a file's content.

    Raises:
        SpecError: everything that is wrong with it by itself.
    """
    report = Report()
    root = open_file(source, "fix", report)
    check_structure(root, "fixFile", report, blamed(report))
    name = root.get("fix")
    builder = Builder(report, str(getattr(name, "value", "")))
    fix = build(builder, read_fix, root)
    settle(builder, report)
    assert fix is not None
    return fix


def kind_of(root: MappingNode) -> str | None:
    """``study``, ``fix`` or ``model``, by the keys at the top (a study names its model)."""
    return next((kind for kind in ("study", "fix", "model") if root.get(kind) is not None), None)


def file_kind(path: str | Path) -> str | None:
    """Whether a file is a ``study``, a ``fix`` or a ``model``; None when it says none of them.

    Raises:
        SpecError: it cannot be read, or is no YAML.
    """
    report = Report()
    return kind_of(read_yaml(read_source(path), report))


def open_file(source: SourceFile, kind: str, report: Report) -> MappingNode:
    """The tree of a file of the expected kind; what is doubtful goes to ``report``.

    Raises:
        SpecError: it is no YAML, or a specification of another kind.
    """
    root = read_yaml(source, report)
    found = kind_of(root)
    if found == kind:
        return root
    if found is None:
        first = root.entries[0][0].span if root.entries else root.span
        message = "the file does not say what it specifies"
        report.error("S107", first, message, f"give it the key '{kind}' with its name")
    else:
        key = root.key(found)
        assert key is not None
        report.error("S107", key.span, f"this is a {found}, where a {kind} is expected", f"give the path of a {kind}")
    report.check()
    return root


def blamed(report: Report) -> list[Span]:
    """The places of all findings so far."""
    return [diagnostic.span for diagnostic in report.diagnostics if diagnostic.span is not None]


def build(builder: Builder, make: Callable[[Builder, MappingNode], _Made], root: MappingNode) -> _Made | None:
    """What ``make`` makes of a file; None when that is impossible."""
    try:
        return make(builder, root)
    except Malformed as error:
        builder.skipped.append(error.node)
        return None


def settle(builder: Builder, report: Report) -> None:
    """Raise what was found; something that was skipped without a finding is a finding itself.

    Raises:
        SpecError: there are errors.
    """
    report.diagnostics.sort(key=_place)
    report.check()
    for node in builder.skipped:
        report.error("S100", node.span, "this cannot be read as what its place asks for")
    report.check()


def _place(diagnostic: Diagnostic) -> tuple[str, int]:
    span = diagnostic.span
    return (span.path, span.start) if span is not None else ("", 0)


def optional(read: Callable[[Node], _Made], node: Node | None, default: _Made) -> _Made:
    """What ``read`` makes of a node, or the default when there is none."""
    return default if node is None else read(node)


def _model(builder: Builder, root: MappingNode) -> syntax.Model:
    def expectations(node: Node) -> dict[str, syntax.Expectation]:
        entries = builder.mapping(node, root).entries
        return {key.text.value: builder.expectation(value) for key, value in entries}

    database = root.get("database")
    serial = root.get("serial")
    return syntax.Model(
        name=builder.name(builder.need(root, "model")),
        title=builder.title(root),
        database=default_database() if database is None else builder.database(database),
        schema=builder.texts(builder.need(root, "schema")),
        procedures=builder.procedures(builder.need(root, "procedures")),
        scenarios=builder.scenarios(builder.need(root, "scenarios")),
        properties=optional(builder.properties, root.get("properties"), {}),
        parameters=optional(builder.parameters, root.get("parameters"), {}),
        ghost=optional(builder.texts, root.get("ghost"), ()),
        domains=optional(builder.domains, root.get("domains"), ()),
        data=optional(builder.texts, root.get("data"), ()),
        serial="abstract" if serial is None else builder.text(serial).value,
        expect=optional(expectations, root.get("expect"), {}),
    )


def read_fix(builder: Builder, root: MappingNode) -> syntax.Fix:
    """The fix of a tree that has the structure of one."""

    def columns(node: Node) -> tuple[tuple[Text, Text], ...]:
        return tuple((key.text, builder.sql(value)) for key, value in builder.mapping(node, root).entries)

    def processes(node: Node) -> tuple[tuple[Text, tuple[syntax.Role, ...]], ...]:
        return tuple((key.text, builder.roles(value)) for key, value in builder.mapping(node, root).entries)

    def changes(node: Node) -> tuple[syntax.Change, ...]:
        found = []
        for key, value in builder.mapping(node, root).entries:
            with builder.unit():
                found.append(builder.change(key.text, value))
        return tuple(found)

    return syntax.Fix(
        name=builder.name(builder.need(root, "fix")),
        title=builder.title(root),
        requires=optional(builder.names, root.get("requires"), ()),
        conflicts=optional(builder.names, root.get("conflicts"), ()),
        changes=optional(changes, root.get("changes"), ()),
        tables=optional(builder.texts, root.get("tables"), ()),
        columns=optional(columns, root.get("columns"), ()),
        indexes=optional(builder.texts, root.get("indexes"), ()),
        domains=optional(builder.domains, root.get("domains"), ()),
        data=optional(builder.texts, root.get("data"), ()),
        procedures=optional(builder.procedures, root.get("procedures"), {}),
        parameters=optional(builder.parameters, root.get("parameters"), {}),
        processes=optional(processes, root.get("processes"), ()),
        bounds=optional(builder.bounds, root.get("bounds"), ()),
    )
