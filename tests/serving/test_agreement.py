"""Spark's transform, batch, HTTP, handler and JavaScript score 100,000 entities alike, whatever the family and task."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from pyspark.sql import functions as F
from running_service import Running
from service_ground import CUSTOMER, HOME, KEY, NOW, ORDERS, USE_CASE, Place, fill_views, register_package
from tidemill.core.config import Layout, load_config
from tidemill.data.commit import commit, commit_together
from tidemill.data.layout import with_layout
from tidemill.data.read import read_arrow
from tidemill.data.tables import Lake, events_table
from tidemill.data.write import Batch
from tidemill.declare import (
    ActiveWithin,
    Aggregate,
    ClassIn,
    FeatureView,
    Label,
    LinearRegression,
    LogisticRegression,
    ValueAt,
    days,
)
from tidemill.features.gold import Builder
from tidemill.features.tables import view_table
from tidemill.models.onnx_scoring import SAMPLE
from tidemill.models.packaging import build_package
from tidemill.models.pipelines import unfitted, with_score
from tidemill.models.promotion import CHAMPION
from tidemill.models.registry import Registry
from tidemill.models.sample_check import gaps_between
from tidemill.models.scoring import build_predictions, read_graph
from tidemill.models.scoring_work import Contender
from tidemill.models.specs import BINARY, MULTICLASS, REGRESSION
from tidemill.models.tables import judged_on, predictions_table
from tidemill.serving.bundle import write_bundle

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray
    from pyspark.sql import DataFrame, SparkSession
    from tidemill.models.packaging import Package
    from tidemill.models.use_case import UseCase

pytestmark = pytest.mark.soak

ROWS, LEARNED, AT_ONCE = 100_000, 5_000, 1_000
VIEW = FeatureView(
    "lately",
    version=1,
    entity=CUSTOMER,
    source=ORDERS,
    cadence=days(1),
    ttl=days(2),
    features=(
        *(Aggregate("last", name, windows=(days(30),)) for name in ("amount", "basket", "visits")),
        Aggregate("last_text", "plan"),
    ),
)
LATELY = replace(USE_CASE, name="lately", views=(VIEW,), baseline=VIEW.columns[0].name)
NUMBERS = tuple(f.name for f in VIEW.columns if f.type == "double")
PLAN = next(f.name for f in VIEW.columns if f.type == "string")
CLASSES, ACTIVE = ("web", "größe", "phone"), ActiveWithin(ORDERS, days(20))
USE_CASES = {
    BINARY: LATELY,
    REGRESSION: replace(
        LATELY,
        name="how_much",
        task=REGRESSION,
        label=Label("next_amount", days(10), ACTIVE, ValueAt(ORDERS, "amount", after=days(5))),
        models=(LinearRegression(),),
    ),
    MULTICLASS: replace(
        LATELY,
        name="which_way",
        task=MULTICLASS,
        label=Label("next_way", days(10), ACTIVE, ClassIn(ORDERS, "way", CLASSES)),
        models=(LogisticRegression(),),
    ),
}
BOOSTED = {"n_estimators": 40, "max_depth": 5}
FAMILIES: dict[tuple[str, str], tuple[dict[str, Any], float]] = {
    (BINARY, "logistic_regression"): ({"regParam": 0.01}, 1e-9),
    (BINARY, "random_forest"): ({"numTrees": 20, "maxDepth": 6}, 1e-9),
    (BINARY, "gbt"): ({"maxIter": 10, "maxDepth": 4}, 1e-9),
    (BINARY, "perceptron"): ({"hidden": (4,), "maxIter": 20}, 1e-9),
    (BINARY, "scikit_logistic"): ({"C": 1.0}, 1e-9),
    (BINARY, "xgboost"): (BOOSTED, 1e-6),
    (REGRESSION, "linear_regression"): ({"regParam": 0.01}, 1e-9),
    (REGRESSION, "xgboost"): (BOOSTED, 1e-6),
    (MULTICLASS, "random_forest"): ({"numTrees": 20, "maxDepth": 6}, 1e-9),
    (MULTICLASS, "xgboost"): (BOOSTED, 1e-6),
}
BUCKETS = 4
SEEN = events_table(ORDERS.name, KEY, ((KEY, "string"),))


def features(count: int, seed: int) -> pa.Table:
    """Numbers with nulls, of which some are on the splits of trees, and texts that were seen, and were not."""
    random = np.random.default_rng(seed)
    columns: dict[str, pa.Array] = {KEY: pa.array([f"C{n}" for n in range(count)])}
    for place, name in enumerate(NUMBERS):
        values = (
            np.round(random.lognormal(sigma=2.0, size=count), 2) * 10.0 ** (3 * place) * random.choice([-1, 1], count)
        )
        columns[name] = pa.array(values, mask=random.random(count) < 0.1)
    plans = np.array(["free", "basic", "größe", "it's", "", "never seen", "<null>"], object)
    known = len(plans) - (2 if seed == 0 else 0)
    columns[PLAN] = pa.array(plans[random.integers(known, size=count)], mask=random.random(count) < 0.1)
    return pa.table(columns)


@pytest.fixture(scope="module")
def rows() -> pa.Table:
    """The entities that are scored."""
    return features(ROWS, 1)


@pytest.fixture(scope="module")
def lately(rows: pa.Table, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A registry without a version, and a store that holds the entities."""
    root = tmp_path_factory.mktemp("lately") / "var"
    (root / "lake").mkdir(parents=True)
    settings = load_config(HOME / "conf", "local").serve.model_copy(update={"hosts": ("*",), "log_share": 0.0})
    place = Place(root, Registry(root), settings)
    names = (*NUMBERS, PLAN)
    fill_views(place, LATELY, {VIEW.table_name: {r[KEY]: (NOW, {n: r[n] for n in names}) for r in rows.to_pylist()}})
    return place


@dataclass(frozen=True)
class Ground:
    """What batch scores from.

    Args:
        lake: with an event of every entity, and its features in gold.
        everyone: the features in a frame.
    """

    lake: Lake
    everyone: DataFrame

    def score(self, use_case: UseCase, package: Package) -> pa.Table:
        """The predictions that the score job's own lines write, bucket by bucket."""
        spark, table, batch = self.everyone.sparkSession, predictions_table(use_case), package.graph.parent.name
        graph = read_graph(package.graph, 0.5 if use_case.task == BINARY else None)
        beside = {"model_version": "1", "role": "champion", "gold_batch": "one", "batch_id": batch}
        builder = Builder(self.lake, {ORDERS.name: SEEN}, lambda: spark, NOW, {})
        found = build_predictions(builder, use_case, NOW, [Contender(graph, tuple(beside.items()))], table)
        assert found.path == "bucket files"
        commit_together(self.lake, table, [Batch(batch, {})], found.rows)
        return read_arrow(self.lake, table, where=pc.field("batch_id") == batch)


@pytest.fixture(scope="module")
def ground(spark: SparkSession, rows: pa.Table, tmp_path_factory: pytest.TempPathFactory) -> Ground:
    """Silver with an event yesterday and gold of now, of every entity."""
    lake = Lake(tmp_path_factory.mktemp("gold") / "var", "test", Layout(buckets=BUCKETS, period="all"))
    everyone = as_frame(spark, rows, tmp_path_factory)
    yesterday, null = F.lit(NOW - days(1)), F.lit(None)
    events = everyone.select(KEY).withColumns(
        {"event_time": yesterday, "known_time": yesterday, "seq": F.lit(0).cast("bigint"), "op": F.lit("upsert")}
        | {"row_id": F.col(KEY), "content": null.cast("bigint"), "batch_id": null.cast("string")}
    )
    commit(lake, SEEN, Batch("one", {}), with_layout(events, SEEN, BUCKETS, "all"))
    gold, at = view_table(VIEW), F.lit(NOW)
    made = everyone.withColumns({"event_timestamp": at, "created_timestamp": at, "batch_id": F.lit("one")})
    commit(lake, gold, Batch("one", {}), with_layout(made, gold, BUCKETS, "all"))
    return Ground(lake, everyone)


@pytest.fixture(scope="module")
def learned(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DataFrame]:
    """Rows to learn from, with a label for each task, which depends on all features."""
    table, random = features(LEARNED, 0), np.random.default_rng(3)
    score = sum(np.sign(table[name].fill_null(0).to_numpy()) for name in NUMBERS) + random.normal(size=LEARNED)
    score += 1.5 * (table[PLAN].fill_null("").to_numpy() == "free")
    labels = {BINARY: score > 0.5, REGRESSION: 100 + 10 * score, MULTICLASS: np.digitize(score, (-0.5, 1.0))}
    for task, label in labels.items():
        table = table.append_column(task, pa.array(label.astype(float)))
    frame = as_frame(spark, table, tmp_path_factory)
    yield frame.persist()
    frame.unpersist()


@pytest.mark.parametrize(("task", "family"), FAMILIES)
def test_all_ways_to_a_score_give_the_same(
    lately: Place,
    ground: Ground,
    learned: DataFrame,
    rows: pa.Table,
    task: str,
    family: str,
    onnx_node: Path,
    tmp_path: Path,
) -> None:
    (parameters, tolerance), use_case, said_in = FAMILIES[task, family], USE_CASES[task], judged_on(task)
    threshold = 0.5 if task == BINARY else None
    labelled = learned.withColumn("label", F.col(task))
    model = unfitted(task, VIEW.columns, family, parameters, 7).fit(labelled)
    package = build_package(model, labelled, task, tmp_path, use_case.classes, threshold)
    order = rows[KEY].to_pylist()
    exact = by_key(with_score(model, ground.everyone, task).select(KEY, said_in).toArrow(), said_in, order)
    assert len(np.unique(exact)) > 50
    ways = {"batch": by_key(ground.score(use_case, package), said_in, order)}

    version = register_package(lately, use_case, package, family, threshold)
    lately.registry.set_alias(use_case.name, CHAMPION, version.version)
    running = Running(lately, rate=1e6, burst=1_000_000, timeout=60.0)
    with running.client:
        ways["http"] = np.array(
            [numbers for at in range(0, ROWS, AT_ONCE) for numbers in ask(running, use_case, order[at : at + AT_ONCE])]
        )

    plain = rows.drop_columns([KEY]).to_pylist()
    bundle = tmp_path / "bundle"
    write_bundle(lately.registry, version, bundle)
    sample = {"rows": plain, "scores": exact.tolist(), "predictions": [decided(row, tolerance, task) for row in exact]}
    (bundle / SAMPLE).write_text(json.dumps(sample), "utf-8")
    code = f"import handler, json; print(json.dumps(handler.handle(json.load(open({SAMPLE!r})))))"
    handled = said(bundle, sys.executable, "-c", code)
    ways["handler"] = np.array([numbers_of(item) for item in handled["predictions"]])
    (bundle / "node_modules").symlink_to(onnx_node / "node_modules")
    ways["javascript"] = np.array(said(bundle, "node", "example.mjs")["scores"]).reshape(exact.shape)

    gaps = {way: float(gaps_between(scores, exact).max()) for way, scores in ways.items()}
    assert [way for way, gap in gaps.items() if not gap <= tolerance] == [], gaps


def decided(scores: NDArray[np.float64], tolerance: float, task: str) -> float | None:
    """The prediction of a row; None where it is too near to another to tell."""
    if task == REGRESSION:
        return float(scores[0])
    if task == BINARY:
        return None if abs(scores[0] - 0.5) <= 2 * tolerance else float(scores[0] >= 0.5)
    second, first = np.sort(scores)[-2:]
    return None if first - second <= 2 * tolerance else float(scores.argmax())


def by_key(table: pa.Table, said_in: str, order: list[str]) -> NDArray[np.float64]:
    """What a table says of entities, in their order: a row each, with a score or the probabilities of the classes."""
    found = dict(zip(table[KEY].to_pylist(), table[said_in].to_pylist(), strict=True))
    assert len(found) == table.num_rows == len(order)
    return np.array([found[key] for key in order]).reshape(len(order), -1)


def numbers_of(item: Mapping[str, Any]) -> list[float]:
    """The same of an answer."""
    return list((item.get("probabilities") or {"": item["score"]}).values())


def as_frame(spark: SparkSession, table: pa.Table, folders: pytest.TempPathFactory) -> DataFrame:
    """A table as Spark reads it."""
    file = folders.mktemp("rows") / "rows.parquet"
    pq.write_table(table, file)
    return spark.read.parquet(str(file))


def ask(running: Running, use_case: UseCase, keys: list[str]) -> list[list[float]]:
    """What the service says of entities."""
    answer = running.client.post(f"/v1/{use_case.name}/predict", json={"entities": [{"key": key} for key in keys]})
    assert answer.status_code == 200, answer.text
    return [numbers_of(item) for item in answer.json()["predictions"]]


def said(folder: Path, *command: str) -> Any:
    """What a process prints that runs in the folder, as JSON."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
