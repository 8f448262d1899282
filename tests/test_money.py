"""Money: nothing is lost, limits are rounded down and prices up, and a positive amount is never shown as nothing."""

from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from masdsl.money import (
    MOST_PER_MILLION,
    MOST_USD,
    PICODOLLARS,
    BadAmount,
    TokenPrice,
    limit_of,
    price_per_million,
    price_per_token,
    show_usd,
    usd_per_million,
)

AMOUNTS = st.one_of(
    st.decimals(0, MOST_USD, allow_nan=False, allow_infinity=False),
    st.floats(0, MOST_USD),
    st.integers(0, MOST_USD),
)
PICO = st.integers(0, MOST_USD * PICODOLLARS)
SMALL_PICO = st.integers(0, 2 * PICODOLLARS)


def exact(amount: Any) -> Fraction:
    return Fraction(Decimal(str(amount)))


@given(AMOUNTS)
def test_a_limit_is_rounded_down_by_less_than_a_picodollar(usd: Any) -> None:
    assert 0 <= exact(usd) * PICODOLLARS - limit_of(usd) < 1


@given(st.one_of(st.decimals(0, 1, allow_nan=False), st.floats(0, 1)))
def test_a_price_is_rounded_up_by_less_than_a_picodollar(usd: Any) -> None:
    assert 0 <= price_per_token(usd) - exact(usd) * PICODOLLARS < 1


@given(st.one_of(st.decimals(0, MOST_PER_MILLION, allow_nan=False), st.floats(0, MOST_PER_MILLION)))
def test_a_price_per_million_is_the_same_price(usd: Any) -> None:
    assert 0 <= price_per_million(usd) - exact(usd) * 1_000_000 < 1


@given(st.integers(0, MOST_PER_MILLION * 1_000_000))
def test_a_price_is_written_exactly(price: int) -> None:
    text = usd_per_million(price)
    assert price_per_million(text) == price
    assert re.fullmatch(r"(0|[1-9]\d*)(\.\d{0,5}[1-9])?", text)


def shown(picodollars: int) -> Fraction:
    text = show_usd(picodollars)
    assert re.fullmatch(r"\d{1,3}(,\d{3})*\.\d{2,12} USD", text), text
    return Fraction(text.removesuffix(" USD").replace(",", "")) * PICODOLLARS


@given(st.one_of(PICO, SMALL_PICO))
def test_what_is_shown_is_never_less_and_hardly_more(amount: int) -> None:
    assert amount <= shown(amount) <= amount + max(amount / 100, 1)
    assert (shown(amount) == 0) == (amount == 0)


@given(st.one_of(PICO, SMALL_PICO), st.one_of(PICO, SMALL_PICO))
def test_what_is_shown_keeps_the_order(one: int, other: int) -> None:
    assert (one <= other) <= (shown(one) <= shown(other))
    assert show_usd(-one) == ("-" if one else "") + show_usd(one)


@given(st.integers(1, 10**9), st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 10**9))
def test_costs_add_up_exactly(price_in: int, price_out: int, read: int, written: int) -> None:
    price = TokenPrice(price_in, price_out)
    assert price.of(read, written) == price.of(read, 0) + price.of(0, written) == read * price_in + written * price_out


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0, "0.00 USD"),
        (1, "0.000000000001 USD"),
        (4_000_000, "0.000004 USD"),
        (12_300_000_000, "0.0123 USD"),
        (999_999_999_999, "1.00 USD"),
        (1_234_500_000_000_000, "1,234.50 USD"),
        (PICODOLLARS + 1, "1.01 USD"),
        (10**40, "more than 10^15 USD"),
        (-12_300_000_000, "-0.0123 USD"),
    ],
)
def test_amounts_for_people(amount: int, text: str) -> None:
    assert show_usd(amount) == text


def test_decimals_are_taken_as_they_are_written() -> None:
    assert (price_per_million(0.15), price_per_token(1.5e-07), limit_of(0.1)) == (150_000, 150_000, 10**11)
    assert price_per_token(1e-13) == 1 and limit_of(1e-13) == 0
    assert price_per_token("1e-999999999") == 1 and limit_of("1e-999999999") == 0


@pytest.mark.parametrize(
    ("amount", "reason"),
    [
        (True, "is not a number"),
        ("", "is not a number"),
        ("two", "is not a number"),
        (None, "is not a number"),
        ([1], "is not a number"),
        pytest.param(10**5000, "is not a number", id="a huge integer"),
        (float("nan"), "is not a finite number"),
        ("sNaN", "is not a finite number"),
        (float("-inf"), "is not a finite number"),
        (-0.01, "is negative"),
        (-(10**20), "is negative"),
        (2e15, "is absurd"),
        ("1e999999999", "is absurd"),
    ],
)
def test_what_is_no_amount(amount: Any, reason: str) -> None:
    for convert in (limit_of, price_per_token, price_per_million):
        with pytest.raises(BadAmount, match=reason):
            convert(amount)


@given(st.one_of(st.text(max_size=30), st.floats(), st.integers(), st.binary(max_size=5), st.none()))
def test_nothing_else_is_raised(amount: Any) -> None:
    for convert in (limit_of, price_per_token, price_per_million):
        try:
            assert convert(amount) >= 0
        except BadAmount as fault:
            assert str(fault).startswith("is ")
