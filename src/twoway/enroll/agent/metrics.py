"""What the agent counts, for Prometheus."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, Counter, Gauge, start_http_server

from twoway.credential import Credential
from twoway.enroll.agent.managed import Managed
from twoway.enroll.options import Address
from twoway.errors import UsageError


class AgentMetrics:
    """Gauges of every identity, and counters of what was done."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        of_each = ("directory",)
        self._ends = Gauge(
            "twoway_agent_not_after_seconds",
            "When the identity ends, since 1970.",
            of_each,
            registry=self.registry,
        )
        self._renewed = Gauge(
            "twoway_agent_renewed_seconds",
            "When it was renewed last, since 1970.",
            of_each,
            registry=self.registry,
        )
        self._failures = Gauge(
            "twoway_agent_failures",
            "Attempts that failed since one succeeded.",
            of_each,
            registry=self.registry,
        )
        self._hooks = Gauge(
            "twoway_agent_hooks_due", "1 while its users have not been told of the newest one.", of_each,
            registry=self.registry,
        )  # fmt: skip
        self.events = Counter("twoway_agent_events", "What happened.", ("event",), registry=self.registry)

    def observe(self, identities: Iterable[Managed]) -> None:
        for one in identities:
            label = str(one.directory)
            state, held = one.state, one.credential
            if isinstance(held, Credential):
                self._ends.labels(label).set(held.not_after.timestamp())
            if state.renewed_at is not None:
                self._renewed.labels(label).set(state.renewed_at.timestamp())
            self._failures.labels(label).set(state.failures)
            self._hooks.labels(label).set(state.hooks_due)


def serve_metrics(address: str, metrics: AgentMetrics) -> WSGIServer:
    """Answer Prometheus at HOST:PORT in a thread of its own; raises UsageError."""
    at = Address.parse(address)
    try:
        server, _ = start_http_server(at.port, at.host, registry=metrics.registry)
    except OSError as failure:
        raise UsageError(
            f"cannot listen on {address}: {failure.strerror}", "choose another address"
        ) from None
    return server


def utc_now() -> datetime:
    return datetime.now(UTC)
