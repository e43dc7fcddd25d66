"""The order of the jobs, as data."""

from __future__ import annotations

# Each job reads what the ones before it wrote; monitor, last, is the only one to look beyond the as-of time.
ORDER = (
    "generate",
    "ingest",
    "refine",
    "build_features",
    "materialize",
    "audit",  # train needs it: it refuses rows whose audit has failed, and has them audited where nobody has
    "train",
    "promote",
    "score",
    "monitor",
)
OUTSIDE = ("maintain", "replay", "reproduce", "backtest")


def pipeline_steps(*, generated: bool) -> tuple[str, ...]:
    """The jobs of one pipeline run; a use case whose files are delivered has nothing to generate."""
    return ORDER if generated else ORDER[1:]
