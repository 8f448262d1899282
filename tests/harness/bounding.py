"""Programs beside their bounds: what a run took, and in which measure that is more than the analysis allows.

    case = prepared(text)
    took = play(case, Adversary(case.compiled, faults=1.0), inputs=largest_inputs(case))
    assert not exceeded(took, bound(case.program, case.prices).flows["main"])

Programs are checked without holding their budgets against them, so that budgets of any size can be tried: those that
cannot fit as well. Each agent has the price of its tier in `PRICES`; the model that it gets charges exactly that.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from masdsl import pipeline
from masdsl.bounds.rates import rates_of
from masdsl.bounds.result import FlowBound
from masdsl.check.check import check_parsed
from masdsl.check.program import Flow
from masdsl.check.program import Program as Checked
from masdsl.config import DEFAULT, Config, Grant, ModelConfig
from masdsl.diagnostics.base import ERROR, Findings
from masdsl.diagnostics.render import render_short
from masdsl.money import TokenPrice
from masdsl.runtime import Program, Result, RunFailed
from masdsl.runtime.models.base import ChatModel, Price, Reply, Request
from masdsl.sizes import MICROSECONDS
from masdsl.source import Source
from masdsl.syntax.parse import parse_program
from tests.harness import virtual_time
from tests.harness.adversary import largest
from tests.harness.programs import granted

PRICES: dict[str, Price] = {
    "fast": Price(0.1, 0.4),
    "smart": Price(3.0, 15.0),
    "odd": Price(7.0, 0.000001),
    "local": Price(0.0, 0.0),
}
"""What the tiers of tested programs cost; agents without one are on `fast`. One has dearer prompts than replies."""
TOOLS = granted("look", "send", "search", "fetch", "dig") | {"masdsl.design": Grant("design")}
MEASURES = ("calls", "tokens_in", "tokens_out", "tokens", "usd", "seconds")


class Case(NamedTuple):
    """A program as it was checked and as it was compiled, with the prices of its agents for the analysis."""

    text: str
    program: Checked
    compiled: Program
    prices: Mapping[str, TokenPrice]


class Took(NamedTuple):
    """What a run took, in the units of bounds; whether it gave a value, and whether a budget refused a call of it."""

    calls: int
    tokens_in: int
    tokens_out: int
    tokens: int
    usd: int
    seconds: int
    gives: bool
    refused: bool
    why: str = ""


CONFIG: Config = DEFAULT._replace(
    tools=TOOLS,
    tiers={**DEFAULT.tiers, **{name: f"m-{name}" for name in PRICES}, "default": "m-fast"},
    models={
        f"m-{name}": ModelConfig(
            f"m-{name}",
            "openai",
            "m",
            "http://localhost:9/v1",
            input_price=price.input,
            output_price=price.output,
            tool_calls=False,
        )
        for name, price in PRICES.items()
    },
)
NATIVE: Config = CONFIG._replace(
    models={name: entry._replace(tool_calls=True) for name, entry in CONFIG.models.items()}
)
"""The same, where models call tools by their providers' own protocol."""


def prepared(text: str, native: bool = False) -> Case:
    """Check and compile a program; its budgets are not judged."""
    return case_of(checked(text, native), text)


def checked(text: str, native: bool = False) -> Checked:
    """Check a program; its budgets are not judged."""
    findings = Findings()
    parsed = parse_program(Source("case.mas", text), findings)
    program = check_parsed(
        parsed, config=NATIVE if native else CONFIG, read_module=lambda *_: "no modules here", findings=findings
    )
    errors = [finding for finding in findings.sorted() if finding.diagnostic.severity == ERROR]
    assert program is not None, f"{render_short(errors)}\n{text}"
    return program


def case_of(program: Checked, text: str = "") -> Case:
    """Return a checked program with what it compiles to and what its agents cost."""
    rates = rates_of(program, CONFIG)
    prices = {key: rate.price for key, rate in rates.items() if rate.price is not None}
    return Case(text, program, pipeline.load(program), prices)


class _Priced:
    """A model at the price of a tier."""

    def __init__(self, inner: ChatModel, tier: str, tool_calls: bool) -> None:
        self._inner = inner
        self.tool_calls = tool_calls
        self.name, self.price = tier, PRICES[tier]

    async def complete(self, request: Request) -> Reply:
        return await self._inner.complete(request)

    async def close(self) -> None:
        pass


def play(
    case: Case,
    model: Any,
    inputs: Mapping[str, Any],
    flow: str = "main",
    tools: Mapping[str, Any] | None = None,
    **options: Any,
) -> Took:
    """Run a flow in virtual time; return what it took. Without `tools` the model has some (`adversary.Adversary`)."""
    why = ""
    native = any(agent.tool_calls for agent in case.program.agents)
    try:
        result = virtual_time.run(
            case.compiled.run(
                flow,
                inputs,
                models=lambda name, tier: _Priced(model, name if name in PRICES else "fast", native),
                tools=model.tools if tools is None else tools,
                **options,
            )
        )
    except RunFailed as failure:
        result, why = failure.result, failure.reason or "it failed"
    return took(result, why)


def took(result: Result, why: str = "") -> Took:
    """Return the measures of a result in the units of bounds."""
    refused = any(event.kind == "refused" for event in result.events)
    micro = round(result.seconds * MICROSECONDS)
    return Took(
        result.calls,
        result.tokens_in,
        result.tokens_out,
        result.tokens_in + result.tokens_out,
        result.picodollars,
        micro,
        not why,
        refused,
        why,
    )


def largest_inputs(case: Case, flow: str = "main", of: str = "!") -> dict[str, Any]:
    """Return inputs as large as the parameters of a flow allow."""
    return {param.name: largest(param.type, of) for param in _flow(case, flow).params}


def _flow(case: Case, name: str) -> Flow:
    return next(flow for flow in case.program.flows if flow.name == name)


def most(bound: FlowBound) -> tuple[int, ...]:
    """Return the worst case in the order of `MEASURES`."""
    return (*bound.most, bound.seconds)


def exceeded(took: Took, bound: FlowBound) -> list[str]:
    """Return the measures in which a run took more than its bound, or less than the least if it gives a value.

    The least is over runs in which no call is refused.
    """
    found = [
        f"{name}: {spent:,} > {limit:,}"
        for name, spent, limit in zip(MEASURES, took[:6], most(bound), strict=True)
        if spent > limit
    ]
    if took.gives and not took.refused:
        found += [
            f"{name}: {spent:,} < {least:,}"
            for name, spent, least in zip(MEASURES, took[:5], bound.least, strict=False)
            if spent < least
        ]
    return found
