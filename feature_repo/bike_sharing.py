"""Rentals of a bike-sharing network: how many bikes will be taken in the hour that begins now?"""

from tidemill.declare import (
    ActiveWithin,
    Aggregate,
    Calendar,
    Difference,
    Entity,
    FeatureView,
    GradientBoosting,
    Grid,
    Label,
    LinearRegression,
    RandomForest,
    Source,
    Splits,
    UseCase,
    ValueAt,
    XGBoost,
    days,
    hours,
)

NETWORK = Entity("network", description="A network of bikes for hire.")

RENTALS = Source(
    "bike_rentals",
    contract="bike_sharing/rentals.yaml",
    entity=NETWORK,
    event_time="hour_start",
    completeness=hours(1),
    key=("network", "hour_start"),
)

NOW, DAY, WEEK = hours(3), hours(24), days(7)

# Everything is of hours before T: of the hour to come only the calendar is known, and not yet the weather.
DEMAND = FeatureView(
    "network_demand",
    version=1,
    entity=NETWORK,
    source=RENTALS,
    cadence=hours(1),
    ttl=hours(2),
    features=(
        Aggregate("last", "rented", windows=(NOW,)),
        # The oldest hour of a day, and of a week, is the same hour yesterday, and a week ago.
        Aggregate("first", "rented", windows=(hours(2), DAY, WEEK)),
        # Where the hour after it is in the window too, it says what this hour makes of the one before.
        Aggregate("first", "rented", windows=(hours(23), hours(25), hours(167), hours(169))),
        Difference("rented_first_1d", "rented_first_25h", name="change_yesterday"),
        Difference("rented_first_7d", "rented_first_169h", name="change_week_ago"),
        Aggregate("mean", "rented", windows=(hours(6), DAY, WEEK, days(28))),
        Aggregate("last", "casual", windows=(NOW,)),
        *(Aggregate("last", column, windows=(NOW,)) for column in ("weather", "temp", "humidity", "wind_speed")),
        *(Aggregate("last", column, windows=(DAY,)) for column in ("working_day", "holiday", "season")),
        Calendar(("hour", "weekday", "month")),
    ),
    description="How many bikes were rented of late, a day and a week ago, and in what weather.",
)

BIKE_SHARING = UseCase(
    "bike_sharing",
    views=(DEMAND,),
    label=Label(
        "rented_in_the_hour",
        horizon=hours(1),
        population=ActiveWithin(RENTALS, WEEK),  # a storm that closes it for days does not end it
        outcome=ValueAt(RENTALS, "rented", after=hours(0)),
    ),
    task="regression",
    models=(
        LinearRegression(regParam=0.01),
        RandomForest(numTrees=20, maxDepth=10, minInstancesPerNode=5),
        GradientBoosting(maxIter=20, maxDepth=5, stepSize=0.15),
        XGBoost(
            n_estimators=200,
            learning_rate=0.06,
            min_child_weight=5,
            subsample=0.8,
            colsample_bytree=0.8,
            grid={"max_depth": (4, 6)},
        ),
    ),
    grid=Grid("2011-01-29", every=hours(1)),  # four weeks behind the first of them
    baseline="rented_first_7d",
    splits=Splits(gate=720, folds=2, fold_size=720),
    test_period=days(122),
    description="Hourly rentals of a bike-sharing network (Bike Sharing data, CC BY 4.0).",
)
