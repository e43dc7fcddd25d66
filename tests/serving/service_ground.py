"""A registry with tiny models and an online store in SQLite, made without Spark: what the service stands on."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from onnx import TensorProto
from tidemill.core.config import load_config
from tidemill.core.frozen import freeze
from tidemill.core.quiet import quiet
from tidemill.core.time import days
from tidemill.data.tables import Lake
from tidemill.declare import (
    ActiveWithin,
    Aggregate,
    Entity,
    Expression,
    FeatureView,
    Grid,
    Label,
    LogisticRegression,
    NoEventIn,
    Recency,
    Request,
    Source,
    UseCase,
)
from tidemill.features.feast_engine import _redis_place
from tidemill.features.feast_objects import feast_objects
from tidemill.features.feast_reading import OnlineReader
from tidemill.features.feast_store import apply_objects, open_store
from tidemill.features.online import redis, sqlite
from tidemill.features.online.view import Column, OnlineView
from tidemill.models.card import CARD, DECLARATION
from tidemill.models.onnx_export import Export, add_prediction
from tidemill.models.onnx_graph import ML, NUMBER, TEXT, Graph, Output
from tidemill.models.onnx_scoring import DESCRIPTION, GRAPH, SAMPLE, make_scorer
from tidemill.models.packaging import Package
from tidemill.models.promotion import CHAMPION
from tidemill.models.reasons import ARRAYS, LINEAR, REASONS, VECTOR
from tidemill.models.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tidemill.core.service_config import Serve
    from tidemill.models.registry import Version

HOME = Path(__file__).resolve().parents[2]
NAME, KEY = "shop", "customer"
CUSTOMER = Entity(KEY)
ORDERS = Source("orders", contract="shop/orders.yaml", entity=CUSTOMER, event_time="ordered_at")
NOW = datetime.now(UTC).replace(microsecond=0)
HOUR = timedelta(hours=1)
ORDER_VIEW = FeatureView(
    "orders_of_customer",
    version=1,
    entity=CUSTOMER,
    source=ORDERS,
    cadence=days(1),
    ttl=days(2),
    features=(
        Recency(),
        Aggregate("count", windows=(days(10),)),
        Request("basket", "double", history="recency_days"),
        Expression("basket / 100", "basket_part"),
    ),
)
PLAN_VIEW = FeatureView(
    "plan_of_customer",
    version=2,
    entity=CUSTOMER,
    source=ORDERS,
    cadence=days(1),
    ttl=days(30),
    features=(Aggregate("last_text", "plan"),),
)
PLAN = PLAN_VIEW.columns[0].name
USE_CASE = UseCase(
    NAME,
    views=(ORDER_VIEW, PLAN_VIEW),
    label=Label("gone", horizon=days(10), population=ActiveWithin(ORDERS, days(20)), outcome=NoEventIn(ORDERS)),
    task="binary",
    models=(LogisticRegression(),),
    grid=Grid("2024-01-11", every=days(10)),
    baseline="events_count_10d",
)
# What the store holds: of ann all of both views; bob's orders are old; cy has a plan alone; dee's values are nulls.
ANN = {"recency_days": 20.0, "events_count_10d": 3.0, "basket": 20.0, "basket_part": 0.2}
BOB = {"recency_days": 10.0, "events_count_10d": 1.0, "basket": 10.0, "basket_part": 0.1}
DEE: dict[str, Any] = dict.fromkeys(ANN)
STORED: dict[str, dict[str, tuple[datetime, Mapping[str, Any]]]] = {
    "orders_of_customer_v1": {"ann": (NOW - HOUR, ANN), "bob": (NOW - days(5), BOB), "dee": (NOW - HOUR, DEE)},
    "plan_of_customer_v2": {
        "ann": (NOW - 2 * HOUR, {PLAN: "gold"}),
        "bob": (NOW - HOUR, {PLAN: "größe"}),
        "cy": (NOW - 3 * HOUR, {PLAN: "gold"}),
        "dee": (NOW - HOUR, {PLAN: None}),
    },
}


@dataclass(frozen=True)
class Place:
    """A root with a registry and a store."""

    root: Path
    registry: Registry
    settings: Serve
    yaml: Path = HOME / "feature_repo" / "feature_store.yaml"

    @property
    def lake(self) -> Lake:
        """Its tables."""
        return Lake(self.root, "test", lease_timeout=5.0)

    def reader(self) -> OnlineReader:
        """The store, opened anew."""
        return OnlineReader(open_store(self.yaml, self.root))


def make_place(root: Path) -> Place:
    """A root with three versions that add 0, 0.01 and 0.02 to the score; the first is champion."""
    (root / "lake").mkdir(parents=True)
    settings = load_config(HOME / "conf", "local").serve
    place = Place(root, Registry(root), settings.model_copy(update={"hosts": ("*",), "log_share": 0.0}))
    fill_store(place)
    for added in (0.0, 0.01, 0.02):
        register(place, added)
    place.registry.set_alias(NAME, CHAMPION, "1")
    return place


def fill_store(place: Place) -> None:
    """Registers the views in Feast and writes what the store is to hold, by the writer that Spark's workers use."""
    fill_views(place, USE_CASE, STORED)


def fill_views(
    place: Place, use_case: UseCase, stored: Mapping[str, Mapping[str, tuple[datetime, Mapping[str, Any]]]]
) -> None:
    """The same for a use case: by table the keys, and of each the as-of time and the features."""
    store = open_store(place.yaml, place.root)
    apply_objects(store, feast_objects(use_case.name, "", use_case.views, place.lake), place.root)
    for view in use_case.views:
        online = OnlineView(
            "tidemill",
            view.table_name,
            (Column(KEY, KEY, "string"),),
            tuple(Column(f.name, f.name, f.type) for f in view.columns),
            "at",
            None,
        )
        kinds = [(f.name, pa.float64() if f.type == "double" else pa.string()) for f in view.columns]
        schema = pa.schema([(KEY, pa.string()), ("at", pa.timestamp("us", "UTC")), *kinds])
        rows = [{KEY: key, "at": at, **values} for key, (at, values) in stored[view.table_name].items()]
        batch = pa.RecordBatch.from_pylist(rows, schema)
        if store.config.online_store.type == "redis":
            given = store._get_provider().online_store, store.config.online_store
            with quiet():
                registered = store.get_feature_view(online.name)
            written = redis.write([batch], online, _redis_place(*given, registered, online))
        else:
            written = sqlite.write([batch], online, sqlite.SqlitePlace(str(place.root / "feast" / "online.db")))
        assert sum(written) == len(rows)


def register(
    place: Place, added: float, *, wrong_by: float = 0.0, explained: bool = True, predicts: bool = True
) -> Version:
    """Registers a model: basket_part + 0.01 * events_count_10d + (0.25 of a gold plan) + what is added.

    Args:
        place: where.
        added: to every score.
        wrong_by: how far the scores of its sample are from what it scores.
        explained: whether it has an explainer.
        predicts: whether its graph holds the prediction, as those of the first releases do not.
    """
    graph = Graph()
    basket, count, gold = _columns(graph)
    total = graph.add("Add", basket, graph.add("Mul", gold, graph.number(0.25)))
    total = graph.add("Add", total, graph.add("Mul", count, graph.number(0.01)))
    total = graph.add("Add", total, graph.number(added))
    serialised = graph.serialise(total, prediction=add_prediction(graph, Output(total), 0.5) if predicts else None)
    exported = Export(serialised, graph.inputs, "<null>", graph.width, 1e-9, {}, threshold=0.5)
    rows: list[dict[str, Any]] = [
        {"basket_part": 0.5, "events_count_10d": 2.0, PLAN: "gold"},
        {"basket_part": 0.25, "events_count_10d": 1.0, PLAN: None},
    ]
    description = {"task": "binary", **exported.description()}
    scorer = make_scorer(serialised, description)
    sample: dict[str, Any] = {"rows": rows, "scores": (scorer.score_rows(rows) + wrong_by).tolist()}
    if predicts:
        sample["predictions"] = scorer.told(rows)[1].tolist()
    else:
        del description["prediction"]
    folder = place.root / "made" / f"{added}-{wrong_by}-{explained}-{predicts}"
    spark, made = folder / "sparkml", folder / "graph"
    spark.mkdir(parents=True)
    made.mkdir()
    (spark / "empty").write_text("", "utf-8")
    (made / GRAPH).write_bytes(serialised)
    (made / DESCRIPTION).write_text(json.dumps(description), "utf-8")
    (made / SAMPLE).write_text(json.dumps(sample), "utf-8")
    if explained:
        _explain(made, added)
    return register_package(place, USE_CASE, Package(spark, made, exported.inputs, rows[0]), folder.name)


def register_package(
    place: Place, use_case: UseCase, package: Package, identity: str, threshold: float | None = 0.5
) -> Version:
    """Registers a package as `train` does."""
    run = place.registry.start_training(use_case.name, identity, {})
    documents = {CARD: {"threshold": threshold}, DECLARATION: freeze(use_case)}
    uri = place.registry.log_package(run, package, documents)
    return place.registry.register(use_case.name, uri, run, identity, {})


def _columns(graph: Graph) -> tuple[str, str, str]:
    """What the model adds up: two numbers, and whether a plan is gold."""
    plan = graph.read(PLAN, TEXT).tensor
    gold = graph.add("LabelEncoder", plan, domain=ML, keys_strings=["gold"], values_floats=[1.0], default_float=0.0)
    basket, count = (graph.read(name, NUMBER).tensor for name in ("basket_part", "events_count_10d"))
    return basket, count, graph.add("Cast", gold, to=TensorProto.DOUBLE)


def _explain(folder: Path, base: float) -> None:
    """Writes what explains it: the terms of the sum."""
    graph = Graph()
    serialised = graph.serialise(graph.add("Concat", *_columns(graph), axis=1), 3)
    exported = Export(serialised, graph.inputs, "<null>", graph.width, 1e-9, {})
    inputs = ["basket_part", "events_count_10d", PLAN]
    said = {"kind": LINEAR, "unit": "value", "base": base, "inputs": inputs, "sources": [0, 1, 2]}
    (folder / REASONS).write_text(json.dumps({**said, "vector": exported.description()}), "utf-8")
    (folder / VECTOR).write_bytes(serialised)
    np.savez(folder / ARRAYS, active=np.arange(3), slopes=np.array([1.0, 0.01, 0.25]), means=np.zeros(3))
