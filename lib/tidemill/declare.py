"""Everything that a use-case file imports: the declaration values, in one place."""

from tidemill.core.time import Grid, days, hours
from tidemill.data.sources import Entity, Source
from tidemill.features.specs import (
    ActiveWithin,
    Aggregate,
    AnyEventIn,
    Calendar,
    Difference,
    FeatureView,
    Label,
    Log1p,
    NoEventIn,
    Ratio,
    Recency,
    StateIs,
    Tenure,
    ValueAt,
)
from tidemill.models.specs import (
    GradientBoosting,
    LinearRegression,
    LogisticRegression,
    RandomForest,
    Splits,
    XGBoost,
)
from tidemill.models.use_case import UseCase

__all__ = [
    "ActiveWithin",
    "Aggregate",
    "AnyEventIn",
    "Calendar",
    "Difference",
    "Entity",
    "FeatureView",
    "GradientBoosting",
    "Grid",
    "Label",
    "LinearRegression",
    "Log1p",
    "LogisticRegression",
    "NoEventIn",
    "RandomForest",
    "Ratio",
    "Recency",
    "Source",
    "Splits",
    "StateIs",
    "Tenure",
    "UseCase",
    "ValueAt",
    "XGBoost",
    "days",
    "hours",
]
