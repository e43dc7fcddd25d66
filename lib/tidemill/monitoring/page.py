"""The report's values from what a run found. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tidemill.core.time import format_time, from_micros
from tidemill.models.specs import BINARY, MULTICLASS, REGRESSION
from tidemill.monitoring.alerts import in_order
from tidemill.monitoring.shortfall import EXPECTED
from tidemill.pages import report
from tidemill.stats.bins import NUMBER
from tidemill.stats.curves import calibration_points, roc_points

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tidemill.monitoring.alerts import Alert
    from tidemill.monitoring.drift import Drift, Verdict
    from tidemill.monitoring.joint import Joint
    from tidemill.monitoring.retraining import Decision
    from tidemill.monitoring.shortfall import Shortfall
    from tidemill.pages.courses import Course
    from tidemill.pages.slices import Slices
    from tidemill.pages.sources import SourceRow
    from tidemill.stats.curves import ScoreBin
    from tidemill.stats.expected import Estimate
    from tidemill.stats.sketch import Sketch

_TASKS: dict[str, report.Task] = {REGRESSION: "regression", MULTICLASS: "multiclass"}
_CALIBRATION_GROUPS = 10
_PLACES = 20  # of a search, that a page has room for


@dataclass(frozen=True)
class Shown:
    """What is shown beside a run's own findings.

    Args:
        sources: how far each source reaches.
        courses: the drift of the weightiest features over time.
        slices: the realised performance of slices, or None.
        fallen: what realised performance surely falls short of.
    """

    sources: Sequence[SourceRow]
    courses: Sequence[Course]
    slices: Slices | None
    fallen: Sequence[Shortfall]


@dataclass(frozen=True)
class Findings:
    """Everything that one report shows.

    Args:
        use_case, as_of, run_id, generated: names and times as texts.
        card: of the model that scored.
        version, alias: of that model.
        drift, outputs, verdict, decision, alerts: what monitoring found; outputs are scores and labels.
        joint: the drift of all features together, where it was measured.
        points: hindsight by as-of time.
        track: of stored predictions, expected and realised, by as-of time.
        expected: of the newest scores, before their labels.
        gate: the histogram of the gate's scores by label; nothing where the task is not binary.
        promotion: the newest decision's row, or None.
        balance: counts of landed rows.
        reasons: rejected rows by reason.
        tables: version and rows by table.
        population: entities scored at T.
        shown: what is shown beside.
    """

    use_case: str
    as_of: str
    run_id: str
    generated: str
    card: Mapping[str, Any]
    version: str
    alias: str
    drift: Sequence[Drift]
    outputs: Sequence[Drift]
    joint: Joint | None
    verdict: Verdict
    decision: Decision
    alerts: Sequence[Alert]
    points: Sequence[Mapping[str, Any]]
    track: Sequence[report.TrackPoint]
    expected: Estimate
    gate: Sequence[ScoreBin]
    promotion: Mapping[str, Any] | None
    balance: Mapping[str, int]
    reasons: Mapping[str, int]
    tables: Mapping[str, Mapping[str, int]]
    population: int
    shown: Shown
    next_steps: tuple[str, ...] = field(default=())


def render(found: Findings) -> str:
    """The page as one HTML text."""
    card = found.card
    gate_time = format_time(from_micros(card["times"]["gate"][0]["start"]))
    model = f"{card['family']}: {_settings(card['parameters'], card.get('without', ()))}"
    return report.render_report(
        report.Report(
            title=f"{found.use_case} as of {found.as_of}",
            use_case=found.use_case,
            as_of=found.as_of,
            run_id=found.run_id,
            generated=found.generated,
            verdict=found.verdict.verdict,
            verdict_reason=found.verdict.reason,
            task=_TASKS.get(card["task"], "classification"),
            metric=report.METRICS[card["metric"]],
            facts=(
                report.Fact("scored", f"{found.population:,}"),
                report.Fact(found.alias, f"version {found.version}, {model}"),
                report.Fact("trained on", f"labels known by {card['trained_until']}"),
            ),
            retraining=report.Decision(found.decision.action, found.decision.reasons),
            alerts=tuple(a.line for a in in_order(found.alerts)),
            performance=tuple(_point(p) for p in found.points),
            expected=_expected(found.expected),
            track=tuple(found.track),
            fallen=tuple(one.text for one in found.shown.fallen),
            doubted=any(one.against == EXPECTED for one in found.shown.fallen),
            slices=found.shown.slices,
            evaluated_on=f"the gate rows, from {gate_time}",
            roc=(report.Curve(roc_points(found.gate), "gate fit"),) if card["task"] == BINARY else (),
            calibration=_calibration(found),
            candidates=_candidates(card),
            promotion=_promotion(found.promotion),
            drift=tuple(_drift(d) for d in found.drift),
            courses=tuple(found.shown.courses),
            joint="" if found.joint is None else found.joint.text,
            outputs=tuple(_drift(d) for d in found.outputs),
            drift_note="Reference: the rows the model was trained on; current: the population scored at this time.",
            balance=report.Balance(**found.balance, reasons=tuple(found.reasons.items())),
            sources=tuple(found.shown.sources),
            counts=tuple(report.Count(name, t["rows"], f"version {t['version']}") for name, t in found.tables.items()),
            versions=(
                report.Fact("training set", card["training_set_id"]),
                report.Fact("declaration", card["declaration"]),
            ),
            next_steps=found.next_steps,
        )
    )


def _calibration(found: Findings) -> tuple[report.CalibrationBin, ...]:
    """By groups of the gate's rows, or of several classes by the bins of the predicted one's probability."""
    if found.card["task"] != MULTICLASS:
        return tuple(report.CalibrationBin(*p) for p in calibration_points(found.gate, _CALIBRATION_GROUPS))
    return tuple(
        report.CalibrationBin(one["mean_score"], one["positive_rate"], one["rows"])
        for one in found.card["gate_metrics"]["calibration"]
        if one["rows"]
    )


def _point(point: Mapping[str, Any]) -> report.PerformancePoint:
    return report.PerformancePoint(
        as_of=format_time(from_micros(point["at"])),
        rows=point["rows"],
        metric=point["value"],
        baseline=point["baseline"],
        positive_rate=point["positive_rate"],
        low=None if point["interval"] is None else point["interval"].low,
        high=None if point["interval"] is None else point["interval"].high,
    )


def _expected(found: Estimate) -> report.Expected:
    value = found.value
    if value is None:
        return report.Expected(None, None, None, found.reason)
    return report.Expected(value.estimate, value.low, value.high, found.reason)


def _candidates(card: Mapping[str, Any]) -> tuple[report.Candidate, ...]:
    folds = card["baseline"]["folds"]
    baseline = report.Candidate(
        f"{card['baseline']['feature']} alone",
        "",
        sum(folds) / len(folds),
        card["baseline"]["gate_value"],
        baseline=True,
    )
    made = [
        report.Candidate(
            row["family"],
            _settings(row["parameters"], row.get("without", ())),
            row["fold_mean"],
            row["gate_value"],
            chosen=row["chosen"],
        )
        for row in card["candidates"]
        if row["gate_value"] is not None or row.get("place", 1) <= _PLACES
    ]
    return (*made, baseline)


def _settings(parameters: Mapping[str, Any], without: Sequence[str]) -> str:
    parts = [f"{name} {value}" for name, value in sorted(parameters.items())]
    return ", ".join([*parts, *(f"without {view}" for view in without)])


def _promotion(row: Mapping[str, Any] | None) -> report.Promotion | None:
    if row is None:
        return None
    return report.Promotion(
        row["decision"], tuple(row["reasons"]), row["champion_version"] or "none", row["challenger_version"]
    )


def _drift(found: Drift) -> report.DriftRow:
    reference, current = found.reference, found.current
    return report.DriftRow(
        feature=found.bins.column,
        metric_value=found.psi,
        verdict=found.verdict,
        reference_mean=_mean(found, reference),
        current_mean=_mean(found, current),
        null_share_reference=reference.nulls / reference.rows if reference.rows else None,
        null_share_current=current.nulls / current.rows if current.rows else None,
        bins=found.bins.labels,
        reference=() if reference.counts is None else tuple(reference.counts.astype(float).tolist()),
        current=() if current.counts is None else tuple(current.counts.astype(float).tolist()),
        reason=found.reason,
    )


def _mean(found: Drift, side: Sketch) -> float | None:
    return side.moments.mean if found.bins.kind == NUMBER and side.moments.rows else None
