"""Spark's transform, batch, HTTP, handler and JavaScript give 100,000 entities the same scores, whatever the family."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from running_service import Running
from service_ground import CUSTOMER, HOME, KEY, NOW, ORDERS, USE_CASE, Place, fill_views, register_package
from tidemill.core.config import load_config
from tidemill.declare import Aggregate, FeatureView, days
from tidemill.models.onnx_scoring import SAMPLE
from tidemill.models.packaging import build_package
from tidemill.models.pipelines import unfitted, with_score
from tidemill.models.promotion import CHAMPION
from tidemill.models.registry import Registry
from tidemill.models.scoring import read_graph
from tidemill.models.scoring_work import scored
from tidemill.serving.bundle import write_bundle

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pyspark.sql import DataFrame, SparkSession

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
FAMILIES: dict[str, tuple[dict[str, Any], float]] = {
    "logistic_regression": ({"regParam": 0.01}, 1e-9),
    "random_forest": ({"numTrees": 20, "maxDepth": 6}, 1e-9),
    "gbt": ({"maxIter": 10, "maxDepth": 4}, 1e-9),
    "perceptron": ({"hidden": (4,), "maxIter": 20}, 1e-9),
    "scikit_logistic": ({"C": 1.0}, 1e-9),
    "xgboost": ({"n_estimators": 40, "max_depth": 5}, 1e-6),
}


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


@pytest.fixture(scope="module")
def learned(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DataFrame]:
    """Rows to learn from, whose label depends on all features."""
    table, random = features(LEARNED, 0), np.random.default_rng(3)
    score = sum(np.sign(table[name].fill_null(0).to_numpy()) for name in NUMBERS) + random.normal(size=LEARNED)
    score += 1.5 * (table[PLAN].fill_null("").to_numpy() == "free")
    frame = as_frame(spark, table.append_column("label", pa.array((score > 0.5).astype(float))), tmp_path_factory)
    yield frame.persist()
    frame.unpersist()


@pytest.mark.parametrize("family", FAMILIES)
def test_all_ways_to_a_score_give_the_same(
    lately: Place,
    learned: DataFrame,
    rows: pa.Table,
    family: str,
    onnx_node: Path,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    spark, (parameters, tolerance) = learned.sparkSession, FAMILIES[family]
    model = unfitted("binary", VIEW.columns, family, parameters, 7).fit(learned)
    package = build_package(model, learned, "binary", tmp_path, threshold=0.5)
    everyone = as_frame(spark, rows, tmp_path_factory)
    transformed = with_score(model, everyone, "binary").select(KEY, "score").toArrow()
    expected = dict(zip(transformed[KEY].to_pylist(), transformed["score"].to_pylist(), strict=True))
    order = rows[KEY].to_pylist()
    exact = np.array([expected[key] for key in order])
    assert len(np.unique(exact)) > 50

    found = scored(rows.combine_chunks().to_batches(), read_graph(package.graph, 0.5), (KEY,))
    ways = {"batch": np.concatenate([batch.column("score").to_numpy() for batch in found])}

    version = register_package(lately, LATELY, package, family)
    lately.registry.set_alias(LATELY.name, CHAMPION, version.version)
    running = Running(lately, rate=1e6, burst=1_000_000, timeout=60.0)
    with running.client:
        ways["http"] = np.array(
            [score for at in range(0, ROWS, AT_ONCE) for score in ask(running, order[at : at + AT_ONCE])]
        )

    plain = rows.drop_columns([KEY]).to_pylist()
    bundle = tmp_path / "bundle"
    write_bundle(lately.registry, version, bundle)
    told = [None if abs(score - 0.5) <= 2 * tolerance else float(score >= 0.5) for score in exact.tolist()]
    (bundle / SAMPLE).write_text(json.dumps({"rows": plain, "scores": exact.tolist(), "predictions": told}), "utf-8")
    code = f"import handler, json; print(json.dumps(handler.handle(json.load(open({SAMPLE!r})))))"
    handled = said(bundle, sys.executable, "-c", code)
    ways["handler"] = np.array([item["score"] for item in handled["predictions"]])
    (bundle / "node_modules").symlink_to(onnx_node / "node_modules")
    ways["javascript"] = np.array(said(bundle, "node", "example.mjs")["scores"])

    gaps = {way: float(np.abs(scores - exact).max()) for way, scores in ways.items()}
    assert [way for way, gap in gaps.items() if not gap <= tolerance] == [], gaps


def as_frame(spark: SparkSession, table: pa.Table, folders: pytest.TempPathFactory) -> DataFrame:
    """A table as Spark reads it."""
    file = folders.mktemp("rows") / "rows.parquet"
    pq.write_table(table, file)
    return spark.read.parquet(str(file))


def ask(running: Running, keys: list[str]) -> list[float]:
    """The scores that the service gives."""
    answer = running.client.post("/v1/lately/predict", json={"entities": [{"key": key} for key in keys]})
    assert answer.status_code == 200, answer.text
    return [item["score"] for item in answer.json()["predictions"]]


def said(folder: Path, *command: str) -> Any:
    """What a process prints that runs in the folder, as JSON."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
