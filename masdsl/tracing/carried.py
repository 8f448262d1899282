"""A trace that goes on in another process: the context of W3C, as a mapping that is sent along with the work.

Source: W3C Trace Context (https://www.w3.org/TR/trace-context/).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry import context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator


def carrier() -> dict[str, str]:
    """Return the current span as `traceparent` and, where there is one, `tracestate`."""
    found: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(found)
    return found


@contextmanager
def below(carried: Mapping[str, str]) -> Iterator[None]:
    """Let what begins here stand below the span that a carrier names."""
    token = context.attach(TraceContextTextMapPropagator().extract(carried))
    try:
        yield
    finally:
        context.detach(token)
