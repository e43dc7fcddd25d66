"""The parts of the monitor job: performance, realised and expected, and the page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyspark.sql import functions as F

from tidemill.cli.plan import gold_builder, test_times
from tidemill.cli.promoting import read_promotions
from tidemill.cli.tables import table_versions
from tidemill.core.runs import REPORT, run_folder, write_text
from tidemill.core.time import format_time, length_micros
from tidemill.data import ledger
from tidemill.data.balance import add_balances, end_to_end
from tidemill.data.commit import commit, derived_batch
from tidemill.data.read import read
from tidemill.data.schema import delta_schema
from tidemill.data.tables import quarantine_table
from tidemill.models.baseline import baseline_of
from tidemill.models.card import tells_of
from tidemill.models.specs import BINARY
from tidemill.models.tables import gate_scores_table, predictions_table
from tidemill.monitoring.estimation import estimate
from tidemill.monitoring.page import Findings, Shown, render
from tidemill.monitoring.performance import Realised, evaluate, score_bins
from tidemill.monitoring.tables import EXPECTED, HINDSIGHT, PERFORMANCE
from tidemill.stats.expected import Estimate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidemill.cli.context import Context
    from tidemill.cli.drifting import Moved
    from tidemill.cli.judging import Scored
    from tidemill.models.registry import Registry
    from tidemill.monitoring import drift
    from tidemill.monitoring.alerts import Alert
    from tidemill.monitoring.retraining import Decision
    from tidemill.pages.track import TrackPoint


def hindsight_metrics(context: Context, realised: Realised | None) -> dict[str, Any]:
    """The summary's metrics of the hindsight times; nothing where no label has matured."""
    if realised is None:
        return {}
    last = test_times(context)[-1] + context.use_case.label.matures_after
    found = {
        f"test_{name}": realised.overall[name]
        for name in ("rows", "positive_rate", "roc_auc", "log_loss", "accuracy", "rmse", "mae")
        if name in realised.overall
    }
    return {**{k: v for k, v in found.items() if v is not None}, "test_matured_at": format_time(last)}


def realise(context: Context, registry: Registry, scored: Scored) -> Realised | None:
    """Scores the hindsight times with the version and judges the scores; None where no label has matured."""
    card, times = scored.card, scored.times
    if not times or not tells_of(card, context.use_case):
        return None
    context.progress.say(f"hindsight over {len(times)} as-of time(s)")
    baseline = baseline_of(card)
    return evaluate(gold_builder(context), context.use_case, registry.load(scored.version), baseline, times)


def commit_hindsight(context: Context, scored: Scored, found: Realised) -> None:
    """Keeps the performance at each hindsight time."""
    use_case = context.use_case
    facts = {
        "use_case": use_case.name,
        "as_of": context.as_of,
        "model_version": scored.version.version,
        "metric": use_case.metric,
    }
    rows = [
        {
            **facts,
            "event_timestamp": p["at"],
            "rows": p["rows"],
            "positive_rate": p["positive_rate"],
            "value": p["value"],
            "baseline": p["baseline"],
            "matured_at": p["at"] + length_micros(use_case.label.matures_after),
            "kind": HINDSIGHT,
            "judged_at": context.now,
            "low": None if p["interval"] is None else p["interval"].low,
            "high": None if p["interval"] is None else p["interval"].high,
        }
        for p in found.by_time
    ]
    made = pa.Table.from_pylist(rows, schema=delta_schema(PERFORMANCE.columns))
    commit(context.lake, PERFORMANCE, scored.performance_batch, made)


def expect(context: Context, scored: Scored) -> Estimate:
    """The primary metric to expect of what was scored at T, before its labels are there; kept beside realised ones."""
    use_case, lake = context.use_case, context.lake
    inputs = {"use_case": use_case.name, "as_of": format_time(context.as_of), "expected_of": list(scored.batches)}
    batch = derived_batch(PERFORMANCE, {**inputs, **context.again})
    known = read(context.spark, lake, gate_scores_table(use_case))
    known = known.where(F.col("training_set_id") == scored.card["training_set_id"])
    rows = read(context.spark, lake, predictions_table(use_case)).where(F.col("batch_id").isin(list(scored.batches)))
    if tells_of(scored.card, use_case):
        found = estimate(known, rows, use_case.task, scored.card["gate_value"])
    else:
        found = Estimate(None, "refused: the model predicts another task or other classes than the use case asks for")
    row = {
        "use_case": use_case.name,
        "as_of": context.as_of,
        "event_timestamp": context.as_of,
        "model_version": scored.version.version,
        "metric": use_case.metric,
        "value": None if found.value is None else found.value.estimate,
        "low": None if found.value is None else found.value.low,
        "high": None if found.value is None else found.value.high,
        "kind": EXPECTED,
        "promised": scored.card["gate_value"],
        "judged_at": context.now,
        "reason": found.reason,
    }
    commit(lake, PERFORMANCE, batch, pa.Table.from_pylist([row], schema=delta_schema(PERFORMANCE.columns)))
    return found


def write_report(
    context: Context,
    scored: Scored,
    moved: Moved,
    verdict: drift.Verdict,
    decision: Decision,
    raised: Sequence[Alert],
    realised: Realised | None,
    expected: Estimate,
    track: Sequence[TrackPoint],
    shown: Shown,
) -> str:
    """Writes the run's page; returns its absolute path."""
    use_case, lake, card = context.use_case, context.lake, scored.card
    gate = []
    if card["task"] == BINARY:
        scores = read(context.spark, lake, gate_scores_table(use_case))
        gate = score_bins(scores.where(F.col("training_set_id") == card["training_set_id"]))
    decided = [
        p for p in read_promotions(context.lake) if p["use_case"] == use_case.name and p["as_of"] <= context.as_of
    ]
    page = render(
        Findings(
            use_case=use_case.name,
            as_of=format_time(context.as_of),
            run_id=lake.run_id,
            generated=format_time(context.now.replace(microsecond=0)),
            card=card,
            version=scored.version.version,
            alias=scored.role,
            drift=moved.features,
            outputs=moved.outputs,
            joint=moved.joint,
            verdict=verdict,
            decision=decision,
            alerts=raised,
            points=() if realised is None else realised.by_time,
            track=track,
            expected=expected,
            gate=gate,
            promotion=max(decided, key=lambda p: p["decided_at"], default=None),
            balance=_balance(context),
            reasons=_reasons(context),
            tables=table_versions(context),
            population=scored.population,
            shown=shown,
            next_steps=next_steps(context),
        )
    )
    path = run_folder(context.root, lake.run_id) / REPORT
    write_text(path, page)
    return str(path)


def next_steps(context: Context) -> tuple[str, ...]:
    """Commands that a reader may want to try."""
    name = context.use_case.name
    return (f"./tidemill lookup {name} KEY", f"./tidemill promotions {name}", "./tidemill ui")


def _balance(context: Context) -> dict[str, int]:
    found = []
    for source in context.use_case.sources:
        landed = ledger.entries(context.root, quarantine_table(source).label)
        found.append(end_to_end(landed, ledger.entries(context.root, context.silver(source).label)))
    return add_balances(found)


def _reasons(context: Context) -> dict[str, int]:
    found: dict[str, int] = {}
    for source in context.use_case.sources:
        for entry in ledger.entries(context.root, quarantine_table(source).label):
            for name, rows in entry.counts.items():
                if name.startswith("reason:"):
                    reason = f"{source.name} {name.removeprefix('reason:')}"
                    found[reason] = found.get(reason, 0) + rows
    return found
