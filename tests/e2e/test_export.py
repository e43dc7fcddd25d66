"""What is registered: a graph that any process can load without Java, or nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyarrow.dataset as ds
import pytest
from conftest import make_shop_in
from pyspark.sql import functions as F
from shopkeeping import AS_OF, as_csv, orders, recorded
from tidemill.cli.models import registered_graph
from tidemill.core.config import Layout
from tidemill.core.digest import digest_of_code
from tidemill.core.time import parse_time
from tidemill.data.commit import commit_together
from tidemill.data.contract_file import read_contract
from tidemill.data.read import read_arrow
from tidemill.data.tables import silver_table
from tidemill.data.write import Batch
from tidemill.features.gold import Builder
from tidemill.models import packaging, scoring
from tidemill.models.card import CARD
from tidemill.models.onnx_export import Export, export
from tidemill.models.pipelines import with_score
from tidemill.models.registry import Registry
from tidemill.models.scoring import build_predictions, build_scoring_rows
from tidemill.models.scoring_work import Contender
from tidemill.models.tables import predictions_table
from tidemill.models.use_case import load_use_case

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Shop
    from pyspark.sql import SparkSession

# A process that has this package's environment, but neither Java nor leave to read a pickle.
ELSEWHERE = """
import json, shutil, sys
import mlflow, pandas
assert shutil.which("java") is None
mlflow.set_registry_uri(sys.argv[1])
mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.pyfunc.load_model(sys.argv[2])
rows = pandas.DataFrame(json.loads(sys.argv[3]))
found = {
    "told": model.predict(rows).to_dict("list"),
    "example": model.predict(model.input_example).to_dict("list"),
    "inputs": model.metadata.get_input_schema().to_dict(),
    "outputs": model.metadata.get_output_schema().to_dict(),
    "ours": sorted(name for name in sys.modules if name.partition(".")[0] == "tidemill"),
}
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def trained(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A shop with a registered model."""
    shop = make_shop_in(tmp_path_factory.mktemp("shop"))("var")
    shop.deliver("orders.csv", as_csv(orders()))
    code, summary = shop.run("ingest refine build_features audit train", "--as-of", AS_OF)
    assert code == 0, summary
    return shop


def test_a_registered_model_scores_without_java_as_spark_does(trained: Shop, spark: SparkSession) -> None:
    registry = Registry(trained.root)
    version = registry.version("shop", "1")
    features = ["recency_days", "events_count_10d", "amount_sum_10d"]
    rows: list[dict[str, Any]] = [
        {features[0]: 1.5, features[1]: 3.0, features[2]: 70.0},
        {features[0]: None, features[1]: 0.0, features[2]: None},
        {features[0]: 1e9, features[1]: -1.0, features[2]: 0.0},
    ]
    frame = spark.createDataFrame([(*row.values(),) for row in rows], ", ".join(f"{name} double" for name in features))
    scored = with_score(registry.load(version), frame.coalesce(1), "binary").select(F.col("score"))
    expected = [row.score for row in scored.toLocalIterator()]
    empty = {name: value for name, value in os.environ.items() if name not in {"JAVA_HOME", "SPARK_HOME", "PYTHONPATH"}}
    done = subprocess.run(
        [sys.executable, "-P", "-c", ELSEWHERE, registry.uri, "models:/shop/1", json.dumps(rows)],
        capture_output=True,
        text=True,
        check=False,
        env={**empty, "PATH": "/nowhere", "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false"},
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    threshold = registry.document(version, "card.json")["threshold"]
    decided = [float(score >= threshold) for score in expected]
    assert found["told"] == {"score": pytest.approx(expected, abs=1e-12), "prediction": decided}
    assert [len(found["example"][name]) for name in ("score", "prediction")] == [1, 1]
    assert found["inputs"] == [{"type": "double", "name": name, "required": False} for name in features]
    assert found["outputs"] == [{"type": "double", "name": n, "required": True} for n in ("score", "prediction")]
    assert found["ours"] == []


def test_a_registered_version_says_what_it_was_made_of(trained: Shop) -> None:
    registry = Registry(trained.root)
    version = registry.version("shop", "1")
    gold, labels = (trained.batches(f"gold.{name}") for name in ("orders_of_customer_v1", "shop_labels"))
    assert len(gold) == len(labels) == 1
    assert version.tags == {
        "tidemill.training_set_id": trained.batches("gold.shop_training_sets")[-1].batch_id,
        "as_of": "2024-03-11T00:00:00Z",
        "family": "logistic_regression",
        "trained_until": "2024-03-11T00:00:00Z",
        "declaration": load_use_case(trained.repo, "shop").digest,
        "code": digest_of_code(),
        "views": "orders_of_customer v1",
        "gold.orders_of_customer_v1": gold[0].batch_id,
        "gold.labels": labels[0].batch_id,
    }
    card = registry.document(version, CARD)
    assert card["data"] == {"gold": {"orders_of_customer_v1": [gold[0].batch_id]}, "labels": [labels[0].batch_id]}
    parent = registry._client.get_run(registry._client.get_run(version.run_id).data.tags["mlflow.parentRunId"])
    assert (parent.info.status, parent.data.tags["as_of"]) == ("FINISHED", "2024-03-11T00:00:00Z")


def test_two_versions_on_buckets_on_a_frame_and_spark_itself_score_alike(
    trained: Shop, spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    at, use_case = parse_time(AS_OF), load_use_case(trained.repo, "shop")
    registry = Registry(trained.root)
    version, table = registry.version("shop", "1"), predictions_table(use_case)
    lake = replace(trained.lake, layout=Layout(buckets=4, period="all"))
    (source,) = use_case.sources
    silver = {source.name: silver_table(source, read_contract(trained.repo, source.contract))}
    builder = Builder(lake, silver, lambda: spark, datetime(2024, 5, 1, tzinfo=UTC), {})
    graph = registered_graph(registry, version, 2)
    rows = build_scoring_rows(builder, use_case, [at]).frame
    expected = {r["customer"]: r["score"] for r in with_score(registry.load(version), rows, "binary").toLocalIterator()}
    assert len(set(expected.values())) > 3
    # The challenger is the same model, which decides otherwise and gives no reasons.
    graphs = {"champion": graph, "shadow": replace(graph, threshold=0.9, reasons=0, explainer=None)}
    found = {}
    for way in ("bucket files", "spark"):
        batches = [Batch(f"{role} by {way}", {}) for role in graphs]
        contenders = [
            Contender(
                g, (("model_version", "1"), ("role", role), ("gold_batch", "g"), ("batch_id", f"{role} by {way}"))
            )
            for role, g in graphs.items()
        ]
        if way == "spark":
            monkeypatch.setattr(scoring, "why_not_looked_up", lambda _: "it is asked for")
        predictions = build_predictions(builder, use_case, at, contenders, table)
        assert predictions.path.startswith(way)
        entries = [one.entry for one in commit_together(lake, table, batches, predictions.rows)]
        assert [(entry.batch_id, entry.rows) for entry in entries] == [(b.batch_id, len(expected)) for b in batches]
        for role in graphs:
            held = read_arrow(lake, table, where=ds.field("batch_id") == f"{role} by {way}").drop_columns("batch_id")
            found[way, role] = sorted(held.to_pylist(), key=lambda row: row["customer"])
    for role, g in graphs.items():
        assert found["bucket files", role] == found["spark", role]
        assert [row["customer"] for row in found["spark", role]] == sorted(expected)
        for row in found["spark", role]:
            assert row["score"] == pytest.approx(expected[row["customer"]], abs=1e-12)
            assert (row["event_timestamp"], row["role"]) == (at, role)
            assert row["prediction"] == float(row["score"] >= g.threshold)
            assert (row["reasons"] is None) == (role == "shadow")
    assert found["spark", "champion"] != found["spark", "shadow"]


def test_a_registered_model_lies_with_its_proof_and_without_pickles(trained: Shop) -> None:
    folders = [path.parent for path in trained.root.rglob("score.onnx")]
    assert len(folders) == 1
    described = json.loads((folders[0] / "score.json").read_text("utf-8"))
    assert described["proof"]["adversarial_rows"] == 4000
    assert described["proof"]["difference"] <= 1e-12
    model = folders[0].parents[1]
    names = {path.name for path in model.rglob("*") if path.is_file()}
    assert {"MLmodel", "requirements.txt", "onnx_scoring.py", "input_example.json"} <= names
    assert not {name for name in names if name.endswith((".pkl", ".pickle", ".cloudpickle"))}
    needed = (model / "requirements.txt").read_text("utf-8")
    assert "onnxruntime==" in needed
    assert "pyspark" not in needed


def test_a_graph_that_differs_registers_nothing(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.deliver("orders.csv", as_csv(orders()))
    assert shop.run("ingest refine build_features audit", "--as-of", AS_OF)[0] == 0

    def broken(folder: Path, threshold: float | None) -> Export:
        exported = export(folder, threshold)
        assert exported.graph.count(b"Add") == 3
        return replace(exported, graph=exported.graph.replace(b"Add", b"Sub"))

    monkeypatch.setattr(packaging, "export", broken)
    code, summary = shop.run("train", "--as-of", AS_OF)
    assert (code, summary["error"]["code"]) == (65, "E_EXPORT")
    assert "where Spark scores" in summary["error"]["what"]
    assert recorded(shop.root) == []  # neither a version nor a run that goes on
    monkeypatch.undo()
    assert shop.run("train", "--as-of", AS_OF)[0] == 0
    assert recorded(shop.root) == ["shop 1", "shop challenger is 1"]
