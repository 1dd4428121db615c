"""What the service counts, for Prometheus."""

from __future__ import annotations

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class Metrics:
    """The counters of one service; other endpoints may register theirs in `registry`."""

    media_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._calls = Counter(
            "twoway_authority_calls",
            "Calls that were answered.",
            ("endpoint", "status"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "twoway_authority_call_seconds",
            "From the request's head to its answer.",
            ("endpoint",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._refused = Counter(
            "twoway_authority_refused",
            "Calls that were refused, or failed.",
            ("endpoint", "code"),
            registry=self.registry,
        )
        self.issued = Counter(
            "twoway_authority_issued", "Certificates that were issued.", ("endpoint",), registry=self.registry
        )
        self.ocsp_answers = Counter(
            "twoway_authority_ocsp_answers",
            "OCSP answers: signed for the question, or kept.",
            ("from",),
            registry=self.registry,
        )
        self.own_not_after = Gauge(
            "twoway_authority_own_certificate_not_after_seconds",
            "When the service's own certificate ends, since 1970.",
            registry=self.registry,
        )

        self.crl_next_update = Gauge(
            "twoway_authority_crl_next_update_seconds",
            "When a CRL that is handed out ends, since 1970.",
            ("issuer",),
            registry=self.registry,
        )

    def answered(self, endpoint: str, status: int, seconds: float) -> None:
        self._calls.labels(endpoint, str(status)).inc()
        self._seconds.labels(endpoint).observe(seconds)

    def refused(self, endpoint: str, code: str) -> None:
        self._refused.labels(endpoint, code).inc()

    def exposition(self) -> bytes:
        """Everything in Prometheus' text format."""
        return generate_latest(self.registry)
