"""Customers of an online music shop: who of all that ever bought will not buy within the next 90 days?"""

from tidemill.declare import (
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
    StateIs,
    Tenure,
    UseCase,
    XGBoost,
    days,
)

CUSTOMER = Entity("buyer_id", description="A customer who first bought in the first quarter of 1997.")

PURCHASES = Source("cdnow_purchases", contract="cdnow/purchases.yaml", entity=CUSTOMER, event_time="purchase_day")

BUYING = FeatureView(
    "buyer_purchases",
    version=1,
    entity=CUSTOMER,
    source=PURCHASES,
    cadence=days(1),
    ttl=days(2),
    features=(
        Recency(),
        Tenure(),
        Log1p("recency_days"),
        Aggregate("count_distinct", "event_time", name="purchase_days"),
        Aggregate("count_distinct", "event_time", name="purchase_days", windows=(days(30), days(90), days(180))),
        Log1p("purchase_days_count_distinct"),
        Ratio("tenure_days", "purchase_days_count_distinct", name="days_between_orders"),
        Ratio("recency_days", "days_between_orders", name="lateness"),
        Gaps(("mean",), distinct=True),
        Aggregate("sum", "discs"),
        Aggregate("sum", "amount", unit="USD"),
        Log1p("amount_sum"),
    ),
    description="How often, how lately and how much a customer bought.",
)

CDNOW = UseCase(
    "cdnow",
    views=(BUYING,),
    label=Label(
        "lapsed",
        horizon=days(90),
        population=StateIs(PURCHASES, "true"),  # the whole cohort, however long ago a customer was last seen
        outcome=NoEventIn(PURCHASES),
    ),
    task="binary",
    models=(
        LogisticRegression(grid={"regParam": (0.001, 0.01)}),
        RandomForest(numTrees=20, maxDepth=7, minInstancesPerNode=20),
        GradientBoosting(maxIter=20, maxDepth=3, stepSize=0.1, subsamplingRate=0.7, minInstancesPerNode=20),
        XGBoost(
            n_estimators=100,
            learning_rate=0.05,
            max_depth=3,
            min_child_weight=20,
            subsample=0.7,
            colsample_bytree=0.7,
        ),
    ),
    grid=Grid("1997-07-01", every="month"),
    baseline="recency_days",
    splits=Splits(gate=1, folds=2),
    default_time="newest_matured",
    description="Customers of an online music shop who do not come back within 90 days (CDNOW data).",
)
