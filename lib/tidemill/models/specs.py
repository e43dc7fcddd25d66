"""Declarations of models and splits: values only, no Spark."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any

from tidemill.core.errors import Exit, TidemillError, nearest
from tidemill.core.frozen import LATER, declared

FAMILIES = ("logistic_regression", "linear_regression", "random_forest", "gbt", "xgboost")
TASKS = {"binary": "roc_auc", "regression": "rmse"}
SPLIT_BY = ("time", "entity", "random")
HIGHER_IS_BETTER = {"roc_auc": True, "rmse": False}


def better(metric: str, one: float, other: float) -> bool:
    """Whether the first value of a primary metric is strictly better than the second."""
    return one > other if HIGHER_IS_BETTER[metric] else one < other


@declared
@dataclass(frozen=True)
class ModelSpec:
    """One model family with fixed parameters and a grid.

    Args:
        family: one of `FAMILIES`.
        parameters: fixed, by the names of the family's own library.
        grid: parameter name to the values to try; every combination is one candidate.
    """

    family: str
    parameters: dict[str, Any] = field(default_factory=dict)
    grid: dict[str, tuple[Any, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.family not in FAMILIES:
            raise TidemillError(
                "E_FAMILY",
                f"there is no model family {self.family!r}",
                where=f"ModelSpec({self.family!r})",
                next_step=nearest(self.family, FAMILIES),
                exit_code=Exit.CONFIGURATION,
            )

    def candidates(self) -> tuple[dict[str, Any], ...]:
        """The parameter sets to try."""
        names = sorted(self.grid)
        combinations = itertools.product(*(self.grid[name] for name in names))
        return tuple({**self.parameters, **dict(zip(names, values, strict=True))} for values in combinations)


def LogisticRegression(*, grid: dict[str, tuple[Any, ...]] | None = None, **parameters: Any) -> ModelSpec:
    """Elastic-net logistic regression on standardised features (MLlib)."""
    return ModelSpec("logistic_regression", parameters, grid or {})


def LinearRegression(*, grid: dict[str, tuple[Any, ...]] | None = None, **parameters: Any) -> ModelSpec:
    """Elastic-net linear regression on standardised features (MLlib)."""
    return ModelSpec("linear_regression", parameters, grid or {})


def RandomForest(*, grid: dict[str, tuple[Any, ...]] | None = None, **parameters: Any) -> ModelSpec:
    """A random forest (MLlib)."""
    return ModelSpec("random_forest", parameters, grid or {})


def GradientBoosting(*, grid: dict[str, tuple[Any, ...]] | None = None, **parameters: Any) -> ModelSpec:
    """Gradient-boosted trees (MLlib)."""
    return ModelSpec("gbt", parameters, grid or {})


def XGBoost(*, grid: dict[str, tuple[Any, ...]] | None = None, **parameters: Any) -> ModelSpec:
    """XGBoost on Spark."""
    return ModelSpec("xgboost", parameters, grid or {})


@declared
@dataclass(frozen=True)
class Splits:
    """How labelled rows are divided into gate and folds.

    By time, the newest matured times are the gate, folds lie before it, and each evaluation is embargoed from its
    training. By `entity` or at `random` all matured times are used at once, and `gate + folds * fold_size` equal shares
    of the entities, or of the rows, take the place of times: for data without time, or too short for an embargo. Such a
    split says nothing of how a model does later than it was trained, which the card repeats.

    Args:
        gate: so many times (the newest) or shares decide about promotion and are seen by no selection.
        folds: evaluations apart from the gate that select the candidate.
        fold_size: times or shares in each fold.
        history: at most so many matured times are trained on, or None for all.
        by: `time`, `entity` or `random`.
    """

    gate: int = 1
    folds: int = 3
    fold_size: int = 1
    history: int | None = None
    by: str = field(default="time", metadata=LATER)

    def __post_init__(self) -> None:
        if self.by not in SPLIT_BY:
            raise TidemillError(
                "E_SPLITS",
                f"rows cannot be split by {self.by!r}",
                where=f"Splits(by={self.by!r})",
                next_step=nearest(self.by, SPLIT_BY),
                exit_code=Exit.CONFIGURATION,
            )
        for name in ("gate", "folds", "fold_size"):
            if getattr(self, name) < 1:
                raise TidemillError(
                    "E_SPLITS",
                    f"{name} is {getattr(self, name)}, and at least 1 is needed",
                    where=f"Splits({name}={getattr(self, name)})",
                    next_step="declare at least one gate time and one fold of one time",
                    exit_code=Exit.CONFIGURATION,
                )
