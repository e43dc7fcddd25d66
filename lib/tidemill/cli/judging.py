"""What the monitor job judges: the scores of T, and whether they, with the labels matured since, were judged before."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyspark import StorageLevel

from tidemill.cli.days import judged_times
from tidemill.cli.models import scoring_versions
from tidemill.cli.plan import gold_builder, predictions_of, test_times
from tidemill.core.failpoints import failpoint
from tidemill.core.time import format_time
from tidemill.data.commit import derived_batch, ledgered
from tidemill.features.gold import commit_labels, commit_view, label_batches, view_batches
from tidemill.models.card import CARD
from tidemill.models.scoring import build_scoring_rows
from tidemill.monitoring.tables import DRIFT, PERFORMANCE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from pyspark.sql import DataFrame

    from tidemill.cli.context import Context
    from tidemill.data.write import Batch
    from tidemill.models.registry import Registry, Version


@dataclass(frozen=True)
class Scored:
    """What is judged in a run.

    Args:
        role, version, card: of the model that scored at T.
        times: whose labels have matured by now, T and after.
        batches: of the predictions.
        population: their rows.
        drift_batch, performance_batch: what the judgement will be kept as.
    """

    role: str
    version: Version
    card: dict[str, Any]
    times: tuple[datetime, ...]
    batches: tuple[str, ...]
    population: int
    drift_batch: Batch
    performance_batch: Batch

    @property
    def judged(self) -> dict[str, str]:
        """What tells this judgement from others: inputs of what is kept beside it."""
        return {"drift": self.drift_batch.batch_id, "performance": self.performance_batch.batch_id}


@contextmanager
def scored_rows(context: Context, scored: Scored) -> Iterator[DataFrame]:
    """The rows that were scored at the judged times, made when they are first asked for and then kept at hand."""
    times = judged_times(context, scored.version.version)
    rows = build_scoring_rows(gold_builder(context), context.use_case, times).frame.persist(StorageLevel.DISK_ONLY)
    try:
        yield rows
    finally:
        rows.unpersist()


def find_scored(context: Context, registry: Registry) -> Scored | None:
    """What `score` wrote at T, or None where no model has scored; first builds rows and labels of the hindsight times.

    Nothing before this reads those.
    """
    use_case, lake, times = context.use_case, context.lake, test_times(context)
    versions = scoring_versions(context, registry, context.as_of)
    if not versions:
        return None
    role, version = versions[0]
    if times:
        builder = gold_builder(context)
        for view in use_case.views:
            commit_view(builder, view, times)
        commit_labels(builder, use_case.name, use_case.label, times)
        failpoint("monitor.hindsight_built")
    facts = {"use_case": use_case.name, "as_of": format_time(context.as_of), "model": version.version, **context.again}
    stored = predictions_of(context, version.version).get(context.as_of)
    batches = () if stored is None else (stored.batch_id,)
    gold = [b for view in use_case.views for b in view_batches(lake, view, times)]
    labels = sorted(set(label_batches(lake, use_case.name, use_case.label, times).values()))
    return Scored(
        role,
        version,
        registry.document(version, CARD),
        times,
        batches,
        0 if stored is None else stored.rows,
        derived_batch(DRIFT, {**facts, "predictions": list(batches)}),
        derived_batch(PERFORMANCE, {**facts, "gold": gold, "labels": labels}),
    )


def was_judged(context: Context, scored: Scored) -> bool:
    """Whether the same rows and labels were judged before."""
    if ledgered(context.lake, DRIFT, scored.drift_batch) is None:
        return False
    return not scored.times or ledgered(context.lake, PERFORMANCE, scored.performance_batch) is not None
