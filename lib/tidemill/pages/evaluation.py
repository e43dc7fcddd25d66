"""The page of a training: how the model that was chosen does on the gate rows, in charts."""

import math
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from tidemill.pages import svg
from tidemill.pages.bars import small_bar
from tidemill.pages.page import render_page
from tidemill.pages.values import CalibrationBin, Curve

_MOST_INPUTS: Final = 30


@dataclass(frozen=True, slots=True)
class Figure:
    """A metric that is one number, with the ends of its interval; both None where it has none."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class TopRows:
    """The highest-scored rows.

    Attributes:
        share: Of all rows.
        false_positive_rate: Share of all negatives that are among them.
        recall: Share of all positives that are among them.
        precision: Share of positives among them.
        lift: Precision over the share of positives among all rows.
    """

    share: float
    false_positive_rate: float
    recall: float
    precision: float
    lift: float


@dataclass(frozen=True, slots=True)
class Decisions:
    """What was decided at a threshold, against what came true: numbers of rows."""

    threshold: float
    true_positives: int
    false_positives: int
    false_negatives: int
    true_negatives: int


@dataclass(frozen=True, slots=True)
class ClassRow:
    """The rows of one of several classes.

    Attributes:
        name: Of the class.
        rows: Whose label it is.
        decided: Of these, how many were decided for each class.
        precision: Share of its rows among those that were decided for it.
        recall: Share of its rows that were decided for it.
        f1: Harmonic mean of the two.
        roc_auc: Of its probability, against all other classes; None where a side has no row.
    """

    name: str
    rows: int
    decided: tuple[int, ...]
    precision: float
    recall: float
    f1: float
    roc_auc: float | None


@dataclass(frozen=True, slots=True)
class SliceRow:
    """The rows that have one value of a column; `value` is the metric, None where they are too few."""

    column: str
    name: str
    rows: int
    value: float | None


@dataclass(frozen=True, slots=True)
class Share:
    """One point of the learning curve: a share of the entities, its rows, and what a fit on them reached."""

    share: float
    entities: int
    rows: int
    value: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """One training of one use case.

    Attributes:
        use_case: Its name.
        as_of: Nothing that was known later was used.
        metric: Name of the measure.
        recipe: Family and parameters.
        figures: Every metric that is one number.
        drawn: How the intervals were made, in words; empty where there are none.
        top: The highest-scored rows, least first; empty where there are no classes.
        decisions: None where there are not two classes.
        classes: Where there are more.
        calibration: Bins of the scores.
        importance: Inputs and how much each moves the score, largest first.
        unit: Of the importance.
        slices: By column and value.
        learning: The learning curve, smallest share first; empty where none was asked for.
    """

    use_case: str
    as_of: str
    metric: str
    recipe: str
    figures: tuple[Figure, ...]
    drawn: str = ""
    top: tuple[TopRows, ...] = ()
    decisions: Decisions | None = None
    classes: tuple[ClassRow, ...] = ()
    calibration: tuple[CalibrationBin, ...] = ()
    importance: tuple[tuple[str, float], ...] = ()
    unit: str = ""
    slices: tuple[SliceRow, ...] = ()
    learning: tuple[Share, ...] = ()


def render_evaluation(found: Evaluation) -> str:
    """Write the page.

    Args:
        found: All that it tells.

    Returns:
        One self-contained HTML file as a string.
    """
    most = max((mean for _, mean in found.importance), default=0.0)
    return render_page(
        "evaluation.html.j2",
        found=found,
        charts=_charts(found),
        bars=[(name, mean, small_bar(mean, most, title=name)) for name, mean in found.importance[:_MOST_INPUTS]],
        learning=_learning(found) if found.learning else "",
    )


def _charts(found: Evaluation) -> list[Markup]:
    if not found.top:
        calibrated = svg.calibration_chart(found.calibration, title="Predicted and observed")
        return [calibrated] if found.classes else []
    roc = ((0.0, 0.0), *((one.false_positive_rate, one.recall) for one in found.top))
    gain = ((0.0, 0.0), *((one.share, one.recall) for one in found.top))
    recall = tuple((one.recall, one.precision) for one in found.top)
    lift = tuple((one.share, one.lift) for one in found.top)
    share = "share of rows, highest scores first"
    return [
        _line(roc, "ROC curve", "false positive rate", "true positive rate", unit_square=True),
        _line(recall, "Precision and recall", "recall", "precision"),
        svg.calibration_chart(found.calibration, title="Predicted and observed"),
        _line(lift, "Lift", share, "lift"),
        _line(gain, "Gain", share, "recall", unit_square=True),
    ]


def _learning(found: Evaluation) -> Markup:
    points = tuple((float(one.rows), math.nan if one.value is None else one.value) for one in found.learning)
    return _line(points, "Learning curve", "rows to learn from", f"{found.metric} on the gate rows")


def _line(
    points: tuple[tuple[float, float], ...], title: str, x_label: str, y_label: str, *, unit_square: bool = False
) -> Markup:
    curve = Curve(points, "the gate fit")
    return svg.line_chart([curve], title=title, x_label=x_label, y_label=y_label, unit_square=unit_square)
