"""Who traces a process: where its spans go, and whether they have contents."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.trace import Span

from masdsl.tracing.roles import role, workflow
from masdsl.tracing.spans import RunSpans
from masdsl.version import __version__

if TYPE_CHECKING:
    from masdsl.check.program import Program
    from masdsl.config import Config
    from masdsl.tracing import Settle


class Tracing:
    """Makes the spans of a process; `contents` says whether they have any."""

    def __init__(self, tracer: trace.Tracer, contents: bool) -> None:
        self._tracer = tracer
        self.contents = contents

    def run(self, program: Program, config: Config, flow: str, run: str) -> RunSpans:
        """Begin the span of a run; `flow` is the key of the flow that it begins with, `run` its id, if it has one."""
        return RunSpans(self._tracer, program, config, flow, run, self.contents)

    def workflow(self, name: str, attributes: Mapping[str, Any]) -> AbstractContextManager[Settle]:
        """Let there be a span of something that has runs below it; give what is told how it ended."""
        return workflow(self._tracer, name, attributes)

    def role(self, name: str, by: str, config: Config) -> AbstractContextManager[Span]:
        """Give the span of a meta-agent while it is asked."""
        return role(self._tracer, name, by, config, self.contents)


def tracing_to(provider: trace.TracerProvider | None, *, contents: bool) -> Tracing:
    """Return what traces to a provider; None is the process's own."""
    schema = "https://opentelemetry.io/schemas/1.37.0"
    return Tracing(trace.get_tracer("masdsl", __version__, provider, schema_url=schema), contents)
