"""Metrics for Prometheus: the one place that makes them. Jobs leave them as text files for a node exporter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Gauge, write_to_textfile

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from pathlib import Path

FOLDER = "metrics"


def write_stream_metrics(root: Path, source: str, counts: Mapping[str, int], delay: float | None) -> None:
    """Writes what a stream's newest batch was, as `<root>/metrics/stream_<source>.prom`.

    Args:
        root: the local state folder.
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
    _write(root, f"stream_{source}", registry)


def write_online_metrics(root: Path, use_case: str, view: str, stamp: datetime) -> None:
    """Writes what the online values of a view speak for, as `<root>/metrics/online_<use case>_<view>.prom`.

    Args:
        root: the local state folder.
        use_case: a label.
        view: its name with its version, a label.
        stamp: the event time of its newest rows; their age is the time since then.
    """
    registry = CollectorRegistry()
    Gauge(
        "tidemill_online_value_time_seconds",
        "The time that the newest online values of a view speak for, seconds since the epoch.",
        ["use_case", "view"],
        registry=registry,
    ).labels(use_case, view).set(stamp.timestamp())
    _write(root, f"online_{use_case}_{view}", registry)


@dataclass(frozen=True)
class MonitorGauges:
    """What a run of the monitor job leaves for Prometheus; labels are declared names, so that there are few.

    Args:
        finished: when the job ended.
        as_of: that it judged.
        verdict: 0 ok, 1 warn, 2 alert, -1 insufficient.
        rows: scored.
        features: verdicts and indices by feature, as above; an index may be missing.
        metric: the primary one.
        performance: its values by `kind`: `realised`, `expected`, `promised`, `baseline`.
        alerts: number by severity.
        sources: watermarks by source.
    """

    finished: datetime
    as_of: datetime
    verdict: int
    rows: int
    features: Mapping[str, tuple[int, float | None]]
    metric: str
    performance: Mapping[str, float]
    alerts: Mapping[str, int]
    sources: Mapping[str, datetime]


def write_monitor_metrics(root: Path, use_case: str, found: MonitorGauges) -> None:
    """Writes what a run of the monitor job found, as `<root>/metrics/monitor_<use case>.prom`."""
    registry = CollectorRegistry()

    def gauge(name: str, text: str, *labels: str) -> Callable[..., Gauge]:
        made = Gauge(f"tidemill_{name}", text, ["use_case", *labels], registry=registry)
        return lambda *values: made.labels(use_case, *values)

    gauge("monitor_last_success_time_seconds", "When the monitor job last ended well.")().set(
        found.finished.timestamp()
    )
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
    _write(root, f"monitor_{use_case}", registry)


def _write(root: Path, name: str, registry: CollectorRegistry) -> None:
    folder = root / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    write_to_textfile(str(folder / f"{name}.prom"), registry)
