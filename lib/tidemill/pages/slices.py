"""Realised performance by slices of the newest scores whose labels have matured."""

from dataclasses import dataclass

from tidemill.pages.numerals import count, metric, moment
from tidemill.pages.values import Metric


@dataclass(frozen=True, slots=True)
class SliceRow:
    """The rows of one value of a declared column.

    Attributes:
        column: The column; empty for all rows.
        value: Its value as text; None for rows without one.
        rows: Scored rows with a mature label.
        metric: The report's metric on them; None where they do not allow it.
        low: Lower end of its 95 % interval.
        high: Upper end of it.
    """

    column: str
    value: str | None
    rows: int
    metric: float | None
    low: float | None = None
    high: float | None = None

    @property
    def name(self) -> str:
        """The slice for people."""
        if not self.column:
            return "all rows"
        return f"{self.column} = {self.value}" if self.value is not None else f"{self.column} is missing"


@dataclass(frozen=True, slots=True)
class Slices:
    """The slices of the scores of one as-of time.

    Attributes:
        as_of: The as-of time of the scores.
        whole: All their rows.
        rows: The slices, as declared.
    """

    as_of: str
    whole: SliceRow
    rows: tuple[SliceRow, ...]


def slices_sentence(found: Slices, measure: Metric) -> str:
    """Tell which slices surely fare worse than all rows together.

    Args:
        found: At least one slice.
        measure: What their figures hold.
    """
    worse = [row.name for row in found.rows if _surely_worse(row, found.whole, measure)]
    told = f"The scores of {moment(found.as_of)} with a label, {count(found.whole.rows)} in all"
    than = f"than of all together ({metric(found.whole.metric)})"
    if not worse:
        return f"{told}: {measure.label} is surely worse {than} for no slice."
    return f"{told}: {measure.label} is surely worse {than} for {', '.join(worse)}."


def _surely_worse(row: SliceRow, whole: SliceRow, measure: Metric) -> bool:
    """Whether a slice's interval lies wholly on the bad side of what all rows have."""
    low, high = (row.high, whole.metric) if measure.higher_is_better else (whole.metric, row.low)
    return low is not None and high is not None and low < high
