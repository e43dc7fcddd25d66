"""Churn of retail customers over a quarter: who, having bought within 90 days, will not be seen for the next 90.

The data span one year. Between the first time with a quarter behind it and the last whose label is complete there is no
room for an embargoed fold and gate, so both are other customers at the same times: `Splits(by="entity")`.
"""

from tidemill.declare import (
    ActiveWithin,
    Aggregate,
    Entity,
    FeatureView,
    Gaps,
    GradientBoosting,
    Grid,
    Label,
    Log1p,
    LogisticRegression,
    NoEventIn,
    RandomForest,
    Ratio,
    Recency,
    Source,
    Splits,
    Tenure,
    UseCase,
    XGBoost,
    days,
)

CUSTOMER = Entity("customer_id", description="A customer with an account at the retailer.")

INVOICES = Source("invoices", contract="retail/invoices.yaml", entity=CUSTOMER, event_time="invoice_time")

HABITS = FeatureView(
    "customer_habits",
    version=1,
    entity=CUSTOMER,
    source=INVOICES,
    cadence=days(1),
    ttl=days(2),
    features=(
        Recency(),
        Tenure(),
        Aggregate("count_distinct", "invoice_day", windows=(days(30), days(60), days(90))),
        Aggregate("count_distinct", "invoice_day"),
        Log1p("invoice_day_count_distinct_90d"),
        Log1p("invoice_day_count_distinct"),
        Ratio("tenure_days", "invoice_day_count_distinct", name="days_between_orders"),
        Ratio("recency_days", "days_between_orders", name="lateness"),
        Gaps(("mean", "max"), distinct=True),
        Aggregate("count", windows=(days(30), days(90))),
        Log1p("events_count_90d"),
        Aggregate("sum", "amount", windows=(days(30), days(90)), unit="GBP"),
        Log1p("amount_sum_90d"),
    ),
    description="How regularly, how lately and how much a customer buys.",
)

RETAIL_90D = UseCase(
    "retail_90d",
    views=(HABITS,),
    label=Label(
        "lapsed",
        horizon=days(90),
        population=ActiveWithin(INVOICES, days(90)),
        outcome=NoEventIn(INVOICES),
    ),
    task="binary",
    models=(
        LogisticRegression(grid={"regParam": (0.01, 0.1)}),
        RandomForest(numTrees=40, maxDepth=6, minInstancesPerNode=10),
        GradientBoosting(maxIter=20, maxDepth=2, stepSize=0.1, subsamplingRate=0.7, minInstancesPerNode=20),
        XGBoost(
            n_estimators=100,
            learning_rate=0.05,
            max_depth=2,
            min_child_weight=10,
            subsample=0.7,
            colsample_bytree=0.7,
        ),
    ),
    grid=Grid("2011-03-01", every="month"),
    baseline="recency_days",
    splits=Splits(by="entity", gate=1, folds=4),
    default_time="newest_matured",
    description="Customers of a British gift retailer who stay away for a quarter (Online Retail data, CC BY 4.0).",
)
