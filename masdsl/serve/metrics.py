"""Figures of a service for Prometheus, in a registry of its own.

Labels are names of what is served, methods, statuses and reasons: their number does not depend on who calls, or how
often. Keys and runs are never labels.
"""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from masdsl.money import PICODOLLARS
from masdsl.serve.ledger import Usage

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
SECONDS: Final = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
"""Upper ends of the histogram of run times."""
REFUSALS: Final = ("budget", "rate", "at-once", "busy", "key", "inputs", "draining")
METHODS: Final = frozenset({"GET", "POST", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Metrics:
    """The figures of one service."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        flow = ("program", "flow")
        self._runs = Counter("mas_runs", "Runs that ended, by how.", (*flow, "status"), registry=self.registry)
        self._seconds = Histogram("mas_run_seconds", "Seconds of runs.", flow, registry=self.registry, buckets=SECONDS)
        self._calls = Counter("mas_calls", "Calls of models.", flow, registry=self.registry)
        self._tokens = Counter("mas_tokens", "Tokens of models.", (*flow, "direction"), registry=self.registry)
        self._usd = Counter("mas_usd", "What calls of models cost, in USD.", flow, registry=self.registry)
        self._in_flight = Gauge("mas_runs_in_flight", "Runs under way.", registry=self.registry)
        self._streams = Gauge("mas_event_streams", "Streams of events that are read.", registry=self.registry)
        self._refused = Counter(
            "mas_refused", "Requests for runs that were refused.", ("reason",), registry=self.registry
        )
        self._requests = Counter(
            "mas_http_requests", "Requests, by route.", ("method", "route", "status"), registry=self.registry
        )
        for reason in REFUSALS:
            self._refused.labels(reason)

    def began(self) -> None:
        """Count a run that begins, or goes on."""
        self._in_flight.inc()

    def ended(self, program: str, flow: str, status: str, took: Usage) -> None:
        """Count a run that has ended; `took` is what this attempt did."""
        self._in_flight.dec()
        self._runs.labels(program, flow, status).inc()
        self._seconds.labels(program, flow).observe(took.seconds)
        self._calls.labels(program, flow).inc(took.calls)
        self._tokens.labels(program, flow, "in").inc(took.tokens_in)
        self._tokens.labels(program, flow, "out").inc(took.tokens_out)
        self._usd.labels(program, flow).inc(took.picodollars / PICODOLLARS)

    def refused(self, reason: str) -> None:
        """Count a request that was refused; `reason` is one of `REFUSALS`."""
        self._refused.labels(reason).inc()

    def answered(self, method: str, route: str, status: int) -> None:
        """Count an answer; `route` is a template such as `/v1/runs/{id}`, empty for a path that is none."""
        self._requests.labels(method if method in METHODS else "other", route or "none", str(status)).inc()

    def stream_began(self) -> None:
        """Count a stream of events."""
        self._streams.inc()

    def stream_ended(self) -> None:
        """Count the end of one."""
        self._streams.dec()

    def text(self) -> bytes:
        """Return all figures as Prometheus reads them."""
        return generate_latest(self.registry)
