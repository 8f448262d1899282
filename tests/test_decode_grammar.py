"""Grammars for decoders: they are derived, they accept what the language has, and nothing that the parser refuses."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from masdsl.decode.bnf import Bnf, narrowed, read_bnf, text
from masdsl.decode.layout import LaidGrammar, laid
from masdsl.decode.regexes import NotTranslatable, to_gbnf, to_rust
from masdsl.decode.targets import TARGETS, grammar_text_for, written
from masdsl.decode.words import without_words
from masdsl.diagnostics.base import Findings
from masdsl.source import Source
from masdsl.syntax.compact import print_compact
from masdsl.syntax.grammar import keywords, reserved_words
from masdsl.syntax.parse import Parsed, parse_binding, parse_chunk, parse_patch, parse_program
from masdsl.syntax.print import print_document
from masdsl.syntax.tables import STARTS
from tests.harness.gbnf import Gbnf

llguidance = pytest.importorskip("llguidance", reason="masdsl[decode] is not installed")

ROOT = Path(__file__).resolve().parent.parent
PROGRAMS = sorted([*ROOT.glob("examples/**/*.mas"), *ROOT.glob("stdlib/*.mas")])
PARSERS = {"program": parse_program, "binding": parse_binding, "patch": parse_patch}


def parsed(kind: str, source: str) -> Parsed:
    return PARSERS[kind](Source("x", source), Findings())


def is_parsed(start: str, source: str) -> bool:
    """Whether the parser takes a text without a complaint."""
    if start == "chunk":
        findings = Findings()
        return parse_chunk(Source("x", source), findings) is not None and findings.ok
    return parsed(start, source).ok


@cache
def matcher(start: str) -> Any:
    grammar = llguidance.LLMatcher.grammar_from_lark(grammar_text_for(start, "llguidance"))
    return llguidance.LLMatcher(llguidance.LLTokenizer("byte"), grammar)


def accepted(start: str, source: str) -> bool:
    """Whether the decoder's grammar has this text."""
    found = matcher(start).deep_copy()
    data = list(source.encode())
    return bool(found.try_consume_tokens(data) == len(data) and found.is_accepting())


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.name)
def test_every_program_can_be_decoded(path: Path) -> None:
    whole = parsed("program", path.read_text())
    compact = print_compact(whole.document)
    again = parsed("program", compact)
    assert again.ok and print_document(again.document) == print_document(whole.document)
    assert accepted("program", compact)


PATCHES = """\
patch 1 on "3f9a01"
set reviewer.temp = 0.2
bind coder = smart
add agent check(code: text(1500)) -> bool else true "Does it run?"
after main.refine add type Kind = math | code
drop main.t
replace main.drafts = 2 of coder(spec)
replace main.refine {
code = coder(spec)
}
before main.code {
spec = short(spec) else spec
}
wrap main.code in loop 3
otherwise main.code = "x"
rename main.code = program
redo main.code
budget calls 5 usd 0.05
"""


@pytest.mark.parametrize(
    ("start", "source"),
    [
        ("patch", PATCHES),
        ("binding", 'bind 1\ncoder = smart\nreviewer = "openai/gpt-4o"\n'),
        ("chunk", "refine: loop 3 {\n"),
        ("chunk", "}\n"),
        ("chunk", "} else {\n"[2:]),
        ("chunk", "math | code {\n"),
        ("chunk", "answers = 3 of solver(q, notes: [a.b[0], -1, Kind.math]) else none\n"),
        ("chunk", "xs = each x in xs where x.ok and not (a or b): f(x + 1 - 2 * 3)\n"),
        ("chunk", 'tool run(code: text(9)[2]+, n: int? = 3) -> (ok: bool) from "sandbox.python" timeout 3\n'),
        ("chunk", "flow f[T, n = 2](solve: agent(T, text) -> T[n]) -> T budget calls 3 {\n"),
    ],
)
def test_other_texts_can_be_decoded(start: str, source: str) -> None:
    assert is_parsed(start, source)
    assert accepted(start, source)


@pytest.mark.parametrize(
    ("start", "source"),
    [
        ("program", "mas 1\nflow f(x) -> text {\n}\n"),
        ("program", "mas  1\n"),
        ("program", "mas 2\n"),
        ("chunk", "a=f(x)\n"),
        ("chunk", "a = f(x,)\n"),
        ("chunk", "until = f(x)\n"),
        ("chunk", "a = f(x) # why\n"),
        ("chunk", "a = f (x)\n"),
    ],
)
def test_other_layouts_and_empty_blocks_are_not_decoded(start: str, source: str) -> None:
    assert not accepted(start, source)


# ---------------------------------------------------------------- soundness


FIELD_OF_A_NUMBER = re.compile(r"\d\.[a-z_]")
"""What a decoder's lexer cannot tell from a fraction with one byte; no number has a field."""


class Derivation:
    """A random text of a grammar with its blanks: short productions are chosen once it is deep enough."""

    PATTERNS: ClassVar = {
        "NAME": ("a", "b1", "steps", "calls", "in_", "x_y"),
        "WORD": ("a", "return", "loop"),
        "TYPENAME": ("T", "Kind", "R2"),
        "INT": ("0", "12"),
        "FLOAT": ("0.5", "10.25"),
        "SCALED": ("3k", "2M"),
        "PERCENT": ("80%",),
        "CMP": ("==", "<", ">="),
        "STRING": ('"x"', '""', '"a\\"b \\n {{ c }}"', '"""\nline "quoted"\nmore\n\n"end\n"""'),
    }

    def __init__(self, grammar: LaidGrammar, seed: int) -> None:
        self.grammar = grammar
        self.random = random.Random(seed)
        self.heights = _heights(grammar)

    def text(self) -> str:
        return "".join(self._of(self.grammar.start, 0)) + self.grammar.end

    def _of(self, form: tuple[str, str], depth: int) -> Iterator[str]:
        productions = self.grammar.rules[form]
        if depth > 14:
            lowest = min(self._height(one) for one in productions)
            productions = tuple(one for one in productions if self._height(one) == lowest)
        for symbol in self.random.choice(productions):
            if symbol.kind == "rule":
                yield from self._of((symbol.name, symbol.gap), depth + 1)
            else:
                yield symbol.gap
                yield symbol.name if symbol.kind == "text" else self.random.choice(self.PATTERNS[symbol.name])

    def _height(self, production: Any) -> int:
        return max((self.heights[one.name, one.gap] for one in production if one.kind == "rule"), default=0)


def _heights(grammar: LaidGrammar) -> dict[tuple[str, str], int]:
    heights: dict[tuple[str, str], int] = {}
    while len(heights) < len(grammar.rules):
        for form, productions in grammar.rules.items():
            for production in productions:
                below = [heights.get((one.name, one.gap)) for one in production if one.kind == "rule"]
                if form not in heights and None not in below:
                    heights[form] = 1 + max((one for one in below if one is not None), default=0)
    return heights


@pytest.mark.parametrize("start", STARTS)
def test_what_is_derived_is_parsed_and_printed_back(start: str) -> None:
    """The grammar's texts are the language's, in the layout of the compact printer but for sorted attributes."""
    for seed in range(300):
        source = Derivation(laid(read_bnf(start)), seed).text()
        assert accepted(start, source) or FIELD_OF_A_NUMBER.search(source), source
        assert is_parsed(start, source), source
        if start != "chunk" and '"' not in source:  # texts have several spellings, and one in compact text
            compact = print_compact(parsed(start, source).document)
            assert sorted(compact.split()) == sorted(source.split()), "attributes and limits have one order in it"


@pytest.mark.parametrize("start", STARTS)
def test_what_the_decoder_accepts_the_parser_accepts(start: str) -> None:
    """Texts with a byte dropped, doubled or exchanged: whatever the decoder still takes is of the language."""
    choice = random.Random(7)
    kept = 0
    for seed in range(400):
        source = Derivation(laid(read_bnf(start)), seed).text()
        at = choice.randrange(len(source))
        other = source[choice.randrange(len(source))]
        mutant = source[:at] + choice.choice(["", source[at] * 2, other]) + source[at + 1 :]
        if accepted(start, mutant):
            kept += 1
            assert is_parsed(start, mutant), mutant
    assert kept > 20


# ---------------------------------------------------------------- derivation and narrowing


def test_every_reserved_word_is_no_name() -> None:
    for word in keywords():
        assert accepted("chunk", f"{word} = x\n") == (word not in reserved_words())


def test_narrowing_leaves_what_can_be_derived() -> None:
    bnf = narrowed(read_bnf("chunk"), {"callee": [(text("f"),)], "var_ref": [(text("x"),)], "type_ref": None})
    assert "tag" not in bnf.rules and "record" in bnf.rules, "a record without its type's name is left"
    grammar = written(laid(bnf), "llguidance", {"NAME": reserved_words()})
    found = llguidance.LLMatcher(llguidance.LLTokenizer("byte"), llguidance.LLMatcher.grammar_from_lark(grammar))
    for source, fine in (("a = f(x)\n", True), ("a = g(x)\n", False), ("a = f(y)\n", False), ("a = K.b\n", False)):
        data = list(source.encode())
        one = found.deep_copy()
        assert (one.try_consume_tokens(data) == len(data) and one.is_accepting()) == fine, source
    with pytest.raises(ValueError, match="nothing can be derived"):
        narrowed(read_bnf("binding"), {"agent_ref": None})
    with pytest.raises(KeyError):
        narrowed(read_bnf("binding"), {"no_such_rule": None})


def _symbols(bnf: Bnf) -> set[str]:
    return {one.name for productions in bnf.rules.values() for production in productions for one in production}


def test_nothing_of_the_language_is_left_out() -> None:
    """Every keyword and every pattern of the grammar file is in the derived grammars."""
    found = set().union(*(_symbols(read_bnf(start)) for start in STARTS))
    assert keywords() <= found and set(Derivation.PATTERNS) == {one for one in found if one.isupper()}


@pytest.mark.parametrize("pattern", ["a(?=b)", "a*?", r"(a)\1", "^a", r"\ba"])
def test_what_a_decoder_cannot_follow_is_refused(pattern: str) -> None:
    for translate in (to_rust, to_gbnf):
        with pytest.raises(NotTranslatable):
            translate(pattern)


# ---------------------------------------------------------------- GBNF and EBNF


@pytest.mark.parametrize("start", STARTS)
def test_gbnf_has_the_same_texts(start: str) -> None:
    grammar = Gbnf(grammar_text_for(start, "gbnf"))
    choice = random.Random(3)
    refused = 0
    for seed in range(5):
        source = Derivation(laid(read_bnf(start)), seed).text()[:140]
        whole = source.endswith("\n") and accepted(start, source)
        assert grammar.takes(source) and (not whole or grammar.matches(source)), source
        at = choice.randrange(len(source))
        mutant = source[:at] + choice.choice("a1 .(#\n") + source[at + 1 :]
        if grammar.matches(mutant):
            assert is_parsed(start, mutant), mutant
        else:
            refused += 1
    assert refused


@pytest.mark.parametrize("word", ["loop", "loops", "loo", "lo_op", "until", "untilx", "a", "calls"])
def test_gbnf_leaves_reserved_words_out_of_names(word: str) -> None:
    assert Gbnf(grammar_text_for("chunk", "gbnf")).matches(f"{word} = x\n") == (word not in reserved_words())


@pytest.mark.parametrize("target", TARGETS)
def test_the_command_prints_each_notation(target: str, capsys: pytest.CaptureFixture[str]) -> None:
    from masdsl.cli import main

    assert main(["grammar", "--target", target, "--start", "binding"]) == 0
    out = capsys.readouterr().out
    assert "assignment" in out and out == grammar_text_for("binding", target)


@given(st.sets(st.text("ab", min_size=1, max_size=5)), st.integers(0, 3))
def test_names_without_words_up_to_the_greatest_length(words: set[str], most: int) -> None:
    rules = "\n".join(["root ::= name", *without_words("name", f"[a-c][a-c]{{0,{most}}}", words)])
    grammar = Gbnf(rules)
    for length in range(6):
        for name in map("".join, product("abc", repeat=length)):
            assert grammar.matches(name) == (1 <= length <= most + 1 and name not in words), rules
