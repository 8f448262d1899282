"""What editors ask, as functions: laws over every program of the repository and over texts that somebody cuts up.

The features themselves are tested in `tests/test_lsp.py`, through a session.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from masdsl.diagnostics.base import ERROR, Findings
from masdsl.editor import changes, completion, hints, hover, outline, signatures, symbols, tokens
from masdsl.editor.document import Document
from masdsl.editor.positions import ENCODINGS, Positions
from masdsl.editor.rename import RenameRefused, rename
from masdsl.editor.workspace import Workspace
from masdsl.node import Span
from masdsl.source import Source

ROOT = Path(__file__).resolve().parent.parent
PROGRAMS = [*sorted((ROOT / "examples").glob("*/*.mas")), *sorted((ROOT / "stdlib").glob("*.mas"))]
FEW = [path for path in PROGRAMS if path.stem in ("reflexion", "debate", "router", "map", "tool_agent", "lats", "vote")]
TEXTS = [path.read_text(encoding="utf-8") for path in FEW]
JUNK = (
    "{{ ",
    "%}",
    '"',
    '"""',
    "(",
    ")",
    "{",
    "}",
    ".",
    "use ",
    "flow ",
    "x = ",
    "\r\n",
    "\r",
    "🦜",
    "\ud800",
    "\x00",
    "#",
)


def checked(path: Path) -> tuple[Workspace, Document]:
    files = Workspace((str(path.parent),))
    document = files.document(str(path))
    assert document is not None
    return files, document


# ---------------------------------------------------------------- positions


@given(
    st.lists(st.sampled_from(("a", "é", "中", "🦜", "\n", "\r\n", "\r", "\ud800", "\u2028", "\x0b")), max_size=30).map(
        "".join
    ),
    st.sampled_from(ENCODINGS),
    st.booleans(),
)
def test_positions_round_trip(text: str, encoding: str, marked: bool) -> None:
    places = Positions(("\ufeff" if marked else "") + text, encoding)
    assert places.text == text.replace("\r\n", "\n")
    for offset in range(len(places.text) + 1):
        line, column = places.place(offset)
        assert places.offset(line, column) == offset
    whole = places.lines_of(Span(0, len(places.text)))
    assert "".join(places.text[part.start : part.end] for part in whole) == places.text.replace("\n", "").replace(
        "\r", ""
    )


@given(st.sampled_from(ENCODINGS), st.integers(-3, 9), st.integers(-3, 99))
def test_positions_outside_of_the_text_are_moved_into_it(encoding: str, line: int, column: int) -> None:
    places = Positions("a🦜\r\nbé\n\nc", encoding)
    assert 0 <= places.offset(line, column) <= len(places.text)


@given(st.lists(st.sampled_from(("a", "é", "中", "🦜")), max_size=9).map("".join))
def test_columns_count_what_the_encodings_count(line: str) -> None:
    codecs = {"utf-8": ("utf-8", 1), "utf-16": ("utf-16-le", 2), "utf-32": ("utf-32-le", 4)}
    for encoding in ENCODINGS:
        codec, size = codecs[encoding]
        assert Positions("x\n" + line, encoding).place(2 + len(line)) == (1, len(line.encode(codec)) // size)


# ---------------------------------------------------------------- names


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_every_name_of_a_program_has_a_meaning(path: Path) -> None:
    """Also those in prompts and in addresses; words of addresses that are no names, such as `loop`, mean nothing."""
    document = checked(path)[1]
    named = {one.span for one in document.occurrences}
    for one in document.occurrences:
        if one.symbol.kind != symbols.MODULE and one.symbol.target is None:
            assert document.source.slice(one.span) == one.symbol.name
    unnamed = []
    for kind, text, start, end in zip(*document.tokens[:4], strict=True):
        if kind in ("NAME", "TYPENAME") and Span(start, end) not in named:
            line = document.source.line(document.source.position(start).line)
            if text not in ("text", "int", "float", "bool") and "ran(" not in line:
                unnamed.append((line.strip(), text))
    if path.stem == "vote" and path.parent.name == "stdlib":
        unnamed = [one for one in unnamed if one[1] not in ("thinking", "answer")]  # records that no type declares
    assert unnamed == []


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_tokens_cover_a_program_in_order(path: Path) -> None:
    document = checked(path)[1]
    found = tokens.semantic_tokens(document)
    assert all(one.span.end <= other.span.start for one, other in pairwise(found))
    covered = sum(one.span.end - one.span.start for one in found)
    left = [letter for letter in document.source.text if not letter.isspace()]
    assert covered > 0.85 * len(left)
    assert {one.type for one in found} <= set(tokens.TYPES)


@given(st.data())
@settings(max_examples=25, deadline=None)
def test_a_rename_is_right_or_refused(data: st.DataObject) -> None:
    """What comes of it checks, and each name that meant one thing before means one thing after."""
    path = data.draw(st.sampled_from(FEW))
    files, document = checked(path)
    one = data.draw(st.sampled_from(document.occurrences))
    taken = sorted({each.symbol.name for each in document.occurrences})
    new = data.draw(st.one_of(st.sampled_from(("fresh", "Fresh", "x_1")), st.sampled_from(taken)))
    try:
        made = rename(files, document, one.span.start, new)
    except RenameRefused as why:
        assert str(why)
        return
    changed = {}
    for name, edits in made.edits.items():
        text = files.text(name)
        assert text is not None
        changed[name] = text.source.text
        for span, written in sorted(edits, reverse=True):
            changed[name] = changed[name][: span.start] + written + changed[name][span.end :]
    other = Workspace((str(path.parent),))
    for name, text_after in changed.items():
        other.open(name, text_after)
    after = other.document(str(path))
    assert after is not None
    assert not [finding for finding in after.findings if finding.diagnostic.severity == ERROR]
    assert len(after.occurrences) == len(document.occurrences)


# ---------------------------------------------------------------- texts that somebody cuts up


def everything(files: Workspace, name: str, offset: int) -> None:
    """Ask all that an editor may ask about a text, at one place."""
    document = files.document(name)
    assert document is not None
    size = len(document.source.text)
    whole = Span(0, size)
    for finding in document.findings:
        if finding.source.name == name:
            assert 0 <= finding.diagnostic.span.start <= finding.diagnostic.span.end <= max(size, 1)
    hover.hover(document, offset)
    for item in completion.complete(files, name, offset):
        assert 0 <= item.span.start <= item.span.end == offset
    signatures.signature_help(document, offset)
    for action in changes.actions(files, document, whole):
        assert all(0 <= edit.span.start <= edit.span.end <= size for edit in action.edits)
    changes.fix_all(files, document)
    changes.formatted(document)
    found = tokens.semantic_tokens(document)
    assert all(0 <= one.span.start < one.span.end <= size for one in found)
    for fold in outline.folds(document):
        assert 0 <= fold.span.start < fold.span.end <= size
    for entry in outline.outline(document):
        assert entry.whole.start <= entry.name_span.start <= entry.name_span.end <= entry.whole.end
    for hint in hints.hints(document, whole):
        assert 0 <= hint.offset <= size
    assert all(lens.span.end <= size for lens in hints.lenses(document))
    try:
        rename(files, document, offset, "fresh")
    except RenameRefused:
        pass


@st.composite
def cut(draw: st.DrawFn) -> tuple[str, int]:
    """A program of which something is cut out or doubled, with junk put in; and a place in it."""
    text = draw(st.sampled_from(TEXTS))
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, len(text)))
        end = draw(st.integers(start, min(len(text), start + 80)))
        middle = draw(st.sampled_from(("", text[start:end] * 2, *JUNK)))
        text = text[:start] + middle + text[end:]
    if draw(st.integers(0, 4)) == 0:
        text = text[: draw(st.integers(0, len(text)))]
    return text, draw(st.integers(0, len(text)))


@given(cut())
@settings(max_examples=50, deadline=None)
def test_no_text_is_too_broken(broken: tuple[str, int]) -> None:
    text, offset = broken
    name = str(ROOT / "examples" / "reflexion" / "typed.mas")
    files = Workspace((str(ROOT / "examples" / "reflexion"),))
    files.open(name, text)
    opened = files.text(name)
    assert opened is not None
    everything(files, name, min(offset, len(opened.source.text)))


@pytest.mark.parametrize(
    "text", ["", "\n", "mas", "mas 1", "bind 1", "patch 1\n", "mas 1\nflow", '"', "\x00", "{{", "mas 2\n"]
)
def test_the_shortest_texts(text: str) -> None:
    files = Workspace()
    files.open("<untitled:1>", text)
    for offset in range(len(text) + 1):
        everything(files, "<untitled:1>", offset)


# ---------------------------------------------------------------- the same answers as `mas check`


@pytest.mark.parametrize("path", FEW, ids=lambda path: path.stem)
def test_the_findings_are_those_of_mas_check(path: Path) -> None:
    from masdsl.pipeline import check_file

    text = path.read_text(encoding="utf-8").replace("return ", "return un_", 1)
    files = Workspace((str(path.parent),))
    files.open(str(path), text)
    document = files.document(str(path))
    assert document is not None
    findings = Findings()
    from masdsl.config import load_config
    from masdsl.pipeline import check_source

    check_source(Source(str(path), text), load_config(str(path.parent), Findings()), findings)
    assert [one.diagnostic for one in document.findings] == [one.diagnostic for one in findings.sorted()]
    assert not findings.ok and check_file(str(path), Findings()).program is not None
