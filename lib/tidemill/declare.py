"""Everything that a use-case file imports: the declaration values, in one place."""

from tidemill.core.time import Grid, days, hours
from tidemill.data.sources import Entity, Source
from tidemill.features.declarations import Aggregate, Recency, Tenure
from tidemill.features.derived import Calendar, Difference, Expression, Joined, Log1p, Ratio, Request
from tidemill.features.histories import Attribute, Gaps, Streak
from tidemill.features.specs import ActiveWithin, AnyEventIn, ClassIn, FeatureView, Label, NoEventIn, StateIs, ValueAt
from tidemill.models.decisions import ByCapacity, ByCost, ByFBeta
from tidemill.models.spaces import SearchBy, Uniform, Whole
from tidemill.models.specs import (
    GradientBoosting,
    LinearRegression,
    LogisticRegression,
    Perceptron,
    Preparation,
    RandomForest,
    ScikitLogistic,
    ScikitRidge,
    Splits,
    XGBoost,
)
from tidemill.models.use_case import UseCase

__all__ = [
    "ActiveWithin",
    "Aggregate",
    "AnyEventIn",
    "Attribute",
    "ByCapacity",
    "ByCost",
    "ByFBeta",
    "Calendar",
    "ClassIn",
    "Difference",
    "Entity",
    "Expression",
    "FeatureView",
    "Gaps",
    "GradientBoosting",
    "Grid",
    "Joined",
    "Label",
    "LinearRegression",
    "Log1p",
    "LogisticRegression",
    "NoEventIn",
    "Perceptron",
    "Preparation",
    "RandomForest",
    "Ratio",
    "Recency",
    "Request",
    "ScikitLogistic",
    "ScikitRidge",
    "SearchBy",
    "Source",
    "Splits",
    "StateIs",
    "Streak",
    "Tenure",
    "Uniform",
    "UseCase",
    "ValueAt",
    "Whole",
    "XGBoost",
    "days",
    "hours",
]
