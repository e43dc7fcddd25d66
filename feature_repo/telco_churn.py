"""Churn of telephone customers, from a table of one row a customer: no events and no times.

The table gives every customer as of one day and whether they left then, so nothing here is ahead of anything: shares
of the customers take the place of times, and a model says who resembles those who left, not who will leave. Training is
all there is to it. The outcome is a source of its own, one day after the features, which therefore cannot read it.
"""

from tidemill.declare import (
    ActiveWithin,
    Attribute,
    Entity,
    FeatureView,
    GradientBoosting,
    Grid,
    Label,
    LogisticRegression,
    Source,
    Splits,
    UseCase,
    ValueAt,
    XGBoost,
    days,
    hours,
)

CUSTOMER = Entity("subscriber_id", description="A customer of a telephone company.")

CUSTOMERS = Source(
    "telco_customers",
    contract="telco_churn/customers.yaml",
    entity=CUSTOMER,
    event_time="recorded_at",
    completeness=days(7),
    key=("subscriber_id",),
)
OUTCOMES = Source(
    "telco_outcomes",
    contract="telco_churn/outcomes.yaml",
    entity=CUSTOMER,
    event_time="told_at",
    key=("subscriber_id",),
)

TEXTS = (
    "gender",
    "partner",
    "dependents",
    "phone_service",
    "multiple_lines",
    "internet_service",
    "online_security",
    "online_backup",
    "device_protection",
    "tech_support",
    "streaming_tv",
    "streaming_movies",
    "contract",
    "paperless_billing",
    "payment_method",
)
NUMBERS = ("senior_citizen", "tenure", "monthly_charges", "total_charges")

SUBSCRIPTION = FeatureView(
    "subscriber_attributes",
    version=1,
    entity=CUSTOMER,
    source=CUSTOMERS,
    cadence=days(1),
    ttl=days(7),
    features=(*(Attribute(name) for name in TEXTS), *(Attribute(name, "double") for name in NUMBERS)),
    description="What a customer subscribes to and pays.",
)

TELCO_CHURN = UseCase(
    "telco_churn",
    views=(SUBSCRIPTION,),
    label=Label(
        "departed",
        horizon=hours(1),
        population=ActiveWithin(CUSTOMERS, days(7)),
        outcome=ValueAt(OUTCOMES, "departed", after=hours(0)),
    ),
    task="binary",
    models=(
        LogisticRegression(grid={"regParam": (0.001, 0.01)}),
        GradientBoosting(maxIter=20, maxDepth=3, stepSize=0.15, subsamplingRate=0.8, minInstancesPerNode=20),
        XGBoost(
            n_estimators=150,
            learning_rate=0.05,
            max_depth=3,
            min_child_weight=5,
            subsample=0.8,
            colsample_bytree=0.8,
        ),
    ),
    grid=Grid("2018-01-01", every=days(1)),
    baseline="tenure_now",
    splits=Splits(by="entity", gate=1, folds=5),
    description="Customers of a telephone company who left (IBM sample data, fictional, Apache-2.0).",
)
