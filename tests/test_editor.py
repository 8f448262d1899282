"""What editors ask, as functions: laws over every program of the repository and over texts that somebody cuts up.

The features themselves are tested in `tests/test_lsp.py`, through a session.
"""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from masdsl.diagnostics.base import ERROR, Findings
from masdsl.editor import changes, completion, hints, hover, outline, signatures, symbols, tokens
from masdsl.editor.document import Document
from masdsl.editor.positions import ENCODINGS, Place, Positions, replaced
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


LETTERS = st.text(st.sampled_from("ab \n\r\té€\U0001f600\u2028\u0085\x0c\ufeff"), max_size=12)


def place_in(raw: str, at: int, encoding: str) -> Place:
    """Return the position of an index, as the protocol says it, in the plainest way."""
    lines = re.split("\r\n|\n|\r", raw[:at])
    units = {"utf-8": lambda text: len(text.encode()), "utf-16": lambda text: len(text.encode("utf-16-le")) // 2}
    return Place(len(lines) - 1, units.get(encoding, len)(lines[-1]))


@settings(deadline=None)
@given(LETTERS, st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1), LETTERS), max_size=6), st.sampled_from(ENCODINGS))
def test_edits_of_parts_give_the_text_that_the_client_has(
    raw: str, edits: list[tuple[float, float, str]], encoding: str
) -> None:
    theirs = ours = raw
    for one, two, text in edits:
        begin, end = sorted((round(one * len(theirs)), round(two * len(theirs))))
        if any(theirs[at - 1 : at + 1] == "\r\n" for at in (begin, end) if at):
            continue  # no position is between them
        places = place_in(theirs, begin, encoding), place_in(theirs, end, encoding)
        ours = replaced(ours, *places, text, encoding)
        theirs = theirs[:begin] + text + theirs[end:]
        assert ours == theirs


@settings(deadline=None)
@given(
    LETTERS,
    st.integers(-1, 9),
    st.integers(-1, 20),
    st.integers(-1, 9),
    st.integers(-1, 20),
    st.sampled_from(ENCODINGS),
)
def test_an_edit_outside_of_the_text_changes_what_is_nearest(
    raw: str, line: int, column: int, other: int, end: int, encoding: str
) -> None:
    made = replaced(raw, Place(line, column), Place(other, end), "!", encoding)
    before, _, after = made.partition("!")
    assert raw.startswith(before) and raw.endswith(after) and len(before) + len(after) <= len(raw)
