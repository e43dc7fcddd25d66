"""The report of a run: one page that a data scientist, an operator and an auditor can read without any service."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from tidemill.pages import svg, wording
from tidemill.pages.courses import Course, courses_chart, courses_sentence
from tidemill.pages.page import render_page
from tidemill.pages.slices import Slices, slices_sentence
from tidemill.pages.sources import SourceRow, sources_sentence
from tidemill.pages.times import line, places_of, time_ticks
from tidemill.pages.track import TrackPoint, track_chart, track_sentence
from tidemill.pages.values import (
    METRICS,
    RMSE,
    ROC_AUC,
    Balance,
    CalibrationBin,
    Candidate,
    Count,
    Curve,
    Decision,
    DriftRow,
    Expected,
    Fact,
    Metric,
    PerformancePoint,
    Promotion,
    Task,
    Verdict,
    check_verdict,
)

__all__ = [
    "METRICS",
    "RMSE",
    "ROC_AUC",
    "Balance",
    "CalibrationBin",
    "Candidate",
    "Count",
    "Curve",
    "Decision",
    "DriftRow",
    "Expected",
    "Fact",
    "Metric",
    "PerformancePoint",
    "Promotion",
    "Report",
    "Task",
    "TrackPoint",
    "Verdict",
    "render_report",
]

_WORST = 12  # features that are charted and shown at once; the others fold away, so that the page stays small
_NEWEST = 12  # as-of times whose realised performance is shown at once
_SEVERITY: Final[dict[Verdict, int]] = {"alert": 0, "warn": 1, "insufficient": 2, "ok": 3}


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One run of one use case at one as-of time, as the page tells it. Sections without values say so in a sentence.

    Attributes:
        title: Heading of the page.
        use_case: Name of the use case.
        as_of: The moment the run speaks for.
        run_id: The run that wrote the page.
        generated: When it was written.
        verdict: The worst of what was found, or ``insufficient`` where too little was.
        verdict_reason: One sentence.
        advice: What to do now, one sentence; empty for the usual one of the verdict.
        task: Classification, which is of two classes, has ROC and calibration sections; multiclass has the calibration
            of the predicted class; regression has neither.
        metric: The measure of all candidates and performance points.
        facts: Population and model.
        retraining: The explained retraining decision, None where none was taken.
        alerts: What people are told of this run, a sentence each, worst first.
        performance: Hindsight, one point per as-of time, in any order.
        expected: What the newest scores let one expect, None where nothing was estimated.
        track: Stored predictions, expected and realised, one point per as-of time, in any order.
        fallen: What the newest scores with matured labels surely fall short of, a sentence each.
        doubted: Whether what is expected is not to be relied on, since earlier scores fell surely short of that.
        slices: The realised performance of slices, None where there is none.
        evaluated_on: Which rows `roc` and `calibration` were measured on, such as ``the gate rows of 2011-10-01``.
        roc: (false positive rate, true positive rate) of one or more models.
        calibration: Bins of the champion's scores.
        candidates: The models that were tried.
        promotion: What the gate decided, None where nothing was trained.
        drift: One row per feature, in any order.
        outputs: The same of what comes out: scores and matured labels.
        courses: The drift of the weightiest features over time, the weightiest first.
        joint: How well scored rows can be told from training rows by all features, a sentence; may be empty.
        drift_metric: Name of the measure in `DriftRow.metric_value`.
        drift_note: What was compared with what and where the thresholds lie.
        balance: What became of the landed rows.
        sources: How far each source reaches.
        counts: Rows per table.
        versions: Lineage: tables, models, code, settings.
        next_steps: Commands, in order.

    Raises:
        ValueError: The verdict is unknown.
    """

    title: str
    use_case: str
    as_of: str
    run_id: str
    generated: str
    verdict: Verdict
    verdict_reason: str
    advice: str = ""
    task: Task = "classification"
    metric: Metric = ROC_AUC
    facts: tuple[Fact, ...] = ()
    retraining: Decision | None = None
    alerts: tuple[str, ...] = ()
    performance: tuple[PerformancePoint, ...] = ()
    expected: Expected | None = None
    track: tuple[TrackPoint, ...] = ()
    fallen: tuple[str, ...] = ()
    doubted: bool = False
    slices: Slices | None = None
    evaluated_on: str = ""
    roc: tuple[Curve, ...] = ()
    calibration: tuple[CalibrationBin, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    promotion: Promotion | None = None
    drift: tuple[DriftRow, ...] = ()
    outputs: tuple[DriftRow, ...] = ()
    courses: tuple[Course, ...] = ()
    joint: str = ""
    drift_metric: str = "PSI"
    drift_note: str = ""
    balance: Balance | None = None
    sources: tuple[SourceRow, ...] = ()
    counts: tuple[Count, ...] = ()
    versions: tuple[Fact, ...] = ()
    next_steps: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_verdict(self.verdict, f"report of {self.use_case}")


def render_report(report: Report) -> str:
    """Write the page of a report.

    Args:
        report: All that the page tells.

    Returns:
        One self-contained HTML file as a string: no script, nothing fetched, every value escaped.
    """
    performance = sorted(report.performance, key=lambda point: point.as_of)
    track = sorted(report.track, key=lambda point: point.as_of)
    drift = sorted(report.drift, key=_severity)
    return render_page(
        "report.html.j2",
        report=report,
        words=wording.VERDICT_WORDS,
        advice=report.advice or wording.advice(report.verdict),
        performance=performance[-_NEWEST:],
        earlier=performance[:-_NEWEST],
        performance_sentence=wording.performance_sentence(performance, report.metric),
        expected_sentence=wording.expected_sentence(report.expected, report.metric) if report.expected else "",
        track=track[-_NEWEST:],
        earlier_track=track[:-_NEWEST],
        track_sentence=track_sentence(track, report.metric),
        track_chart=track_chart(track, report.metric),
        performance_chart=_performance_chart(performance, report.metric),
        roc_chart=_roc_chart(report.roc),
        calibration_chart=svg.calibration_chart(report.calibration, title="Predicted and observed"),
        candidates_sentence=wording.candidates_sentence(report.candidates, report.metric),
        worst=drift[:_WORST],
        others=drift[_WORST:],
        output_charts=[(row, _drift_chart(row)) for row in report.outputs if row.bins],
        drift_sentence=wording.drift_sentence(drift),
        courses_chart=courses_chart(report.courses, report.drift_metric),
        courses_sentence=courses_sentence(report.courses),
        slices_sentence=slices_sentence(report.slices, report.metric) if report.slices else "",
        sources_sentence=sources_sentence(report.sources),
        drift_charts=[(row, _drift_chart(row)) for row in drift[:_WORST] if row.bins],
        balance_sentence=wording.balance_sentence(report.balance) if report.balance else "",
        reasons=sorted(report.balance.reasons, key=lambda pair: (-pair[1], pair[0])) if report.balance else [],
    )


def _severity(row: DriftRow) -> tuple[int, float, str]:
    value = row.metric_value
    return _SEVERITY[row.verdict], math.inf if value is None or math.isnan(value) else -value, row.feature


def _performance_chart(points: Sequence[PerformancePoint], measure: Metric) -> Markup:
    if sum(1 for point in points if wording.known(point.metric)) < 2:
        return Markup()
    times = [point.as_of for point in points]
    places = places_of(times)
    curves = [Curve(line(places, [point.metric for point in points]), "champion")]
    if any(wording.known(point.baseline) for point in points):
        curves.append(Curve(line(places, [point.baseline for point in points]), "baseline"))
    better = "higher is better" if measure.higher_is_better else "lower is better"
    return svg.line_chart(
        curves,
        title=f"{measure.label} over as-of times",
        x_label="as-of time",
        y_label=f"{measure.label} ({better})",
        x_ticks=time_ticks(places, times),
    )


def _roc_chart(curves: tuple[Curve, ...]) -> Markup:
    return svg.line_chart(
        curves, title="ROC curve", x_label="false positive rate", y_label="true positive rate", unit_square=True
    )


def _drift_chart(row: DriftRow) -> Markup:
    return svg.bar_pairs(row.bins, row.reference, row.current, title=f"Spread of {row.feature}", x_label="bin")
