"""Bounds of prompts: what is counted without rendering holds for every rendered prompt, and is exact where it can."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from fractions import Fraction
from random import Random
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from masdsl.bounds.prompts import LARGEST_PROMPT, LOWER, MOST_COUNTED_PER_BYTE, UPPER, prompt_extent
from masdsl.bounds.runs import NO_REST, Extent, constant, whole_number
from masdsl.bounds.shown import INDENTED, as_json, printed, shown
from masdsl.check.literal_places import LiteralPlaces
from masdsl.check.program import Agent, Param
from masdsl.check.prompts import _insertions_only, check_prompt
from masdsl.check.template_parts import Choose, Insert, Repeat, Words
from masdsl.check.template_types import check_template
from masdsl.diagnostics.base import Diagnostic
from masdsl.limits import RENDERED_BYTES
from masdsl.node import Span
from masdsl.runtime.prompt import LARGEST_PROMPT as LARGEST_RENDERED
from masdsl.runtime.prompt import Prompt, _printed
from masdsl.runtime.text import clean, scalar_text, show
from masdsl.sizes import clip_text, counted_thirds, counted_tokens, text_tokens
from masdsl.source import Source
from masdsl.types import Bool, Enum, Float, Int, List, Nothing, Optional, Record, Text, Type
from tests.harness.templates import SIGNS, smaller, template, type_of, value_of

KIND = Enum("Kind", "", ("math", "code", "x1"))
FLAT = Record("Flat", "", (("ok", Bool()), ("note", Text(3))))
NESTED = Record("Nested", "", (("flat", FLAT), ("tags", List(Text(2), 0, 3))))
PARAMS: dict[str, Type] = {
    "text": Text(5),
    "maybe": Optional(Text(5)),
    "kind": KIND,
    "n": Int(),
    "share": Float(),
    "flag": Bool(),
    "flat": FLAT,
    "items": List(Text(4), 0, 10),
    "some": List(Text(4), 2, 10),
    "kinds": List(KIND, 2, 3),
    "rows": List(FLAT, 1, 4),
    "grid": List(List(Int(), 1, 2), 0, 3),
    "shares": List(Float(), 1, 2),
}


def agent(text: str, params: Mapping[str, Type]) -> Agent:
    """The agent of a faultless prompt, as the checker makes it."""
    faults: list[Diagnostic] = []
    info = check_prompt(text, params, Source("t", text), Span(0, len(text)), faults.append)
    assert not faults, (text, [fault.title() for fault in faults])
    declared = tuple(Param(name, kind, isinstance(kind, Optional), None) for name, kind in params.items())
    return Agent(
        *("a", "a", "", declared, Text(9), False, None, None, False, None, None, None, 0, None, (), 0, text),
        unmentioned=info.unmentioned,
        doc="",
        parts=info.parts,
    )


def extent(text: str, params: Mapping[str, Type] = PARAMS, kinds: Mapping[str, Type] | None = None) -> Extent:
    return prompt_extent(agent(text, params), kinds or {})


def mentioned(text: str) -> dict[str, Type]:
    """The parameters that a prompt of the table names."""
    info = agent(text, PARAMS)
    return {name: kind for name, kind in PARAMS.items() if name not in info.unmentioned}


# ---------------------------------------------------------------- by hand

CONSTANT = [
    "",
    "   \n ",
    "Write a poem about 12 cats, in French: été.",
    "  padded \r\n and windows\r\nlines \r\n",
    "{# a remark #}one{# another #} word{# ! #}",
    "a{# joins #}b 1{# joins #}2",
    "{% raw %}{{ not an insertion }}{% endraw %}",
    "{{ 'x' }}{{ \"y\" }} and {{ 3 }} {{ 1.50 }} {{ 2.0 }} {{ 1e20 }} {{ true }} {{ none }} [{{ 'a'|upper }}]",
    "list {{ [1, 2] }} {{ [0.5, 1.0] }} {{ ['a', '\"'] }} {{ [] }}",
    "{{ ['b', 'b']|join(', ') }} {{ [1, 2]|length }} {{ ['c']|first }}",
    "{% for x in ['a', 'a'] %}- {{ x }}\n{% endfor %}{% for x in [] %}{{ x }}{% else %}none{% endfor %}",
    "\n  {{- 'tight' -}}  \n",
    "{% if flag %}same{% else %}same{% endif %}",
]


@pytest.mark.parametrize("text", CONSTANT)
def test_what_is_constant_is_counted_exactly(text: str) -> None:
    params: dict[str, Type] = {"flag": Bool()} if "flag" in text else {}
    rendered = Prompt(text, tuple(params)).render({"flag": True})
    assert extent(text, params) == (counted_tokens(rendered),) * 2


def tokens(least: str, most: str, more: int = 0) -> Extent:
    """From the count of one text to that of another one, and so many thirds for texts that are not known."""
    return Extent(counted_tokens(least), -(-(counted_thirds(most) + more) // 3))


INT = str(-(2**63))
LONG_FLOAT = "-2.2250738585072014e-308"
DULL, BRIGHT = '{"ok": false, "note": ""}', '{"ok": true, "note": ""}'
EMPTY_TEXTS = "[" + ", ".join(['""'] * 10) + "]"
HAND: list[tuple[str, Extent]] = [
    # a text of size n has up to 6n thirds, and may be empty
    ("{{ text }}", Extent(0, 10)),
    ("Text: {{ text }}", tokens("Text:", "Text: ", 30)),
    ("{{ text }}{{ text }}.", tokens(".", ".", 60)),
    ("{{ maybe }}", Extent(0, 10)),
    ("{{ kind }}", tokens("math", "x1")),
    ("{{ n }}", tokens("0", INT)),
    ("{{ share }}", tokens("0", LONG_FLOAT)),
    ("{{ flag }}", tokens("false", "true")),
    ("{{ flat }}", tokens(DULL, BRIGHT, 36)),
    ("{{ flat.note }}", Extent(0, 6)),
    ("{{ items }}", tokens("[]", EMPTY_TEXTS, 10 * 48)),
    ("{{ some }}", tokens('["", ""]', EMPTY_TEXTS, 10 * 48)),
    ("{{ shares }}", tokens("[0.0]", f"[{LONG_FLOAT}, {LONG_FLOAT}]")),
    ("{{ kinds }}", tokens('["math", "math"]', '["x1", "x1", "x1"]')),
    ("{{ kinds|join(' or ') }}", tokens("math or math", "x1 or x1 or x1")),
    ("{{ kinds|join }}", tokens("mathmath", "x1x1x1")),
    ("{{ kinds|first|upper }}!", tokens("X1!", "MATH!")),
    ("{{ items|first }}", Extent(0, 8)),
    ("{{ items|length }} {{ some|length }}", tokens("0 2", "10 10")),
    ("{{ text|length }}", tokens("0", "30")),
    ("{{ text|upper }}", Extent(0, 37)),  # 30 * 11 / 3
    ("{{ text|lower }}", Extent(0, 16)),  # 30 * 11 / 7
    ("{{ text|trim|length }}{{ maybe|default('none at all') }}", tokens("0", "30", 30)),
    ("{{ maybe|default('a longer text than that') }}", tokens("", "a longer text than that")),
    # a loop goes round as often as its list has items
    ("{% for x in some %}- {{ x }}\n{% endfor %}", tokens("- \n-", "- \n" * 10, 240)),
    ("{% for x in items %}- {{ x }}{% else %}Nothing.{% endfor %}", tokens("-", "- " * 10, 240)),
    ("{% for x in kinds %}{{ loop.index }}. {{ x }}\n{% endfor %}", tokens("1. math\n2. math", "3. x1\n" * 3)),
    ("{% for x in items %}{{ loop.index }} {% endfor %}.", tokens(".", "10 " * 10 + ".")),
    ("{% for x in kinds %}a{% endfor %}b", tokens("aab", "aaab")),
    ("{% for x in kinds %}{{ loop.last }} {% endfor %}.", tokens("false false .", "true true true .")),
    ("{% for r in rows %}{% if r.ok %}{{ r.note }}!{% endif %}{% endfor %}", tokens("", "!!!!", 4 * 18)),
    ("{% for r in grid %}{% for v in r %}{{ v }},{% endfor %};{% endfor %}", tokens("", f"{INT},{INT},;" * 3)),
    # of branches the shortest and the longest
    ("{% if flag %}Short.{% elif n > 3 %}Rather long.{% else %}Mid one.{% endif %}", tokens("Short.", "Rather long.")),
    ("{% if flag %}Only if.{% endif %}", tokens("", "Only if.")),
    ("a {% if flag %} {% endif %} b", tokens("a  b", "a   b")),
    ("{% if flag %} {% endif %} b", tokens("b", "  b")),
    ("1{% if flag %}2{% else %}3{% endif %}4", tokens("124", "124")),
    # words join only where nothing can stand between
    ("{% for x in kinds %}a{% if flag %}{{ text }}b{% else %}c{% endif %}{% endfor %}", tokens("acac", "a!b" * 3, 81)),
    ("{% for x in kinds %}{% if flag %}a{{ text }}{% else %}c{% endif %}b{% endfor %}", tokens("cbcb", "a!b" * 3, 81)),
    ("{% for x in kinds %}a{{ text }}b{% endfor %}", tokens("abab", "a!b" * 3, 81)),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), HAND)
def test_hand_counted_prompts(text: str, expected: Extent) -> None:
    assert extent(text, mentioned(text)) == expected


SECTIONS: list[tuple[str, Type, str, str, int]] = [
    ("text", Text(5), "", "", 30),
    ("text?", Optional(Text(5)), "", "", 30),
    ("int?", Optional(Int()), "0", INT, 0),
    ("none", Nothing(), "none", "none", 0),
    ("texts", List(Text(3), 0, 2), "-", "- \n- ", 2 * 33),
    ("two texts", List(Text(3), 2, 2), "- \n- ", "- \n- ", 2 * 33),
    ("no texts", List(Text(3), 0, 0), "(empty)", "(empty)", 0),
    ("words", List(KIND, 1, 2), "- math", "- x1\n- x1", 0),
    ("flat", FLAT, "ok: false\nnote: ", '{\n "ok": true,\n "note": ""\n}', 36),
    ("truths", Record("", "", (("a", Bool()), ("b", Bool()))), "a: false\nb: false", "a: true\nb: true", 0),
    ("flats", List(FLAT, 1, 2), f"- {DULL}", f"- {BRIGHT}\n- {BRIGHT}", 72),
    (
        *("nested", NESTED, '{\n "flat": {\n  "ok": false,\n  "note": ""\n },\n "tags": []\n}'),
        '{\n "flat": {\n  "ok": true,\n  "note": ""\n },\n "tags": [\n  "",\n  "",\n  ""\n ]\n}',
        36 + 3 * 24,
    ),
    (
        *("maybe texts", Record("", "", (("a", Optional(List(Text(2), 1, 2))),)), "a: none"),
        *('{\n "a": [\n  "",\n  ""\n ]\n}', 48),
    ),
    ("maybe flats", List(Optional(FLAT), 1, 1), "- none", f"- {BRIGHT}", 36),
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "least", "most", "more"), [row[1:] for row in SECTIONS], ids=[row[0] for row in SECTIONS]
)
def test_sections_of_parameters_that_a_prompt_does_not_mention(kind: Type, least: str, most: str, more: int) -> None:
    assert shown(kind) == tokens(least, most, more)
    label = "Do it.\n\nvalue:\n"
    assert extent("Do it.", {"value": kind}) == tokens(label + least, label + most, more)


def test_a_narrower_argument_makes_a_shorter_prompt() -> None:
    params: dict[str, Type] = {"items": List(Text(40), 0, 100), "note": Optional(Text(800)), "share": Float()}
    text = "{% for x in items %}{{ x }};{% endfor %}{{ note }}{{ share }}"
    wide, narrow = extent(text, params), extent(text, params, {"items": List(Text(2), 3, 3), "note": Text(1)})
    assert narrow.most < wide.most // 10
    assert narrow.least > wide.least
    # an argument is cut to the parameter, and a whole number becomes a fraction
    assert extent(text, params, {"items": List(Text(999), 0, 9_999), "share": Int()}) == wide


def test_the_message_is_counted_as_a_whole() -> None:
    prompt, said = agent("Do it!", {}), "Reply with only a word."
    assert prompt_extent(prompt, {}, said) == tokens(f"Do it!\n\n{said}", f"Do it!\n\n{said}")
    assert prompt_extent(agent("", {}), {}, said) == tokens(said, said)
    assert prompt_extent(agent("{{ text }}", {"text": Text(5)}), {}, said) == tokens(said, f"\n\n{said}", 30)


def test_no_more_than_what_can_be_rendered_is_counted() -> None:
    params: dict[str, Type] = {"items": List(Text(32_000), 0, 10_000), "more": List(Text(32_000), 9_000, 10_000)}
    text = "{% for x in items %}{% for y in items %}{{ x }}{{ y }}{% endfor %}{% endfor %}"
    assert LARGEST_RENDERED == RENDERED_BYTES
    assert extent(text, params).most == LARGEST_PROMPT == 4 * RENDERED_BYTES
    assert extent("{{ x }}" * 20, {"x": Text(32_000)}).most == LARGEST_PROMPT  # of 1,280,000
    long = "{% for x in more %}" + "word " * 100 + "{% endfor %}"
    assert extent(long, params) == (LARGEST_PROMPT, LARGEST_PROMPT)  # it fails whatever the values
    worst = "\x01" * RENDERED_BYTES
    assert counted_tokens(Prompt("{{ x }}", ("x",)).render({"x": worst})) == LARGEST_PROMPT


def test_a_number_that_cannot_be_printed_is_no_traceback() -> None:
    huge = "0x" + "f" * 9_000
    for text in (f"{{{{ {huge} }}}}", f"{{{{ [{huge}] }}}}", f"{{% for x in [{huge}] %}}{{{{ x }}}}{{% endfor %}}"):
        assert extent(text, {}).least == 0


def test_records_that_share_parts_are_counted_in_no_time() -> None:
    kind: Type = Record("T", "", (("a", Int()),))
    for _ in range(60):
        kind = Record("T", "", (("a", kind), ("b", kind)))
    assert shown(kind).most > 2**60
    assert as_json(kind).rest.whole > 2**60


def test_parts_are_what_the_template_says() -> None:
    made = agent(
        "a {# note #}{{ n }}{% for x in items %}{{ x }}{% endfor %}{% if flag %}b{% else %}c{% endif %}\n", PARAMS
    )
    assert [type(part) for part in made.parts] == [Words, Insert, Repeat, Choose]
    assert made.parts[0] == Words("a ")
    assert made.parts[3] == Choose(((Words("b"),),), (Words("c"),))


@pytest.mark.parametrize(
    "text", ["{{ n }} b\n", "{{ n }}\n", "a\n\n{{ flat.ok }}\n\n", "{{ n }}{{ n }}", " {{\nn\t}} "]
)
def test_both_ways_of_reading_a_template_find_the_same_parts(text: str) -> None:
    places = LiteralPlaces(Source("t", text), Span(0, len(text)), text)
    reading = _insertions_only(text, PARAMS)
    assert reading is not None
    assert reading == check_template(text, PARAMS, places, lambda fault: pytest.fail(fault.title()))


def test_a_prompt_of_insertions_is_bounded_without_jinja2() -> None:
    code = """
import sys
from masdsl.bounds.prompts import prompt_extent
from masdsl.check.prompts import check_prompt
from masdsl.node import Span
from masdsl.source import Source
from masdsl.types import Text
info = check_prompt("{{ a }} b", {"a": Text(3)}, Source("", ""), Span(0, 0), print)
assert len(info.parts) == 2
assert not {"jinja2", "json", "pydantic", "dataclasses", "inspect"} & set(sys.modules), sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


# ---------------------------------------------------------------- what the count rests on


LETTERS = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]


@pytest.mark.parametrize(("change", "factor"), [(str.upper, UPPER), (str.lower, LOWER)])
def test_the_factors_of_upper_and_lower_case_hold_for_every_character(
    change: Callable[[str], str], factor: tuple[int, int]
) -> None:
    changed = [letter for letter in LETTERS if change(letter) != letter]
    assert len(changed) > 1_000
    shares = [Fraction(counted_thirds(change(letter)), counted_thirds(letter)) for letter in changed]
    assert max(shares) == Fraction(*factor)
    assert counted_thirds(change("abc" * 500)) <= 2 * counted_thirds("abc" * 500)  # words stay words


def test_json_at_most_doubles_every_character() -> None:
    plain = "".join(letter for letter in LETTERS if letter >= "\x80")
    assert json.dumps(plain, ensure_ascii=False) == f'"{plain}"'
    for letter in map(chr, range(128)):
        assert counted_thirds(json.dumps(letter)) <= 2 * counted_thirds(letter) + 6, repr(letter)


KINDS = ["", *"ak", *"AJ", "0", " ", "\n", ".", '"', "\\", "\x01", "\x1f", "\x85", "é", "İ", "猫", "😀"]
"""A sign of each kind that the count or JSON tells apart. The count knows characters and pairs of neighbours only, so a
change of its weights that breaks a law shows in a short row already; longer ones are left to hypothesis."""


def test_what_the_bounds_rest_on_holds_for_every_row_of_three_kinds_of_signs() -> None:
    count = counted_thirds
    greatest = Fraction(0)
    for p, x, q in itertools.product(KINDS, repeat=3):
        row = p + x + q
        assert count(p + q) <= count(row) <= count(p) + count(x) + count(q), repr(row)
        assert count(json.dumps(row, ensure_ascii=False)) <= 2 * count(row) + 6, repr(row)
        assert count(row) <= 3 * MOST_COUNTED_PER_BYTE * len(row.encode()), repr(row)
        if row:
            greatest = max(greatest, Fraction(count(row.replace("\n", "\n  ")), count(row)))
    assert greatest == Fraction(*INDENTED)


def test_joints_are_counted_exactly_whatever_blanks_stand_at_them() -> None:
    blanks = ["", " ", "\n", "\u3000", "\n ", " \n"]
    for first, after, before, second in itertools.product("a0.é", blanks, blanks, ["a", "0", ".", "é", ""]):
        left, right = first + after, before + second
        joined = constant(left).then(constant(right))
        assert joined.rest.whole == joined.full.size == counted_thirds(left + right), (left, right)
        twice = constant(right + after).repeated(2, 2)
        assert twice.rest.whole == twice.full.size == counted_thirds((right + after) * 2), (right, after)


def test_what_may_be_empty_has_no_known_ends() -> None:
    word = constant("ab")
    for run in (word.maybe(), word.repeated(0, 1), word.either(constant(""))):
        assert run.full == (counted_thirds("ab"), 0, 0)
        assert run.rest == NO_REST


TEXTS = st.lists(st.sampled_from(SIGNS) | st.characters(codec="utf-8"), max_size=24).map("".join)


@given(TEXTS, TEXTS, TEXTS)
@settings(max_examples=600, deadline=None)
def test_the_count_is_a_sum_that_only_joined_words_and_numbers_lessen(a: str, b: str, c: str) -> None:
    count = counted_thirds
    assert count(a + c) <= count(a + b + c) <= count(a) + count(b) + count(c)  # what is taken out never adds
    assert count(json.dumps(a, ensure_ascii=False)) <= 2 * count(a) + 6
    assert count(a.replace("\n", "\n  ")) * INDENTED[1] <= INDENTED[0] * count(a)
    assert count(a.upper()) * UPPER[1] <= count(a) * UPPER[0]
    assert count(a.lower()) * LOWER[1] <= count(a) * LOWER[0]
    assert counted_tokens(a) <= MOST_COUNTED_PER_BYTE * len(a.encode())
    joined = constant(a).then(constant(b)).then(constant(c))
    assert joined.rest.whole == joined.full.size == count(a + b + c)
    assert joined.rest.core == count((a + b + c).strip())
    thrice = constant(a).repeated(3, 3)
    assert thrice.rest.whole == thrice.full.size == count(a * 3)
    either = constant(a).either(constant(b)).then(constant(c))
    assert either.rest.whole <= min(count(a + c), count(b + c)) <= max(count(a + c), count(b + c)) <= either.full.size


@given(st.floats(allow_nan=False, allow_infinity=False), st.integers(-(2**63), 2**63 - 1))
@example(-2.2250738585072014e-308, -(2**63))
@example(0.0, 0)
@example(-0.0, 1)
@settings(max_examples=500, deadline=None)
def test_numbers_take_what_is_said(share: float, n: int) -> None:
    for value, kind in ((share, Float()), (n, Int())):
        for run, text in ((printed(kind), scalar_text(value)), (as_json(kind), json.dumps(value))):
            for before in ("", "a", "7", "x ", "."):
                behind = constant(before).then(run)
                assert behind.rest.whole <= counted_thirds(before + text) <= behind.full.size
    low, high = sorted((abs(n) % 10_000, abs(n) % 77))
    number = whole_number(low, high)
    assert number.rest.whole <= counted_thirds(str((low + high) // 2)) <= number.full.size


def check_value(chance: Random) -> None:
    kind = type_of(chance)
    value = value_of(chance, kind)
    for run, text in (
        (printed(kind), _printed(value)),
        (as_json(kind), json.dumps(value, ensure_ascii=False)),
        (as_json(kind, 0), json.dumps(value, ensure_ascii=False, indent=1)),
    ):
        assert run.rest.whole <= counted_thirds(text) <= run.full.size, (kind, text)
    assert shown(kind).least <= counted_tokens(show(value)) <= shown(kind).most, (kind, value)


def test_values_take_what_their_types_say() -> None:
    for seed in range(3_000):
        check_value(Random(seed))


# ---------------------------------------------------------------- against rendered prompts


def check_prompts(chance: Random, values: int) -> str:
    """Compare the bounds of a random prompt with what it is for some random values; return the prompt."""
    names = chance.sample(["a", "b", "note", "x9"], chance.randint(0, 3))
    params = {name: type_of(chance) for name in names}
    text = template(chance, params)
    while text.count("{") > 140:  # up to here no template has too many pieces
        text = template(chance, params)
    made, prompt = agent(text, params), Prompt(text, names)
    kinds = {name: smaller(chance, kind) for name, kind in params.items()}
    wide, narrow = prompt_extent(made, {}), prompt_extent(made, kinds)
    whole = prompt_extent(made, kinds, "Reply 1.")
    assert narrow.most <= wide.most, (text, params, kinds)
    for _ in range(values):
        given_values = {name: value_of(chance, kind) for name, kind in kinds.items()}
        rendered = prompt.render(given_values)
        least = max(wide.least, narrow.least)
        assert least <= counted_tokens(rendered) <= narrow.most, (text, kinds, given_values, rendered)
        sent = "\n\n".join(part for part in (rendered, "Reply 1.") if part)
        assert whole.least <= counted_tokens(sent) <= whole.most, (text, kinds, given_values, sent)
    return text


def test_every_rendered_prompt_is_within_its_bounds() -> None:
    seen = [check_prompts(Random(seed), 3) for seed in range(1_000)]
    for construct in ("{% for v1", "elif", "|join", "|upper", "|default", "|first", "loop.", "{%-", "is not none"):
        assert sum(construct in text for text in seen) >= 15, construct


@given(st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_and_hypothesis_finds_no_other(chance: Random) -> None:
    check_value(chance)
    check_prompts(chance, 1)


# ---------------------------------------------------------------- tightness

WORST_TEXTS = ('"', "\x01", "!", "\n", "\n0", "ΐ", "İ", "a", "1a")


def worst(kind: Type, sign: str) -> Any:
    """A value as large as its type allows, of one sign."""
    match kind:
        case Text(cap=cap):
            return clip_text(sign * (6 * cap), cap)
        case Int():
            return -(2**63)
        case Float():
            return -2.2250738585072014e-308
        case Bool():
            return True
        case Enum(words=words):
            return max(words, key=counted_thirds)
        case List(element=element, high=high):
            return [worst(element, sign)] * high
        case Record(fields=fields):
            return {name: worst(field, sign) for name, field in fields}
        case Optional(inner=inner):
            return worst(inner, sign)
        case _:
            raise AssertionError(kind)


TIGHT: dict[str, tuple[Type, float]] = {
    "text": (Text(800), 1.0),
    "maybe": (Optional(Text(800)), 1.0),
    "flat": (Record("", "", (("ok", Bool()), ("note", Text(60)))), 0.99),
    "items": (List(Text(60), 0, 40), 0.99),
    "kinds": (List(KIND, 0, 40), 0.95),
    "n": (Int(), 1.0),
    "share": (Float(), 1.0),
    "rows": (List(FLAT, 0, 8), 0.97),
    "nested": (NESTED, 0.99),
}


@pytest.mark.parametrize("way", ["{{ value }}", "Do it.", "{{ value }} {{ value }}"])
@pytest.mark.parametrize(("kind", "share"), TIGHT.values(), ids=TIGHT)
def test_the_worst_value_comes_close_to_the_most(kind: Type, share: float, way: str) -> None:
    found = extent(way, {"value": kind})
    rendered = [Prompt(way, ("value",)).render({"value": worst(kind, sign)}) for sign in WORST_TEXTS]
    reached = max(map(counted_tokens, rendered))
    assert share * found.most <= reached <= found.most


@pytest.mark.parametrize("text", ["{{ value|upper }}", "{{ value|lower }}", "{{ value|trim }}", "- {{ value }}"])
def test_filters_are_bounded_closely(text: str) -> None:
    found = extent(text, {"value": Text(800)})
    rendered = [Prompt(text, ("value",)).render({"value": worst(Text(800), sign)}) for sign in WORST_TEXTS]
    assert max(map(counted_tokens, rendered)) >= 0.9 * found.most


def test_an_ordinary_value_is_within_a_third_of_the_most() -> None:
    """English of the whole size, not only texts that were made to count much."""
    prose = "The committee met on Tuesday to discuss the budget; nobody had read the report. " * 60
    value = clip_text(prose, 800)
    assert text_tokens(value) == 800
    for text, most_share in (("Sum it up: {{ value }}", 0.99), ("Sum it up.", 0.99), ("{{ value|upper }}", 0.4)):
        found = extent(text, {"value": Text(800)})
        assert counted_tokens(Prompt(text, ("value",)).render({"value": value})) >= most_share * found.most


def test_surrogates_never_reach_a_prompt() -> None:
    assert clean("a\ud83d\ude00b\ud800") == "a😀b\ufffd"
