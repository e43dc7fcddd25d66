"""Drift of the scored rows, performance as labels mature, alerts, a retraining decision, and the report."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tidemill.cli import (
    alerting,
    drifting,
    indexing,
    jointly,
    judging,
    maturing,
    monitoring,
    outputs,
    retraining,
    showing,
    source_drift,
    telling,
    track,
)
from tidemill.cli.exporting import leave_success
from tidemill.cli.gauges import write_gauges
from tidemill.cli.job import main
from tidemill.cli.result import OK, SKIPPED, Result
from tidemill.core.failpoints import failpoint
from tidemill.monitoring import drift
from tidemill.monitoring.estimation import effect_of
from tidemill.monitoring.shortfall import find_shortfalls

if TYPE_CHECKING:
    from tidemill.cli.context import Context


def run(context: Context) -> Result:
    """Judges what `score` wrote at T, and what it wrote earlier whose labels have matured; nothing twice."""
    done = _judge(context)
    leave_success(context)  # a run that had nothing to do is one, too
    return done


def _judge(context: Context) -> Result:
    registry = context.registry
    scored = judging.find_scored(context, registry)
    if scored is None:
        said = telling.tell_again(context, alerting.standing(context))
        return Result(SKIPPED, notes=("no model has scored yet: there is nothing to monitor", *said))
    due = maturing.find_due(context)
    if not due and judging.was_judged(context, scored):
        return Result(SKIPPED, notes=telling.tell_again(context, alerting.standing(context)))
    came_out = outputs.find_output_drift(context, scored)
    with judging.scored_rows(context, scored) as rows:
        together = jointly.find_joint_drift(context, scored, rows)
        moved = replace(drifting.find_drift(context, scored, rows), outputs=came_out, joint=together)
    moved = replace(moved, sources=source_drift.find_source_drift(context))
    found, expected = moved.features, monitoring.expect(context, scored)
    effect = effect_of(context.use_case.metric, scored.card["gate_value"], expected)
    verdict = drift.decide(found, context.config.monitor, retraining.importance(scored.card), effect)
    realised = monitoring.realise(context, registry, scored)
    matured = maturing.judge_due(context, registry, due)
    known = track.known_performance(context, matured)
    decision = retraining.decide_retraining(context, registry, scored, found, verdict, known, expected)
    turned = track.turned_out(context, matured)
    fallen = find_shortfalls(context.use_case.metric, turned, context.config.monitor)
    raised = alerting.find_alerts(context, scored, moved, fallen)
    points = track.track_points(context, matured)
    shown = showing.find_shown(context, scored, found, fallen, matured)
    report = monitoring.write_report(
        context, scored, moved, verdict, decision, raised, realised, expected, points, shown
    )
    indexing.write_index(context, scored, report, found, verdict, decision, raised, points, expected)
    notes = telling.tell_and_keep(context, raised, {**scored.judged, "realised": known.judged_rows if known else ""})
    write_gauges(context, scored, found, verdict, raised, known, expected, turned, fallen)
    failpoint("monitor.reported")
    drifting.commit_drift(context, scored, moved)
    failpoint("monitor.between_tables")
    maturing.commit_due(context, due, matured)
    if realised is not None:
        monitoring.commit_hindsight(context, scored, realised)
    told = {"retraining": f"{decision.action}: {'; '.join(decision.reasons)}", "next": monitoring.next_steps(context)}
    return Result(
        OK,
        {"features": len(found), "alerts": len(raised), "matured": len(due)},
        metrics=monitoring.hindsight_metrics(context, realised),
        drift=verdict.verdict,
        report=report,
        notes=notes,
        facts=told,
    )


if __name__ == "__main__":
    main("monitor", run)
