"""How far each source reaches at the as-of time, beside how late its contract lets it be."""

from collections.abc import Sequence
from dataclasses import dataclass

from tidemill.pages.values import Verdict


@dataclass(frozen=True, slots=True)
class SourceRow:
    """One source at the as-of time.

    Attributes:
        source: ``layer.table``.
        until: The time up to which it is complete; None where it holds no row.
        behind: Hours from then to the as-of time; None where it holds no row.
        agreed: Hours that its contract allows; None where nothing is agreed.
    """

    source: str
    until: str | None
    behind: float | None
    agreed: float | None

    @property
    def verdict(self) -> Verdict:
        """An alert where it holds nothing, a warning where it is later than agreed."""
        if self.behind is None:
            return "ok" if self.agreed is None else "alert"
        return "warn" if self.agreed is not None and self.behind > self.agreed else "ok"


def sources_sentence(rows: Sequence[SourceRow]) -> str:
    """Tell which sources are late.

    Args:
        rows: One per source.
    """
    if not rows:
        return "Of no source it is known how far it reaches."
    late = [row for row in rows if row.verdict != "ok"]
    if not late:
        return "Every source reaches as far as its contract asks."
    return f"Later than agreed: {', '.join(row.source for row in late)}."
