"""What a request counts before it is sent, and what a reply did cost: the rule of `masdsl.sizes` and a provider's word.

The ledger reserves by the rule, and settles with the provider's own counts as far as they are possible: a prompt counts
from an eighth of the rule to all of it, a reply from an eighth of the rule to `max_tokens`. So no fault of a provider
refunds a budget, uses it up, or exceeds a bound; whatever was not taken as it came is told.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Final, NamedTuple

from masdsl import sizes
from masdsl.money import BadAmount, TokenPrice, price_per_million
from masdsl.runtime.models.base import Message, Price, Reply
from masdsl.runtime.shapes import describe

MOST_LIKELY: Final = 10**9
"""A count above that is no count: no call has ever had so many tokens."""


def request_tokens(messages: Iterable[Message], for_schema: int = 0) -> int:
    """Return what a request counts: a fixed part, its messages, and its schema (`formats.schema_tokens`)."""
    total = sizes.REQUEST_TOKENS + for_schema
    for message in messages:
        total += sizes.MESSAGE_TOKENS + sizes.counted_tokens(message.content)
    return total


class Usage(NamedTuple):
    """What a call counts; `faults` say which of the provider's counts were not taken as they came.

    `is_missing` is whether a count is missing, which alone is no fault.
    """

    tokens_in: int
    tokens_out: int
    is_missing: bool = False
    faults: tuple[str, ...] = ()


def usage(reply: Reply, reserved: int, max_tokens: int) -> Usage:
    """Return what a call counts whose request counts `reserved` tokens, and whose reply at most `max_tokens`."""
    faults: list[str] = []
    own = sizes.counted_tokens(reply.text)
    if -(-own // sizes.LEAST_SHARE) > max_tokens:
        faults.append(f"its reply is longer than the {max_tokens} tokens that it was allowed: {max_tokens} count")
        tokens_out = max_tokens
    else:
        tokens_out = _possible(reply.output_tokens, own, max_tokens, "the reply", faults)
    tokens_in = _possible(reply.input_tokens, reserved, reserved, "the prompt", faults)
    is_missing = reply.input_tokens is None or reply.output_tokens is None
    return Usage(tokens_in, tokens_out, is_missing, tuple(faults))


def _possible(count: object, own: int, most: int, what: str, faults: list[str]) -> int:
    """Return a provider's count if it is possible, the nearest that is, or our own where it says nothing.

    An eighth of `own` is at most `most`.
    """
    least = -(-own // sizes.LEAST_SHARE)
    if type(count) is int and least <= count <= most and count <= MOST_LIKELY:
        return count
    nearest = min(own, most)
    if count is None:
        return nearest
    if type(count) is not int or not 0 <= count <= MOST_LIKELY:
        why = f"which no count can be: {nearest} count, by our own rule"
    elif count > most:
        nearest, why = most, f"above the {most} reserved: {most} count"
    else:
        nearest, why = least, f"below what is possible: {least} count"
    faults.append(f"its count of tokens of {what} is {count if isinstance(count, float) else describe(count)}, {why}")
    return nearest


@lru_cache(maxsize=256)
def token_price(price: Price | None) -> TokenPrice | None:
    """Return a model's price in picodollars a token, rounded up; None where it has none, or one that is no amount."""
    if price is None:
        return None
    try:
        return TokenPrice(price_per_million(price.input), price_per_million(price.output))
    except BadAmount:
        return None
