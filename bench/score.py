"""Rows of gold become predictions: by workers on bucket files, by Spark's pipelines, by MLflow's UDF, by no model.

Ten million rows of fifty features. Without a model, Spark reads the features, adds them up and writes entity and sum:
what it costs to touch the rows at all. Every other contestant writes entity and score of one of three models. Ours does
more than the others: it also finds the population, in the events of the source, and writes as the job does.

None of these gives reasons, as the job on a cluster. What those cost on top, as on one machine, is reported and not
judged, on a hundredth of the rows: beside "ours MODEL hundredth" there is "ours MODEL hundredth reasons", with three of
them a row. Spark's pipelines and the UDFs take minutes each, and are measured once.
"""

from __future__ import annotations

import functools
import math
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.harness import PACKAGES, Contestant, Measured, Role, Size, Target, cpu_ratio, main

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pyspark.sql import DataFrame, SparkSession
    from tidemill.data.tables import Lake, Table
    from tidemill.models.use_case import UseCase

ROWS: dict[Size, int] = {"small": 20_000, "full": 10_000_000}
PARTS = {"all": 1, "quarter": 4, "hundredth": 100}
TRAINING_ROWS = 100_000
FEATURES = 50
BUCKETS = 16
REASONS = 3
AT = datetime(2026, 1, 1, tzinfo=UTC)
SEED = 20260103
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "xgboost": ("xgboost", {"n_estimators": 100, "max_depth": 6}),
    "forest": ("random_forest", {"numTrees": 50, "maxDepth": 8}),
    "logistic": ("logistic_regression", {"regParam": 0.01}),
}


# ------------------------------------------------------------------------------------------------------------ the data


def use_case() -> UseCase:
    """One view of fifty features; whoever had an event within thirty days is scored."""
    from tidemill import declare as d

    customer = d.Entity("customer")
    events = d.Source("events", contract="events.yaml", entity=customer, event_time="event_time")
    sums = tuple(d.Aggregate("mean", f"amount{number}", windows=(d.days(30),)) for number in range(FEATURES))
    view = d.FeatureView(
        "sums", version=1, entity=customer, source=events, cadence=d.days(1), ttl=d.days(2), features=sums
    )
    active, gone = d.ActiveWithin(events, d.days(30)), d.NoEventIn(events)
    return d.UseCase(
        "scored",
        views=(view,),
        label=d.Label("gone", horizon=d.days(10), population=active, outcome=gone),
        task="binary",
        models=(d.LogisticRegression(),),
        grid=d.Grid("2026-01-01", every=d.days(10)),
        baseline=view.columns[0].name,
    )


def make_data(folder: Path, size: Size) -> None:
    """Fits the models and writes silver and gold, in a process of its own whose JVM ends with it."""
    command = "import sys; from bench.score import fill; fill(sys.argv[1], sys.argv[2])"
    subprocess.run([sys.executable, "-P", "-c", command, str(folder), size], check=True)  # noqa: S603


def fill(place: str, size: Size) -> None:
    """Silver has one event an entity, gold one row; a feature is missing in one row of twenty."""
    from pyspark.sql import functions as F
    from tidemill.data.commit import commit
    from tidemill.data.layout import with_layout
    from tidemill.data.write import Batch
    from tidemill.models.packaging import build_package
    from tidemill.models.pipelines import unfitted

    folder, spark, case = Path(place), _session(), use_case()
    names = [feature.name for feature in case.features]
    for part, share in PARTS.items():
        lake, silver, gold = _tables(folder / part, case)
        numbers = spark.range(0, ROWS[size] // share, 1, 2 * BUCKETS)
        keyed = numbers.select(F.format_string("C%08d", "id").alias("customer"))
        before = F.lit(AT - timedelta(days=1))
        beside = {name: F.lit(None).cast(kind) for name, kind in silver.columns if name not in silver.partitions}
        beside |= {"customer": F.col("customer"), "event_time": before, "known_time": before}
        beside |= {"op": F.lit("upsert"), "row_id": F.col("customer"), "seq": F.lit(0).cast("bigint")}
        commit(lake, silver, Batch("one", {}), with_layout(keyed.select(*_named(beside)), silver, BUCKETS, "all"))
        rows = keyed.withColumns({name: _feature(number) for number, name in enumerate(names)})
        rows = rows.withColumns(
            {"event_timestamp": F.lit(AT), "created_timestamp": F.lit(AT), "batch_id": F.lit("one")}
        )
        commit(lake, gold, Batch("one", {}), with_layout(rows, gold, BUCKETS, "all"))
    train = _gold(spark, folder / "all").select(*names).limit(TRAINING_ROWS)
    signal = sum(
        (F.coalesce(F.col(name), F.lit(0.0)) * ((number % 5) - 2) for number, name in enumerate(names[:10])), F.lit(0.0)
    )
    train = train.withColumn("label", (signal + F.randn(SEED) * 3 > 0).cast("double")).repartition(1).cache()
    for name, (family, parameters) in MODELS.items():
        fitted = unfitted("binary", case.features, family, parameters, SEED).fit(train)
        build_package(fitted, train, "binary", folder / "models" / name)
    spark.stop()


def _feature(number: int) -> Any:
    from pyspark.sql import functions as F

    return F.when(F.rand(SEED + 100 + number) >= 0.05, F.randn(SEED + number))


def _named(columns: Mapping[str, Any]) -> list[Any]:
    return [column.alias(name) for name, column in columns.items()]


def _tables(folder: Path, case: UseCase) -> tuple[Lake, Table, Table]:
    from tidemill.core.config import Layout
    from tidemill.data.tables import Lake, events_table
    from tidemill.features.tables import view_table

    amounts = ((f"amount{number}", "double") for number in range(FEATURES))
    silver = events_table("events", "customer", (("customer", "string"), *amounts))
    return Lake(folder / "var", "bench", Layout(buckets=BUCKETS, period="all")), silver, view_table(case.views[0])


def _session() -> SparkSession:
    from pyspark.sql import SparkSession

    return SparkSession.builder.appName("score").getOrCreate()


def _gold(spark: SparkSession, folder: Path) -> DataFrame:
    from tidemill.data.read import read

    lake, _, gold = _tables(folder, use_case())
    return read(spark, lake, gold)


# --------------------------------------------------------------------------------------------------------- contestants


def no_model(data: Path, out: Path) -> None:
    """Spark reads the features, adds them up, and writes entity and sum."""
    from pyspark.sql import functions as F

    spark = _session()
    total = sum((F.coalesce(F.col(f.name), F.lit(0.0)) for f in use_case().features), F.lit(0.0))
    _write(_gold(spark, data / "all").select("customer", total.alias("score")), out)


def transform(model: str, data: Path, out: Path) -> None:
    """Spark's own pipeline."""
    from pyspark.ml import PipelineModel
    from tidemill.models.pipelines import with_score

    spark = _session()
    loaded = PipelineModel.load((data / "models" / model / "sparkml").as_uri())
    _write(with_score(loaded, _gold(spark, data / "all"), "binary").select("customer", "score"), out)


def udf(model: str, data: Path, out: Path) -> None:
    """MLflow's UDF around a flavour that works on executors: XGBoost's own, and the graph for MLlib's models.

    XGBoost's own knows the booster alone: Spark fills what is missing before it.
    """
    import mlflow
    from pyspark.ml import PipelineModel
    from pyspark.ml.feature import ImputerModel
    from pyspark.sql import functions as F

    spark = _session()
    folder = _flavoured(model, data, out)
    predict = mlflow.pyfunc.spark_udf(spark, folder, result_type="double", env_manager="local")
    names, rows = [feature.name for feature in use_case().features], _gold(spark, data / "all")
    if model == "xgboost":
        filling = PipelineModel.load((data / "models" / model / "sparkml").as_uri()).stages[0]
        if not isinstance(filling, ImputerModel):
            raise TypeError(filling)
        names, rows = filling.getOutputCols(), filling.transform(rows)
    _write(rows.select("customer", predict(F.struct(*names)).alias("score")), out)


def _flavoured(model: str, data: Path, out: Path) -> str:
    """Saves the model for MLflow; what that costs is nothing beside ten million rows."""
    import mlflow

    folder, graph = str(out / "model"), data / "models" / model / "graph"
    if model == "xgboost":
        import xgboost

        mlflow.xgboost.save_model(xgboost.Booster(model_file=str(graph / "booster.ubj")), folder)
        return folder
    from tidemill.models import onnx_scoring

    scoring = Path(onnx_scoring.__file__)
    mlflow.pyfunc.save_model(folder, loader_module=scoring.stem, code_paths=[str(scoring)], data_path=str(graph))
    return folder


def ours(model: str, part: str, reasons: int, data: Path, out: Path) -> None:
    """As the score job does it with so many reasons a row (`score.reasons`)."""
    from tidemill.core.config import Layout
    from tidemill.data.commit import commit_together
    from tidemill.data.tables import Lake
    from tidemill.data.write import Batch
    from tidemill.features.gold import Builder
    from tidemill.models.scoring import build_predictions, read_graph
    from tidemill.models.scoring_work import Contender
    from tidemill.models.tables import predictions_table

    case = use_case()
    lake, silver, _ = _tables(data / part, case)
    builder = Builder(lake, {"events": silver}, _session, AT, {})
    table = predictions_table(case)
    beside = {"model_version": "1", "role": "champion", "gold_batch": "one", "batch_id": "one"}
    graph = read_graph(data / "models" / model / "graph", 0.5, reasons)
    predictions = build_predictions(builder, case, AT, [Contender(graph, tuple(beside.items()))], table)
    if not predictions.path.startswith("bucket"):
        raise AssertionError(predictions.path)
    written = Lake(out / "var", "bench", Layout(buckets=BUCKETS, period="all"))
    commit_together(written, table, [Batch("one", {})], predictions.rows)


def _write(scored: DataFrame, out: Path) -> None:
    scored.write.format("delta").save(str(out / "table"))


def _answer(table: str, out: Path) -> dict[str, Any]:
    """How many rows were scored, and the sums of all scores and of their squares."""
    import pyarrow.compute as pc
    from deltalake import DeltaTable

    scores = DeltaTable(str(out / table)).to_pyarrow_dataset().to_table(columns=["score"])["score"]
    return {"rows": len(scores), "sum": pc.sum(scores).as_py(), "squares": pc.sum(pc.multiply(scores, scores)).as_py()}


def _equal(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """XGBoost's own scores are of single precision: those of ours come within a millionth, and so does their mean."""
    return one["rows"] == other["rows"] and all(
        math.isclose(one[name], other[name], rel_tol=1e-6) for name in ("sum", "squares")
    )


PLAIN, OURS = "table", "var/lake/gold/scored_predictions"


def _on(
    what: str,
    group: str,
    run: Callable[[Path, Path], None],
    table: str,
    role: Role,
    *,
    extra: bool,
    once: bool = False,
) -> Contestant:
    return Contestant(what, group, run, functools.partial(_answer, table), role, once, extra)


def _group(model: str) -> tuple[Contestant, ...]:
    extra = model != "logistic"  # one of them is enough to say at small size whether our answers are right
    return (
        _on(
            f"pipeline {model}", model, functools.partial(transform, model), PLAIN, "reference", extra=extra, once=True
        ),
        _on(f"ours {model}", model, _ours(model, "all"), OURS, "ours", extra=extra),
        _on(f"udf {model}", model, functools.partial(udf, model), PLAIN, "peer", extra=extra, once=True),
    )


def _ours(model: str, part: str, reasons: int = 0) -> Callable[[Path, Path], None]:
    return functools.partial(ours, model, part, reasons)


def _explained(model: str) -> tuple[Contestant, ...]:
    """A hundredth of the rows without reasons and with them, which may take many times as long."""
    group, what = f"{model} hundredth", f"ours {model} hundredth"
    return (
        _on(what, group, _ours(model, "hundredth"), OURS, "reference", extra=True),
        _on(f"{what} reasons", group, _ours(model, "hundredth", REASONS), OURS, "ours", extra=True, once=True),
    )


CONTESTANTS = (
    _on("no model", "no model", no_model, PLAIN, "reference", extra=False),
    *_group("xgboost"),
    *_group("forest"),
    *_group("logistic"),
    _on("ours logistic quarter", "quarter", _ours("logistic", "quarter"), OURS, "ours", extra=True),
    *(contestant for model in MODELS for contestant in _explained(model)),
)


def _memory(by: Mapping[str, Measured]) -> float:
    return by["ours logistic"].peak_mb / by["ours logistic quarter"].peak_mb


TARGETS = (
    cpu_ratio("ours xgboost", "no model", 0.95),
    cpu_ratio("ours logistic", "no model", 0.95),
    cpu_ratio("ours forest", "no model", 1.3),
    *(cpu_ratio(f"ours {model}", f"udf {model}", 1 / 4) for model in MODELS),
    *(cpu_ratio(f"ours {model}", f"pipeline {model}", 1 / 2.5) for model in MODELS),
    Target("peak memory of ours at 10 M / 2.5 M rows", _memory, 1.2),
)

if __name__ == "__main__":
    packages = (*PACKAGES, "mlflow", "xgboost-cpu", "onnxruntime")
    main(make_data, CONTESTANTS, TARGETS, equal=_equal, by_group=True, packages=packages)
