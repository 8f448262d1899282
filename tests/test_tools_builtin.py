"""The built-in tools that need no model: the calculator, search and reading, and their results by declaration."""

from __future__ import annotations

import operator
import os
import sqlite3
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from masdsl import sizes
from masdsl.tools.base import Declared, ToolFault, ToolUnusable
from masdsl.tools.builtin import BuiltIn
from masdsl.tools.calculator import DEEPEST, LONGEST, MOST_BITS, NotAnExpression, calculate, calculator, shown
from masdsl.tools.page_text import page_text
from masdsl.tools.search import index_of, pages, passages, reader, searcher
from masdsl.types import Float, Int, List, Optional, Record, Text, Type

HIT = Record("Hit", "", (("id", Text(40)), ("title", Text(30)), ("snippet", Text(60)), ("score", Float())))


def function(tool: BuiltIn, returns: Type, **inputs: Type) -> Callable[..., Any]:
    """What is called for a declaration with this result."""
    return tool.function(Declared("t", "t", inputs, frozenset(), returns, False, 60.0))


# ---------------------------------------------------------------- the calculator


@pytest.mark.parametrize(
    ("expression", "value"),
    {
        "17 * 23": "391",
        "0.1 + 0.2": "0.3",
        "1/3": "1/3",
        "1/8 - 1": "-0.875",
        "-2 ^ 2": "-4",
        "(-2) ** 2": "4",
        "2 ^ 3 ^ 2": "512",
        "2 ^ -2": "0.25",
        "7 // 2 + 7 % 2": "4",
        "-7 // 2": "-4",
        "-7 % 3": "2",
        "1,234.5 * 2": "2469",
        "min(3, 1/2, 2) + max(1, 5)": "5.5",
        "round(2.5) + round(-2.5) + floor(1.9) + ceil(1.1) + abs(-3)": "6",
        "3 × 4 − 6 ÷ 2 =": "9",
        "1 ^ 10 ^ 60": "1",
        "(-1) ^ (10 ^ 60 + 1)": "-1",
        "0 ^ 0": "1",
        "10 ^ 40 / 10 ^ 39": "10",
        " 5. ": "5",
        ".5 + .5": "1",
        "{[2]}": "2",
    }.items(),
)
def test_arithmetic_is_exact(expression: str, value: str) -> None:
    assert shown(calculate(expression)) == value


@pytest.mark.parametrize(
    ("expression", "reason"),
    {
        "": "at character 1: a number is missing",
        "2 +": "at character 4: a number is missing",
        "2 3": "at character 3: nothing can stand here but an operator, not `3`",
        "(2": "`)` should stand here",
        "2 / (1 - 1)": "nothing can be divided by 0",
        "2 % 0": "nothing can be divided by 0",
        "0 ^ -1": "nothing can be divided by 0",
        "2 ^ 0.5": "an exponent has to be a whole number",
        "9 ^ 9 ^ 9": f"a number becomes larger than {MOST_BITS} bits",
        "9 ** 99999999999999999999": "becomes larger",
        f"2 ^ {MOST_BITS + 1}": "becomes larger",
        "__import__('os')": "at character 1: `_` has no meaning here",
        "import os": "there is no `import`",
        "sqrt(2)": "there is no `sqrt`: write numbers, + - * / // % ^ ( ) or abs, min, max, floor, ceil, round",
        "abs(1, 2)": "`abs` takes one number",
        "1" * (LONGEST + 1): "longer than",
        "(" * (DEEPEST + 1) + "1": "inside one another",
        "-" * (DEEPEST + 1) + "1": "inside one another",
        "2^" * (DEEPEST + 1) + "1": "inside one another",
        "1e5": "not `e`",
        "0x10": "not `x`",
        "9" * 900 + "^" + "9" * 90: "becomes larger",
    }.items(),
)
def test_what_is_no_expression_is_said_with_its_place(expression: str, reason: str) -> None:
    with pytest.raises(NotAnExpression) as raised:
        calculate(expression)
    assert reason in str(raised.value)


NUMBERS = st.fractions(max_denominator=10**6).map(lambda f: (f"({shown(f)})", f))
SIGNS = {"+": operator.add, "-": operator.sub, "*": operator.mul}


def joined(left: tuple[str, Fraction], sign: str, right: tuple[str, Fraction]) -> tuple[str, Fraction]:
    return f"({left[0]} {sign} {right[0]})", SIGNS[sign](left[1], right[1])


SUMS = st.recursive(
    NUMBERS,
    lambda inner: st.tuples(inner, st.sampled_from("+-*"), inner).map(
        lambda t: (
            f"({t[0][0]} {t[1]} {t[2][0]})",
            {"+": t[0][1] + t[2][1], "-": t[0][1] - t[2][1], "*": t[0][1] * t[2][1]}[t[1]],
        )
    ),
    max_leaves=12,
)


@given(SUMS)
def test_it_agrees_with_fractions(case: tuple[str, Fraction]) -> None:
    text, value = case
    if len(text) <= LONGEST:
        assert calculate(text) == value
        assert calculate(shown(value)) == value


@given(st.text(alphabet="0123456789.,+-*/%^() abmx\u00d7\n", max_size=60))
def test_every_text_has_a_value_or_a_fault(text: str) -> None:
    try:
        assert isinstance(calculate(text), Fraction)
    except NotAnExpression:
        pass


def test_the_declared_type_decides_the_form_of_the_number() -> None:
    assert function(calculator(), Float())(expression="1/3") == 1 / 3
    assert function(calculator(), Int())(expression="6/3") == 2
    assert function(calculator(), Text(40))(expression="1/3") == "1/3"
    assert function(calculator(), Optional(Float()))(expression="what?") is None
    with pytest.raises(ToolFault, match="the result is 0.5, which is no whole number"):
        function(calculator(), Int())(expression="1/2")
    with pytest.raises(ToolFault, match="too large for a number in double precision"):
        function(calculator(), Float())(expression="10 ^ 400")


# ---------------------------------------------------------------- pages of HTML


def test_of_a_page_remains_what_a_person_reads() -> None:
    page = page_text(
        """<!doctype html><html><head><title> A &amp; B </title><style>p { color: red }</style></head>
        <body><script>alert(1)</script><h1>Heading</h1><p>One <b>bold</b>
        word.</p><ul><li>first<li>second</ul><pre>a  b
          c</pre><table><tr><td>1</td><td>2</td></tr></table>
        <a href="/x?q=1#top">link</a> <a href="mailto:a@b">mail</a> <a href="http://[bad">bad</a> &lt;tag&gt;</body>""",
        "https://example.org/dir/page",
    )
    assert page.title == "A & B"
    assert page.text.splitlines() == [
        "Heading",
        "One bold word.",
        "- first",
        "- second",
        "a  b",
        "          c",
        "1 2",
        "link mail bad <tag>",
    ]
    assert page.links == ("https://example.org/x?q=1",)


@given(st.text(alphabet="<>/!-ab\"'= &;#script ", max_size=80))
def test_no_text_is_too_broken_to_be_read(html: str) -> None:
    page_text(html, "https://example.org/")


# ---------------------------------------------------------------- search and reading


@pytest.fixture
def corpus(tmp_path: Path) -> str:
    folder = tmp_path / "corpus"
    (folder / "sub").mkdir(parents=True)
    texts = {
        "rivers.md": "# Rivers of Europe\n\nThe Danube flows through Vienna and Budapest.\n",
        "sub/towers.txt": "Towers\n======\nThe Eiffel Tower stands in Paris.\n",
        "page.html": "<title>Cats</title><p>Cats sleep a lot.<script>danube()</script>",
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "picture.png").write_bytes(b"danube")
    (folder / ".hidden.txt").write_text("danube")
    os.symlink("/etc/passwd", folder / "link.txt")
    return str(folder)


def test_the_best_passages_are_found_whatever_the_form_of_the_words(corpus: str) -> None:
    search = function(searcher(corpus), List(HIT, 0, 5))
    hits = search(query="Which river is FLOWING through Budapest?")
    assert [(hit["id"], hit["title"]) for hit in hits] == [("rivers.md", "Rivers of Europe")]
    assert hits[0]["snippet"].endswith("The Danube flows through Vienna and Budapest.")
    assert hits[0]["score"] > 0
    assert [hit["id"] for hit in search(query="tower paris cats")] == ["sub/towers.txt", "page.html"]
    assert search(query="tower paris cats", limit=1) == search(query="tower paris cats")[:1]
    assert search(query="danube NOT OR ( \" * : ^ ' --")[0]["id"] == "rivers.md"
    for nothing in ("", "   ", "?!", "zebra"):
        assert search(query=nothing) == []
    assert search(query="danube", limit=0) == search(query="danube", limit=-3) == []


def test_a_list_of_texts_is_a_list_of_snippets(corpus: str) -> None:
    (hit,) = function(searcher(corpus), List(Text(60), 0, 5))(query="Danube")
    assert "Danube" in hit
    assert function(searcher(corpus), List(Text(60), 0, 1))(query="cats tower") == [
        function(searcher(corpus), List(HIT, 0, 5))(query="cats tower")[0]["snippet"]
    ]


def test_a_snippet_that_has_to_be_short_shows_the_words_that_were_asked_for(tmp_path: Path) -> None:
    (tmp_path / "long.txt").write_text(
        "Much is said here of other things. " * 12 + "The password of the well is mellon."
    )
    (hit,) = function(searcher(str(tmp_path)), List(Text(12), 0, 3))(query="mellon")
    assert "mellon" in hit
    assert sizes.text_tokens(hit) < 40


def test_a_document_is_read_page_by_page(corpus: str, tmp_path: Path) -> None:
    record = Record(None, "", (("text", Text(30)), ("pages", Int()), ("page", Int()), ("title", Text(30))))
    text = " ".join(f"word{number}" for number in range(300))
    (tmp_path / "one.txt").write_text(text)
    read = function(reader(str(tmp_path / "one.txt")), record)
    first = read(id="one.txt")
    assert (first["page"], first["title"]) == (1, "one.txt")
    parts = [read(id="one.txt", page=number)["text"] for number in range(1, first["pages"] + 1)]
    assert " ".join(parts) == text
    assert all(sizes.text_tokens(part) <= 30 for part in parts)
    for page in (0, -1, first["pages"] + 1):
        with pytest.raises(ToolFault, match=f"there is no page {page}: the pages are 1 to"):
            read(id="one.txt", page=page)
    assert function(reader(corpus), Text(100))(id="sub/towers.txt").endswith("The Eiffel Tower stands in Paris.")
    assert "Tower" in function(reader(corpus), Text(100))(id="sub/tow")  # an id that was cut to its declared size
    assert function(reader(corpus), Optional(Text(100)))(id="../rivers.md") is None
    with pytest.raises(ToolFault, match="there is no document `nothing`: ids are those that a search gives"):
        function(reader(corpus), Text(100))(id="nothing")


@given(st.text(alphabet="ab \n.,\u00e9", max_size=400), st.integers(1, 20))
def test_pages_hold_all_of_a_text_but_blanks_at_their_ends(text: str, size: int) -> None:
    parts = pages(text, size)
    assert "".join("".join(parts).split()) == "".join(text.split())
    assert all(sizes.text_tokens(part) <= size for part in parts)
    assert "".join(passages(text)).split() == [] or "".join("".join(passages(text)).split()) == "".join(text.split())


def test_lines_of_json_are_documents(tmp_path: Path) -> None:
    file = tmp_path / "docs.jsonl"
    file.write_text(
        '{"id": "a", "title": "First", "text": "An apple."}\n\n{"contents": "A pear."}\n{"id": 7, "text": "A plum."}\n'
    )
    search = function(searcher(str(file)), List(HIT, 0, 5))
    assert [(hit["id"], hit["title"]) for query in ("apple", "pear", "plum") for hit in search(query=query)] == [
        ("a", "First"),
        ("3", ""),
        ("7", ""),
    ]
    assert function(reader(str(file)), Text(20))(id="3") == "A pear."


@pytest.mark.parametrize(
    ("lines", "reason"),
    {
        "no json\n": "docs.jsonl, line 1, is not JSON",
        '{"text": "a"}\n{"id": "x"}\n': "docs.jsonl, line 2, is no object with a text `text`",
        '{"id": "x", "text": "a"}\n{"id": "x", "text": "b"}\n': "two documents have the id `x`",
    }.items(),
)
def test_a_corpus_that_is_none_is_refused_with_the_place(tmp_path: Path, lines: str, reason: str) -> None:
    (tmp_path / "docs.jsonl").write_text(lines)
    with pytest.raises(ToolUnusable, match=reason):
        searcher(str(tmp_path / "docs.jsonl")).check()


def test_a_corpus_that_is_not_there_is_said_before_it_is_needed(tmp_path: Path) -> None:
    with pytest.raises(ToolUnusable, match="there is no folder or file"):
        searcher(str(tmp_path / "nowhere")).check()
    with pytest.raises(ToolUnusable, match="has no documents"):
        reader(str(tmp_path)).check()


def test_the_index_is_kept_by_content_and_made_again_where_it_is_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MASDSL_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "corpus"
    folder.mkdir()
    (folder / "a.txt").write_text("The fox.")

    def found(query: str) -> list[Any]:
        index_of.cache_clear()
        return [hit["id"] for hit in index_of(str(folder)).search(query, 5)]

    def files() -> list[Path]:
        return sorted((tmp_path / "cache" / "search").iterdir())

    assert found("fox") == ["a.txt"]
    (first,) = files()
    made = first.stat().st_mtime_ns
    assert found("fox") == ["a.txt"]
    assert [file.stat().st_mtime_ns for file in files()] == [made]
    first.write_bytes(first.read_bytes()[:5000])
    assert found("fox") == ["a.txt"]
    (folder / "b.txt").write_text("A hen.")
    assert found("hen") == ["b.txt"]
    assert len(files()) == 2
    for file in files():
        with sqlite3.connect(file) as database:
            database.execute("DELETE FROM meta")  # as if it had not been written to its end
        database.close()
    assert found("fox") == ["a.txt"]
    monkeypatch.setenv("MASDSL_CACHE", "")
    assert found("hen") == ["b.txt"]  # in memory
    index_of.cache_clear()
