"""The span of one call of a model, made when the call has ended: in a run, or by a meta-agent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import SpanKind, Status, StatusCode

from masdsl.config import Config, NoModel, find_model
from masdsl.tracing import names

NANOSECONDS: Final = 1_000_000_000


class Call(NamedTuple):
    """A call that has ended.

    `model` is its name in the configuration, `began` and `ended` are nanoseconds since 1970. `fault` is the cause of
    one that failed, and `told` what its status says. `more` are further attributes.
    """

    model: str
    tokens_in: int
    tokens_out: int
    usd: float
    began: int
    ended: int
    fault: str = ""
    told: str = ""
    more: Mapping[str, Any] = {}


def call_span(tracer: trace.Tracer, under: Context | None, config: Config, call: Call) -> None:
    """Make the span of a call, below a span or the current one."""
    provider, model = provider_of(config, call.model)
    attributes: dict[str, Any] = {
        names.OPERATION: names.CHAT,
        names.PROVIDER: provider,
        names.REQUEST_MODEL: model,
        names.INPUT_TOKENS: call.tokens_in,
        names.OUTPUT_TOKENS: call.tokens_out,
        names.USD: call.usd,
        **call.more,
    }
    span = tracer.start_span(f"{names.CHAT} {model}", under, SpanKind.CLIENT, attributes, start_time=call.began)
    if call.fault:
        span.set_attribute(names.ERROR_TYPE, call.fault)
        span.set_status(Status(StatusCode.ERROR, call.told))
    span.end(call.ended)


def provider_of(config: Config, name: str) -> tuple[str, str]:
    """Return who provides a model, and under which name it is asked for there."""
    try:
        entry = find_model(config, name, tier=False)
    except NoModel:
        return "masdsl", name
    asked = entry.model or entry.name
    if entry.kind == "litellm":
        provider, _, rest = asked.partition("/")
        return provider, rest or asked
    return ("openai" if entry.kind == "openai" else "masdsl"), asked
