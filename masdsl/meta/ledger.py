"""What a session may spend, what it has spent, and what share of the rest each meta-agent gets."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Final, Literal

from masdsl.meta.emission import Terms
from masdsl.meta.task import Effort, Spent
from masdsl.money import limit_of
from masdsl.runtime.meter import Limits, usd_of
from masdsl.runtime.result import Result

Part = Literal["generator", "implementer", "rectifier", "run"]
SHARES: Final[dict[Part, float]] = {"generator": 0.5, "implementer": 0.2, "rectifier": 0.15}
"""Which share of what is left a meta-agent may use up at most; the rest is for the system that it designs."""
TRIES: Final[dict[Effort, int]] = {"low": 1, "medium": 3, "high": 6}
"""How often a meta-agent may try, however much is left."""
REPLY_TOKENS: Final[dict[Effort, int]] = {"low": 500, "medium": 900, "high": 1_500}
LONGEST_CALL: Final = 180.0
"""Seconds of one call of a meta-agent."""


class Ledger:
    """The account of a session. `limits` are those of the whole session; `elapsed` are seconds of an earlier part."""

    def __init__(self, limits: Limits, *, elapsed: float = 0.0, clock: Callable[[], float] = monotonic) -> None:
        self.limits = limits
        self.spent: dict[Part, Spent] = {}
        self._clock = clock
        self._began = clock() - elapsed

    @property
    def seconds(self) -> float:
        """The seconds that the session has taken, those of its earlier parts included."""
        return round(self._clock() - self._began, 3)

    def seconds_left(self) -> float | None:
        """Return the seconds that are left, None without a limit."""
        return None if self.limits.seconds is None else max(round(self.limits.seconds - self.seconds, 3), 0.0)

    def add(self, part: Part, spent: Spent) -> None:
        """Count what a part of the session took."""
        self.spent[part] = self.spent.get(part, Spent()).plus(spent)

    def total(self) -> Spent:
        """Return what was spent, by all parts together."""
        whole = Spent()
        for one in self.spent.values():
            whole = whole.plus(one)
        return whole

    def left(self, share: float = 1.0) -> Limits:
        """Return a share of what is left; None where there is no limit. Of seconds it is always all."""
        limits, spent = self.limits, self.total()
        calls = None if limits.calls is None else int(max(limits.calls - spent.calls, 0) * share)
        tokens = None if limits.tokens is None else int(max(limits.tokens - spent.tokens, 0) * share)
        usd = None
        if limits.usd is not None:
            usd = usd_of(int(max(limit_of(limits.usd) - spent.picodollars, 0) * share))
        return Limits(calls=calls, tokens=tokens, usd=usd, seconds=self.seconds_left())

    def terms(self, part: Part, effort: Effort, seed: int) -> Terms:
        """Return what a meta-agent may take for one decision."""
        left = self.left(SHARES[part])
        return Terms(
            tokens=left.tokens,
            calls=left.calls,
            picodollars=None if left.usd is None else limit_of(left.usd),
            tries=TRIES[effort],
            seed=seed,
            timeout=LONGEST_CALL,
            reply_tokens=REPLY_TOKENS[effort],
            reasoning_tokens=100 if effort == "low" else 200,
        )


def spent_by(result: Result) -> Spent:
    """Return what a run took."""
    return Spent(result.calls, result.tokens_in, result.tokens_out, result.picodollars)
