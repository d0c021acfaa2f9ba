"""The YAML reader: values, places, limits."""

import time

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from txweave.spec.diagnostics import Report, SpecError
from txweave.spec.reader import MappingNode, ScalarNode, SequenceNode, plain_kind, read_yaml
from txweave.spec.scalars import map_scalar
from txweave.spec.text import SourceFile


def read(content):
    report = Report()
    root = read_yaml(SourceFile("t.yaml", content), report)
    report.check()
    return root


def codes(content):
    report = Report()
    try:
        read_yaml(SourceFile("t.yaml", content), report)
    except SpecError as error:
        return [d.code for d in error.diagnostics]
    return [d.code for d in report.diagnostics]


def scalars(node):
    if isinstance(node, ScalarNode):
        yield node
    elif isinstance(node, SequenceNode):
        for item in node.items:
            yield from scalars(item)
    else:
        for key, value in node.entries:
            yield key
            yield from scalars(value)


def check_map(content):
    """Every character of every value is found at its place, except what folding or an escape made."""
    found = 0
    for node in scalars(read(content)):
        value, offsets = node.text.value, node.text.offsets
        assert len(offsets) == len(value) + 1
        assert list(offsets) == sorted(offsets)
        for char, offset in zip(value, offsets, strict=False):
            source = content[offset]
            if source == char:
                found += 1
            elif char == " " and source == "\n":
                assert node.style != "|"
            else:
                assert node.style == '"', (char, source)
                assert source in "\\\n"
    return found


STYLES = {
    "plain": "a: SELECT id\n   FROM job\n\n   WHERE x\n",
    "plain in flow": "a: {b: SELECT id\n     FROM job, c: d}\n",
    "single": "a: 'it''s\n   folded  \n\n   here '\n",
    "double": 'a: "tab\\t q\\" \\x41 cont\\\n   inued   \n  folded\n\n  \\u00e9 end"\n',
    "literal": "a: |\n  SELECT 1\n\n    FROM x\n\nb: 1\n",
    "literal strip": "a: |-\n  SELECT 1\n\n\nb: 1\n",
    "literal keep": "a: |+\n  SELECT 1\n\n\nb: 1\n",
    "literal indent": "a: |2\n    SELECT 1\n  x\n",
    "literal comment": "a: |  # note\n  SELECT 1\n",
    "literal at the end": "a: |\n  SELECT 1",
    "literal in a list": "- |\n SELECT 1\n-\n  - |-\n    x\n  - >1\n     y\n",
    "folded": "a: >\n  SELECT 1\n  FROM x\n\n  WHERE\n    more\n    lines\n  end\n\n\nb: 1\n",
    "folded strip": "a: >-\n\n  SELECT 1\n  FROM x\n",
    "crlf": "a: |\r\n  SELECT 1\r\n  FROM x\r\nb: >\r\n  SELECT 1\r\n  FROM x\r\nc: one\r\n  two\r\n",
    "anchor": "a: &x |\n  SELECT 1\nb: *x\nc: &y 'q'\nd: &z\n  plain\n",
    "empty": "a: ''\nb: \"\"\nc: |\n\nd: x\n",
    "byte order mark": "\ufeffa: |\n  SELECT 1\n",
}


@pytest.mark.parametrize("content", STYLES.values(), ids=STYLES)
def test_every_style_is_mapped_exactly(content):
    root = content if content.startswith(("a", "\ufeff")) else "k:\n" + content
    check_map(root)
    loaded = yaml.safe_load(root)
    ours = read(root)
    for key, value in ours.entries:
        if isinstance(value, ScalarNode):
            assert value.value == loaded[key.text.value]


LINE = st.text(alphabet="ab':-#\"é ,{}[]\\%", max_size=8)
LINES = st.lists(LINE, max_size=6)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(st.data())
def test_maps_of_generated_scalars(data):
    """What the parser accepts, the map explains character by character."""
    style = data.draw(st.sampled_from(["plain", "'", '"', "|", ">"]))
    lines = data.draw(LINES)
    indent = data.draw(st.integers(1, 4))
    pad = " " * indent
    if style in "|>":
        head = style + data.draw(st.sampled_from(["", "-", "+", str(indent), f"{indent}-", f"+{indent}"]))
        text = f"k: {head}\n" + "".join(f"{pad}{line}\n" if line.strip() else "\n" for line in lines) + "z: 1\n"
    elif style == "plain":
        text = "k: x" + "".join(f"\n{pad}{line}" for line in lines) + "\nz: 1\n"
    else:
        inner = ("\n" + pad).join(lines)
        inner = inner.replace("'", "''") if style == "'" else inner.replace("\\", "\\\\").replace('"', '\\"')
        if style == '"':
            inner = inner.replace("a:", "\\x41\\\n" + pad).replace("bb", "\\n\\t\\u00e9")
        text = f"k: {style}{inner}{style}\nz: 1\n"
    try:
        events = list(yaml.parse(text, Loader=yaml.SafeLoader))
        yaml.safe_load(text)
    except (yaml.YAMLError, ValueError):
        return
    for event in events:  # the map's own value is the parser's, without the fallback of the reader
        if isinstance(event, yaml.ScalarEvent) and event.style not in ("|", ">"):
            value, _ = map_scalar(text, event.start_mark.index, event.end_mark.index, event.style, 0)
            assert value == event.value
        elif isinstance(event, yaml.ScalarEvent):
            assert map_scalar(text, event.start_mark.index, event.end_mark.index, event.style, 0)[0] == event.value
    if not codes(text):
        check_map(text)


def test_block_scalars_never_need_the_fallback():
    """The fallback maps every character to the start of the scalar; none of the styles may end there."""
    for content in STYLES.values():
        root = content if content.startswith(("a", "\ufeff")) else "k:\n" + content
        for node in scalars(read(root)):
            if len(node.text.value) > 1:
                assert len(set(node.text.offsets)) > 2


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("true", "boolean"),
        ("null", "null"),
        ("", "null"),
        ("12", "integer"),
        ("-3", "integer"),
        ("0", "integer"),
        ("n", "letter"),
        ("TRUE", "word"),
        ("Null", "word"),
        ("on", "truth"),
        ("Yes", "truth"),
        ("010", "number"),
        ("0o17", "number"),
        ("0xFF", "number"),
        ("12:30", "number"),
        ("1:30:00", "number"),
        ("1_000", "number"),
        ("1.", "number"),
        (".5", "number"),
        ("6e23", "number"),
        (".NaN", "number"),
        ("+1", "number"),
        ("2026-01-31", "date"),
        ("2026-01-31 10:00:00", "date"),
        ("~", "sign"),
        ("0..10", "string"),
        ("60 s", "string"),
        ("1.2.3", "string"),
        ("none", "string"),
        ("a12:30", "string"),
    ],
)
def test_plain_scalars(word, kind):
    assert plain_kind(word) == kind


def test_quoted_scalars_are_texts():
    node = read("a: ['on', \"010\", 'null', '12']").get("a")
    assert [item.value for item in node.items] == ["on", "010", "null", "12"]


def test_places():
    root = read("top:\n  inner: {key: 'some text'}\n")
    inner = root.get("top").get("inner")
    key, value = inner.index["key"]
    assert (key.span.line, key.span.column) == (2, 11)
    assert (value.span.line, value.span.column, value.span.end_column) == (2, 16, 27)
    word = value.text.span(5, 9)
    assert (word.line, word.column, word.end_column) == (2, 22, 26)
    assert isinstance(root, MappingNode)


@pytest.mark.parametrize(
    "content",
    [
        "[" * 100_000,
        "{" * 50_000,
        "a: " + "- " * 20_000 + "x",
        "? " * 20_000,
        "a:\n" + "".join(" " * i + "b:\n" for i in range(1, 400)),
        "&a " * 1000 + "x",
        'a: "\\ud800"',
        'a: "\\U00110000"',
        "%YAML 9999999999999999999999.1\n---\na: 1",
        "%TAG ! tag:x,2000:\n---\na: !y 1",
        "a: !%ff 1",
        "a: !<tag:x> 1",
        "a: !<",
        "a: *",
        "a: &",
        "a: |x\n",
        "a: |0\n",
        "a: 'unclosed",
        "a: [1, 2",
        "a: 1\n...\nb: 2\n",
        "\ufeff\ufeffa: 1",
        "a: \x00",
        "a: b\r c: d",
        "@a",
        "`a`",
        "- a\nb: c",
        "a: b: c",
        ": ",
        "?",
        "---\n---\n",
    ],
)
def test_hostile_files_are_refused_at_once(content):
    start = time.monotonic()
    assert codes(content)
    assert time.monotonic() - start < 2


def test_a_large_file_is_read_in_time():
    entry = "  key_{}: {{a: [1, 2, 3], b: some words here, c: 'quoted text'}}\n  text_{}: |\n    SELECT id FROM job\n    WHERE x\n"
    content = "top:\n" + "".join(entry.format(i, i) for i in range(800))
    assert len(content) > 80_000
    start = time.monotonic()
    read(content)
    assert time.monotonic() - start < 4


def test_aliases_share_the_place_of_their_anchor():
    root = read("a: &x [1, 2]\nb: *x\n")
    assert root.get("b") is root.get("a")


def test_findings_that_leave_a_tree_are_collected():
    assert codes("a: on\nb: 010\na: !x 1\n") == ["Y010", "Y011", "Y014", "Y009"]
