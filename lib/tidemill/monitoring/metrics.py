"""Metrics for Prometheus: the one place that makes them. Jobs leave them in text files or at a Pushgateway."""

from __future__ import annotations

from dataclasses import dataclass
from http.client import HTTPException
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Gauge, push_to_gateway, write_to_textfile

from tidemill.core.config_section import from_environment
from tidemill.core.errors import Exit, TidemillError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime, timedelta
    from pathlib import Path

    from tidemill.core.config_monitor import Metrics

FOLDER = "metrics"


@dataclass(frozen=True)
class Group:
    """Metrics that take the place of those that were left under the same name.

    Args:
        name: of the text file, or the group's `job` at a Pushgateway.
        registry: the metrics.
    """

    name: str
    registry: CollectorRegistry


def leave(root: Path, settings: Metrics, group: Group) -> None:
    """Leaves metrics where Prometheus finds them: `<root>/metrics/<name>.prom`, or the Pushgateway where there is one.

    Raises:
        TidemillError: E_METRICS (unavailable) where they cannot be left.
    """
    folder = root / FOLDER
    try:
        if settings.pushgateway:
            push_to_gateway(
                from_environment(settings.pushgateway), group.name, group.registry, timeout=settings.timeout
            )
        else:
            folder.mkdir(parents=True, exist_ok=True)
            write_to_textfile(str(folder / f"{group.name}.prom"), group.registry)
    except (OSError, HTTPException, ValueError) as error:
        raise TidemillError(
            "E_METRICS",
            f"the metrics {group.name!r} could not be left: {error}",
            where="configuration key metrics.pushgateway" if settings.pushgateway else str(folder),
            next_step="see whether the place takes them; the next run leaves them again",
            exit_code=Exit.UNAVAILABLE,
        ) from error


def stream_metrics(source: str, counts: Mapping[str, int], delay: float | None) -> Group:
    """What a stream's newest batch was, as `stream_<source>`.

    Args:
        source: its name, the only label.
        counts: the balance of the batch: records.
        delay: seconds from when its oldest record was known to its commit in silver; None where it had no valid one.
    """
    registry = CollectorRegistry()
    records = Gauge(
        "tidemill_stream_batch_records",
        "Records of the newest batch of a stream, by what became of them.",
        ["source", "outcome"],
        registry=registry,
    )
    for outcome, number in counts.items():
        records.labels(source, outcome).set(number)
    if delay is not None:
        Gauge(
            "tidemill_stream_delay_seconds",
            "Time from when the oldest record of the newest batch was known until it was in silver.",
            ["source"],
            registry=registry,
        ).labels(source).set(delay)
    return Group(f"stream_{source}", registry)


def online_metrics(use_case: str, view: str, stamp: datetime, allowed: timedelta) -> Group:
    """What the online values of a view speak for, as `online_<use case>_<view>`.

    Args:
        use_case: a label.
        view: its name with its version, a label.
        stamp: the event time of its newest rows; their age is the time since then.
        allowed: the age that they reach where nothing is wrong.
    """
    registry = CollectorRegistry()
    for name, text, value in (
        (
            "time",
            "The time that the newest online values of a view speak for, seconds since the epoch.",
            stamp.timestamp(),
        ),
        ("allowed_age", "How old the newest online values get where nothing is wrong.", allowed.total_seconds()),
    ):
        made = Gauge(f"tidemill_online_value_{name}_seconds", text, ["use_case", "view"], registry=registry)
        made.labels(use_case, view).set(value)
    return Group(f"online_{use_case}_{view}", registry)


def parity_metrics(use_case: str, view: str, at: datetime, features: Sequence[tuple[int, int]], least: float) -> Group:
    """What the newest comparison of a view's online values with gold found, as `parity_<use case>_<view>`.

    Args:
        use_case: a label.
        view: its name with its version, a label.
        at: the as-of time that was compared.
        features: of each feature the entities that were compared, and those whose values were equal.
        least: the share of equal values that is asked of each feature.
    """
    registry = CollectorRegistry()
    shares = [1.0 if not compared else equal / compared for compared, equal in features]
    for name, text, value in (
        ("time_seconds", "The as-of time of the newest comparison of online values with gold.", at.timestamp()),
        ("compared_values", "Online values that were compared with gold.", sum(n for n, _ in features)),
        ("least_share", "Share of equal values, of the feature that has the least.", min(shares, default=1.0)),
        ("unequal_features", "Features with fewer equal values than are asked for.", sum(s < least for s in shares)),
    ):
        made = Gauge(f"tidemill_parity_{name}", text, ["use_case", "view"], registry=registry)
        made.labels(use_case, view).set(value)
    return Group(f"parity_{use_case}_{view}", registry)


def job_metrics(use_case: str, job: str, ended: datetime, seconds: float, code: int) -> Group:
    """How a job's last run ended, as `job_<use case>_<job>`.

    Args:
        use_case: a label.
        job: its name, or that of a chain of jobs; a label.
        ended: when.
        seconds: that it took.
        code: the exit code; 0 where it ended well.
    """
    registry, labels = CollectorRegistry(), ["use_case", "job_name"]
    for name, text, value in (
        ("end_time_seconds", "When a job's last run ended.", ended.timestamp()),
        ("duration_seconds", "Time that a job's last run took.", seconds),
        ("exit_code", "Exit code of a job's last run, 0 where it ended well.", code),
    ):
        Gauge(f"tidemill_job_{name}", text, labels, registry=registry).labels(use_case, job).set(value)
    return Group(f"job_{use_case}_{job}", registry)


def success_metrics(use_case: str, finished: datetime, every: timedelta) -> Group:
    """When the monitor job last ended well, whether or not it had to judge anything, as `success_<use case>`.

    Args:
        use_case: the label.
        finished: when.
        every: the longest time until it does so again.
    """
    registry = CollectorRegistry()
    for name, text, value in (
        ("last_success_time", "When the monitor job last ended well.", finished.timestamp()),
        ("period", "The longest time between two runs of the monitor job, by its schedule.", every.total_seconds()),
    ):
        made = Gauge(f"tidemill_monitor_{name}_seconds", text, ["use_case"], registry=registry)
        made.labels(use_case).set(value)
    return Group(f"success_{use_case}", registry)


@dataclass(frozen=True)
class MonitorGauges:
    """What a run of the monitor job leaves for Prometheus; labels are declared names, so that there are few.

    Args:
        as_of: that it judged.
        verdict: 0 ok, 1 warn, 2 alert, -1 insufficient.
        rows: scored.
        features: verdicts and indices by feature, as above; an index may be missing.
        metric: the primary one.
        performance: its values by `kind`: `realised`, `expected`, `promised`, `baseline`.
        alerts: number by severity.
        sources: watermarks by source.
        freshness: how long sources may lag behind, where something is agreed.
        fallen: verdicts on the realised metric by what it was held `against`; empty where nothing was.
    """

    as_of: datetime
    verdict: int
    rows: int
    features: Mapping[str, tuple[int, float | None]]
    metric: str
    performance: Mapping[str, float]
    alerts: Mapping[str, int]
    sources: Mapping[str, datetime]
    freshness: Mapping[str, timedelta]
    fallen: Mapping[str, int]


def monitor_metrics(use_case: str, found: MonitorGauges) -> Group:
    """What a run of the monitor job found, as `monitor_<use case>`."""
    registry = CollectorRegistry()

    def gauge(name: str, text: str, *labels: str) -> Callable[..., Gauge]:
        made = Gauge(f"tidemill_{name}", text, ["use_case", *labels], registry=registry)
        return lambda *values: made.labels(use_case, *values)

    gauge("monitor_as_of_time_seconds", "The as-of time that it judged.")().set(found.as_of.timestamp())
    gauge("scored_rows", "Rows that were scored at that time.")().set(found.rows)
    gauge("drift_verdict", "0 ok, 1 warn, 2 alert, -1 insufficient, over all features.")().set(found.verdict)
    verdict = gauge("feature_drift_verdict", "0 ok, 1 warn, 2 alert, -1 insufficient, of a feature.", "feature")
    index = gauge("feature_drift_index", "Population stability index against the training rows.", "feature")
    for feature, (number, psi) in found.features.items():
        verdict(feature).set(number)
        if psi is not None:
            index(feature).set(psi)
    text = "The primary metric: realised, expected before labels, promised by the gate, of the baseline."
    performance = gauge("performance", text, "metric", "kind")
    for kind, value in found.performance.items():
        performance(found.metric, kind).set(value)
    raised = gauge("alerts", "Alerts that the last run raised.", "severity")
    for severity, number in found.alerts.items():
        raised(severity).set(number)
    mark = gauge("source_watermark_time_seconds", "The time up to which a source is complete.", "source")
    for source, at in found.sources.items():
        mark(source).set(at.timestamp())
    agreed = gauge("source_freshness_seconds", "How long a source may lag behind by its contract.", "source")
    for source, lag in found.freshness.items():
        agreed(source).set(lag.total_seconds())
    text = "0 ok, 1 warn, 2 alert: whether the realised metric surely falls short of what it is held against."
    fallen = gauge("performance_verdict", text, "metric", "against")
    for against, number in found.fallen.items():
        fallen(found.metric, against).set(number)
    return Group(f"monitor_{use_case}", registry)
