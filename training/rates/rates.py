"""Shares of what became of queries, with confidence intervals, and the table of several generators."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from statistics import fmean
from typing import Any, Final, NamedTuple

from masdsl.batch.statistics import Interval, Paired, mean_interval, paired_test
from masdsl.meta.emission import Terms
from masdsl.meta.host import Host
from masdsl.meta.queries import wait
from masdsl.meta.trained import TrainedGenerator
from training.rates.asking import Asked
from training.rates.measuring import Measured, measure

STAGES: Final = ("parses", "checks", "fits", "mended", "ran")
REPLY_TOKENS: Final = 320
"""The longest program that a trained generator is asked for, reasons included."""


class Rates(NamedTuple):
    """Shares of all queries, each with its interval (95 %); `ran` is None where nothing was run, `right` without gold.

    `closed` counts texts that the decoder ended, `programs` how many different programs were written. Tokens (of
    replies), seconds and calls are means: of writing over all queries, of running over the runs. `paired` compares the
    scores with those of the first generator of a table, query by query (`masdsl.batch.statistics.paired_test`).
    """

    name: str
    queries: int
    parses: Interval
    checks: Interval
    fits: Interval
    mended: Interval
    ran: Interval | None
    right: Interval | None
    closed: int
    programs: int
    tokens: float
    seconds: float
    calls: float
    run_tokens: float
    run_seconds: float
    paired: Paired | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON data."""
        parts = (Interval, Paired)
        return {name: one._asdict() if isinstance(one, parts) else one for name, one in self._asdict().items()}


def rates_of(name: str, found: Sequence[Measured], *, run: bool = True) -> Rates:
    """Return the rates of what became of queries. Raises ValueError without any."""
    shares = {stage: mean_interval([float(getattr(one, stage)) for one in found]) for stage in STAGES}
    graded = [one.score for one in found if one.gold]
    runs = [one for one in found if one.calls or one.ran]
    return Rates(
        name,
        len(found),
        shares["parses"],
        shares["checks"],
        shares["fits"],
        shares["mended"],
        shares["ran"] if run else None,
        mean_interval(graded) if run and graded else None,
        sum(one.closed for one in found),
        len({one.hash for one in found if one.hash}),
        fmean(one.tokens_out for one in found),
        fmean(one.seconds for one in found),
        _mean([one.calls for one in runs]),
        _mean([one.run_tokens for one in runs]),
        _mean([one.run_seconds for one in runs]),
    )


def against(rates: Rates, own: Sequence[Measured], first: Sequence[Measured]) -> Rates:
    """Return rates with the comparison of their right answers with those of another generator on the same queries."""
    other = {one.id: one.score for one in first if one.gold}
    both = [(one.score, other[one.id]) for one in own if one.id in other]
    if rates.right is None or not both:
        return rates
    return rates._replace(paired=paired_test(*zip(*both, strict=True)))


def _mean(values: Sequence[float]) -> float:
    return fmean(values) if values else 0.0


def table(rates: Sequence[Rates]) -> str:
    """Return rates as a table in Markdown."""
    head = (
        "generator, queries, parse, check, fit, fit after fixes, run, right, less the first's, closed, programs, tokens"
    )
    lines = [f"| {head.replace(', ', ' | ')} | seconds | calls | run tokens | run seconds |", "|---|" + "---:|" * 15]
    for one in rates:
        found = (one.parses, one.checks, one.fits, one.mended, one.ran, one.right)
        means = (
            str(one.closed),
            str(one.programs),
            f"{one.tokens:.0f}",
            f"{one.seconds:.1f}",
            f"{one.calls:.1f}",
            f"{one.run_tokens:.0f}",
            f"{one.run_seconds:.1f}",
        )
        lines.append(
            f"| {one.name} | {one.queries} | {' | '.join(map(_shown, found))} | {_compared(one.paired)}"
            f" | {' | '.join(means)} |"
        )
    return "\n".join(lines) + "\n"


def _shown(share: Interval | None) -> str:
    if share is None:
        return ""
    return f"{100 * share.mean:.0f} % ({100 * share.low:.0f}-{100 * share.high:.0f})"


def _compared(paired: Paired | None) -> str:
    return "" if paired is None else f"{100 * paired.difference:+.0f} % (p {paired.p:.2g})"


def failures(found: Sequence[Measured], most: int = 5) -> str:
    """Return the commonest reasons why what was written does not fit or did not run, a line each."""
    counts: dict[str, int] = {}
    for one in found:
        if one.why and not one.ran:
            counts[one.why] = counts.get(one.why, 0) + 1
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:most]
    return "".join(f"  {count} x {why}\n" for why, count in ordered)


# ---------------------------------------------------------------- while a model is trained


def rates_in_memory(
    model: Any,
    tokenizer: Any,
    asked: Sequence[Asked],
    host: Host,
    *,
    decoder: bool = False,
    run: bool = False,
    name: str = "checkpoint",
    tell: Callable[[Measured], None] | None = None,
) -> Rates:
    """Return what a transformers model that is in memory emits for queries, asked as a trained generator is.

    Greedy, one try each. The model is put into evaluation for that, and back. `run` runs the programs with the models
    of `host`. Raises masdsl.runtime.models.base.ModelError where torch, transformers or llguidance is missing.
    """
    from masdsl.runtime.models.transformers_model import TransformersModel

    generator = TrainedGenerator(TransformersModel(name, loaded=(model, tokenizer), timeout=600))
    terms = Terms(tries=1, temperature=0.0, reply_tokens=REPLY_TOKENS, constrained=decoder, timeout=600)
    was_training = model.training
    model.eval()
    found: list[Measured] = []

    async def work() -> None:
        for one in asked:
            found.append(await measure(generator, one, host, terms, run=run))
            if tell is not None:
                tell(found[-1])

    try:
        wait(work)
    finally:
        model.train(was_training)
    return rates_of(f"{name}, {'decoder' if decoder else 'no decoder'}", found, run=run)


def rates_text(rates: Sequence[Rates]) -> str:
    """Return rates as JSON text."""
    return json.dumps([one.to_json() for one in rates], indent=2) + "\n"
