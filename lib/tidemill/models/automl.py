"""The search that decides all by itself: which families, where their parameters lie, and which views to see."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tidemill.models.spaces import BAYESIAN, EVERY, GRID, SearchBy, Uniform, Whole
from tidemill.models.specs import ModelSpec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidemill.core.train_config import Train
    from tidemill.models.spaces import Dimension
    from tidemill.models.use_case import UseCase

# Where the parameters of each family are looked for when nobody says so: wide enough for tables of a few hundred rows
# and for those of millions, and narrow enough that no single trial takes the whole budget.
_ELASTIC_NET: dict[str, Dimension] = {"regParam": Uniform(1e-4, 1.0, log=True), "elasticNetParam": Uniform(0.0, 1.0)}
SPACES: dict[str, dict[str, Dimension]] = {
    "logistic_regression": _ELASTIC_NET,
    "linear_regression": _ELASTIC_NET,
    "random_forest": {
        "numTrees": Whole(20, 100),
        "maxDepth": Whole(3, 10),
        "minInstancesPerNode": Whole(1, 50, log=True),
    },
    "gbt": {
        "maxIter": Whole(10, 60),
        "maxDepth": Whole(2, 5),
        "stepSize": Uniform(0.03, 0.3, log=True),
        "subsamplingRate": Uniform(0.5, 1.0),
        "minInstancesPerNode": Whole(1, 50, log=True),
    },
    "perceptron": {"hidden": ((4,), (8,), (16,), (8, 4)), "maxIter": Whole(50, 200)},
    "scikit_logistic": {"C": Uniform(1e-3, 1e2, log=True)},
    "scikit_ridge": {"alpha": Uniform(1e-2, 1e3, log=True)},
    "xgboost": {
        "n_estimators": Whole(30, 400, log=True),
        "max_depth": Whole(2, 8),
        "learning_rate": Uniform(0.02, 0.3, log=True),
        "min_child_weight": Uniform(1.0, 30.0, log=True),
        "subsample": Uniform(0.5, 1.0),
        "colsample_bytree": Uniform(0.5, 1.0),
        "reg_lambda": Uniform(0.1, 10.0, log=True),
    },
}


@dataclass(frozen=True)
class Space:
    """What trials are drawn from.

    Args:
        specs: families with fixed parameters and with dimensions, of which a trial has one.
        optional: names of the views that a trial may leave out.
    """

    specs: tuple[ModelSpec, ...]
    optional: tuple[str, ...] = ()


def asked_for(use_case: UseCase, settings: Train) -> SearchBy:
    """The strategy and budget: of AutoML where it has one, else as declared, with what the configuration changes.

    Raises:
        TidemillError: E_SEARCH (configuration) where the two together make no search.
    """
    if settings.only:  # fixed parameters: there is nothing to search
        return EVERY
    if is_automl(settings):
        return SearchBy(BAYESIAN, settings.automl.trials, settings.automl.minutes)
    if settings.search.strategy == GRID:
        return EVERY
    given: dict[str, Any] = {name: value for name, value in settings.search.model_dump().items() if value is not None}
    return replace(use_case.search, **given)


def is_automl(settings: Train) -> bool:
    """Whether the configuration has a budget for AutoML."""
    return settings.automl.trials is not None or settings.automl.minutes is not None


def automl_space(use_case: UseCase, families: Sequence[str]) -> Space:
    """All families, each in its default space, and all views but the one with the baseline, which always stays.

    Args:
        use_case: its views.
        families: those that know its task.
    """
    stays = next(view for view in use_case.views if use_case.baseline in [f.name for f in view.columns])
    specs = tuple(ModelSpec(family, grid=SPACES[family]) for family in families)
    return Space(specs, tuple(view.name for view in use_case.views if view is not stays))
