"""Drift of the scored rows, performance as labels mature, a retraining decision, and the report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tidemill.cli import drifting, monitoring
from tidemill.cli.job import main
from tidemill.cli.models import scoring_versions
from tidemill.cli.plan import gold_builder, test_times
from tidemill.cli.result import OK, SKIPPED, Result
from tidemill.core.failpoints import failpoint
from tidemill.core.time import format_time
from tidemill.data import ledger
from tidemill.data.commit import derived_batch, ledgered
from tidemill.features.gold import commit_labels, commit_view, label_batches, view_batches
from tidemill.models.registry import Registry
from tidemill.models.tables import predictions_table
from tidemill.monitoring import drift
from tidemill.monitoring.tables import DRIFT, PERFORMANCE

if TYPE_CHECKING:
    from tidemill.cli.context import Context
    from tidemill.monitoring.performance import Realised


def run(context: Context) -> Result:
    """Judges what `score` wrote at T; what was judged before, on the same rows and labels, is not judged again."""
    use_case, lake = context.use_case, context.lake
    registry = Registry(context.root)
    versions = scoring_versions(context, registry, context.as_of)
    if not versions:
        return Result(SKIPPED, notes=("no model has scored yet: there is nothing to monitor",))
    role, version = versions[0]
    times = test_times(context)
    _hindsight(context)
    facts = {"use_case": use_case.name, "as_of": format_time(context.as_of), "model": version.version, **context.again}
    scored = [e for e in ledger.entries(context.root, predictions_table(use_case).label) if _is(e, facts)]
    moved = derived_batch(DRIFT, {**facts, "predictions": [e.batch_id for e in scored]})
    gold = [b for view in use_case.views for b in view_batches(lake, view, times)]
    labels = label_batches(lake, use_case.name, use_case.label, times)
    done = derived_batch(PERFORMANCE, {**facts, "gold": gold, "labels": labels})
    if ledgered(lake, DRIFT, moved) is not None and (not times or ledgered(lake, PERFORMANCE, done) is not None):
        return Result(SKIPPED)
    card = registry.document(version, "card.json")
    found = drifting.find_drift(context, version, card, [e.batch_id for e in scored])
    verdict = drift.decide(found, context.config.monitor)
    realised = monitoring.realise(context, registry, version, card, times) if times else None
    expected = monitoring.expect(context, version, card, [e.batch_id for e in scored])
    decision = monitoring.retraining(context, card, verdict, realised)
    population = sum(e.rows for e in scored)
    report = monitoring.write_report(
        context, role, version, card, found, verdict, decision, realised, expected, population
    )
    failpoint("monitor.reported")
    drifting.commit_drift(context, moved, version, found)
    failpoint("monitor.between_tables")
    if realised is not None:
        monitoring.commit_performance(context, done, version, realised)
    told = {"retraining": f"{decision.action}: {'; '.join(decision.reasons)}", "next": monitoring.next_steps(context)}
    return Result(
        OK,
        {"features": len(found)},
        metrics=_metrics(realised, context),
        drift=verdict.verdict,
        report=report,
        facts=told,
    )


def _hindsight(context: Context) -> None:
    """Gold rows and labels of the hindsight times; nothing before this reads them."""
    times, builder = test_times(context), gold_builder(context)
    if times:
        for view in context.use_case.views:
            commit_view(builder, view, times)
        commit_labels(builder, context.use_case.name, context.use_case.label, times)
        failpoint("monitor.hindsight_built")


def _is(entry: ledger.Entry, facts: dict[str, Any]) -> bool:
    return entry.inputs["as_of"] == facts["as_of"] and entry.inputs["model"] == facts["model"]


def _metrics(realised: Realised | None, context: Context) -> dict[str, Any]:
    if realised is None:
        return {}
    last = test_times(context)[-1] + context.use_case.label.matures_after
    found = {
        f"test_{name}": realised.overall[name]
        for name in ("rows", "positive_rate", "roc_auc", "rmse", "mae")
        if name in realised.overall
    }
    return {**{k: v for k, v in found.items() if v is not None}, "test_matured_at": format_time(last)}


if __name__ == "__main__":
    main("monitor", run)
