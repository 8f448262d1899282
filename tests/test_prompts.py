# ruff: noqa: E501 templates are one line each
"""Prompts: what a template may say, where its faults are shown, and that nothing accepted reaches beyond its inputs."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2 import Environment, StrictUndefined

from masdsl.check.literal_places import LiteralPlaces
from masdsl.check.prompts import MARK, PromptInfo, _insertions_only, check_prompt
from masdsl.check.template_filters import FILTERS
from masdsl.check.template_types import check_template
from masdsl.diagnostics.base import Diagnostic
from masdsl.limits import EXPRESSION_DEPTH, TEMPLATE_BLOCKS, TEMPLATE_BYTES, TEMPLATE_NODES
from masdsl.node import Span
from masdsl.runtime.prompt import FILTERS as RUNTIME_FILTERS
from masdsl.runtime.prompt import Prompt
from masdsl.source import Source
from masdsl.syntax.strings import decode, encode
from masdsl.types import Bool, Enum, Float, Int, List, Optional, Record, Text, Type

REVIEW = Record("Review", "", (("ok", Bool()), ("issues", List(Text(60), 0, 8)), ("items", Text(9))))
NOTE = Record(
    "Note",
    "",
    (("text", Text(9)), ("score", Optional(Float())), ("by", Optional(Record("By", "", (("name", Text(9)),))))),
)
KIND = Enum("Kind", "", ("math", "code"))
PARAMS: dict[str, Type] = {
    "spec": Text(800),
    "notes": List(Text(60), 0, 8),
    "maybe": Optional(List(Text(60), 0, 8)),
    "kind": KIND,
    "n": Int(),
    "review": REVIEW,
}
MORE: dict[str, Type] = PARAMS | {
    "share": Float(),
    "flag": Bool(),
    "count": Optional(Int()),
    "drafts": List(Text(9), 1, 3),
    "rest": List(NOTE, 0, 3),
    "note": Optional(NOTE),
    "kinds": List(KIND, 0, 4),
    "rows": List(List(Int(), 0, 2), 0, 2),
    "self": Text(9),
}


def check(
    text: str, params: dict[str, Type] = MORE, literal: str | None = None
) -> tuple[PromptInfo, list[Diagnostic], Source]:
    literal = encode(text) if literal is None else literal
    source = Source("x.mas", f"mas 1\nagent a() -> text {literal}\n")
    start = source.text.index(literal)
    found: list[Diagnostic] = []
    info = check_prompt(text, params, source, Span(start, start + len(literal)), found.append)
    return info, found, source


def faults(text: str, params: dict[str, Type] = MORE) -> list[str]:
    """Code, place (as the characters there) of each fault."""
    _, found, source = check(text, params)
    return [f"{fault.code} {source.slice(fault.span)}" for fault in found]


ACCEPTED = [
    "",
    "List concrete defects only.",
    "{{ spec }}",
    "{{spec}}{{ review.issues }}{{ notes }}{{ review }}{{ maybe }}{{ flag }}",
    "{{- spec -}} {%- if n -%} x {%- endif -%}",
    "{# a comment #}{% raw %}{{ nothing }}{% endraw %}",
    '{{ "{{" }}',
    "{{ spec|trim|upper|lower }}{{ kind|upper }}{{ notes|join }}{{ notes|join(', ') }}{{ kinds|join }}{{ notes|length }}{{ spec|length }}",
    "{{ drafts|first|upper }}{{ notes|first }}{{ (notes|last)|default('none') }}",
    "{{ maybe|default([])|join(';') }}{{ count|default(3) }}",
    "{% for x in notes %}{{ loop.index }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.index0 }} {{ x }}{% else %}no{% endfor %}",
    "{% for x in maybe|default([]) %}{{ x }}{% endfor %}",
    "{% for row in rows %}{% for x in row %}{{ x }}{% endfor %}{% endfor %}",
    "{% for x in notes %}{{ x }}{% endfor %}{% for x in kinds %}{% if x == 'math' %}{{ x }}{% endif %}{% endfor %}",
    "{% if flag %}a{% elif n > 3 and n <= 9 %}b{% elif share < 0.5 or not flag %}c{% else %}d{% endif %}",
    "{% if maybe %}{% for x in maybe %}{{ x }}{% endfor %}{% endif %}",
    "{% if maybe is not none %}{{ maybe|join }}{% endif %}{% if maybe is none %}-{% else %}{{ maybe|length }}{% endif %}",
    "{% if maybe != none and maybe|length > 2 %}{{ maybe|last }}{% endif %}{% if count is none or count > 2 %}x{% endif %}",
    "{% if note and note.by and note.by.name %}{{ note.by.name }}{% endif %}",
    "{% if not (note is none or note.score is none) %}{% if note.score > 0.5 %}{{ note.text }}{% endif %}{% endif %}",
    "{% for x in rest %}{{ x.text }}{% if x.score is not none %}{{ x.score }}{% if x.score >= 1 %}!{% endif %}{% endif %}{% endfor %}",
    "{% if kind == 'math' %}a{% endif %}{% if kind != 'code' %}b{% endif %}{% if kind in ['math', 'code'] %}c{% endif %}",
    "{% if 'x' in notes %}a{% endif %}{% if 'x' not in spec %}b{% endif %}{% if 'math' in kinds %}c{% endif %}{% if n in [1, 2] %}d{% endif %}",
    "{% if count == 3 %}{% if count > 2 %}a{% endif %}{% endif %}{% if spec == 'a' %}b{% endif %}{% if share == 1 %}c{% endif %}",
    "{% if flag == true %}a{% endif %}{% if spec %}b{% endif %}{% if notes %}c{% endif %}{% if n %}d{% endif %}{% if count %}e{% endif %}",
]

REFUSED = [
    ("{{ spek }}", ["MAS602 spek"]),
    ("{{ spec }} {{ review.isues }} {{ x.y }}", ["MAS603 isues", "MAS602 x"]),
    ("{{ spec.name }}", ["MAS603 name"]),
    ("{{ notes.first }}", ["MAS603 first"]),
    ("{{ kind.math }}", ["MAS603 math"]),
    ("{% for x in spec %}{{ x }}{% endfor %}", ["MAS607 spec"]),
    ("{% for x in review %}{{ x.y }}{% endfor %}", ["MAS607 review"]),
    ("{% for x in n %}{{ x }}{% endfor %}", ["MAS607 n"]),
    ("{% for x in maybe %}{{ x }}{% endfor %}", ["MAS608 maybe"]),
    ("{% for x in review.issues|first %}{{ x }}{% endfor %}", ["MAS608 review.issues|first"]),
    ("{% for x in notes %}{{ y }}{% endfor %}{{ x }}", ["MAS602 y", "MAS602 x"]),
    ("{% for x in notes %}{% else %}{{ x }}{% endfor %}", ["MAS602 x"]),
    ("{{ note.text }}", ["MAS608 note"]),
    ("{% if note %}{{ note.by.name }}{% else %}{{ note.text }}{% endif %}", ["MAS608 note.by", "MAS608 note"]),
    ("{% if note is none %}{{ note.text }}{% endif %}", ["MAS608 note"]),
    ("{% if note or flag %}{{ note.text }}{% endif %}", ["MAS608 note"]),
    ("{% if note and flag %}a{% else %}{{ note.text }}{% endif %}", ["MAS608 note"]),
    ("{% if note %}a{% endif %}{{ note.text }}", ["MAS608 note"]),
    ("{% if count > 3 %}a{% endif %}", ["MAS608 count"]),
    ("{% if count == none and count > 3 %}a{% endif %}", ["MAS608 count"]),
    ("{% if 'a' in maybe %}a{% endif %}", ["MAS608 maybe"]),
    ("{{ maybe|join }}", ["MAS608 maybe"]),
    ("{% if kind == 'maths' %}a{% endif %}", ["MAS609 'maths'"]),
    ("{% if 'maths' != kind %}a{% endif %}", ["MAS609 'maths'"]),
    ("{% if kind in ['math', 'cod'] %}a{% endif %}", ["MAS609 'cod'"]),
    ("{% if 'maths' in kinds %}a{% endif %}", ["MAS609 'maths'"]),
    ("{% if kind %}a{% endif %}", ["MAS610 kind"]),
    ("{% if review %}a{% endif %}", ["MAS610 review"]),
    ("{% if spec is none %}a{% endif %}", ["MAS610 spec"]),
    ("{% if spec != none %}a{% endif %}", ["MAS610 spec"]),
    ("{% if n == 'a' %}a{% endif %}", ["MAS610 n == 'a'"]),
    ("{% if spec < 'b' %}a{% endif %}", ["MAS610 spec", "MAS610 'b'"]),
    ("{% if notes == notes %}a{% endif %}", ["MAS610 notes == notes"]),
    ("{% if kind == spec %}a{% endif %}", ["MAS610 kind == spec"]),
    ("{% if 3 in notes %}a{% endif %}", ["MAS610 3 in notes"]),
    ("{% if spec in review %}a{% endif %}", ["MAS610 review"]),
    ("{% if n in ['a'] %}a{% endif %}", ["MAS610 n in ['a'"]),
    ("{{ spec|uper }}", ["MAS605 uper"]),
    ("{{ spec|tojson }}{{ spec|attr('x') }}", ["MAS605 tojson", "MAS605 attr"]),
    ("{% if n is odd %}a{% endif %}{% if spec is defined %}b{% endif %}", ["MAS605 odd", "MAS605 defined"]),
    ("{{ n|upper }}", ["MAS606 upper"]),
    ("{{ spec|join(', ') }}", ["MAS606 join"]),
    ("{{ notes|join(3) }}{{ rest|join }}", ["MAS606 join", "MAS606 join"]),
    ("{{ spec|upper(3) }}{{ n|length }}{{ spec|first }}", ["MAS606 upper", "MAS606 length", "MAS606 first"]),
    ("{{ spec|default('x') }}{{ count|default('x') }}{{ count|default }}", ["MAS606 default"] * 3),
    ("{% set x = spec %}{{ x }}", ["MAS604 set"]),
    ("{{ spec.upper() }}", ["MAS604 ("]),
    ("{{ n + 1 }}{{ notes[0] }}", ["MAS604 n", "MAS604 ["]),
    ("{{ spec if n else notes }}", ["MAS604 spec"]),
    ("{{ notes|join(spec) }}", ["MAS604 spec"]),
    ("{{ flag and n }}{{ n == 3 }}{{ not flag }}", ["MAS604 flag and n", "MAS604 n == 3", "MAS604 flag"]),
    ("{% if true %}a{% endif %}{% if 1 == 1 %}b{% endif %}", ["MAS604 true", "MAS604 1 == 1"]),
    ("{% if 1 < n < 3 %}a{% endif %}", ["MAS604 1 < n < 3"]),
    ("{% for x in notes %}{{ loop }}{% endfor %}", ["MAS604 loop"]),
    ("{% for x in notes %}{{ loop.cycle }}{% endfor %}", ["MAS603 cycle"]),
    ("{% for x in notes if x %}{{ x }}{% endfor %}", ["MAS604 x"]),
    ("{{ self }}", ["MAS611 self"]),
    ("{% for spec in notes %}{{ spec }}{% endfor %}", ["MAS611 spec"]),
    ("{% for x in rows %}{% for x in x %}{{ x }}{% endfor %}{% endfor %}", ["MAS611 x"]),
    ("{% for loop in notes %}{% endfor %}", ["MAS611 loop"]),
    ("{% for Xy in notes %}{% endfor %}", ["MAS611 Xy"]),
    ("{{ spec", ["MAS601 {{"]),
    ("{{ spec }", ["MAS601 }"]),
    ("a {% if flag %} b", ["MAS601 if"]),
    ("{% if flag %}{% for x in notes %}{% endif %}", ["MAS601 endif"]),
    ("{% fro x in notes %}", ["MAS601 fro"]),
    ("{{ spec | }}", ["MAS601 }}"]),
    ("{% if n = 3 %}{% endif %}", ["MAS601 ="]),
    ("{{ § }}", ["MAS601 §"]),
    ("{{ 'a }}", ["MAS601 '"]),
    ("a {# b", ["MAS601 {#"]),
    ("{{ " + "9" * 5000 + " }}", ["MAS601 " + "9" * 5000]),
]


@pytest.mark.parametrize("text", ACCEPTED)
def test_a_prompt_of_values_loops_and_conditions_is_accepted(text: str) -> None:
    assert faults(text) == []


@pytest.mark.parametrize(("text", "expected"), REFUSED)
def test_each_fault_is_shown_where_it_stands(text: str, expected: list[str]) -> None:
    assert faults(text) == expected


@pytest.mark.parametrize(("text", "_"), REFUSED)
def test_every_fault_has_words(text: str, _: list[str]) -> None:
    for fault in check(text)[1]:
        assert fault.title()
        assert not fault.title().endswith(".")
        assert fault.help()
        assert fault.label()


def test_parameters_that_a_prompt_never_names_are_told() -> None:
    assert check("{{ spec }}{% if kind == 'math' %}a{% endif %}", PARAMS)[0].unmentioned == (
        "notes",
        "maybe",
        "n",
        "review",
    )
    assert check("Write.", PARAMS)[0].unmentioned == tuple(PARAMS)
    assert check("{% raw %}{{ spec }}{% endraw %}", PARAMS)[0].unmentioned == tuple(PARAMS)


def test_near_names_are_suggested_and_can_be_put_in() -> None:
    _, found, source = check("{{ spek }}{{ review.isues }}{{ spec|uper }}{% if kind == 'maths' %}{% endif %}")
    assert [fault.help() for fault in found] == [
        f"did you mean `{word}`?" for word in ("spec", "issues", "upper", "math")
    ]
    fix = found[1].fix()
    assert fix is not None
    ((span, text),) = fix.replacements
    assert source.text[: span.start].endswith("review.")
    assert text == "issues"


# ---------------------------------------------------------------- places


@pytest.mark.parametrize(
    ("literal", "word"),
    [
        ('"{{ spek }}"', "spek"),
        ('"a\\nb \\u{e9} \\"x\\" {{ spek }} c"', "spek"),
        ('"a\\r\\nb\\r{{ spek }} c"', "spek"),
        ('"""\n    first\n\n      {{ spek }}\n    last\n    """', "spek"),
        ('"""   \n\t{{ spek }}\n\tx"""', "spek"),
        ('"""a {{ spek }}\n  b\n  """', "spek"),
        ('"""\n  a\\n\\t {{ n }} {{ spek }}\n  """', "spek"),
        ('"""one line {{ spek }}"""', "spek"),
        ('"""\n    a {{\n      spek\n    }}\n    """', "spek"),
    ],
)
def test_a_place_in_a_prompt_is_found_in_the_source(literal: str, word: str) -> None:
    value, bad = decode(literal)
    assert not bad
    _, found, source = check(value, literal=literal)
    assert [source.slice(fault.span) for fault in found] == [word]


PIECES = st.sampled_from(["a", " ", "\n", "\t", "\\n", "\\t", '\\"', "\\\\", "\\u{41}", "{", "}", "é", "  ", "\\r"])


@given(st.lists(PIECES, max_size=30).map("".join), st.booleans())
@settings(max_examples=300, deadline=None)
def test_the_places_of_a_literal_agree_with_its_value(body: str, three: bool) -> None:
    quotes = '"""' if three else '"'
    literal = f"{quotes}{body if three else body.replace(chr(10), '')}{quotes}"
    value, bad = decode(literal)
    places = LiteralPlaces(Source("x", literal), Span(0, len(literal)), value)
    assert not bad
    assert places._starts is not None
    text = value.replace("\r\n", "\n").replace("\r", "\n")
    assert len(places._starts) == len(text) + 1
    for at, letter in enumerate(text):
        if letter in "aé{}":
            span = places.span(at, at + 1)
            assert literal[span.start] == letter
    assert list(places._starts) == sorted(places._starts)


# ---------------------------------------------------------------- limits


def _blocks(count: int) -> str:
    return "{% if n %}" * count + "x" + "{% endif %}" * count


@pytest.mark.parametrize(
    ("fits", "exceeds"),
    [
        ("x" * TEMPLATE_BYTES, "x" * (TEMPLATE_BYTES + 1)),
        ("é" * (TEMPLATE_BYTES // 2), "é" * (TEMPLATE_BYTES // 2) + "x"),
        ("{{ n }}" * (TEMPLATE_NODES - 2), "{{ n }}" * (TEMPLATE_NODES - 1)),
        (_blocks(TEMPLATE_BLOCKS), _blocks(TEMPLATE_BLOCKS + 1)),
        (
            "{% if n == 1 %}a" + "{% elif n == 2 %}b" * 50 + "{% endif %}",
            "{% if n == 1 %}a" + "{% elif n == 2 %}b" * 80 + "{% endif %}",
        ),
        (
            "{% for a in rows %}{% for b in a %}{{ b }}{% endfor %}{% endfor %}",
            "{% for a in rows %}{% for b in a %}{% for c in rows %}{{ c }}{% endfor %}{% endfor %}{% endfor %}",
        ),
        (
            "{% if " + " and ".join(["n"] * EXPRESSION_DEPTH) + " %}a{% endif %}",
            "{% if " + " and ".join(["n"] * (EXPRESSION_DEPTH + 1)) + " %}a{% endif %}",
        ),
        ("{{ " + "(" * 31 + "n" + ")" * 31 + " }}", "{{ " + "(" * 33 + "n" + ")" * 33 + " }}"),
    ],
)
def test_a_prompt_at_a_limit_passes_and_above_it_does_not(fits: str, exceeds: str) -> None:
    assert faults(fits) == []
    assert [fault.split(" ")[0] for fault in faults(exceeds)] == ["MAS612"]


@pytest.mark.parametrize("depth", [1, 10, 100, 1_000, 6_000])
@pytest.mark.parametrize(
    "pattern",
    [
        "{{ (.) }}",
        "{{ [.] }}",
        "{{ not . }}",
        "{{ -. }}",
        "{{ n.a }}",
        "{% if n %}.{% endif %}",
        "{{ {1:.} }}",
        "{{ n|f(.) }}",
    ],
)
def test_no_depth_gives_a_traceback(pattern: str, depth: int) -> None:
    before, _, after = pattern.partition(".")
    opening, closing = (
        before[3:] if before.startswith("{{") else before,
        after[:-3] if before.startswith("{{") else after,
    )
    if pattern == "{{ n.a }}":
        text = "{{ n" + ".a" * depth + " }}"
    elif before.startswith("{{"):
        text = "{{ " + opening * depth + "n" + closing * depth + " }}"
    else:
        text = opening * depth + closing * depth
    check(text)


# ---------------------------------------------------------------- the way without Jinja2

NAMES = ["spec", "n", "review", "maybe", "self", "nope", "loop", "true"]
INSERTIONS = st.builds(
    lambda open_, name, field, close: f"{open_}{name}{field}{close}",
    st.sampled_from(["{{ ", "{{", "{{\n", "{{- "]),
    st.sampled_from(NAMES),
    st.sampled_from(["", "", ".ok", ".issues", ".items", ".ok.x", " .ok"]),
    st.sampled_from([" }}", "}}", " -}}", "}"]),
)


@given(
    st.lists(INSERTIONS | st.sampled_from(["text", "{", "}", "\n", "{%", "{#", "#}", "%}"]), max_size=6).map("".join)
)
@settings(max_examples=500, deadline=None)
def test_prompts_read_without_jinja2_are_read_as_jinja2_reads_them(text: str) -> None:
    mentioned = _insertions_only(text, MORE)
    if mentioned is None or not MARK.search(text):
        return
    found: list[Diagnostic] = []
    places = LiteralPlaces(Source("x", text), Span(0, len(text)), text)
    assert check_template(text, MORE, places, found.append) == mentioned
    assert found == []


# ---------------------------------------------------------------- hostile templates


class Watched:
    """Plain data as a template sees it; whatever is read of it beyond the fields of its type ends the test."""

    def __init__(self, fields: dict[str, Any]) -> None:
        object.__setattr__(self, "_fields", fields)

    def __getattribute__(self, name: str) -> Any:
        fields = object.__getattribute__(self, "_fields")
        if name in fields:
            return fields[name]
        if name in ("__class__", "__html__"):  # what Jinja2 itself asks of every value that it prints
            if name == "__html__":
                raise AttributeError(name)
            return object.__getattribute__(self, name)
        raise AssertionError(f"a template read `{name}`")

    def __str__(self) -> str:
        return "<record>"


RECORD = {"ok": True, "issues": ["i1", "i2"], "items": "i3"}
DATA: dict[str, Any] = {"spec": "SPEC", "notes": ["n1", "n2"], "maybe": None, "kind": "math", "n": 7}


def _plain_environment() -> Environment:
    """The bare template language: no globals, and filters that say what they are for and nothing else."""
    environment = Environment(undefined=StrictUndefined)
    environment.globals.clear()
    environment.filters = {
        "default": lambda value, other: other if value is None else value,
        "first": lambda items: items[0] if items else None,
        "join": lambda items, between="": between.join(str(item) for item in items),
        "last": lambda items: items[-1] if items else None,
        "length": len,
        "lower": str.lower,
        "trim": str.strip,
        "upper": str.upper,
    }
    environment.tests = {"none": lambda value: value is None}
    return environment


def _render(text: str) -> str:
    return _plain_environment().from_string(text).render(DATA | {"review": Watched(RECORD)})


def _hostile(root: Path) -> tuple[list[str], list[str]]:
    lines = (root / "tests/cases/prompts/hostile.txt").read_text(encoding="utf-8").split("\n")
    lines = [line.replace("\\n", "\n") for line in lines if line and not (line.startswith("# ") and "{{" not in line)]
    at = lines.index("harmless:")
    return lines[:at], lines[at + 1 :]


def test_every_hostile_template_is_refused(root: Path) -> None:
    refused, _ = _hostile(root)
    assert len(refused) >= 120
    assert [text for text in refused if not faults(text, PARAMS)] == []


def test_harmless_templates_show_only_their_inputs(root: Path) -> None:
    _, harmless = _hostile(root)
    assert len(harmless) >= 10
    for text in harmless:
        assert faults(text, PARAMS) == []
        shown = _render(text)
        assert not any(sign in shown for sign in ("<class", "<function", "<built-in", "object at", " 0x"))


TOKENS = [
    *(
        "{{ ",
        " }}",
        "{% ",
        " %}",
        "{#",
        "#}",
        "{%- ",
        " -%}",
        "if ",
        "else",
        "elif ",
        "endif",
        "for ",
        "in ",
        "endfor",
        "set ",
    ),
    *("spec", "notes", "maybe", "kind", "n", "review", "loop", "self", "x", "x ", "_", "__class__", "cycler", "lipsum"),
    *(
        ".ok",
        ".issues",
        ".items",
        ".index",
        ".__init__",
        ".x",
        "|join",
        "|upper",
        "|first",
        "|attr",
        "|default('')",
        "|length",
    ),
    *(
        "(",
        ")",
        "[",
        "]",
        "'math'",
        "'__class__'",
        "1",
        "3.5",
        " + ",
        " ~ ",
        " == ",
        " != ",
        " < ",
        " in ",
        " is none",
        " not ",
    ),
    *(
        " and ",
        " or ",
        "\n",
        " ",
        ",",
        "=",
        "raw",
        "endraw",
        "{{ spec }}",
        "{% if n %}",
        "{% endif %}",
        "{% for x in notes %}",
    ),
    *("{% endfor %}", "{{ x }}", "{{ review.ok }}", "{% if kind == 'math' %}", "{% else %}", "{{ notes|join(', ') }}"),
]


def test_random_templates_never_crash_and_touch_only_their_inputs() -> None:
    chance = random.Random(20)
    accepted = 0
    for _ in range(5_000):
        text = "".join(chance.choice(TOKENS) for _ in range(chance.randint(1, 14)))
        if faults(text, PARAMS):
            continue
        accepted += 1
        _render(text)
    assert accepted > 300


# ---------------------------------------------------------------- as the runtime fills prompts in


def _values(kind: Type, chance: random.Random) -> Any:
    """A plain value of a type, as the runtime shows it to templates; the extremes more often than not."""
    match kind:
        case Text():
            return chance.choice(["", "a", "MATH", "{{ spec.__class__ }}", "two\nlines"])
        case Bool():
            return chance.choice([True, False])
        case Int():
            return chance.choice([0, 1, -3, 2**63 - 1])
        case Float():
            return chance.choice([0.0, 0.5, 1e300])
        case Enum():
            return chance.choice(kind.words)
        case List():
            return [_values(kind.element, chance) for _ in range(chance.choice([kind.low, kind.high]))]
        case Optional():
            return chance.choice([None, _values(kind.inner, chance)])
        case Record():
            return {field: _values(inner, chance) for field, inner in kind.fields}
        case _:
            raise AssertionError(kind)


def test_checker_and_runtime_know_the_same_filters() -> None:
    assert set(FILTERS) == set(RUNTIME_FILTERS)


@pytest.mark.parametrize("text", ACCEPTED)
def test_an_accepted_prompt_is_filled_in_whatever_the_values(text: str) -> None:
    chance = random.Random(text)
    prompt = Prompt(text, tuple(MORE))
    assert prompt.unmentioned == check(text)[0].unmentioned
    for _ in range(60):
        prompt.render({name: _values(kind, chance) for name, kind in MORE.items()})


def test_random_accepted_prompts_are_filled_in_whatever_the_values() -> None:
    chance = random.Random(21)
    tried = 0
    while tried < 1_000:
        text = "".join(chance.choice(TOKENS) for _ in range(chance.randint(1, 14)))
        info, found, _ = check(text, PARAMS)
        if found:
            continue
        tried += 1
        prompt = Prompt(text, tuple(PARAMS))
        assert prompt.unmentioned == info.unmentioned, text
        for _ in range(3):
            values = {name: _values(kind, chance) for name, kind in PARAMS.items()}
            assert "__class__" in text + str(values) or "__class__" not in prompt.render(values)


def test_filters_have_examples_that_are_accepted() -> None:
    params: dict[str, Type] = {"notes": Optional(Text(9)), "drafts": List(Text(9), 0, 3), "name": Text(9)}
    for name, known in FILTERS.items():
        example = known.usage.strip("`")
        assert f"|{name}" in example
        assert faults(example, params | {"notes": List(Text(9), 0, 3)} if name == "join" else params) == []
