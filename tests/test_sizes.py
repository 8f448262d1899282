"""The count of texts: its laws for all texts, and that it is at least what real tokenizers make of real ones."""

from __future__ import annotations

import json
import statistics
import sys
import sysconfig
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from masdsl import sizes
from masdsl.check.builtins import result_type
from masdsl.runtime.builtins import BUILTINS
from masdsl.runtime.text import scalar_text
from masdsl.sizes import clip_counted, clip_text, counted_thirds, counted_tokens, fits, least_thirds, text_tokens
from masdsl.types import Bool, Enum, Float, Int, List, Optional, Text, Type
from tests.harness.counting import texts, tokenizers

TEXTS = texts()
# A random row of letters may be cut smaller than the rule says; the whole text is not.
RANDOM = {"base64"}

# One character of every class of the rule, and the neighbours that matter to it.
SAMPLES = 'aejzAEJZ09 ."\\\n\t\r\b\x00\x1b\x7f\xa0é\u0142\u0301αжӘԱאع\u0710अஅཀ→かカ中한ﬁ😀\ud800'
any_text = st.text(st.sampled_from(SAMPLES) | st.characters(), max_size=40)


# ---------------------------------------------------------------- the rule, as its docstring says it


def by_the_words(text: str) -> int:
    """Count a text character by character, in thirds."""
    ends = bytes.fromhex("C2C3C5CDD1D5D7DBDFE0E1E2E3E9EDEFFF")
    weights = (6, 5, 7, 8, 6, 7, 5, 6, 7, 10, 11, 9, 5, 8, 11, 9, 15)
    total, before = 0, "^"
    for character in text:
        first = character.encode("utf-8", "surrogatepass")[0]
        kind = "other"
        if not character.isascii():
            total += next(weight for end, weight in zip(ends, weights, strict=True) if first <= end)
            kind = "foreign"
        elif character.isalpha():
            total += 3 if character in "jkquwxyzJKQUWXYZ" else 2 if character.isupper() else 1
            total += 0 if before == "letter" else 1 if before in ("blank", "foreign") else 2
            kind = "letter"
        elif character.isdigit():
            total += {"letter": 4, "^": 6, "blank": 6}.get(before, 3)
            kind = "digit"
        elif character == " ":
            total, kind = total + 1, "blank"
        else:
            total += 3 if character in "\t\n\r" or 0x20 < first < 0x7F else 12
        before = kind
    return total


@given(any_text)
def test_the_count_is_that_of_the_words(text: str) -> None:
    assert counted_thirds(text) == by_the_words(text)


def test_the_count_is_that_of_the_words_for_all_neighbours_and_lengths() -> None:
    for pair in product(SAMPLES, SAMPLES):
        assert counted_thirds("".join(pair)) == by_the_words("".join(pair)), pair
    for unit in ("\U0001f600", "\0", " 5", "j0", "ab "):
        for length in (1365, 1366, 2047, 2048, 4095, 4096, 4097, 9000):
            assert counted_thirds(unit * length) == by_the_words(unit * length), (unit, length)
    for text in TEXTS.values():
        assert counted_thirds(text) == by_the_words(text)


# ---------------------------------------------------------------- laws


@given(any_text, any_text)
@example("a ", "5")
@example("ab", "cd")
@example("a", "5")
def test_two_texts_in_a_row_count_at_most_as_much_as_each_alone(a: str, b: str) -> None:
    together = counted_thirds(a + b)
    assert counted_thirds(a) + least_thirds(b) <= together <= counted_thirds(a) + counted_thirds(b)
    assert counted_tokens(a + b) <= counted_tokens(a) + counted_tokens(b)
    assert text_tokens(a + b) <= text_tokens(a) + text_tokens(b)


@given(any_text, st.data())
def test_taking_characters_out_never_raises_the_count(text: str, data: st.DataObject) -> None:
    kept = data.draw(st.lists(st.booleans(), min_size=len(text), max_size=len(text)))
    left = "".join(character for character, keep in zip(text, kept, strict=True) if keep)
    assert counted_thirds(left) <= counted_thirds(text)


def test_taking_a_character_out_never_raises_the_count_whatever_its_neighbours_are() -> None:
    for before, gone, after in product(["", *SAMPLES], SAMPLES, ["", *SAMPLES]):
        assert counted_thirds(before + after) <= counted_thirds(before + gone + after), (before, gone, after)


@given(any_text)
def test_json_at_most_doubles_the_count(text: str) -> None:
    assert counted_tokens(json.dumps(text, ensure_ascii=False)) <= 2 * counted_tokens(text) + 2


def test_json_at_most_doubles_the_count_of_all_neighbours() -> None:
    for pair in product(SAMPLES, SAMPLES):
        text = "".join(pair)
        assert counted_thirds(json.dumps(text, ensure_ascii=False)) <= 2 * counted_thirds(text) + 6, text


@given(any_text)
@example("\n5\n5")
@example("\n\n")
def test_indenting_lines_at_most_doubles_the_count(text: str) -> None:
    assert counted_thirds(text.replace("\n", "\n  ")) <= 2 * counted_thirds(text)


def test_every_character_counts_within_bounds() -> None:
    for number in range(sys.maxunicode + 1):
        character = chr(number)
        thirds = counted_thirds(character)
        assert 0 < thirds <= 3 * sizes.MOST_COUNTED_PER_CHARACTER
        assert character.isascii() or thirds >= 3, "the first of a row counts a token at least"


def test_blanks_are_the_most_that_fit() -> None:
    assert text_tokens(" " * sizes.MOST_CHARACTERS_PER_TOKEN) == 1
    assert text_tokens(" " * 60 * sizes.MOST_CHARACTERS_PER_TOKEN) == 60
    assert text_tokens("") == counted_tokens("") == 0


@given(any_text, st.integers(-2, 60))
def test_a_clip_is_the_longest_beginning_that_fits(text: str, tokens: int) -> None:
    clipped = clip_counted(text, tokens)
    assert text.startswith(clipped)
    assert counted_tokens(clipped) <= max(tokens, 0)
    assert clipped == text or counted_tokens(text[: len(clipped) + 1]) > tokens
    assert clip_text(text, tokens) == clip_counted(text, 2 * tokens)
    assert fits(text, tokens) == (text_tokens(text) <= tokens)


@given(any_text, st.integers(0, 60))
def test_a_text_of_a_size_has_no_more_characters_than_said(text: str, tokens: int) -> None:
    assert len(clip_text(text * 9, tokens)) <= tokens * sizes.MOST_CHARACTERS_PER_TOKEN


def test_a_long_text_is_cut_exactly() -> None:
    text = "".join(TEXTS.values()) * 3
    for tokens in (0, 1, 2, 777, 9_999):
        clipped = clip_text(text, tokens)
        assert text_tokens(clipped) <= tokens < text_tokens(text[: len(clipped) + 1])
    assert clip_text(text, text_tokens(text)) == text


# ---------------------------------------------------------------- numbers, built-in functions

_INTS = st.integers(-(2**63), 2**63 - 1)
_FLOATS = st.floats(allow_nan=False, allow_infinity=False)


@given(_INTS, _FLOATS)
@example(-(2**63), -1.7976931348623157e308)
@example(2**63 - 1, -2.2250738585072014e-308)
@example(10**18, 0.00012345678901234567)
def test_numbers_as_text_count_at_most_as_much_as_said(whole: int, number: float) -> None:
    assert counted_tokens(scalar_text(whole)) <= sizes.INT_COUNTED
    assert counted_tokens(scalar_text(number)) <= sizes.FLOAT_COUNTED


def test_the_greatest_counts_of_numbers_are_reached() -> None:
    assert counted_tokens(scalar_text(-(2**63))) == sizes.INT_COUNTED
    assert counted_tokens(scalar_text(-1.7976931348623157e308)) == sizes.FLOAT_COUNTED
    assert counted_tokens(scalar_text(False)) == counted_tokens(scalar_text(True)) == sizes.BOOL_COUNTED


ARGUMENTS: tuple[tuple[Type, st.SearchStrategy[Any]], ...] = (
    (Int(), _INTS),
    (Float(), _FLOATS),
    (Bool(), st.booleans()),
    (Enum("Kind", "", ("math", "prose")), st.sampled_from(["math", "prose"])),
)


def _typed(draw: st.DrawFn) -> tuple[Type, Any]:
    """A value at its type's caps: a text's cap is its size, a list's length its own."""
    kind = draw(st.sampled_from(["text", "texts", "numbers", "scalar"]))
    if kind == "text":
        text = draw(any_text)
        return Text(text_tokens(text)), text
    if kind == "texts":
        items = draw(st.lists(any_text, max_size=4))
        return List(Text(max(map(text_tokens, items), default=0)), len(items), len(items)), items
    if kind == "numbers":
        numbers = draw(st.lists(st.integers(-9, 9), max_size=4))
        return List(Int(), len(numbers), len(numbers)), numbers
    scalar, values = draw(st.sampled_from(ARGUMENTS))
    return scalar, draw(values)


typed = st.composite(_typed)()


def _fits(value: Any, kind: Type) -> bool:
    match kind:
        case Text(cap=cap):
            return isinstance(value, str) and text_tokens(value) <= cap
        case List(element=element, low=low, high=high):
            return low <= len(value) <= high and all(_fits(item, element) for item in value)
        case Optional(inner=inner):
            return value is None or _fits(value, inner)
        case _:
            return True


@pytest.mark.parametrize("name", BUILTINS)
@given(data=st.data())
def test_the_result_of_a_built_in_function_is_within_its_type(name: str, data: st.DataObject) -> None:
    chosen = data.draw(st.lists(typed, min_size=1, max_size=3))
    for count in range(1, len(chosen) + 1):
        kinds, values = [kind for kind, _ in chosen[:count]], [value for _, value in chosen[:count]]
        result = result_type(name, kinds)
        if result is not None:
            assert _fits(BUILTINS[name](*values), result)


def test_the_guard_covers_functions_whose_results_are_texts() -> None:
    """A rule that promised too little would be found."""
    kind = Text(text_tokens("a long word"))
    assert not _fits(BUILTINS["upper"]("a long word"), kind)
    assert _fits(BUILTINS["upper"]("a long word"), result_type("upper", [kind]) or kind)


LARGER_IN_SMALL = {"Ⱥ", "Ⱦ", "Ͻ", "Ͼ", "Ͽ", "Ᵽ"}
MORE_THAN_TWICE_IN_CAPITALS = {"ΐ", "ΰ", "և"}


def test_case_changes_cut_no_letter_in_use() -> None:
    """`lower` and `upper` cut a text that grows too much: only rows of these few letters do."""
    around = ["", "a", "Z", "z", "5", " ", ".", "é"]
    for number in range(sys.maxunicode + 1):
        character = chr(number)
        small, capital = character.replace("İ", "i").lower(), character.upper()
        if small != character and character not in LARGER_IN_SMALL:
            for before, after in product(around, around):
                assert counted_thirds(before + small + after) <= counted_thirds(before + character + after), character
        if capital != character and character not in MORE_THAN_TWICE_IN_CAPITALS:
            assert counted_thirds(capital) <= 2 * counted_thirds(character), character
    assert BUILTINS["lower"]("DİYARBAKIR Ⱥ") == "diyarbakir ⱥ"
    assert BUILTINS["upper"]("γαΐδαρος straße") == "γαΐδαρος straße".upper()


# ---------------------------------------------------------------- real tokenizers


def _units(text: str) -> list[str]:
    lines = text.split("\n")
    return [*lines, *map("\n".join, pairwise(lines))]


def test_the_tokenizers_are_there() -> None:
    assert {"cl100k_base", "o200k_base", "p50k_base", "claude"} <= tokenizers().keys()


@pytest.mark.parametrize("name", TEXTS)
def test_no_tokenizer_makes_more_of_a_text(name: str) -> None:
    text = TEXTS[name]
    for tokenizer, count in tokenizers().items():
        assert count(text) <= counted_tokens(text), tokenizer
        for unit in _units(text):
            room = counted_tokens(unit) * (1.1 if name in RANDOM else 1)
            assert count(unit) <= room, f"{tokenizer} makes {count(unit)} tokens of {unit!r}, counted {room}"


def test_no_tokenizer_makes_more_of_the_texts_escaped_quoted_or_mixed() -> None:
    mixed = "\n\n".join(TEXTS.values())
    for text in (mixed, json.dumps(TEXTS, ensure_ascii=False), json.dumps(mixed[:9_000], indent=2), mixed[::-1]):
        for tokenizer, count in tokenizers().items():
            assert count(text) <= counted_tokens(text), tokenizer


def test_no_tokenizer_makes_more_of_real_sources() -> None:
    """Modules of Python's library, each up to its 20,000th character."""
    modules = sorted(Path(sysconfig.get_path("stdlib")).glob("[a-m]*.py"))[::3]
    assert len(modules) > 15
    for path in modules:
        text = path.read_text(encoding="utf-8", errors="replace")[:20_000]
        for tokenizer, count in tokenizers().items():
            assert count(text) <= counted_tokens(text), (path.name, tokenizer)


@pytest.mark.parametrize(
    ("names", "most"),
    [
        (("english", "python", "javascript", "json", "html", "sql"), 2.4),
        (("german", "french", "spanish", "finnish", "turkish", "vietnamese"), 2.4),
        (("chinese", "japanese", "log", "urls", "csv_numbers", "arithmetic"), 2.4),
        (("hex", "uuids", "base64"), 1.9),
    ],
)
def test_the_count_is_not_much_more_than_the_true_one(names: tuple[str, ...], most: float) -> None:
    """A bound of a million tokens for anything would hold, too."""
    for tokenizer in ("cl100k_base", "claude", "p50k_base"):
        count = tokenizers()[tokenizer]
        ratios = [counted_tokens(TEXTS[name]) / count(TEXTS[name]) for name in names]
        assert statistics.median(ratios) <= most, tokenizer


def test_a_model_that_is_allowed_some_tokens_writes_about_that_size() -> None:
    count = tokenizers()["o200k_base"]
    for name in ("english", "python", "spanish", "json"):
        assert 0.9 < text_tokens(TEXTS[name]) / count(TEXTS[name]) < 1.2
