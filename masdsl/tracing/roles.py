"""What meta-agents do, as spans: a session, the roles that are asked in it, and the calls of their models.

    invoke_workflow solve                     a session: a system is designed, run, repaired
      invoke_agent generator                  a decision of a meta-agent
        chat gpt-4o                           one call of its model
      invoke_agent implementer
      invoke_workflow main                    the system's run (`spans`)
        invoke_agent rectifier                somebody is asked for a patch

Each stands below the one that is current where it begins. A call is that of the role that is asked around it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple

from opentelemetry import trace
from opentelemetry.trace import Span, Status, StatusCode

from masdsl.rectify.causes import cause_of
from masdsl.runtime.meter import usd_of
from masdsl.runtime.models.base import ModelError, Reply, Request
from masdsl.tracing import names
from masdsl.tracing.calls import NANOSECONDS, Call, call_span
from masdsl.tracing.messages import Said, short

if TYPE_CHECKING:
    from masdsl.config import Config
    from masdsl.rectify.base import Proposal, Rectifier
    from masdsl.rectify.state import State
    from masdsl.tracing import Settle


class _Role(NamedTuple):
    tracer: trace.Tracer
    config: Config
    contents: bool


_asked: ContextVar[_Role | None] = ContextVar("masdsl_role", default=None)


@contextmanager
def _current(span: Span) -> Iterator[None]:
    """Let a span be the current one, and end it; of an exception it tells the class alone: words are contents."""
    with trace.use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
        try:
            yield
        except BaseException as error:
            what = type(error).__name__
            span.set_attribute(names.ERROR_TYPE, what)
            span.set_status(Status(StatusCode.ERROR, what))
            raise


@contextmanager
def workflow(tracer: trace.Tracer, name: str, attributes: Mapping[str, Any]) -> Iterator[Settle]:
    """Let there be a span of something that has runs below it; give what is told how it ended."""
    known = {names.OPERATION: names.WORKFLOW, names.WORKFLOW_NAME: name, **attributes}
    span = tracer.start_span(f"{names.WORKFLOW} {name}", attributes=known)

    def settle(status: str, more: Mapping[str, Any]) -> None:
        span.set_attributes({names.STATUS: status, **more})
        if status == "failed":
            span.set_status(Status(StatusCode.ERROR, status))

    with _current(span):
        yield settle


@contextmanager
def role(tracer: trace.Tracer, name: str, by: str, config: Config, contents: bool) -> Iterator[Span]:
    """Give the span of a role while it is asked; `by` says who plays it."""
    known = {names.OPERATION: names.AGENT, names.AGENT_NAME: name, names.BY: by}
    span = tracer.start_span(f"{names.AGENT} {name}", attributes=known)
    token = _asked.set(_Role(tracer, config, contents))
    try:
        with _current(span):
            yield span
    finally:
        _asked.reset(token)


def called(
    model: str,
    request: Request,
    outcome: Reply | ModelError | None,
    spent: tuple[int, int, int],
    seconds: float,
    *,
    is_kept: bool,
) -> None:
    """Make the span of a call that has ended, below the role that is asked; nothing where none is.

    `outcome` is None for a call that was broken off; `spent` is what was counted for it: tokens in, tokens out and
    picodollars. One of the journal `is_kept`: it was made in an earlier process.
    """
    within = _asked.get()
    if within is None:
        return
    reply = outcome if isinstance(outcome, Reply) else None
    fault = told = "" if reply is not None else "other"
    if isinstance(outcome, ModelError):
        fault = cause_of(outcome.kind.replace("_", " "), "agent")
        told = short(outcome.detail, 300) if within.contents else fault
    more: dict[str, Any] = Said(request, reply).attributes() if within.contents else {}
    if is_kept:
        more[names.TAKEN] = "journal"
    tokens_in, tokens_out, picodollars = spent
    now = time.time_ns()
    began = now - int(seconds * NANOSECONDS)
    call = Call(model, tokens_in, tokens_out, usd_of(picodollars), began, now, fault, told, more)
    call_span(within.tracer, None, within.config, call)


class TracedRectifier:
    """A rectifier each of whose proposals is a span below that of the run."""

    def __init__(self, rectifier: Rectifier, tracer: trace.Tracer, run: Span, config: Config, contents: bool) -> None:
        self._rectifier = rectifier
        self._tracer = tracer
        self._run = run
        self._config = config
        self._contents = contents

    @property
    def name(self) -> str:
        """Who it is."""
        return self._rectifier.name

    @property
    def trusted(self) -> bool:
        """What it is."""
        return self._rectifier.trusted

    async def propose(self, state: State) -> Proposal | str:
        """Return what it proposes."""
        below = trace.use_span(self._run, record_exception=False, set_status_on_exception=False)
        with below, role(self._tracer, "rectifier", self.name, self._config, self._contents) as span:
            said = await self._rectifier.propose(state)
            if isinstance(said, str):
                span.set_status(Status(StatusCode.ERROR, short(said, 300) if self._contents else "no patch"))
            return said
