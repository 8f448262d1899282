"""A calculator: exact arithmetic over a tiny grammar, which ends quickly for every text.

    sum       product (("+" | "-") product)*
    product   unary (("*" | "/" | "//" | "%") unary)*
    unary     ("+" | "-") unary | power
    power     value (("^" | "**") unary)?
    value     number | "(" sum ")" | name "(" sum ("," sum)* ")"

Numbers are fractions of whole numbers of any size, so nothing is rounded on the way: `0.1 + 0.2` is 3/10. How large
they may become is limited before anything is worked out: `9^9^9` is refused, not tried. `//` and `%` round downwards.
The functions are `abs`, `min`, `max`, `floor`, `ceil`, `round` (half away from zero). The typographic signs for times,
divided by and minus, and commas in numbers (`1,234`), are understood, since models write them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from fractions import Fraction
from typing import Any, Final

from masdsl.tools.base import Declared, ToolFault, required_type
from masdsl.tools.builtin import BuiltIn
from masdsl.types import Int, Optional, Text

LONGEST: Final = 1_000
"""Characters of an expression."""
DEEPEST: Final = 50
"""Parentheses, functions and signs inside one another."""
MOST_BITS: Final = 4_096
"""Bits of a numerator or denominator: about 1,200 digits."""
MOST_DIGITS: Final = 60
"""Digits of a result behind the point; one with more is written as a fraction."""

_NUMBER = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d*)?|\.\d+"
_TOKEN = re.compile(rf"\s*(?:({_NUMBER})|(\*\*|//|[-+*/%^(),])|([a-z]+))", re.ASCII)
_SIGNS = str.maketrans("×·⋅÷−–{}[]", "***/--()()")


class NotAnExpression(ToolFault):
    """A text is no expression, or has no value; the text says where and why."""


def calculate(expression: str) -> Fraction:
    """Return the exact value of an expression. Raises NotAnExpression."""
    if len(expression) > LONGEST:
        raise NotAnExpression(f"the expression is longer than {LONGEST} characters")
    return _Parser(expression).whole()


def shown(value: Fraction) -> str:
    """Return a number as text: whole, with all its decimal places where these end, or else as a fraction."""
    if value.denominator == 1:
        return str(value.numerator)
    rest, places = value.denominator, 0
    for prime in (2, 5):
        count = 0
        while rest % prime == 0:
            rest, count = rest // prime, count + 1
        places = max(places, count)
    if rest != 1 or places > MOST_DIGITS:
        return f"{value.numerator}/{value.denominator}"
    digits = str(abs(value.numerator) * 10**places // value.denominator).rjust(places + 1, "0")
    return f"{'-' if value < 0 else ''}{digits[:-places]}.{digits[-places:]}"


class _Parser:
    """Works out one expression while it is read, from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text.translate(_SIGNS).rstrip().removesuffix("=")
        self._at = 0
        self._depth = 0
        self._kind = ""
        self._word = ""
        self._start = 0
        self._next()

    def whole(self) -> Fraction:
        """Return the value of all of the text."""
        value = self._sum()
        if self._kind:
            raise self._fault(f"nothing can stand here but an operator, not `{self._word}`")
        return value

    def _next(self) -> None:
        match = _TOKEN.match(self._text, self._at)
        if match is None:
            self._start = len(self._text) - len(self._text[self._at :].lstrip())
            if self._text[self._at :].strip():
                raise self._fault(f"`{self._text[self._start]}` has no meaning here")
            self._kind, self._word = "", ""
            return
        self._at = match.end()
        number, sign, name = match.groups()
        self._word = number or sign or name
        self._kind = "number" if number else "sign" if sign else "name"
        self._start = self._at - len(self._word)

    def _takes(self, *words: str) -> str:
        """Return the next word if it is one of these, and go on behind it."""
        if self._kind != "sign" or self._word not in words:
            return ""
        word = self._word
        self._next()
        return word

    def _fault(self, reason: str) -> NotAnExpression:
        return NotAnExpression(f"at character {self._start + 1}: {reason}")

    # ------------------------------------------------------------ the grammar

    def _sum(self) -> Fraction:
        value = self._product()
        while sign := self._takes("+", "-"):
            other = self._product()
            value = self._small(value + other if sign == "+" else value - other)
        return value

    def _product(self) -> Fraction:
        value = self._unary()
        while sign := self._takes("*", "/", "//", "%"):
            other = self._unary()
            if sign == "*":
                value = self._small(value * other)
                continue
            if other == 0:
                raise self._fault("nothing can be divided by 0")
            value = self._small(value / other if sign == "/" else _whole(sign, value, other))
        return value

    def _unary(self) -> Fraction:
        if sign := self._takes("+", "-"):
            self._deeper()
            value = self._unary()
            self._depth -= 1
            return -value if sign == "-" else value
        base = self._value()
        if not self._takes("^", "**"):
            return base
        self._deeper()
        exponent = self._unary()
        self._depth -= 1
        return self._power(base, exponent)

    def _value(self) -> Fraction:
        if self._kind == "number":
            word = self._word
            self._next()
            return self._small(Fraction(word.replace(",", "").removesuffix(".")))
        if self._takes("("):
            self._deeper()
            value = self._sum()
            self._closed()
            return value
        if self._kind == "name":
            return self._call()
        raise self._fault(f"a number should stand here, not `{self._word}`" if self._kind else "a number is missing")

    def _call(self) -> Fraction:
        name = self._word
        function = _FUNCTIONS.get(name)
        if function is None:
            raise self._fault(f"there is no `{name}`: write numbers, + - * / // % ^ ( ) or {', '.join(_FUNCTIONS)}")
        self._next()
        if not self._takes("("):
            raise self._fault(f"`(` should follow `{name}`")
        self._deeper()
        values = [self._sum()]
        while self._takes(","):
            values.append(self._sum())
        self._closed()
        if len(values) > 1 and name not in ("min", "max"):
            raise self._fault(f"`{name}` takes one number")
        return Fraction(function(values))

    def _closed(self) -> None:
        if not self._takes(")"):
            raise self._fault(f"`)` should stand here{f', not `{self._word}`' if self._kind else ''}")
        self._depth -= 1

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > DEEPEST:
            raise self._fault(f"more than {DEEPEST} parentheses and signs are inside one another")

    def _power(self, base: Fraction, exponent: Fraction) -> Fraction:
        if exponent.denominator != 1:
            raise self._fault("an exponent has to be a whole number")
        if base == 0 and exponent < 0:
            raise self._fault("nothing can be divided by 0")
        if abs(base) in (0, 1):  # however large the exponent is
            return base ** int(exponent % 2 + 2) if exponent else Fraction(1)
        bits = max(base.numerator.bit_length(), base.denominator.bit_length())
        if (bits - 1) * abs(exponent) > MOST_BITS:
            raise self._too_large()
        return self._small(base ** int(exponent))

    def _small(self, value: Fraction) -> Fraction:
        if max(value.numerator.bit_length(), value.denominator.bit_length()) > MOST_BITS:
            raise self._too_large()
        return value

    def _too_large(self) -> NotAnExpression:
        return self._fault(f"a number becomes larger than {MOST_BITS} bits")


def _whole(sign: str, value: Fraction, other: Fraction) -> Fraction:
    quotient = value // other
    return Fraction(quotient) if sign == "//" else value - other * quotient


def _rounded(value: Fraction) -> int:
    whole = math.floor(abs(value) + Fraction(1, 2))
    return whole if value >= 0 else -whole


_FUNCTIONS: dict[str, Callable[[list[Fraction]], Fraction | int]] = {
    "abs": lambda values: abs(values[0]),
    "min": min,
    "max": max,
    "floor": lambda values: math.floor(values[0]),
    "ceil": lambda values: math.ceil(values[0]),
    "round": lambda values: _rounded(values[0]),
}


# ---------------------------------------------------------------- the tool


def calculator() -> BuiltIn:
    """Return the tool: its result is a `float` (the nearest), an `int`, or text (exact: `1/3` stays `1/3`).

    Where the declared type is optional, none stands for what is no expression, has no value, or does not fit.
    """
    return BuiltIn("calculator", _function)


def _function(declared: Declared) -> Callable[..., Any]:
    wanted = required_type(declared.returns)

    def work_out(expression: str | None) -> str | float | int | None:
        try:
            value = calculate(expression or "")
            if isinstance(wanted, Text):
                return shown(value)
            if not isinstance(wanted, Int):
                return _float(value)
            if value.denominator != 1:
                raise NotAnExpression(f"the result is {shown(value)}, which is no whole number")
            return value.numerator
        except NotAnExpression:
            if isinstance(declared.returns, Optional):
                return None
            raise

    return work_out


def _float(value: Fraction) -> float:
    try:
        return float(value)
    except OverflowError:
        raise NotAnExpression("the result is too large for a number in double precision") from None
