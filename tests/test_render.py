"""How findings look: the text form line by line, and what no input may do to a terminal."""

from __future__ import annotations

import json
import random

import pytest

from masdsl.diagnostics.base import WARNING, Diagnostic, Finding, Fix, Label
from masdsl.diagnostics.escape import escape, width
from masdsl.diagnostics.excerpt import Mark, excerpt
from masdsl.diagnostics.render import render_json, render_short, render_text
from masdsl.diagnostics.suggest import nearest
from masdsl.node import Span
from masdsl.source import Source
from tests.harness.work import calls_of


class Undefined(Diagnostic):
    code = "MAS101"
    name: str
    more: tuple[Label, ...] = ()

    def title(self) -> str:
        return f"`{self.name}` is not defined"

    def label(self) -> str:
        return "no step or input has this name"

    def help(self) -> str:
        return "did you mean `draft`, bound on line 6?"

    def labels(self) -> tuple[Label, ...]:
        return self.more

    def fix(self) -> Fix | None:
        return Fix("write `draft`", ((self.span, "draft"),))


class Unused(Undefined):
    code = "MAS701"
    severity = WARNING


PROGRAM = """mas 1
agent writer(topic) -> text "Write about {{ topic }}."

# comment
flow main(topic) -> text {
  draft = writer(topic)
  best = vote(drafts)
  return best
}
"""


def span(text: str, part: str) -> Span:
    return Span(text.index(part), text.index(part) + len(part))


def show(text: str, diagnostic: Diagnostic, name: str = "debate.mas") -> str:
    return render_text([Finding(Source(name, text), diagnostic)])


def body(text: str, *places: Span) -> list[str]:
    """The excerpt alone, the first place being the main one."""
    first, *others = places
    marks = [Mark(first, "here", True), *(Mark(place, "there", False) for place in others)]
    rows = excerpt(Source("x.mas", text), marks).rows
    return [f"{row.number or '':>3}|{row.text}" for row in rows]


def test_the_whole_form() -> None:
    assert show(PROGRAM, Undefined("drafts", span=span(PROGRAM, "drafts"))) == (
        "error[MAS101]: `drafts` is not defined\n"
        "  --> debate.mas:7:15\n"
        "   |\n"
        " 7 |   best = vote(drafts)\n"
        "   |               ^^^^^^ no step or input has this name\n"
        "   |\n"
        "   = help: did you mean `draft`, bound on line 6?\n"
        "   = fix: write `draft`\n"
        "   = more: mas explain MAS101\n"
        "\n"
        "1 error\n"
    )


def test_further_labels_stand_in_order_of_the_text() -> None:
    assert body(PROGRAM, span(PROGRAM, "drafts"), span(PROGRAM, "draft"), span(PROGRAM, "writer")) == [
        '  2|agent writer(topic) -> text "Write about {{ topic }}."',
        "   |      ------ there",
        "...|",
        "  6|  draft = writer(topic)",
        "   |  ----- there",
        "  7|  best = vote(drafts)",
        "   |              ^^^^^^ here",
    ]


def test_a_single_line_between_two_marks_is_shown() -> None:
    assert [row[:3] for row in body("a\nb\nc\n", Span(0, 1), Span(4, 5))] == ["  1", "   ", "  2", "  3", "   "]


def test_several_marks_on_a_line_have_a_row_each_the_main_one_first() -> None:
    assert body("a = b + c\n", Span(8, 9), Span(4, 5)) == ["  1|a = b + c", "   |        ^ here", "   |    - there"]


def test_a_mark_over_several_lines_shows_the_first_and_the_last() -> None:
    block = PROGRAM[PROGRAM.index("flow") :]
    assert body(PROGRAM, span(PROGRAM, block)) == [
        "  5|flow main(topic) -> text {",
        "   |^^^^^^^^^^^^^^^^^^^^^^^^^^ here",
        "...|",
        "  9|}",
        "   |^",
    ]


@pytest.mark.parametrize("place", [Span(3, 3), Span(3, 4), Span(3, 900), Span(900, 901)])
def test_a_place_at_or_behind_the_end_is_one_caret(place: Span) -> None:
    assert body("abc\n", place)[-1].strip(" |") == "^ here"


def test_tabs_and_wide_characters_keep_the_caret_below() -> None:
    assert body("\tx = 日本 + y\n", Span(10, 11)) == ["  1|    x = 日本 + y", "   |               ^ here"]
    assert body("a\u0301b\n", Span(2, 3))[1] == "   | ^ here"


def test_hidden_characters_are_spelled_out_and_keep_the_caret_below() -> None:
    assert body("a\u202eb\x1b[0mc\n", Span(7, 8)) == ["  1|a\\u{202e}b\\u{1b}[0mc", "   |                   ^ here"]


def test_long_lines_are_cut_around_the_mark() -> None:
    line = " ".join(f"word{number}" for number in range(200))
    shown, marked = body(line, span(line, "word150"))
    assert shown.startswith("  1|...") and shown.endswith("...") and len(shown) < 120
    assert shown[marked.index("^") :].startswith("word150")


def test_a_file_without_text_has_no_excerpt() -> None:
    assert show("", Undefined("x", span=Span(0, 0))).splitlines()[1] == " --> debate.mas"


def test_long_help_is_wrapped_but_code_stays_whole() -> None:
    class Talkative(Undefined):
        def help(self) -> str:
            return "write it like this: " + "very " * 8 + "`agent writer(topic) -> text` " + "and so on " * 8

    lines = show(PROGRAM, Talkative("x", (), span=Span(0, 3))).splitlines()
    start = next(number for number, line in enumerate(lines) if "= help" in line)
    text = lines[start : start + 3]
    assert all(len(line) <= 84 for line in text)
    assert any("`agent writer(topic) -> text`" in line for line in text)
    assert text[1].startswith("           ")


def test_the_summary_counts_and_warnings_give_way_to_errors() -> None:
    source = Source("x.mas", "x" * 100)
    findings = [Finding(source, Unused("x", (), span=Span(at, at + 1))) for at in range(60)]
    findings.append(Finding(source, Undefined("x", span=Span(70, 71))))
    text = render_text(findings)
    assert text.count("[MAS701]") == 49 and text.count("[MAS101]") == 1
    assert text.endswith("and 11 more\n\n1 error, 60 warnings\n")
    assert render_short(findings).endswith("and 11 more\n")
    assert json.loads(render_json(findings))["omitted"] == 11


def test_the_short_form_is_one_line() -> None:
    finding = Finding(Source("a b.mas", PROGRAM), Undefined("x\ny", span=Span(6, 7)))
    assert (
        render_short([finding]) == "a b.mas:2:1: MAS101 `x y` is not defined; did you mean `draft`, bound on line 6?\n"
    )


def test_json_says_everything() -> None:
    there = (Label(span(PROGRAM, "draft"), "bound here"),)
    document = json.loads(
        render_json([Finding(Source("x.mas", PROGRAM), Undefined("d", there, span=span(PROGRAM, "drafts")))])
    )
    assert {key: document[key] for key in ("version", "errors", "warnings", "omitted")} == {
        "version": 1,
        "errors": 1,
        "warnings": 0,
        "omitted": 0,
    }
    place = {"line": 7, "column": 15, "end_line": 7, "end_column": 21}
    assert document["findings"] == [
        {
            "code": "MAS101",
            "severity": "error",
            "title": "`d` is not defined",
            "label": "no step or input has this name",
            "help": "did you mean `draft`, bound on line 6?",
            "file": "x.mas",
            **place,
            "labels": [{"text": "bound here", "line": 6, "column": 3, "end_line": 6, "end_column": 8}],
            "fix": {
                "title": "write `draft`",
                "applicability": "suggested",
                "replacements": [{"text": "draft", **place}],
            },
        }
    ]


def test_colour_only_adds() -> None:
    finding = Finding(Source("x.mas", PROGRAM), Undefined("d", span=span(PROGRAM, "drafts")))
    coloured, plain = render_text([finding], colour=True), render_text([finding])
    import re

    assert coloured != plain
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == plain


def test_no_text_whatever_sends_a_control_character() -> None:
    random_ = random.Random(7)
    letters = "ab \t\n\r\x00\x07\x1b[31m\x7f\x9b\u200b\u202e\u2066\u2028\ud800\ue000日é\u0301😀"
    for _ in range(3000):
        text = "".join(random_.choice(letters) for _ in range(random_.choice((0, 4, 30, 250))))
        at = random_.randrange(len(text) + 3)
        more = (Label(Span(at // 2, at), text[:9]),)
        finding = Finding(
            Source(text[:5], text), Undefined(text[-20:], more, span=Span(at, at + random_.randrange(300)))
        )
        for shown in (render_text([finding]), render_short([finding]), render_json([finding])):
            assert all(letter == "\n" or letter.isprintable() for letter in shown), repr(shown)
            assert shown.encode("utf-8")


def test_what_a_finding_takes_depends_neither_on_the_others_nor_on_the_length_of_its_line() -> None:
    def work(length: int, count: int) -> int:
        source = Source("x.mas", "日" * length)
        findings = [Finding(source, Undefined("x", span=Span(at * 7, at * 7 + 1))) for at in range(count)]
        return calls_of(lambda: render_text(findings))

    assert work(80_000, 10_000) < 12 * work(8_000, 1_000)


def test_escape_and_width() -> None:
    assert escape("plain ünïcode 日本") == "plain ünïcode 日本"
    assert escape("a\tb\nc", keep="\n") == "a\\tb\nc"
    assert escape("\x1b]0;title\x07") == "\\u{1b}]0;title\\u{7}"
    assert (width("abc"), width("日本"), width("e\u0301")) == (3, 4, 1)


@pytest.mark.parametrize(
    ("word", "candidates", "expected"),
    [
        ("drafts", ["draft", "topic"], "draft"),
        ("writr", ["writer"], "writer"),
        ("fsat", ["fast", "smart"], "fast"),
        ("runtests", ["run_tests"], "run_tests"),
        ("Review", ["review"], "review"),
        ("x", ["y"], None),
        ("ok", ["of"], "of"),
        ("topic", ["draft", "answer"], None),
        ("reviewer", ["reviewers", "reviewed"], "reviewers"),
        ("topic", ["topic"], None),
        ("", ["a"], None),
    ],
)
def test_nearest(word: str, candidates: list[str], expected: str | None) -> None:
    assert nearest(word, candidates) == expected
