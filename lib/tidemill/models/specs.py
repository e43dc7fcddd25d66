"""Declarations of models and splits: values only, no Spark."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any

from tidemill.core.errors import Exit, TidemillError, nearest
from tidemill.core.frozen import LATER, declared
from tidemill.models.spaces import Dimension, refused

FAMILIES = (
    "logistic_regression",
    "linear_regression",
    "random_forest",
    "gbt",
    "perceptron",
    "scikit_logistic",
    "scikit_ridge",
    "xgboost",
)
BINARY, REGRESSION, MULTICLASS = "binary", "regression", "multiclass"
TASKS = {BINARY: "roc_auc", REGRESSION: "rmse", MULTICLASS: "log_loss"}
SPLIT_BY = ("time", "entity", "random")
SCALINGS = ("standard", "min_max")
HIGHER_IS_BETTER = {"roc_auc": True, "rmse": False, "log_loss": False}


def better(metric: str, one: float, other: float) -> bool:
    """Whether the first value of a primary metric is strictly better than the second."""
    return one > other if HIGHER_IS_BETTER[metric] else one < other


def shortfall(metric: str, promised: float, value: float) -> float:
    """By how much a value falls short of a promise, as a share of it; of a ROC AUC as a share of what is above 0.5."""
    if not HIGHER_IS_BETTER[metric]:
        return (value - promised) / promised if promised > 0 else 0.0
    return (promised - value) / (promised - 0.5) if promised > 0.5 else 0.0


@declared
@dataclass(frozen=True)
class ModelSpec:
    """One model family with fixed parameters and a grid.

    Args:
        family: one of `FAMILIES`.
        parameters: fixed, by the names of the family's own library.
        grid: parameter name to the values to try, of which every combination is one candidate; or, for a search by
            trials, to a range.
    """

    family: str
    parameters: dict[str, Any] = field(default_factory=dict)
    grid: dict[str, Dimension] = field(default_factory=dict)

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
        """The parameter sets to try: every combination of the grid.

        Raises:
            TidemillError: E_SEARCH (configuration) where the grid has a range.
        """
        names, values = sorted(self.grid), [self.grid[name] for name in sorted(self.grid)]
        listed = [value for value in values if isinstance(value, tuple)]
        if len(listed) < len(values):
            raise refused(
                f"a grid has no ranges, and that of {self.family!r} has some",
                f"model {self.family!r}",
                'list the values to try, or declare search=SearchBy("random", trials=...)',
            )
        combinations = itertools.product(*listed)
        return tuple({**self.parameters, **dict(zip(names, values, strict=True))} for values in combinations)


def LogisticRegression(*, grid: dict[str, Dimension] | None = None, **parameters: Any) -> ModelSpec:
    """Elastic-net logistic regression on standardised features (MLlib)."""
    return ModelSpec("logistic_regression", parameters, grid or {})


def LinearRegression(*, grid: dict[str, Dimension] | None = None, **parameters: Any) -> ModelSpec:
    """Elastic-net linear regression on standardised features (MLlib)."""
    return ModelSpec("linear_regression", parameters, grid or {})


def RandomForest(*, grid: dict[str, Dimension] | None = None, **parameters: Any) -> ModelSpec:
    """A random forest (MLlib)."""
    return ModelSpec("random_forest", parameters, grid or {})


def GradientBoosting(*, grid: dict[str, Dimension] | None = None, **parameters: Any) -> ModelSpec:
    """Gradient-boosted trees (MLlib)."""
    return ModelSpec("gbt", parameters, grid or {})


def Perceptron(*, grid: dict[str, Dimension] | None = None, **parameters: Any) -> ModelSpec:
    """A multilayer perceptron on standardised features (MLlib); `hidden=(8,)` are the widths of the layers between."""
    return ModelSpec("perceptron", parameters, grid or {})


def ScikitLogistic(*, grid: dict[str, Dimension] | None = None, **parameters: Any) -> ModelSpec:
    """scikit-learn's StandardScaler and LogisticRegression, for at most `max_rows=100_000` training rows."""
    return ModelSpec("scikit_logistic", parameters, grid or {})


def ScikitRidge(*, grid: dict[str, Dimension] | None = None, **parameters: Any) -> ModelSpec:
    """scikit-learn's StandardScaler and Ridge, for at most `max_rows=100_000` training rows."""
    return ModelSpec("scikit_ridge", parameters, grid or {})


def XGBoost(*, grid: dict[str, Dimension] | None = None, **parameters: Any) -> ModelSpec:
    """XGBoost on Spark."""
    return ModelSpec("xgboost", parameters, grid or {})


@declared
@dataclass(frozen=True)
class Preparation:
    """What is done to the features before any family sees them, fitted on training rows only.

    In this order: features that are mostly missing are left out, then columns of categories that tell nothing of the
    label, columns that never vary, columns that say what one before them says, columns whose importance is not stable;
    what is left is scaled, and reduced.

    Args:
        nulls: a feature is left out where a larger share of the training rows than this has no value.
        chi_square: of the columns made of categories those stay on which Pearson's chi-square test finds the label
            dependent at this p-value (binary tasks).
        constant: whether columns that have one value only are left out.
        correlated: a column is left out where its Pearson correlation with one before it is larger than this in size.
        scaling: `standard` (mean 0, standard deviation 1), `min_max` (from 0 to 1) or None; the linear families and the
            perceptron standardise by themselves.
        components: principal components that take the place of the columns.
        class_weights: `balanced` gives all classes the same sum of weights (tasks with classes). Probabilities are then
            those of a population with as many of each: those of a binary task want calibrating; of several classes
            nothing calibrates them, and the gate refuses a model that is off by more than its limit.
        stable: a column stays that is important in at least this share of the halves of the entities, more than one
            half of them (stability selection: Meinshausen and Bühlmann 2010); 0.6 to 0.9 are usual.
    """

    nulls: float = 1.0
    chi_square: float | None = None
    constant: bool = False
    correlated: float | None = None
    scaling: str | None = None
    components: int | None = None
    class_weights: str | None = None
    stable: float | None = field(default=None, metadata=LATER)

    def __post_init__(self) -> None:
        shares = [self.nulls, *(v for v in (self.chi_square, self.correlated) if v is not None)]
        if not all(0 <= value <= 1 for value in shares):
            raise _unprepared("nulls, chi_square and correlated lie between 0 and 1", "give shares, not percents")
        if self.stable is not None and not 0.5 < self.stable <= 1:
            raise _unprepared(f"stable={self.stable} is no share above one half", "give one from 0.6 to 0.9")
        if self.components is not None and self.components < 1:
            raise _unprepared(f"there are no {self.components} components", "keep at least one")
        for value, known in ((self.scaling, SCALINGS), (self.class_weights, ("balanced",))):
            if value is not None and value not in known:
                raise _unprepared(f"{value!r} is not known", nearest(value, known))


AS_THEY_COME = Preparation()


def _unprepared(what: str, next_step: str) -> TidemillError:
    return TidemillError(
        "E_PREPARATION", what, where="Preparation(...)", next_step=next_step, exit_code=Exit.CONFIGURATION
    )


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
