"""Churn of retail customers: who, having bought within 90 days, will not be seen for the next 30."""

from tidemill.declare import (
    ActiveWithin,
    Aggregate,
    Entity,
    FeatureView,
    GradientBoosting,
    Grid,
    Label,
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

PURCHASES = FeatureView(
    "customer_purchases",
    version=1,
    entity=CUSTOMER,
    source=INVOICES,
    cadence=days(1),
    ttl=days(2),
    features=(
        Recency(),
        Tenure(),
        Aggregate("count_distinct", "invoice_day", windows=(days(30), days(60), days(90), days(180))),
        Aggregate("count_distinct", "invoice_day"),
        Ratio("tenure_days", "invoice_day_count_distinct", name="days_between_orders"),
        Aggregate("count", windows=(days(30), days(90), days(180))),
        Aggregate("sum", "amount", windows=(days(30), days(90), days(180)), unit="GBP"),
    ),
    description="What a customer ordered, returned and was charged.",
)

RETAIL = UseCase(
    "retail",
    views=(PURCHASES,),
    label=Label(
        "churned",
        horizon=days(30),
        population=ActiveWithin(INVOICES, days(90)),
        outcome=NoEventIn(INVOICES),
    ),
    task="binary",
    models=(
        LogisticRegression(grid={"regParam": (0.01, 0.1)}),
        RandomForest(numTrees=40, maxDepth=7, minInstancesPerNode=5),
        GradientBoosting(maxIter=20, maxDepth=2, stepSize=0.1, subsamplingRate=0.7, minInstancesPerNode=20),
        XGBoost(
            n_estimators=100,
            learning_rate=0.05,
            min_child_weight=10,
            subsample=0.7,
            colsample_bytree=0.7,
            grid={"max_depth": (2, 3)},
        ),
    ),
    grid=Grid("2011-04-01", every="month"),
    baseline="recency_days",
    splits=Splits(gate=1, folds=2),
    description="Customers of a British gift retailer who stop ordering (Online Retail data, CC BY 4.0).",
)
