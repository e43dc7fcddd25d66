"""Everything that a use-case file imports: the declaration values, in one place."""

from tidemill.core.time import Grid, days, hours
from tidemill.data.sources import Entity, Source
from tidemill.features.declarations import Aggregate, Calendar, Difference, Log1p, Ratio, Recency, Tenure
from tidemill.features.specs import ActiveWithin, AnyEventIn, FeatureView, Label, NoEventIn, StateIs, ValueAt
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
