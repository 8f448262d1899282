"""Functions of the standard library in Python: declarations and functions match, and keep their word."""

from __future__ import annotations

import builtins as python
import inspect
import keyword
import sys
from functools import cache
from pathlib import Path
from time import process_time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from masdsl import pipeline
from masdsl.check.builtins import BUILTINS
from masdsl.check.check import check_parsed
from masdsl.check.context import Context, Frame
from masdsl.check.externs import extern, result_type
from masdsl.check.flows import instance
from masdsl.check.modules import ModuleLoader
from masdsl.check.program import Extern, Known, ListOf, Maybe, Pattern, TextHole, TypeHole
from masdsl.check.relations import show
from masdsl.config import DEFAULT
from masdsl.diagnostics.base import Findings
from masdsl.diagnostics.render import render_short
from masdsl.reading import read_module, read_source
from masdsl.runtime.externs import EXTERNS
from masdsl.runtime.shapes import Record
from masdsl.sizes import text_tokens
from masdsl.source import Source
from masdsl.syntax import ast
from masdsl.syntax.parse import parse_program
from masdsl.types import Bool, Float, Int, List, Nothing, Optional, Text, Type
from masdsl.verify import vocabulary

STDLIB = Path(__file__).parent.parent / "stdlib"


@cache
def declared() -> dict[str, tuple[Extern, ast.Extern]]:
    """Return every extern of the standard library, checked and as it is written, by name."""
    found: dict[str, tuple[Extern, ast.Extern]] = {}
    for path in sorted(STDLIB.glob("*.mas")):
        findings = Findings()
        source = read_source(str(path), findings)
        assert source is not None
        loader = ModuleLoader(read_module, findings)
        scope = loader.scope(parse_program(source, findings))
        frame = Frame(scope, Context(DEFAULT, findings, loader.modules, instance))
        for one in scope.own():
            if isinstance(one.node, ast.Extern):
                assert one.name not in found, f"{one.name} is declared in two modules"
                found[one.name] = extern(frame, one), one.node
        assert findings.ok, render_short(findings.sorted())
    return found


# ---------------------------------------------------------------- declarations and functions match


def test_every_declaration_has_its_function_and_every_function_its_declaration() -> None:
    assert set(declared()) == set(EXTERNS) == vocabulary.EXTERNS


def test_names_are_free() -> None:
    """Generated Python imports them under their own names, and programs may not mean two things by one."""
    for name in EXTERNS:
        assert not hasattr(python, name) and not keyword.iskeyword(name)
        assert name not in BUILTINS and name not in vocabulary.FUNCTIONS


@pytest.mark.parametrize("name", EXTERNS)
def test_the_parameters_are_the_same(name: str) -> None:
    assert list(inspect.signature(EXTERNS[name]).parameters) == [
        param.name.text for param in declared()[name][1].params
    ]


@pytest.mark.parametrize("name", EXTERNS)
def test_a_result_has_a_size_and_a_declaration_its_documentation(name: str) -> None:
    checked, written = declared()[name]
    statics = {static.name.text for static in written.statics}
    assert checked.doc
    assert not written.params or all(param.default is None for param in written.params)
    assert all(static.default is None for static in written.statics)
    pending: list[Pattern] = [checked.returns]
    while pending:
        match pending.pop():
            case Known(type=kind):
                assert isinstance(kind, Int | Float | Bool) or (isinstance(kind, Text) and kind.cap <= 800)
            case TypeHole(name=hole) | TextHole(size=hole):
                assert hole in statics
            case ListOf(element=inner) | Maybe(inner=inner):
                pending.append(inner)


# ---------------------------------------------------------------- what they promise

_SIGNS = [
    "**",
    "`",
    "```",
    "\n",
    "\\boxed{",
    "}",
    "$",
    "Answer:",
    "####",
    "<a>",
    "</a>",
    "(B)",
    "1,000.50",
    "-3",
    "seven",
]
_pieces = st.lists(st.sampled_from([*_SIGNS, " ", "the", "Tea"]) | st.text(max_size=5), max_size=12).map("".join)
TEXTS = _pieces | st.text(max_size=40)
INTS = st.integers(-(2**63), 2**63 - 1)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)


class Solution(Record):
    thinking: str
    answer: str


ANSWERS: list[tuple[Type, st.SearchStrategy[Any]]] = [
    (Int(), INTS),
    (Float(), FLOATS),
    (Bool(), st.booleans()),
    (List(Int(), 0, 3), st.lists(INTS, max_size=3)),
    (Optional(Int()), st.none() | INTS),
]
"""What may stand for a static type: its type, values of it."""


@st.composite
def arguments(draw: st.DrawFn, called: Extern) -> tuple[list[Type], list[Any]]:
    """Return arguments that an extern takes: types that are as narrow as can be, and values of these."""
    kind, values = draw(st.sampled_from(ANSWERS))
    texts = draw(st.booleans())

    def value(pattern: Pattern) -> tuple[Type, Any]:
        match pattern:
            case TypeHole() if texts:
                text = draw(TEXTS)
                return Text(text_tokens(text)), text
            case TypeHole():
                return kind, draw(values)
            case TextHole() | Known(type=Text()):
                text = draw(TEXTS)
                return Text(text_tokens(text)), text
            case Known(type=Int()):
                return Int(), draw(INTS)
            case Known(type=Float()):
                return Float(), draw(FLOATS)
            case ListOf(element=element, low=low):
                items = [value(element) for _ in range(draw(st.integers(low, 6)))]
                inner: Type = items[0][0] if items else Nothing()
                if isinstance(inner, Text):
                    inner = Text(max(part.cap for part, _ in items if isinstance(part, Text)))
                return List(inner, len(items), len(items)), [item for _, item in items]
        raise AssertionError(pattern)

    drawn = [value(pattern) for pattern in called.params]
    return [part for part, _ in drawn], [part for _, part in drawn]


def fits(value: Any, kind: Type) -> bool:
    match kind:
        case Text(cap=cap):
            return isinstance(value, str) and text_tokens(value) <= cap
        case List(element=element, low=low, high=high):
            return low <= len(value) <= high and all(fits(item, element) for item in value)
        case Optional(inner=inner):
            return value is None or fits(value, inner)
        case Int():
            return type(value) is int and -(2**63) <= value < 2**63
        case Float():
            return isinstance(value, int | float) and abs(value) < float("inf")
        case Bool():
            return type(value) is bool
        case _:
            return False


@pytest.mark.parametrize("name", EXTERNS)
@given(data=st.data())
def test_a_result_is_within_its_declaration_and_always_the_same(name: str, data: st.DataObject) -> None:
    called, _ = declared()[name]
    kinds, values = data.draw(arguments(called))
    promised = result_type(called, kinds)
    assert promised is not None, (called.signature, list(map(show, kinds)))
    result = EXTERNS[name](*values)
    assert fits(result, promised), (result, show(promised))
    assert EXTERNS[name](*values) == result


def test_a_result_that_is_too_large_would_be_found() -> None:
    called, _ = declared()["normalise"]
    promised = result_type(called, [Text(1)])
    assert promised == Text(1)
    assert not fits("a long answer", promised)


HOSTILE = [
    "a" * 100_000,
    "<a>" * 30_000,
    "\\boxed{" * 20_000,
    "```\n" * 20_000,
    "Answer: " * 12_000,
    "1," * 50_000,
    "*" * 100_000,
]


@pytest.mark.parametrize("name", [name for name in EXTERNS if name not in ("vote", "agreement", "weighted", "best")])
def test_nothing_takes_long(name: str) -> None:
    called, _ = declared()[name]
    for text in (*HOSTILE, " ".join(f"w{number}" for number in range(20_000)), "\\text{\\frac{1}{2}" * 6_000):
        values: list[Any] = []
        for pattern in called.params:
            match pattern:
                case TextHole() | Known(type=Text()):
                    values.append(text)
                case ListOf(element=Known(type=Float())):
                    values.append([1.0] * 3)
                case ListOf():
                    values.append([text, "x", text + "y"])
                case _:
                    values.append(7)
        started = process_time()
        EXTERNS[name](*values)
        assert process_time() - started < 2


# ---------------------------------------------------------------- values


@pytest.mark.parametrize(
    ("name", "arguments", "value"),
    [
        ("normalise", ["The Answer"], "answer"), ("normalise", ["..."], "..."), ("normalise", [""], ""),
        ("normalise", ["1,234.50 kg."], "1234.5"), ("normalise", ["80%"], "80"), ("normalise", ["-0.0"], "0"),
        ("normalise", ["\\frac{1}{2}"], "1/2"), ("normalise", ["$x = 3$"], "x = 3"),
        ("normalise", ["Ⅷ ﬁne"], "viii fine"),
        ("normalise", ["A"], "a"), ("normalise", ["a, b and the c"], "b and c"),
        ("normalise", ["3.10 and 2"], "3.1 and 2"),
        ("normalise", ["twenty-one"], "21"), ("normalise", ["x_1"], "x 1"), ("normalise", ["1e3"], "1000"),
        ("same", ["(B)", "b"], True), ("same", ["New York", "new  york!"], True), ("same", ["1.5", "15"], False),
        ("same", ["", " "], True), ("same", ["-1", "1"], False), ("same", ["1/2", "\\dfrac{1}{2}"], True),
        ("similarity", ["", ""], 1.0), ("similarity", ["", "a"], 0.0), ("similarity", ["ab", "ab"], 1.0),
        ("overlap", ["the", "the"], 1.0), ("overlap", ["", "x"], 0.0), ("overlap", ["red cars", "a car"], 0.5),
        ("chosen", ["b", ["x", "y"]], 1), ("chosen", ["2", ["x", "y"]], 1), ("chosen", ["3", ["x", "y"]], None),
        ("chosen", ["Option B: it is short", ["x", "y"]], 1), ("chosen", ["a good one", ["x", "y"]], None),
        ("chosen", ["new york city", ["york", "new york"]], 1), ("chosen", ["", ["x", "y"]], None),
        ("chosen", ["x", []], None), ("chosen", ["2", ["2", "1"]], 0),
        ("chosen", ["The answer is (A).", ["p", "q"]], 0),
        ("chosen", ["x", ["x", "X"]], None),
        ("code_block", ["~~~\na\n~~~"], "a"), ("code_block", ["```\na\n```\n```py\nlonger\n```"], "longer"),
        ("code_block", ["```py\nunclosed"], "unclosed"), ("code_block", ["```\n```"], ""),
        ("code_block", ["<think>hm</think>\nx = 1"], "x = 1"),
        ("code_block", ["````\n```\nin\n```\n````"], "```\nin\n```"),
        ("final_answer", [""], ""), ("final_answer", ["x\n\n"], "x"), ("final_answer", ["#### 12"], "12"),
        ("final_answer", ["The answer is: 4.\nBye"], "4"), ("final_answer", ["Answer: a\nAnswer: b"], "b"),
        ("final_answer", ["\\boxed{a}\n\\boxed{b\\text{c}}"], "b\\text{c}"), ("final_answer", ["\\boxed{}\nx"], "x"),
        ("tagged", ["<A>x</a>", "a"], "x"), ("tagged", ["<a>x", "<a>"], "x"), ("tagged", ["x", ""], None),
        ("tagged", ["<a>1</a><a>2</a>", "a"], "2"),
        ("replaced", ["a b", " ", ""], "ab"), ("replaced", ["ab", "", "x"], "ab"),
        ("replaced", ["abab", "b", "a"], "aaaa"),
        ("sqrt", [2], 2**0.5), ("sqrt", [-1.0], 0.0), ("log", [1.0], 0.0), ("log", [0], 0.0), ("log", [-5.0], 0.0),
        ("exp", [0], 1.0), ("exp", [1e9], sys.float_info.max), ("exp", [-1e9], 0.0), ("power", [2, 0.5], 2**0.5),
        ("power", [-8.0, 1 / 3], 0.0), ("power", [-1e200, 3], -sys.float_info.max), ("power", [0, -1.0], 0.0),
        ("power", [-1e200, 2.0], sys.float_info.max), ("power", [0.0, 0.0], 1.0),
        ("vote", [["a", "The A", "b"]], "a"), ("vote", [[2, 1, 1]], 1), ("vote", [[None, None, 1]], None),
        ("vote", [[["a"], ["b"], ["B."]]], ["b"]),
        ("agreement", [["x", "X", "y", "z"]], 0.5), ("agreement", [[1, 1.0]], 1.0),
        ("weighted", [["a", "b", "a"], [0.1, 1.0, 0.2]], "b"), ("weighted", [["a", "b"], []], "a"),
        ("weighted", [["a", "b"], [-1.0]], "b"),
        ("best", [["a", "b", "c"], [1.0, 3.0, 3.0]], "b"), ("best", [["a"], []], "a"),
        ("best", [["a", "b"], [-5.0]], "a"),
        ("ranked", [["a", "b", "c"], [1.0, 3.0, 2.0]], ["b", "c", "a"]), ("ranked", [[], [1.0]], []),
        ("ranked", [["a", "b", "c"], [1.0, 2.0]], ["b", "a", "c"]),
        ("shuffled", [[1, 2, 3, 4], 0], [1, 2, 3, 4]), ("shuffled", [[], 5], []),
    ],
)  # fmt: skip
def test_values(name: str, arguments: list[Any], value: Any) -> None:
    result = EXTERNS[name](*arguments)
    assert result == value
    assert type(result) is type(value)


def test_records_with_an_answer_are_compared_by_it() -> None:
    drafts = [Solution(thinking=words, answer=answer) for words, answer in (("a", "4"), ("b", "5"), ("c", "4.0"))]
    assert EXTERNS["vote"](drafts) is drafts[0]
    assert EXTERNS["agreement"](drafts) == 2 / 3


@given(st.lists(TEXTS, max_size=8), st.integers(1, 99))
def test_a_shuffle_loses_nothing(items: list[str], seed: int) -> None:
    assert sorted(EXTERNS["shuffled"](items, seed)) == sorted(items)


def test_shuffles_differ() -> None:
    assert len({tuple(EXTERNS["shuffled"]([1, 2, 3, 4], seed)) for seed in range(1, 30)}) > 9


@given(TEXTS, TEXTS)
def test_likeness_is_symmetric(a: str, b: str) -> None:
    likeness = EXTERNS["similarity"]
    assert likeness(a, b) == likeness(b, a)
    assert 0 <= likeness(a, b) <= 1
    assert likeness(a, a) == 1


@given(TEXTS)
def test_a_key_is_its_own_key_for_words(text: str) -> None:
    words = " ".join(word for word in text.split() if word.isalpha() and word.isascii())
    key = EXTERNS["normalise"](words)
    assert EXTERNS["normalise"](key) == key


# ---------------------------------------------------------------- in programs


def check(text: str, name: str = "case.mas") -> str:
    findings = Findings()
    pipeline.check_source(Source(name, text), DEFAULT, findings)
    return render_short(findings.sorted())


def test_only_the_standard_library_declares_some(tmp_path: Path) -> None:
    text = "mas 1\nextern f(x) -> int\nflow main(x) -> int { return f(x) }\n"
    report = check(text)
    assert report.count("MAS1") == 1 and "MAS116" in report
    assert "MAS116" not in check(text, str(STDLIB / "other.mas"))
    elsewhere = tmp_path / "stdlib" / "text.mas"
    assert "MAS116" in check(text, str(elsewhere))


def test_an_extern_of_the_library_is_declared_under_its_own_name_only() -> None:
    text = "mas 1\nuse std.text: same as alike\nflow main(x) -> bool { return alike(x, x) }\n"
    findings = Findings()
    program = pipeline.check_source(Source("case.mas", text), DEFAULT, findings)
    assert program is not None
    assert "same(x, x)" in pipeline.build(program).text


@pytest.mark.parametrize(
    ("call", "code"),
    [
        ("same(x)", "MAS216"),
        ("same(a: x, b: x)", "MAS216"),
        ("same(n, x)", "MAS216"),
        ("same(first([x]), x)", ""),
        ("same(none, x)", "MAS216"),
        ("same(maybe, x)", "MAS202"),
        ("vote([x])", "MAS201"),
        ("agreement([]) == 1.0", "MAS216"),
        ("simular(x, x) > 0.5", "MAS102"),
        ("similarity == x", "MAS115"),
    ],
)
def test_wrong_calls(call: str, code: str) -> None:
    uses = "use std.text: same, similarity\nuse std.vote: vote, agreement"
    text = f"mas 1\n{uses}\nflow main(x, n: int, maybe: text?) -> bool {{ return {call} }}\n"
    report = "\n".join(line for line in check(text).splitlines() if "MAS7" not in line)
    assert code in report if code else not report


def test_a_module_without_its_own_folder_is_no_part_of_the_library() -> None:
    findings = Findings()
    parsed = parse_program(Source("<std.text>", "mas 1\nextern f(x) -> int\n"), findings)
    check_parsed(parsed, config=DEFAULT, read_module=read_module, findings=findings)
    assert [finding.diagnostic.code for finding in findings.sorted()] == ["MAS116"]
