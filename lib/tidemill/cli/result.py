"""What a job hands back, and the summary object that a run ends with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tidemill.cli.context import Context

    Job = tuple[str, Callable[[Context], "Result"]]  # its name, and what it does

OK, SKIPPED, FAILED = "ok", "skipped", "failed"


@dataclass(frozen=True)
class Result:
    """The outcome of one job.

    Args:
        status: `ok`, or `skipped` where everything was there already.
        counts: named counts of this step.
        model: `name`, `version` and `alias`, of jobs that know one.
        metrics: names as in the summary.
        drift: `ok`, `warn`, `alert` or `insufficient`.
        report: absolute path of the page.
        notes: sentences for the reader.
        facts: what the summary screen shows beside: features, candidates, decision.
    """

    status: str
    counts: Mapping[str, int] = field(default_factory=dict)
    model: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float | int | str] = field(default_factory=dict)
    drift: str | None = None
    report: str | None = None
    notes: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """A job that ran within a run."""

    job: str
    result: Result
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """The entry of `steps` in the summary."""
        return {
            "job": self.job,
            "status": self.result.status,
            "seconds": round(self.seconds, 3),
            "counts": dict(self.result.counts),
        }


def landed_balance(steps: list[Step]) -> dict[str, int]:
    """One balance a landed row, end to end: refine's, which ends what ingest began."""
    for step in steps:
        if step.job == "refine":
            return {k: step.result.counts[k] for k in ("read", "accepted", "quarantined", "duplicates")}
    for step in steps:
        if step.job == "ingest":
            return {k: step.result.counts[k] for k in ("read", "accepted", "quarantined", "duplicates")}
    return {}
