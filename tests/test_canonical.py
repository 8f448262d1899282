"""The identity of a program: what counts and what does not."""

from __future__ import annotations

import re

import pytest

from masdsl.diagnostics.base import Findings
from masdsl.source import Source
from masdsl.syntax import ast
from masdsl.syntax.canonical import canonical_text, program_hash
from masdsl.syntax.parse import parse_program

BASE = """mas 1

agent coder(spec, notes = "") -> text on smart temp 0.2
  "Write it."

flow draft(spec) -> text {
  first = coder(spec)
  return first
}

flow main(spec) -> text {
  answers = 3 of coder(spec)
  code = first(answers)
  plan = draft(spec)
  refine: loop 3 {
    code = coder(spec, code)
    until len(code) > 3
  }
  all = each item in answers where item != code: coder(item, notes: code)
  for one in all {
    all += [one, spec]
  }
  return code
}

test "t" {
  given coder = "x"
  given main.refine.code = "y"
  given main.plan.first = "z"
  out = main("a")
  expect out == "x"
  expect ran(main.refine.code[1]) == 1 and ran(main.plan.first) == 1 and ran(draft.first) == 0
}
"""


def program(text: str) -> ast.Program:
    findings = Findings()
    parsed = parse_program(Source("case.mas", text), findings)
    assert parsed.ok, findings.sorted()
    assert isinstance(parsed.document, ast.Program)
    return parsed.document


def test_locals_are_numbered_in_bodies_and_in_addresses() -> None:
    assert (
        canonical_text(program(BASE))
        == """mas 1

agent coder(spec, notes = "") -> text on smart temp 0.2
  "Write it."

flow draft(spec) -> text {
  _1 = coder(spec)
  return _1
}

flow main(spec) -> text {
  _1 = 3 of coder(spec)
  _2 = first(_1)
  _3 = draft(spec)
  _4: loop 3 {
    _2 = coder(spec, _2)
    until len(_2) > 3
  }
  _5 = each _6 in _1 where _6 != _2: coder(_6, notes: _2)
  for _7 in _5 {
    _5 += [_7, spec]
  }
  return _2
}

test "t" {
  given coder = "x"
  given main._4._2 = "y"
  given main._3._1 = "z"
  _1 = main("a")
  expect _1 == "x"
  expect ran(main._4._2[1]) == 1 and ran(main._3._1) == 1 and ran(draft._1) == 0
}
"""
    )


SAME = {
    "layout": [(" {\n", "{"), ("\n\n", "\n")],
    "comments": [("mas 1\n", "# text\nmas 1 # more\n"), ("return code\n", "return code # the best\n")],
    "order of attributes": [("on smart temp 0.2", "temp 0.2 on smart")],
    "a binding": [("answers", "drafts")],
    "a label": [("refine", "polish")],
    "a loop variable": [("one", "each_one")],
    "a variable of each": [("item", "draft_2")],
    "a step that an address names": [("code", "body")],
    "a step of a called flow": [("first = ", "_9 = "), ("return first", "return _9"), (".first", "._9")],
    "names that are numbers already": [("plan", "_1"), ("answers", "_2")],
}

DIFFERENT = {
    "a parameter": [("spec", "task")],
    "an agent": [("coder", "writer")],
    "a prompt": [("Write it.", "Write it!")],
    "a number": [("loop 3", "loop 2")],
    "which local is used": [("return code", "return plan")],
    "two locals made one": [("plan = draft(spec)", "code = draft(spec)")],
    "order of statements": [
        ("  code = first(answers)\n  plan = draft(spec)", "  plan = draft(spec)\n  code = first(answers)")
    ],
}


@pytest.mark.parametrize("name", SAME)
def test_what_does_not_count(name: str) -> None:
    text = BASE
    for old, new in SAME[name]:
        assert old in text
        text = re.sub(rf"\b{old}\b", new, text) if old.isidentifier() else text.replace(old, new)
    assert program_hash(program(text)) == program_hash(program(BASE))


@pytest.mark.parametrize("name", DIFFERENT)
def test_what_counts(name: str) -> None:
    text = BASE
    for old, new in DIFFERENT[name]:
        assert old in text
        text = text.replace(old, new)
    assert program_hash(program(text)) != program_hash(program(BASE))


def test_new_names_avoid_those_that_stay() -> None:
    text = 'mas 1 tool _1() -> text from "t" flow main(_2) -> text { a = f(_2) return a }'
    assert "  _3 = f(_2)\n  return _3\n" in canonical_text(program(text))


def test_the_canonical_text_of_a_canonical_text_is_itself() -> None:
    text = canonical_text(program(BASE))
    assert canonical_text(program(text)) == text
    assert program_hash(program(text)) == program_hash(program(BASE))


def test_the_hash_is_stable_across_versions() -> None:
    """Training data, caches and patches keep it: change this only together with a new edition of the language."""
    assert program_hash(program(BASE)) == "45013380e567147bc8d0901ec0f3ac618358fd61ea96bcc107ac1d580e577013"
