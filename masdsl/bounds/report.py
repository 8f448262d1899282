"""Bounds as plain data: what `mas cost` prints, compares and keeps, and what tables are made of.

    {"file": "x.mas",
     "flows": [{"flow": "main", "entry": true, "line": 7, "least": AMOUNTS, "most": AMOUNTS,
                "budget": {"calls": 20, ...}, "parts": [PART, ...]}],
     "agents": [{"agent": "coder", "tier": "smart", "model": "openai/gpt-4o-mini",
                 "input_price": "0.15", "output_price": "0.6", "counted_by": "the rule"}]}

AMOUNTS has calls, input_tokens, output_tokens, tokens, usd (also exactly, as picodollars) and seconds. A PART has path,
line, what it does, least, most, and the parts in it, the dearest first; where its flow is called more than once, each
call has parts of its own. Prices are exact decimals, in USD per million tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from masdsl.bounds.amounts import Amounts
from masdsl.bounds.measures import MEASURES, AnyLimits, lowest
from masdsl.bounds.result import Bounds, FlowBound, Part
from masdsl.check.program import Program
from masdsl.money import PICODOLLARS, TokenPrice, usd_per_million
from masdsl.sizes import MICROSECONDS
from masdsl.source import Source

DEEPEST: Final = 4
"""Levels of parts inside parts that are told."""


class ModelReport(NamedTuple):
    """The model that an agent is on: its price, None where nothing says it, and whether its own tokenizer counts."""

    name: str = ""
    price: TokenPrice | None = None
    own_tokenizer: bool = False


def program_report(
    program: Program,
    bounds: Bounds,
    *,
    models: Mapping[str, ModelReport],
    ceiling: AnyLimits | None = None,
) -> dict[str, Any]:
    """Return the bounds of all flows of a program's own module; `models` are those of agents, by their keys."""
    sources = {module.name: module.source for module in program.modules}
    flows = []
    for flow in program.flows:
        if flow.module:
            continue
        bound = bounds.flows[flow.key]
        is_entry = flow.key in bounds.entries
        limits = (flow.limits, program.budget if is_entry else None, ceiling)
        source = sources[flow.module]
        flows.append(
            {
                "flow": flow.key,
                "entry": is_entry,
                "line": source.position(flow.span.start).line,
                "least": amounts(bound.least, 0),
                "most": amounts(bound.most, bound.seconds),
                "uncut": amounts(bound.needed, bound.needed_seconds),
                "budget": {
                    measure: shown(measure, allowed)
                    for measure in MEASURES
                    if (allowed := lowest(measure, *limits)) is not None
                },
                "parts": _parts(bound.parts, bound, source, DEEPEST),
            }
        )
    agents = []
    for agent in program.agents:
        model = models.get(agent.key, ModelReport())
        price = model.price
        agents.append(
            {
                "agent": agent.key,
                "tier": None if agent.is_model_name else agent.model,
                "model": model.name,
                "input_price": None if price is None else usd_per_million(price.input),
                "output_price": None if price is None else usd_per_million(price.output),
                "counted_by": "its tokenizer" if model.own_tokenizer else "the rule",
            }
        )
    return {"file": sources[""].name, "flows": flows, "agents": agents}


def amounts(found: Amounts, seconds: int) -> dict[str, Any]:
    """Return amounts as numbers that people use, and the exact money; `seconds` are microseconds."""
    return {
        "calls": found.calls,
        "input_tokens": found.tokens_in,
        "output_tokens": found.tokens_out,
        "tokens": found.tokens,
        "usd": shown("usd", found.usd),
        "picodollars": found.usd,
        "seconds": shown("seconds", seconds),
    }


def shown(measure: str, value: int) -> int | float:
    """Return an amount in USD or seconds where it is counted in parts of these."""
    unit = {"usd": PICODOLLARS, "seconds": MICROSECONDS}.get(measure)
    if unit is None:
        return value
    return value // unit if value % unit == 0 else value / unit


def _parts(parts: tuple[Part, ...], bound: FlowBound, source: Source, depth: int) -> list[dict[str, Any]]:
    measure = main_measure(amounts(bound.needed, bound.needed_seconds))
    rows = [
        {
            "path": part.path,
            "line": source.position(part.span.start).line,
            "what": part.what,
            "least": amounts(part.least, 0),
            "most": amounts(part.most, part.seconds),
            "parts": _parts(part.parts, bound, source, depth - 1) if depth > 1 else [],
        }
        for part in parts
    ]
    return sorted(rows, key=lambda row: (-row["most"][measure], -row["most"]["seconds"], row["line"]))


def main_measure(most: Mapping[str, Any]) -> str:
    """Return the key in which shares are told: money, or tokens where nothing costs any, or calls, or time."""
    return next((key for key in ("picodollars", "tokens", "calls") if most[key]), "seconds")
