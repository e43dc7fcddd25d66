"""Churn of a software service's customers: which active account cancels within the next 30 days. The demo world."""

from tidemill.declare import (
    Aggregate,
    AnyEventIn,
    ByCapacity,
    Entity,
    FeatureView,
    GradientBoosting,
    Grid,
    Label,
    Log1p,
    LogisticRegression,
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

ACCOUNT = Entity("account_id", description="A customer's account.")

ACCOUNTS = Source(
    "accounts",
    contract="churn/accounts.yaml",
    entity=ACCOUNT,
    event_time="changed_at",
    completeness=days(1),
    key=("account_id", "changed_at"),
)
ACTIVITY = Source(
    "activity",
    contract="churn/activity.yaml",
    entity=ACCOUNT,
    event_time="occurred_at",
    completeness=days(1),
    key=("event_id",),
)
SUPPORT = Source(
    "support",
    contract="churn/support.yaml",
    entity=ACCOUNT,
    event_time="opened_at",
    completeness=days(1),
    key=("ticket_id",),
)
INVOICES = Source(
    "account_invoices",
    contract="churn/invoices.yaml",
    entity=ACCOUNT,
    event_time="invoiced_at",
    completeness=days(1),
    key=("invoice_id",),
)

PLAN = FeatureView(
    "account_plan",
    version=1,
    entity=ACCOUNT,
    source=ACCOUNTS,
    cadence=days(1),
    ttl=days(2),
    features=(
        Aggregate("last_text", "plan"),
        Aggregate("last", "monthly_price", unit="USD"),
        Aggregate("last_text", "country"),
        Tenure(),
        Log1p("tenure_days"),
    ),
    description="What an account subscribes to, and since when it is a customer.",
)

USE = FeatureView(
    "account_activity",
    version=1,
    entity=ACCOUNT,
    source=ACTIVITY,
    cadence=days(1),
    ttl=days(2),
    features=(
        Recency(where="kind = 'login'", name="login"),
        Aggregate("count", where="kind = 'login'", name="logins", windows=(days(7), days(30), days(90))),
        Log1p("login_recency_days"),
        Log1p("logins_count_30d"),
        Log1p("logins_count_90d"),
        Ratio("logins_count_7d", "logins_count_30d"),
        Ratio("logins_count_30d", "logins_count_90d"),
        Aggregate("count", windows=(days(30), days(90))),
        Aggregate("mean", "duration", windows=(days(30),), unit="s"),
    ),
    description="How often and how lately an account is used.",
)

HELP = FeatureView(
    "account_support",
    version=1,
    entity=ACCOUNT,
    source=SUPPORT,
    cadence=days(1),
    ttl=days(2),
    features=(
        Aggregate("count", where="channel = 'call'", name="calls", windows=(days(30), days(90))),
        Aggregate("count", where="channel = 'ticket'", name="tickets", windows=(days(30), days(90))),
    ),
    description="How often an account asks for help.",
)

SPENDING = FeatureView(
    "account_spending",
    version=1,
    entity=ACCOUNT,
    source=INVOICES,
    cadence=days(1),
    ttl=days(2),
    features=(
        Aggregate("sum", "amount", windows=(days(30), days(90)), unit="USD"),
        Log1p("amount_sum_30d"),
        Log1p("amount_sum_90d"),
        Ratio("amount_sum_30d", "amount_sum_90d"),
    ),
    description="What an account is charged.",
)

CHURN = UseCase(
    "churn",
    views=(PLAN, USE, HELP, SPENDING),
    label=Label(
        "churned",
        horizon=days(30),
        population=StateIs(ACCOUNTS, "status = 'active'"),
        outcome=AnyEventIn(ACCOUNTS, where="status = 'cancelled'"),
    ),
    task="binary",
    models=(
        LogisticRegression(grid={"regParam": (0.001, 0.01)}),
        RandomForest(numTrees=20, maxDepth=7, minInstancesPerNode=10),
        GradientBoosting(maxIter=15, maxDepth=4, stepSize=0.25, subsamplingRate=0.8, minInstancesPerNode=20),
        XGBoost(
            n_estimators=150,
            learning_rate=0.07,
            min_child_weight=10,
            subsample=0.7,
            colsample_bytree=0.7,
            grid={"max_depth": (3, 4)},
        ),
    ),
    grid=Grid("2025-03-02", every=days(30)),  # the first time with 60 days of activity behind it
    baseline="login_recency_days",
    splits=Splits(gate=1, folds=2, history=6),
    slices=("plan_last_text", "country_last_text"),
    decision=ByCapacity(0.1),  # as many accounts as can be called in a month
    default_time="newest_matured",
    world="churn",
    description="Accounts of a software service that cancel (a seeded demo world whose true probabilities are known).",
)
