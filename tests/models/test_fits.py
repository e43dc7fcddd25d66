"""Fits are the same again where rows, order, partitions and workers are; a learning curve is that of fits by hand."""

from __future__ import annotations

import random
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from models.test_candidates import settings, use_case
from pyspark.ml import Pipeline
from pyspark.sql import functions as F
from sklearn.metrics import roc_auc_score
from tidemill.core.errors import TidemillError
from tidemill.declare import XGBoost
from tidemill.models import xgb, xgb_native
from tidemill.models.candidates import Candidate
from tidemill.models.devices import check_devices
from tidemill.models.fits import fit_recipe, layout, ordered
from tidemill.models.learning_curve import learning_curve
from tidemill.models.pipelines import family_stages, with_score
from tidemill.models.preparation import preprocessing
from tidemill.models.xgb import xgb_classifier_stages, xgb_regressor_stages
from xgboost.spark import SparkXGBClassifier, SparkXGBRegressor

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyspark.sql import DataFrame, SparkSession

CASE = use_case()
SEEN = [f.name for f in CASE.features]
BOOSTED = Candidate("xgboost-0", "xgboost", {"n_estimators": 12, "max_depth": 4})
LINEAR = Candidate("logistic_regression-0", "logistic_regression", {"regParam": 0.01})


@pytest.fixture(scope="module")
def rows(spark: SparkSession) -> DataFrame:
    """Three hundred customers at four times, the last of which is the gate; no order, and many partitions."""
    chance, made = random.Random(11), []  # noqa: S311 - no secret
    for number in range(1200):
        told = [chance.gauss(0, 1) if chance.random() > 0.1 else None for _ in SEEN]
        label = float(sum(value or 0.0 for value in told) + chance.gauss(0, 1) > 0)
        made.append((f"c{number % 300}", 10 * (number // 300), *told, label))
    chance.shuffle(made)
    names = ["customer", "day", *SEEN, "label"]
    found = spark.createDataFrame(made, names).repartition(5)
    at = F.timestamp_seconds(F.lit(1_700_000_000) + F.col("day") * 86_400)
    part = F.when(F.col("day") == 30, "gate").otherwise("train")
    return found.withColumns({"event_timestamp": at, "part": part}).persist()


def booster(rows: DataFrame, workers: int, partitions: int) -> str:
    candidate = replace(BOOSTED, parameters={**BOOSTED.parameters, "num_workers": workers})
    asked = settings(f"train.partitions={partitions}")
    assert layout(CASE, candidate, asked) == {
        "partitions": partitions,
        "order": ["event_timestamp", "customer"],
        "workers": workers,
    }
    model: Any = fit_recipe(rows, CASE, CASE.features, candidate, asked).stages[-1]
    return str(model.get_booster().save_raw("json").decode())


def test_one_worker_and_two_make_each_the_same_model_again(rows: DataFrame) -> None:
    one, two = (booster(rows, number, number) for number in (1, 2))
    assert booster(rows.repartition(3, "label"), 1, 1) == one
    assert booster(rows.repartition(3, "label"), 2, 2) == two


def test_rows_lie_alike_however_they_come(spark: SparkSession) -> None:
    """Also where they are more than Spark looks at to divide them into ranges."""
    made = spark.range(30_000).selectExpr(
        "format_string('c%05d', id) as customer", "timestamp_seconds(86400 * (id % 3)) as event_timestamp"
    )

    def lying(rows: DataFrame) -> list[list[str]]:
        found = ordered(rows, CASE, settings("train.partitions=2")).select(
            "customer", F.spark_partition_id().alias("p")
        )
        table = found.toArrow()
        keys, places = table["customer"].to_pylist(), table["p"].to_pylist()
        return [[key for key, at in zip(keys, places, strict=True) if at == place] for place in (0, 1)]

    first = lying(made.repartition(7))
    assert lying(made.orderBy(F.rand(1)).repartition(3)) == first
    assert min(map(len, first)) > 12_000


def test_workers_are_one_unless_declared_and_of_xgboost_only(spark: SparkSession) -> None:
    assert spark is not None  # a stage is made in a session
    assert layout(CASE, BOOSTED, settings())["workers"] == 1
    assert layout(CASE, LINEAR, settings()) == {
        "partitions": 1,
        "order": ["event_timestamp", "customer"],
        "workers": None,
    }


def test_a_learning_curve_is_that_of_fits_by_hand(rows: DataFrame) -> None:
    found = learning_curve(rows, CASE, LINEAR, 0.9, settings())
    assert [point["share"] for point in found] == [0.125, 0.25, 0.5, 1.0]
    assert found[-1] == {"share": 1.0, "entities": 300, "rows": 900, "value": 0.9}
    assert [point["rows"] for point in found] == [3 * point["entities"] for point in found]
    assert 0 < found[0]["entities"] < found[1]["entities"] < found[2]["entities"] < 300
    gate = rows.where("part = 'gate'")
    nested: set[str] = set()
    for point, share in zip(found, (1, 2, 4), strict=False):
        within = rows.where("part = 'train'").where(f"pmod(xxhash64('learning curve', customer), 8) < {share}")
        customers = {row["customer"] for row in within.select("customer").distinct().toLocalIterator()}
        assert nested < customers
        nested = customers
        assert point["entities"] == len(customers)
        scored = with_score(fit_recipe(within, CASE, CASE.features, LINEAR, settings()), gate, "binary").toArrow()
        assert point["value"] == pytest.approx(roc_auc_score(scored["label"].to_numpy(), scored["score"].to_numpy()))
    assert learning_curve(rows, CASE, LINEAR, 0.9, settings()) == found


def test_a_share_that_teaches_nothing_has_no_value(rows: DataFrame) -> None:
    places = F.pmod(F.xxhash64(F.lit("learning curve"), F.col("customer")), F.lit(8))
    one_class = rows.withColumn("label", F.when(places < 1, 1.0).otherwise(F.col("label")))
    empty = one_class.withColumns({name: F.when(~places.between(1, 1), F.col(name)) for name in SEEN})
    found = learning_curve(empty.where(places != 0), CASE, LINEAR, 0.9, settings())
    assert [point["value"] is None for point in found] == [True, True, False, False]
    assert (found[0]["rows"], found[0]["entities"]) == (0, 0)
    found = learning_curve(one_class, CASE, LINEAR, 0.9, settings())
    assert [point["value"] is None for point in found] == [True, False, False, False]


@pytest.mark.parametrize(
    ("parameter", "what"),
    [
        ({"tree_method": "exact"}, "multiple values for keyword argument 'tree_method'"),
        ({"num_workers": 0}, "num_workers=0, and at least one fits"),
        ({"num_workers": 10_000}, "num_workers=10000, and local"),
    ],
    ids=["fixed", "none", "too many"],
)
def test_a_parameter_that_cannot_be_is_refused(rows: DataFrame, parameter: dict[str, Any], what: str) -> None:
    with pytest.raises(TidemillError, match="a parameter is refused") as refused:
        fit_recipe(rows, CASE, CASE.features, replace(BOOSTED, parameters=parameter), settings())
    assert refused.value.code == "E_FAMILY"
    assert what in refused.value.what


def test_only_a_learning_curve_that_is_asked_for_is_another_training() -> None:
    assert "learning_curve" not in settings().of_fits()
    assert settings("train.learning_curve=true").of_fits()["learning_curve"] is True
    assert settings().of_fits() == {k: v for k, v in settings().model_dump().items() if k != "learning_curve"}


@pytest.mark.parametrize("weight", [None, "weight"])
@pytest.mark.parametrize("task", ["binary", "regression"])
def test_one_worker_makes_the_model_that_xgboost_makes(rows: DataFrame, task: str, weight: str | None) -> None:
    prepared = ordered(rows, CASE, settings()).withColumn("weight", F.when(F.col("label") == 1, 3.0).otherwise(1.0))
    vectors = Pipeline(stages=preprocessing(CASE.features)).fit(prepared).transform(prepared)
    parameters = {"n_estimators": 12, "max_depth": 4, "subsample": 0.7, **({"weight_col": weight} if weight else {})}
    made = xgb_classifier_stages if task == "binary" else xgb_regressor_stages
    theirs = SparkXGBClassifier if task == "binary" else SparkXGBRegressor
    common = {"features_col": "features", "label_col": "label", "num_workers": 1, "random_state": 5}
    peer = theirs(tree_method="hist", verbosity=0, verbose=False, **common, **parameters).fit(vectors)
    found: Any = made(parameters, 5)[0].fit(vectors)
    assert type(found) is type(peer)
    assert found.get_booster().save_raw("json") == peer.get_booster().save_raw("json")
    ours, other = (found.transform(vectors).select("prediction").toArrow(), peer.transform(vectors).toArrow())
    assert ours["prediction"].to_pylist() == other["prediction"].to_pylist()


def test_a_gpu_is_refused_where_the_library_knows_none(rows: DataFrame) -> None:
    parameters: dict[str, Any] = {"n_estimators": 3, "device": "cuda"}
    declared = use_case(models=(XGBoost(**parameters),))
    assert declared.models[0].candidates() == (parameters,)
    asked: list[Callable[[], Any]] = [
        lambda: check_devices(declared, settings()),
        lambda: check_devices(use_case(models=(XGBoost(grid={"device": ("cpu", "gpu")}),)), settings()),
        lambda: check_devices(CASE, settings("train.only.xgboost.device=cuda")),
        lambda: fit_recipe(rows, CASE, CASE.features, replace(BOOSTED, parameters=parameters), settings()),
    ]
    for ask in asked:
        with pytest.raises(TidemillError, match="is built without CUDA") as refused:
            ask()
        assert (refused.value.code, refused.value.exit_code) == ("E_DEVICE", 78)
        assert "pip uninstall xgboost-cpu, then pip install xgboost==" in refused.value.next_step
    check_devices(declared, settings("train.only.xgboost.device=cpu"))


def test_a_gpu_is_that_of_the_task_where_the_library_knows_some(
    rows: DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The device in place of a fit: there is no GPU to fit on."""
    monkeypatch.setattr(xgb_native, "build_info", lambda: {"USE_CUDA": True})
    check_devices(use_case(models=(XGBoost(device="cuda"),)), settings())
    asked: list[dict[str, Any]] = []

    def fitted(_: Any, parameters: dict[str, Any], **__: Any) -> Any:
        asked.append(parameters)
        raise InterruptedError

    (stage,) = xgb_classifier_stages({"device": "cuda", "n_estimators": 3}, 7)
    prepared = Pipeline(stages=preprocessing(CASE.features)).fit(rows).transform(rows)
    monkeypatch.setattr(xgb, "partial", fitted)
    with pytest.raises(InterruptedError):
        stage.fit(prepared)
    assert [(one["device"], one["tree_method"]) for one in asked] == [("cuda", "hist")]

    cluster = SimpleNamespace(master="spark://there:7077", getConf=dict)
    monkeypatch.setattr(xgb, "SparkContext", SimpleNamespace(getOrCreate=lambda: cluster))
    with pytest.raises(TidemillError, match="no executor has a GPU") as refused:
        family_stages("binary", "xgboost", {"device": "cuda"}, 7)
    assert refused.value.code == "E_FAMILY"

    def placed(addresses: list[str] | None, device: str = "cuda") -> str:
        gpus = {} if addresses is None else {"gpu": SimpleNamespace(addresses=addresses)}
        task = SimpleNamespace(resources=lambda: gpus)
        monkeypatch.setattr(xgb, "TaskContext", SimpleNamespace(get=lambda: task))
        return str(xgb._placed({"device": device})["device"])

    assert [placed(["3"]), placed(None), placed(["3"], "cpu")] == ["cuda:3", "cuda", "cpu"]
