"""Fine particles a day ahead: what will a station read in the hour that begins 23 hours after T?"""

from tidemill.declare import (
    ActiveWithin,
    Aggregate,
    Calendar,
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

STATION = Entity("station", description="A measuring station in Beijing.")

READINGS = Source(
    "readings",
    contract="air_quality/readings.yaml",
    entity=STATION,
    event_time="hour_start",
    completeness=hours(1),
    key=("station", "hour_start"),
)

DAY = (hours(24),)

CONDITIONS = FeatureView(
    "station_conditions",
    version=1,
    entity=STATION,
    source=READINGS,
    cadence=hours(6),
    ttl=hours(12),
    features=(
        *(Aggregate("last", column, windows=DAY) for column in ("pm25", "pm10", "so2", "no2", "co", "o3")),
        *(Aggregate("last", column, windows=DAY) for column in ("temp", "pres", "dewp", "rain", "wind_speed")),
        Aggregate("last_text", "wind_direction", windows=DAY),
        *(Aggregate(kind, "pm25", windows=(hours(6), hours(24))) for kind in ("mean", "min", "max")),
        *(Aggregate("mean", column, windows=DAY) for column in ("temp", "pres", "dewp", "rain", "wind_speed")),
        Calendar(("hour", "weekday", "month")),
    ),
    description="The newest readings of a station and their day.",
)

AIR_QUALITY = UseCase(
    "air_quality",
    views=(CONDITIONS,),
    label=Label(
        "pm25_in_a_day",
        horizon=hours(24),
        population=ActiveWithin(READINGS, hours(1)),
        outcome=ValueAt(READINGS, "pm25", after=hours(23)),
    ),
    task="regression",
    models=(
        LinearRegression(regParam=0.01),
        RandomForest(numTrees=20, maxDepth=8, minInstancesPerNode=20),
        GradientBoosting(maxIter=20, maxDepth=4, stepSize=0.15),
        XGBoost(
            n_estimators=150,
            learning_rate=0.05,
            min_child_weight=20,
            subsample=0.8,
            colsample_bytree=0.8,
            grid={"max_depth": (3, 4)},
        ),
    ),
    # Six-hourly times stand for the hourly ones: persistence and models come out within half a unit of RMSE.
    grid=Grid("2013-03-02", every=hours(6)),
    baseline="pm25_last_1d",
    splits=Splits(gate=120, folds=2, fold_size=360),
    test_period=days(365),
    description="Fine particles at twelve stations a day ahead (Beijing Multi-Site Air-Quality data, CC BY 4.0).",
)
