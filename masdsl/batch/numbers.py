"""Numbers in the words of a reply, read exactly: as fractions, so that no rounding decides whether two are the same."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, Final, NamedTuple

from masdsl.runtime.answers import answer_in, marked_in, middle_cut
from masdsl.runtime.words import NumberReader, unwrapped

MOST_DIGITS: Final = 400
"""Digits of a number, and the largest exponent, that are read; a longer run of digits is no number."""
SMALLEST: Final = Fraction(1, 10**6)
"""How far two numbers may be apart where nobody states it."""

_DIGITS = r"(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]+)?|\.[0-9]+"
_POWER = r"\s?(?:x|\u00d7|\*|\\times|\\cdot)\s?10\s?(?:\^|\*\*)\s?\{?(?P<power>[+-]?[0-9]{1,4})\}?"
_NUMBER: Final = re.compile(
    r"(?P<sign>(?<![\w)\]])[+-])?\s?[$\u20ac\u00a3\u00a5]?(?<![\w.])(?P<minus>-)?"
    rf"(?:(?P<whole>[0-9]{{1,9}})\s(?P<above>[0-9]{{1,9}})/(?P<below>[0-9]{{1,9}})(?![0-9/])"
    rf"|(?P<digits>{_DIGITS})(?:[eE](?P<exponent>[+-]?[0-9]{{1,9}})(?![0-9])|{_POWER})?"
    rf"(?:\s?/\s?(?P<divisor>{_DIGITS})(?![0-9/]))?)"
    r"(?P<percent>\s?\\?%)?"
)
_FRACTION: Final = re.compile(r"\\[dt]?frac\s?\{\s?([^{}]{1,40}?)\s?\}\s?\{\s?([^{}]{1,40}?)\s?\}")
_GROUP: Final = re.compile(r"(?<=[0-9])[\u00a0\u2009\u202f](?=[0-9]{3}(?![0-9]))|(?<=[0-9])(?:\{,\}|\\,)(?=[0-9]{3})")
_VULGAR: Final = re.compile(r"(?<=[0-9])(?=[\u00bc-\u00be\u2150-\u215e])")
_DASH: Final = re.compile(r"(?:(?<=[\s=(:])|\A)[\u2010-\u2013](?=[$\u20ac\u00a3\u00a5]?[0-9.])")
_STOP: Final = re.compile(r"[.;!?](?=\s|\Z)|\s(?:because|since|as|for|so|which|after|when)\s", re.IGNORECASE)


class Number(NamedTuple):
    """A number, and whether it is said in percent: then `value` is what stands in front of the sign."""

    value: Fraction
    percent: bool = False

    def readings(self, other: Number) -> tuple[Fraction, ...]:
        """Return what it may mean beside another number: 50% is 50 and 0.5 beside a number without the sign."""
        return (self.value, self.value / 100) if self.percent and not other.percent else (self.value,)


def number_of(value: Any) -> Number | None:
    """Return the number that a value states, None where it states none.

    A record states that of its field `answer`. Truth values, lists, and floats that are not finite state none. In a
    text it is the last number of what is marked as the answer (`\\boxed{}`, `Answer:`, `####`) up to the end of that
    clause, else of the last line, else of the text; a number in words counts where there are no digits.
    """
    if isinstance(value, dict):
        return number_of(value.get("answer"))
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int):
        return Number(Fraction(value)) if value.bit_length() < 4 * MOST_DIGITS else None
    if isinstance(value, float):
        return Number(Fraction(repr(value))) if math.isfinite(value) else None
    if not isinstance(value, str):
        return None
    text = _plain(middle_cut(unwrapped(value)))
    marked = marked_in(text)
    while len(later := marked_in(marked)) < len(marked) and later:  # it was corrected in the same line
        marked = later
    for part in (_STOP.split(marked, maxsplit=1)[0], marked, answer_in(text), text):
        found = list(_numbers(part))
        if found:
            return found[-1]
    return None


def same_number(one: Number, other: Number, *, relative: Fraction, absolute: Fraction) -> bool:
    """Whether two numbers are as near as `max(absolute, relative * |other|)`, in any reading of a percent sign."""
    return any(
        abs(left - right) <= max(absolute, relative * abs(right))
        for left in one.readings(other)
        for right in other.readings(one)
    )


def _plain(text: str) -> str:
    """Return a text whose numbers are written in one way: ASCII digits and signs, fractions with a slash."""
    text = _VULGAR.sub(" ", _GROUP.sub("", text.replace("{,}", ",")))
    text = unicodedata.normalize("NFKC", text).replace("\u2044", "/").replace("\u2212", "-")
    return _FRACTION.sub(r" \1/\2", _DASH.sub("-", text))


def _numbers(text: str) -> Iterator[Number]:
    """Yield the numbers of a text in order; those in words only where it has no digit."""
    if not any(char.isdigit() for char in text):
        yield from (Number(Fraction(value)) for value in NumberReader().search(text))
        return
    for match in _NUMBER.finditer(text):
        value = _value(match)
        if value is not None:
            yield Number(value, match["percent"] is not None)


def _value(match: re.Match[str]) -> Fraction | None:
    """Return the number of a match; None beyond the limits and for a division by zero."""
    if match["whole"] is not None:
        below = int(match["below"])
        value = int(match["whole"]) + Fraction(int(match["above"]), below) if below else None
    else:
        digits, divisor = match["digits"].replace(",", ""), (match["divisor"] or "1").replace(",", "")
        exponent = int(match["exponent"] or match["power"] or 0)
        if max(len(digits), len(divisor), abs(exponent)) > MOST_DIGITS or not Fraction(divisor):
            return None
        if match["divisor"] and match.string[max(match.start() - 1, 0)] == "/":  # the end of a date
            return Fraction(divisor)
        value = Fraction(digits) * Fraction(10) ** exponent / Fraction(divisor)
    if value is None:
        return None
    return -value if (match["sign"] == "-") != (match["minus"] == "-") else value
