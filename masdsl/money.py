"""Money as whole picodollars, a millionth of a millionth of a USD, so that sums are exact and none is lost.

    USD per million tokens, as configurations and providers say it: 0.15
    picodollars per token, as bounds and ledgers count:             150,000

A decimal such as 0.15 is taken as it is written, not as the binary float nearest to it. A limit is rounded down and a
price up where there is something to round, so that neither makes a bound too low.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from decimal import Decimal

Amount: TypeAlias = "int | float | str | Decimal"
"""An amount as programs, configurations and price lists have it; a text is a decimal number."""

PICODOLLARS: Final = 10**12
"""Picodollars of one USD."""
PER_MILLION: Final = 1_000_000
"""Tokens of a price as people say it."""
MOST_PER_MILLION: Final = 1_000_000
"""The highest price taken for one, in USD per million tokens (so 1 USD a token): above that, units are mixed up."""
MOST_USD: Final = 10**15
"""The highest amount taken for one, in USD."""


class TokenPrice(NamedTuple):
    """What a model costs in picodollars per token: of what it reads, of what it writes."""

    input: int
    output: int

    def of(self, input_tokens: int, output_tokens: int) -> int:
        """Return the picodollars for so many tokens."""
        return input_tokens * self.input + output_tokens * self.output


FREE: Final = TokenPrice(0, 0)


class BadAmount(ValueError):
    """Something is no amount of money; the text says why, as in `is negative`."""


def limit_of(usd: Amount) -> int:
    """Return a limit in USD as picodollars, rounded down. Raises BadAmount."""
    return _scaled(usd, PICODOLLARS, MOST_USD, up=False)


def price_per_token(usd: Amount) -> int:
    """Return a price in USD per token as picodollars per token, rounded up. Raises BadAmount."""
    return _scaled(usd, PICODOLLARS, MOST_PER_MILLION // PER_MILLION, up=True)


def price_per_million(usd: Amount) -> int:
    """Return a price in USD per million tokens as picodollars per token, rounded up. Raises BadAmount."""
    return _scaled(usd, PICODOLLARS // PER_MILLION, MOST_PER_MILLION, up=True)


def usd_per_million(price: int) -> str:
    """Return a price in picodollars per token as USD per million tokens: exact, `price_per_million` gives it back."""
    whole, rest = divmod(price, PICODOLLARS // PER_MILLION)
    return f"{whole}.{rest:06d}".rstrip("0").rstrip(".")


def show_usd(picodollars: int) -> str:
    """Return an amount for people: 1,234.50 USD, 0.0123 USD, 0.000004 USD.

    Whole cents from 1 USD on, three digits that count below; rounded away from zero, so that nothing is shown as less
    than it is, and only nothing as 0.
    """
    if picodollars < 0:
        return f"-{show_usd(-picodollars)}"
    if picodollars > MOST_USD * PICODOLLARS:
        return "more than 10^15 USD"
    places = 2
    if 0 < picodollars < PICODOLLARS:
        leading_zeros = 12 - len(str(picodollars))
        places = max(2, min(12, leading_zeros + 3))
    unit: int = PICODOLLARS // 10**places
    whole, rest = divmod(-(-picodollars // unit), 10**places)
    fraction = f"{rest:0{places}d}"
    return f"{whole:,}.{fraction[:2]}{fraction[2:].rstrip('0')} USD"


def _scaled(amount: Amount, units: int, most: int, *, up: bool) -> int:
    """Return so many units of an amount, as a whole number."""
    if isinstance(amount, bool):
        raise BadAmount("is not a number")
    from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal, InvalidOperation

    try:
        exact = amount if isinstance(amount, Decimal) else Decimal(str(amount))
    except (InvalidOperation, ValueError):  # ValueError: an integer of more digits than Python turns into text
        raise BadAmount("is not a number") from None
    if not exact.is_finite():
        raise BadAmount("is not a finite number")
    if exact < 0:
        raise BadAmount("is negative")
    if exact > most:
        raise BadAmount(f"is absurd: more than {most:,} USD")
    if exact.adjusted() < -30:  # nothing that small is said in earnest, and its digits would be many
        return 1 if up and exact else 0
    context = Context(prec=80, rounding=ROUND_CEILING if up else ROUND_FLOOR, Emax=999, Emin=-999)
    return int(context.multiply(exact, Decimal(units)).to_integral_value(context.rounding))
