"""What tests share: one Spark session a process, a lake in a folder of its own, a tiny use case to drive jobs with."""

import contextlib
import io
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

# Feast redirects every later metric of the process to files unless the client is imported before it.
import prometheus_client  # noqa: F401
import pytest
from hypothesis import settings
from pyspark.sql import SparkSession
from tidemill.cli.job import run_jobs
from tidemill.core.config import Layout
from tidemill.data import ledger
from tidemill.data.tables import Lake

pytest_plugins = ["servers.fixtures", "serving_fixtures"]
# A machine that others use, too, is slow at times: how long an example takes decides nothing.
settings.register_profile("tidemill", deadline=None)
settings.load_profile("tidemill")

CONTRACT = """\
apiVersion: v3.0.2
kind: DataContract
id: shop-orders
name: orders
version: 1.0.0
status: active
servers:
  - server: landing
    type: local
    path: "{root}/landing/orders"
    format: csv
schema:
  - name: orders
    properties:
      - {name: customer, physicalName: Customer, logicalType: string, required: true}
      - {name: ordered_at, physicalName: At, logicalType: timestamp, required: true}
      - {name: amount, physicalName: Amount, logicalType: number, physicalType: "decimal(12,2)", required: true}
"""
USE_CASE = """\
from tidemill.declare import *

CUSTOMER = Entity("customer")
ORDERS = Source("orders", contract="shop/orders.yaml", entity=CUSTOMER, event_time="ordered_at")
VIEW = FeatureView(
    "orders_of_customer", version=1, entity=CUSTOMER, source=ORDERS, cadence=days(1), ttl=days(2),
    features=(Recency(), Aggregate("count", windows=(days(10),)), Aggregate("sum", "amount", windows=(days(10),))),
)
SHOP = UseCase(
    "shop",
    views=(VIEW,),
    label=Label("gone", horizon=days(10), population=ActiveWithin(ORDERS, days(20)), outcome=NoEventIn(ORDERS)),
    task="binary",
    models=(LogisticRegression(regParam=0.1, maxIter=5),),
    grid=Grid("2024-01-11", every=days(10)),
    baseline="amount_sum_10d",  # which any model of these customers beats
    splits=Splits(gate=1, folds=1),
)
"""


# Tests put other databases in the place of MLflow's: no connection may outlive what was asked of it.
os.environ["MLFLOW_SQLALCHEMYSTORE_POOLCLASS"] = "NullPool"


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    """The one session, small; class path and other settings come from the environment that `./test.sh` makes."""
    if "TIDEMILL_JARS" not in os.environ:
        pytest.fail("Spark's class path is not set: run the tests with ./test.sh")
    session = (
        SparkSession.builder.master("local[2]")
        .appName("tidemill tests")
        .config("spark.default.parallelism", 2)
        .config("spark.sql.shuffle.partitions", 2)
        .config("spark.databricks.delta.snapshotPartitions", 1)
        # Plans here run once over a few rows: compiling them to Java would cost more than running them.
        .config("spark.sql.codegen.wholeStage", "false")
        .config("spark.sql.codegen.factoryMode", "NO_CODEGEN")
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("ERROR")
    yield session
    session.stop()


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """An empty lake."""
    return Lake(tmp_path / "var", "run-1", Layout(buckets=4, period="all"))


@dataclass(frozen=True)
class Shop:
    """A tiny use case in a folder of its own: a feature repository, landed files, and a root."""

    repo: Path
    root: Path

    @property
    def lake(self) -> Lake:
        """Its tables, to read."""
        return Lake(self.root, "reader")

    def deliver(self, name: str, text: str) -> Path:
        """Lands a file."""
        path = self.root / "landing" / "orders" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def run(self, jobs: str, *arguments: str) -> tuple[int, dict[str, Any]]:
        """Runs jobs, separated by blanks, as one run; the exit code and the summary object."""
        names = jobs.split()
        name = names[0] if len(names) == 1 else "pipeline"
        chain = [(n, import_module(f"jobs.{n}").run) for n in names]
        argv = ["--use-case", "shop", "--repo", str(self.repo), "--root", str(self.root), "--json", *arguments]
        with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()):
            code = run_jobs(name, lambda _: chain, argv)
        return code, json.loads(out.getvalue().splitlines()[-1])

    def batches(self, label: str) -> list[ledger.Entry]:
        """The ledger of one table."""
        return ledger.entries(self.root, label)


def make_shop_in(folder: Path) -> Callable[[str], Shop]:
    """Makes shops in a folder, each with a root of its own name, that share one feature repository."""
    repo = folder / "repo"
    (repo / "contracts" / "shop").mkdir(parents=True)
    (repo / "contracts" / "shop" / "orders.yaml").write_text(CONTRACT, encoding="utf-8")
    (repo / "shop.py").write_text(USE_CASE, encoding="utf-8")
    return lambda name: Shop(repo, folder / name)


@pytest.fixture
def make_shop(tmp_path: Path) -> Callable[[str], Shop]:
    """Makes shops, each with a root of its own name, that share one feature repository."""
    return make_shop_in(tmp_path)


@pytest.fixture
def shop(make_shop: Callable[[str], Shop], spark: SparkSession) -> Shop:
    """A shop with nothing delivered yet."""
    return make_shop("var")
