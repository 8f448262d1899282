"""Runs as OpenTelemetry traces, by the conventions for generative AI. See `docs/tracing.md`; extra `masdsl[otel]`.

    masdsl.tracing.instrument()                     # spans go to the process's tracer provider
    masdsl.tracing.instrument(provider, contents=True)

here       who traces, if anybody does: nothing of OpenTelemetry is imported before somebody says so
spans      one run as spans, made of its events
names      the names of spans and attributes
messages   what models were told and said, for who asks for contents
exporting  what the environment's OTEL_ variables ask for, for the command line
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from masdsl.check.program import Program
    from masdsl.rectify.base import Intervention
    from masdsl.runtime import Result
    from masdsl.runtime.events import Observer
    from masdsl.runtime.program import Models
    from masdsl.tracing.spans import Tracing

    Told = Callable[[Intervention, Program], None]

_active: Tracing | None = None


class Watch(Protocol):
    """Who watches one run: what it is given instead of the run's own observer, models and ear for interventions."""

    run: str
    """The id that the run is to have; nothing where none was made up for it."""

    def beside(self, observer: Observer | None) -> Observer | None:
        """Return who is shown the events."""

    def models(self, models: Models) -> Models:
        """Return the models that the run uses."""

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
    from masdsl.tracing.spans import tracing_to

    _active = tracing_to(tracer_provider, contents=contents)


def uninstrument() -> None:
    """Trace no further run."""
    global _active
    _active = None


def active() -> Tracing | None:
    """Return who traces the runs of this process; None where nobody does."""
    return _active
