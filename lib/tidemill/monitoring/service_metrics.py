"""What a service tells Prometheus of itself; labels come from closed sets, and no entity is among them."""

from __future__ import annotations

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_AGES = (60, 600, 3600, 6 * 3600, 86400, 2 * 86400, 7 * 86400, 30 * 86400)


class ServiceMetrics:
    """Counters of one service, in a registry of their own."""

    media_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "tidemill_requests",
            "Requests by use case and HTTP status.",
            ["use_case", "status"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "tidemill_request_seconds",
            "Seconds of a request for scores, from its whole body to its answer.",
            ["use_case"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._answers = Counter(
            "tidemill_answers",
            "Answers about entities, by their status.",
            ["use_case", "answer"],
            registry=self._registry,
        )
        self._ages = Histogram(
            "tidemill_answer_age_seconds",
            "Age of the oldest features of an answer.",
            ["use_case"],
            buckets=_AGES,
            registry=self._registry,
        )
        self._version = Gauge(
            "tidemill_model_version", "The version that answers.", ["use_case"], registry=self._registry
        )
        self._swaps = Counter(
            "tidemill_model_swaps",
            "New champions by whether they answer.",
            ["use_case", "outcome"],
            registry=self._registry,
        )
        self._refused = Gauge(
            "tidemill_model_refused",
            "1 while the newest champion is refused, and the version before it, or none, answers.",
            ["use_case"],
            registry=self._registry,
        )
        self._log = Counter(
            "tidemill_request_log_rows",
            "Answers for the request log by what became of them.",
            ["outcome"],
            registry=self._registry,
        )
        for outcome in ("written", "dropped"):  # what begins with its first count has not increased for Prometheus
            self._log.labels(outcome)

    def text(self) -> bytes:
        """All of it in Prometheus's text format."""
        return generate_latest(self._registry)

    def requested(self, use_case: str, status: int, seconds: float) -> None:
        """A request for scores was answered; the use case is one that is served, or the empty text."""
        self._requests.labels(use_case, str(status)).inc()
        self._seconds.labels(use_case).observe(seconds)

    def answered(self, use_case: str, status: str, age: float | None) -> None:
        """An entity was answered for."""
        self._answers.labels(use_case, status).inc()
        if age is not None:
            self._ages.labels(use_case).observe(age)

    def swapped(self, use_case: str, version: str) -> None:
        """A version began to answer."""
        self._version.labels(use_case).set(int(version))
        self._swaps.labels(use_case, "answers").inc()
        self.settled(use_case)

    def settled(self, use_case: str) -> None:
        """The newest champion answers."""
        self._refused.labels(use_case).set(0)

    def refused(self, use_case: str) -> None:
        """A new champion could not be loaded, or failed its check."""
        self._swaps.labels(use_case, "refused").inc()
        self._refused.labels(use_case).set(1)

    def logged(self, outcome: str, rows: int) -> None:
        """Answers were `written` to the request log, or `dropped` because it could not be written."""
        self._log.labels(outcome).inc(rows)
