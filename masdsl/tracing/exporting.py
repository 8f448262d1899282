"""Where the command line sends spans: what OpenTelemetry's own variables in the environment say.

Spans are sent by OTLP over HTTP where `OTEL_EXPORTER_OTLP_ENDPOINT` or `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` is set, and
nowhere where neither is, or `OTEL_SDK_DISABLED` or `OTEL_TRACES_EXPORTER=none` says so. Contents are sent too where
`OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT` is true. The SDK reads the other variables (headers, timeouts,
service name, sampling) by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Final

ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
DISABLED: Final = "OTEL_SDK_DISABLED"
EXPORTER: Final = "OTEL_TRACES_EXPORTER"
CONTENTS: Final = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
SPOKEN: Final = "http/protobuf"
_NEEDED: Final = ("opentelemetry.sdk.trace", "opentelemetry.exporter.otlp.proto.http")
_WAIT: Final = 5_000
"""Milliseconds that a command waits at its end for spans that are still to be sent."""


def is_asked_for(environment: Mapping[str, str]) -> bool:
    """Whether the environment says that spans are to be sent."""
    if _is_true(environment.get(DISABLED, "")) or environment.get(EXPORTER, "otlp").strip() not in ("", "otlp"):
        return False
    return any(environment.get(name, "").strip() for name in ENDPOINTS)


def begin(environment: Mapping[str, str], tell: Callable[[str], None]) -> Callable[[], None]:
    """Trace the runs of this process as the environment says; return what sends the rest and ends it.

    Where it cannot be done, `tell` is told why and what to do, and nothing is traced: a run is worth more than its
    trace.
    """
    if not is_asked_for(environment):
        return _nothing
    if not all(map(_is_there, _NEEDED)):
        tell("no traces are sent, because OpenTelemetry is not installed; run: pip install 'masdsl[otel]'")
        return _nothing
    protocol = next((environment[name] for name in PROTOCOLS if environment.get(name)), SPOKEN)
    if protocol != SPOKEN:
        tell(f"no traces are sent: {protocol} is not spoken here; set {PROTOCOLS[1]}={SPOKEN} (port 4318)")
        return _nothing
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    from masdsl.tracing import instrument, uninstrument

    named = "OTEL_SERVICE_NAME" in environment or "service.name=" in environment.get("OTEL_RESOURCE_ATTRIBUTES", "")
    provider = TracerProvider(resource=Resource.create({} if named else {"service.name": "masdsl"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    instrument(provider, contents=_is_true(environment.get(CONTENTS, "")))

    def end() -> None:
        if end in _begun:
            _begun.remove(end)
            uninstrument()
            provider.force_flush(_WAIT)
            provider.shutdown()

    _begun.append(end)
    return end


_begun: Final[list[Callable[[], None]]] = []


def finish() -> None:
    """Send the rest of what was begun in this process, which is about to end at once."""
    while _begun:
        _begun[-1]()


def variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what an environment says to OpenTelemetry, for processes that do not inherit it."""
    return {name: value for name, value in environment.items() if name.startswith("OTEL_")}


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _is_true(text: str) -> bool:
    return text.strip().lower() in ("true", "1", "span_only", "span_and_event")


def _nothing() -> None:
    """Nobody traces, so there is nothing to end."""
