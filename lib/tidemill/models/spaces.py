"""What a search goes through, and how: ranges of parameters, strategies and budgets. Values only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tidemill.core.errors import Exit, TidemillError, nearest
from tidemill.core.frozen import declared

GRID, RANDOM, BAYESIAN = "grid", "random", "bayesian"
STRATEGIES = (GRID, RANDOM, BAYESIAN)


@declared
@dataclass(frozen=True)
class Uniform:
    """A real parameter in `[low, high]`, equally likely anywhere; with `log`, its logarithm is."""

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        _check(self)


@declared
@dataclass(frozen=True)
class Whole:
    """A whole parameter from `low` to `high`, both of them among it; with `log`, its logarithm is equally likely."""

    low: int
    high: int
    log: bool = False

    def __post_init__(self) -> None:
        if not (isinstance(self.low, int) and isinstance(self.high, int)):
            raise refused("the ends of Whole are whole numbers", repr(self), "write Uniform where they are not")
        _check(self)


# The values that one parameter may take: a range, or some, of which each is equally likely.
Dimension = Uniform | Whole | tuple[Any, ...]


@declared
@dataclass(frozen=True)
class SearchBy:
    """How the parameters that models declare are searched, and for how long.

    Args:
        strategy: `grid` tries every combination; `random` draws each trial apart from the others; `bayesian` draws
            where trials before did well (the tree-structured Parzen estimator of Bergstra et al., 2011).
        trials: at most so many, those included that a run which was stopped has finished; None for no limit.
        minutes: no trials begin after so many; None for no limit. The grid has no budget, the others need one.
    """

    strategy: str = GRID
    trials: int | None = None
    minutes: float | None = None

    def __post_init__(self) -> None:
        if self.strategy not in STRATEGIES:
            raise refused(f"there is no strategy {self.strategy!r}", repr(self), nearest(self.strategy, STRATEGIES))
        budget = [value for value in (self.trials, self.minutes) if value is not None]
        if self.strategy == GRID and budget:
            raise refused("a grid is tried whole", repr(self), "leave out the budget, or search at random")
        if self.strategy != GRID and not budget:
            raise refused("the search has no end", repr(self), "give it a budget: trials, minutes, or both")
        if not all(value > 0 for value in budget):
            raise refused("the budget is empty", repr(self), "allow at least one trial")


EVERY = SearchBy()


def refused(what: str, where: str, next_step: str) -> TidemillError:
    """The error of a search that cannot be made: E_SEARCH (configuration)."""
    return TidemillError("E_SEARCH", what, where=where, next_step=next_step, exit_code=Exit.CONFIGURATION)


def _check(found: Uniform | Whole) -> None:
    least = 0.0 if found.log else float("-inf")
    if not least < found.low <= found.high < float("inf"):
        raise refused(
            "a range has a low end and a high one, both finite, and above 0 where it is logarithmic",
            repr(found),
            "correct its ends",
        )
