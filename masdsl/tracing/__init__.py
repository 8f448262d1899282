"""Runs as OpenTelemetry traces, by the conventions for generative AI. See `docs/tracing.md`; extra `masdsl[otel]`.

    masdsl.tracing.instrument()                     # spans go to the process's tracer provider
    masdsl.tracing.instrument(provider, contents=True)

here       who traces, if anybody does: nothing of OpenTelemetry is imported before somebody says so
tracer     where the spans of a process go
spans      one run as spans, made of its events (places: where its steps stand; calls: those of models)
roles      what meta-agents do, as spans
carried    a trace that goes on in other processes
names      the names of spans and attributes
messages   what models were told and said, for who asks for contents
exporting  what the environment's OTEL_ variables ask for, for the command line
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

if TYPE_CHECKING:
    from masdsl.check.program import Program
    from masdsl.config import Config
    from masdsl.rectify.base import Intervention, Rectifier
    from masdsl.runtime import Result
    from masdsl.runtime.events import Observer, Witness
    from masdsl.runtime.models.base import ModelError, Reply, Request
    from masdsl.runtime.program import Models
    from masdsl.tracing.tracer import Tracing

    Told = Callable[[Intervention, Program], None]

Settle: TypeAlias = Callable[[str, Mapping[str, Any]], None]

_active: Tracing | None = None


class Watch(Protocol):
    """Who watches one run: what it is given instead of the run's own observer, models and ear for interventions."""

    run: str
    """The id that the run is to have; nothing where none was made up for it."""

    def beside(self, observer: Observer | None) -> Observer | None:
        """Return who is shown the events."""

    def models(self, models: Models) -> Models:
        """Return the models that the run uses."""

    def witness(self) -> Witness | None:
        """Return who is told of the inputs of steps; None for nobody."""

    def rectifier(self, rectifier: Rectifier) -> Rectifier:
        """Return who is asked for patches."""

    def patched(self, told: Told | None) -> Told | None:
        """Return who is told of interventions."""

    def ended(self, result: Result) -> Result:
        """Say that the run gave a value; return what it gave."""


class Nobody:
    """Nobody watches: the run gets what it was given."""

    run = ""

    def beside(self, observer: Observer | None) -> Observer | None:
        """Return the run's own observer."""
        return observer

    def models(self, models: Models) -> Models:
        """Return the run's own models."""
        return models

    def witness(self) -> Witness | None:
        """Return nobody."""
        return None

    def rectifier(self, rectifier: Rectifier) -> Rectifier:
        """Return the run's own."""
        return rectifier

    def patched(self, told: Told | None) -> Told | None:
        """Return the run's own."""
        return told

    def ended(self, result: Result) -> Result:
        """Return what the run gave."""
        return result


NOBODY: Final[Watch] = Nobody()


def instrument(tracer_provider: Any = None, *, contents: bool = False) -> None:
    """Trace every run of this process from now on.

    Args:
        tracer_provider: an `opentelemetry.trace.TracerProvider`; by default the process's own.
        contents: whether prompts, replies, arguments and results are part of the spans. They may hold what is nobody
            else's business, so they are left out unless they are asked for.

    Raises ImportError where OpenTelemetry's API is not installed; `pip install 'masdsl[otel]'` brings it.
    """
    global _active
    from masdsl.tracing.tracer import tracing_to

    _active = tracing_to(tracer_provider, contents=contents)


def uninstrument() -> None:
    """Trace no further run."""
    global _active
    _active = None


def active() -> Tracing | None:
    """Return who traces the runs of this process; None where nobody does."""
    return _active


# ---------------------------------------------------------------- what is around runs


def workflow(name: str, attributes: Mapping[str, Any]) -> AbstractContextManager[Settle]:
    """Let there be a span of something that has runs below it, such as a session or a batch.

    What it gives is told the status at the end, and further attributes.
    """
    return nullcontext(_untold) if _active is None else _active.workflow(name, attributes)


def _untold(status: str, more: Mapping[str, Any]) -> None:
    """Nobody traces, so nobody is told."""


def role(name: str, by: str, config: Config) -> AbstractContextManager[object]:
    """Let a span be there while a meta-agent is asked: its role, and who plays that."""
    return nullcontext() if _active is None else _active.role(name, by, config)


def called(
    model: str,
    request: Request,
    outcome: Reply | ModelError | None,
    spent: tuple[int, int, int],
    seconds: float,
    *,
    is_kept: bool = False,
) -> None:
    """Tell of a call of a meta-agent's model that has ended (`masdsl.tracing.roles.called`)."""
    if _active is not None:
        from masdsl.tracing import roles

        roles.called(model, request, outcome, spent, seconds, is_kept=is_kept)


def carrier() -> dict[str, str]:
    """Return what takes the current span to another process (`below`): nothing where nobody traces."""
    if _active is None:
        return {}
    from masdsl.tracing import carried

    return carried.carrier()


def below(carrier: Mapping[str, str]) -> AbstractContextManager[object]:
    """Let the runs that begin here stand below a span of another process, where this one traces."""
    if _active is None or not carrier:
        return nullcontext()
    from masdsl.tracing import carried

    return carried.below(carrier)
