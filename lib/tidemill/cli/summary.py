"""The summary object of a run: what its steps say, put together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tidemill.cli.result import OK, SKIPPED, landed_balance
from tidemill.cli.tables import table_versions
from tidemill.core.runs import summaries
from tidemill.core.time import format_time

if TYPE_CHECKING:
    from tidemill.cli.context import Context
    from tidemill.cli.result import Step

PIPELINE = "pipeline"


def summary_of(context: Context, steps: list[Step], *, whole: bool) -> dict[str, Any]:
    """What a run says of itself when it has ended well.

    Args:
        context: of the run.
        steps: its jobs, in order.
        whole: whether these are all jobs of the pipeline: where all of them skip, the run that did the work speaks.
    """
    skipped = all(step.result.status == SKIPPED for step in steps)
    summary: dict[str, Any] = {
        "status": SKIPPED if skipped else OK,
        "steps": [step.as_json() for step in steps],
        "tables": table_versions(context),
        "counts": landed_balance(steps),
        "model": {},
        "metrics": {},
        "notes": [note for step in steps for note in step.result.notes],
        "facts": {},
    }
    if "as_of" in context.__dict__:
        summary["as_of"] = format_time(context.as_of)
    for step in steps:
        summary["model"] |= dict(step.result.model)
        summary["metrics"] |= dict(step.result.metrics)
        summary["facts"] |= dict(step.result.facts)
        summary |= {
            k: v for k, v in {"drift": step.result.drift, "report": step.result.report}.items() if v is not None
        }
    if skipped and whole:
        return _finished_before(context, summary)
    return summary


def _finished_before(context: Context, summary: dict[str, Any]) -> dict[str, Any]:
    """The fields of the run that did the work, with its `run_id`; steps, status and champion are those of this run."""
    for earlier in summaries(context.root):
        same = ("job", "use_case", "as_of")
        wanted = {"job": PIPELINE, "use_case": context.use_case.name, "as_of": summary.get("as_of")}
        if earlier.get("status") == OK and all(earlier.get(k) == wanted[k] for k in same):
            model = earlier.get("model", {}) | summary["model"]  # somebody may have approved or taken back since
            return {**earlier, "status": SKIPPED, "steps": summary["steps"], "model": model}
    return summary


def published(summary: dict[str, Any]) -> dict[str, Any]:
    """The documented fields; those that do not apply are left out."""
    kept = {k: v for k, v in summary.items() if k not in {"notes", "facts"}}
    return {k: v for k, v in kept.items() if v not in ({}, None)}
