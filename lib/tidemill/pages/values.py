"""What a report says, as frozen values: no frame, no path, no clock.

Times are strings as they are to be shown (ISO 8601, UTC, such as ``2011-11-01T00:00:00Z``). Missing numbers are None;
NaN is read as missing. Shares are in [0, 1].
"""

from dataclasses import dataclass
from typing import Final, Literal, get_args

Verdict = Literal["ok", "warn", "alert", "insufficient"]
Task = Literal["classification", "multiclass", "regression"]


@dataclass(frozen=True, slots=True)
class Metric:
    """The measure by which models are compared on this page.

    Attributes:
        label: Its name as people write it.
        higher_is_better: False for errors such as RMSE and losses.
    """

    label: str
    higher_is_better: bool


ROC_AUC = Metric("ROC AUC", higher_is_better=True)
RMSE = Metric("RMSE", higher_is_better=False)
LOG_LOSS = Metric("log loss", higher_is_better=False)
METRICS: Final = {"roc_auc": ROC_AUC, "rmse": RMSE, "log_loss": LOG_LOSS}


@dataclass(frozen=True, slots=True)
class Fact:
    """One line of facts or lineage: a name and its value, such as a table and its version."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Count:
    """Rows of one table after the run.

    Attributes:
        table: ``layer.table``.
        rows: All its rows.
        note: What is worth knowing about them; may be empty.
    """

    table: str
    rows: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class Balance:
    """What became of every landed row: ``read = accepted + quarantined + duplicates``.

    Attributes:
        read: Rows in the landed files.
        accepted: Rows that reached silver.
        quarantined: Rows set aside, each with a reason.
        duplicates: Rows already there.
        reasons: (reason, rows) of the quarantined rows.
    """

    read: int
    accepted: int
    quarantined: int
    duplicates: int
    reasons: tuple[tuple[str, int], ...] = ()

    @property
    def missing(self) -> int:
        """Rows read that no account explains; negative where more was accounted for than read."""
        return self.read - self.accepted - self.quarantined - self.duplicates


@dataclass(frozen=True, slots=True)
class Candidate:
    """One model that was tried; baselines are candidates too.

    Attributes:
        family: The kind of model.
        parameters: Its settings, in words.
        fold_metric: Mean of the report's metric over the selection folds.
        gate_metric: The report's metric on the gate rows, of the gate fit.
        chosen: Whether it became the challenger.
        baseline: Whether it is there only to be beaten.
    """

    family: str
    parameters: str
    fold_metric: float | None
    gate_metric: float | None
    chosen: bool = False
    baseline: bool = False


@dataclass(frozen=True, slots=True)
class Promotion:
    """What the promotion gate decided, and why.

    Attributes:
        decision: In words, such as ``promoted`` or ``champion kept``.
        reasons: One sentence per rule.
        champion: Name and version of the champion before the decision; empty where there was none.
        challenger: Name and version of the challenger.
    """

    decision: str
    reasons: tuple[str, ...]
    champion: str
    challenger: str


@dataclass(frozen=True, slots=True)
class Curve:
    """A line to draw.

    Attributes:
        points: (x, y) in drawing order; a point that is not finite leaves a gap.
        label: Its name in the legend.
    """

    points: tuple[tuple[float, float], ...]
    label: str


@dataclass(frozen=True, slots=True)
class CalibrationBin:
    """The scores of one bin against what happened.

    Attributes:
        mean_score: Mean predicted probability of its rows.
        observed: Share of its rows that turned out positive; of several classes, that were predicted right.
        rows: How many rows it holds.
    """

    mean_score: float
    observed: float
    rows: int


@dataclass(frozen=True, slots=True)
class DriftRow:
    """How one feature moved between the reference profile and the current rows.

    Attributes:
        feature: ``view.feature``, or the score itself.
        metric_value: The report's drift metric; None where it could not be computed.
        verdict: What the thresholds make of it.
        reference_mean: Mean at reference time, None for categories.
        current_mean: Mean of the current rows.
        null_share_reference: Share of missing values at reference time.
        null_share_current: Share of missing values now.
        bins: Labels of the bins, in order; empty where there is no histogram.
        reference: Rows or shares per bin at reference time; as long as `bins`.
        current: Rows or shares per bin now; as long as `bins`.
        reason: Why the verdict is what it is; may be empty.

    Raises:
        ValueError: `bins`, `reference` and `current` differ in length, or the verdict is unknown.
    """

    feature: str
    metric_value: float | None
    verdict: Verdict
    reference_mean: float | None = None
    current_mean: float | None = None
    null_share_reference: float | None = None
    null_share_current: float | None = None
    bins: tuple[str, ...] = ()
    reference: tuple[float, ...] = ()
    current: tuple[float, ...] = ()
    reason: str = ""

    def __post_init__(self) -> None:
        check_verdict(self.verdict, f"drift of {self.feature}")
        if not len(self.bins) == len(self.reference) == len(self.current):
            raise ValueError(
                f"drift of {self.feature}: {len(self.bins)} bins, {len(self.reference)} reference and "
                f"{len(self.current)} current values; give one value per bin on both sides"
            )


@dataclass(frozen=True, slots=True)
class PerformancePoint:
    """How the champion's scores of one as-of time turned out, once the labels had matured.

    Attributes:
        as_of: The as-of time of the scores.
        rows: Scored rows with a mature label.
        metric: The report's metric on them.
        baseline: The same metric of the baseline on the same rows.
        positive_rate: Share of positive labels; None where the task is not binary.
        low: Lower end of the metric's 95 % interval.
        high: Upper end of it.
    """

    as_of: str
    rows: int
    metric: float | None
    baseline: float | None = None
    positive_rate: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Expected:
    """What the newest scores themselves let one expect, before their labels are there.

    Attributes:
        metric: The report's metric; None where the estimate was refused.
        low: Lower end of its interval.
        high: Upper end of its interval.
        reason: What it rests on, or why it was refused.
    """

    metric: float | None
    low: float | None
    high: float | None
    reason: str


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether to retrain, and why."""

    action: Literal["none", "retrain", "retrain_and_promote"]
    reasons: tuple[str, ...] = ()


def check_verdict(verdict: str, where: str) -> None:
    """Refuse a verdict that the page has no word and no mark for.

    Args:
        verdict: What was given.
        where: What it was given for, for the message.

    Raises:
        ValueError: It is not one of `Verdict`.
    """
    if verdict not in get_args(Verdict):
        raise ValueError(f"{where}: no verdict {verdict!r}; use one of {', '.join(get_args(Verdict))}")
