"""Metrics for Prometheus: the one place that makes them. Jobs leave them as text files for a node exporter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Gauge, write_to_textfile

if TYPE_CHECKING:
    from collections.abc import Mapping
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


def _write(root: Path, name: str, registry: CollectorRegistry) -> None:
    folder = root / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    write_to_textfile(str(folder / f"{name}.prom"), registry)
