"""How a score becomes a decision, as a use case declares it: by what errors cost, by capacity, or by F-beta."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from tidemill.core.errors import Exit, TidemillError
from tidemill.core.frozen import declared
from tidemill.stats.thresholds import Costs, by_capacity, by_cost, by_f_beta

if TYPE_CHECKING:
    from tidemill.stats.counted import Counted
    from tidemill.stats.thresholds import Threshold

PLATT, ISOTONIC, BEST = "platt", "isotonic", "best"
CALIBRATIONS = (PLATT, ISOTONIC, BEST)
THRESHOLD = 0.5  # of a binary task that declares no decision


@declared
@dataclass(frozen=True)
class ByCost:
    """The threshold at which a row costs least on average.

    Args:
        true_positive, false_positive, false_negative, true_negative: what each decision costs, in one unit; gains are
            negative. An error costs more than the right decision about the same row.
    """

    true_positive: float = 0.0
    false_positive: float = 1.0
    false_negative: float = 1.0
    true_negative: float = 0.0

    def __post_init__(self) -> None:
        if not all(math.isfinite(cost) for cost in asdict(self).values()):
            raise _refused("a cost is a finite number", "ByCost", "give what each decision costs, in one unit")
        if self.false_positive <= self.true_negative or self.false_negative <= self.true_positive:
            raise _refused(
                "an error costs no more than the right decision",
                "ByCost",
                "let false_positive cost more than true_negative, and false_negative more than true_positive",
            )

    def threshold(self, counted: Counted) -> Threshold:
        """The threshold of these rows; ValueError without any."""
        return by_cost(counted, Costs(**asdict(self)))


@declared
@dataclass(frozen=True)
class ByCapacity:
    """The least threshold at which no more than a share of the rows is decided positive.

    Args:
        share: of the rows that can be acted on, more than 0 and at most 1.
    """

    share: float

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise _refused(f"{self.share} is no share of the rows", "ByCapacity", "give a share: 0.1 for one in ten")

    def threshold(self, counted: Counted) -> Threshold:
        """The threshold of these rows; ValueError without any."""
        return by_capacity(counted, self.share)


@declared
@dataclass(frozen=True)
class ByFBeta:
    """The threshold of the highest F-beta.

    Args:
        beta: how many times more recall weighs than precision.
    """

    beta: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.beta < math.inf:
            raise _refused(f"beta is {self.beta}", "ByFBeta", "give a number above 0: 1 for F1, 2 for F2")

    def threshold(self, counted: Counted) -> Threshold:
        """The threshold of these rows; ValueError without any."""
        return by_f_beta(counted, self.beta)


Decision = ByCost | ByCapacity | ByFBeta


def _refused(what: str, kind: str, next_step: str) -> TidemillError:
    return TidemillError("E_DECISION", what, where=f"{kind}(...)", next_step=next_step, exit_code=Exit.CONFIGURATION)
