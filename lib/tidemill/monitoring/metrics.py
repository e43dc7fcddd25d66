"""Metrics for Prometheus: the one place that makes them. Jobs leave them as text files for a node exporter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Gauge, write_to_textfile

if TYPE_CHECKING:
    from collections.abc import Mapping
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
    folder = root / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    write_to_textfile(str(folder / f"stream_{source}.prom"), registry)
