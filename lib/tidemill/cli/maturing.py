"""Stored predictions whose labels have matured at T: which were not judged yet, what became of them, and the record."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyspark.sql import functions as F

from tidemill.cli.plan import gold_builder
from tidemill.cli.promoting import read_promotions
from tidemill.cli.track import of_each_time
from tidemill.core.time import format_time, parse_time
from tidemill.data import ledger
from tidemill.data.commit import commit, derived_batch, settle
from tidemill.data.read import read
from tidemill.data.schema import delta_schema
from tidemill.features.asof_choice import join_gold
from tidemill.features.gold import commit_labels, label_batches, read_labels
from tidemill.features.pairs import AS_OF
from tidemill.models.baseline import baseline_of
from tidemill.models.card import CARD, gate_interval, tells_of
from tidemill.models.decisions import THRESHOLD
from tidemill.models.promotion import champion_at
from tidemill.models.tables import judged_on, predictions_table
from tidemill.monitoring.matured import judge_scores
from tidemill.monitoring.tables import PERFORMANCE, REALISED

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from pyspark.sql import DataFrame

    from tidemill.cli.context import Context
    from tidemill.models.registry import Registry
    from tidemill.monitoring.matured import JudgedTime

_JUDGED = "realised"


@dataclass(frozen=True)
class Due:
    """A champion's predictions of one as-of time, whose labels have matured and which were not judged on them.

    Args:
        as_of: of the predictions.
        model: the version.
        predictions: their batch.
        labels: the batch of the labels.
    """

    as_of: str
    model: str
    predictions: str
    labels: str

    @property
    def at(self) -> datetime:
        """The as-of time of the predictions."""
        return parse_time(self.as_of)


def find_due(context: Context) -> tuple[Due, ...]:
    """What is to be judged at T, oldest first; labels that are missing or outdated are built first.

    A label is known at T where it had matured by the watermark that its sources had at T; it has seen nothing that was
    known later than its maturity. Late data make a new batch of labels, which is due again.
    """
    use_case, lake = context.use_case, context.lake
    settle(lake, PERFORMANCE)
    mark = context.watermark(use_case.label.sources, context.as_of)
    stored = {} if mark is None else _stored(context, mark - use_case.label.matures_after)
    times = sorted(at for at, _ in stored)
    commit_labels(gold_builder(context), use_case.name, use_case.label, times)
    labels = label_batches(lake, use_case.name, use_case.label, times)
    judged = set() if context.again else _judged(context)
    due = [Due(format_time(at), model, batch, labels[at]) for (at, model), batch in sorted(stored.items())]
    return tuple(d for d in due if d not in judged)


def judge_due(context: Context, registry: Registry, due: Sequence[Due]) -> list[dict[str, Any]]:
    """What became of the predictions, as rows of `ops.performance`: one pass a version, over all its times.

    Of a version that predicts what the use case no longer asks for there are none, and none of times that were judged
    before on the same entities, labels and scores: late data touch more batches than labels.

    Raises:
        TidemillError: E_LABEL_VALUE or E_SCORE_VALUE (data).
    """
    kept = {} if context.again else of_each_time(context, REALISED)
    before = {(row["event_timestamp"], row["model_version"]): row["judged_rows"] for row in kept.values()}
    rows = []
    for model in sorted({d.model for d in due}):
        mine = {d.at: d for d in due if d.model == model}
        context.progress.say(f"scores of version {model} at {len(mine)} as-of time(s), whose labels have matured")
        card = registry.document(registry.version(context.use_case.name, model), CARD)
        if not tells_of(card, context.use_case):
            context.progress.say(f"version {model} predicts another task or other classes: nothing to judge it by")
            continue
        for found in _judge(context, list(mine.values()), card):
            if before.get((found.at, model)) != found.digest:
                rows += _rows(context, mine[found.at], card, found)
    return rows


def commit_due(context: Context, due: Sequence[Due], rows: Sequence[dict[str, Any]]) -> None:
    """Keeps what became of the predictions, and on which labels they were judged; nothing where nothing was due."""
    if due:
        inputs = {"use_case": context.use_case.name, _JUDGED: [asdict(d) for d in due], **context.again}
        made = pa.Table.from_pylist(list(rows), schema=delta_schema(PERFORMANCE.columns))
        commit(context.lake, PERFORMANCE, derived_batch(PERFORMANCE, inputs), made)


def _stored(context: Context, until: datetime) -> dict[tuple[datetime, str], str]:
    """The newest batch of predictions of each as-of time up to a moment, by its champion."""
    use_case, promotions = context.use_case, read_promotions(context.lake)
    found = {}
    for entry in ledger.entries(context.root, predictions_table(use_case).label):
        at, model = parse_time(entry.inputs["as_of"]), entry.inputs["model"]
        if at <= until and model == champion_at(promotions, use_case.name, at):
            found[at, model] = entry.batch_id
    return found


def _judged(context: Context) -> set[Due]:
    return {
        Due(**one)
        for entry in ledger.entries(context.root, PERFORMANCE.label)
        if entry.inputs["use_case"] == context.use_case.name
        for one in entry.inputs.get(_JUDGED, ())
    }


def _judge(context: Context, due: Sequence[Due], card: dict[str, Any]) -> list[JudgedTime]:
    use_case, lake, times = context.use_case, context.lake, [d.at for d in due]
    scores = read(context.spark, lake, predictions_table(use_case))
    scores = scores.where(F.col("batch_id").isin([d.predictions for d in due]))
    scores = scores.select(use_case.entity.key, AS_OF, judged_on(use_case.task))
    labels = read_labels(context.spark, lake, use_case.name, use_case.label, times)
    rows = labels.join(scores, [use_case.entity.key, AS_OF])
    alone = baseline_of(card)
    baseline = alone if alone.feature in {f.name for f in use_case.features} else None
    rows = _with_features(context, rows, times, {*use_case.slices, *([] if baseline is None else [baseline.feature])})
    threshold = THRESHOLD if card["threshold"] is None else card["threshold"]
    return judge_scores(rows, use_case, baseline, threshold, context.config.monitor.minimum_rows)


def _with_features(context: Context, rows: DataFrame, times: Sequence[datetime], names: set[str]) -> DataFrame:
    """The rows with some features as they stood at the as-of times, from the views that have them."""
    views = [v for v in context.use_case.views if names & {f.name for f in v.columns}]
    joined = join_gold(context.lake, rows, views, times).frame if views else rows
    return joined.select(*rows.columns, *sorted(names))


def _rows(context: Context, due: Due, card: dict[str, Any], found: JudgedTime) -> list[dict[str, Any]]:
    gate = gate_interval(card)
    facts = {
        "use_case": context.use_case.name,
        "as_of": context.as_of,
        "event_timestamp": found.at,
        "model_version": due.model,
        "matured_at": found.at + context.use_case.label.matures_after,
        "kind": REALISED,
        "promised": card["gate_value"],
        "promised_low": None if gate is None else gate.low,
        "promised_high": None if gate is None else gate.high,
        "predictions_batch": due.predictions,
        "judged_rows": found.digest,
        "judged_at": context.now,
    }
    return [
        {
            **facts,
            "rows": one.rows,
            "positive_rate": one.positive_rate,
            "metric": one.metric,
            "value": one.value,
            "baseline": one.baseline,
            "low": one.low,
            "high": one.high,
            "slice": one.column,
            "slice_value": one.value_of,
        }
        for one in found.outcomes
    ]
