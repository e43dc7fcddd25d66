"""The whole pipeline on a real standalone cluster with real services, beside the same on this machine alone."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
import redis
from conftest import make_shop_in
from servers.process import PORTS, free_port
from shopkeeping import AS_OF, contents, delivery, orders
from tidemill.core.home import HOME
from tidemill.data.places import open_delta
from tidemill.data.root_tables import tables_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Shop
    from servers.s3 import S3

pytestmark = pytest.mark.cluster
EQUAL = ("bronze.orders", "silver.orders", "gold.orders_of_customer_v1", "gold.shop_labels", "gold.shop_training_sets")
# As MLlib's, and XGBoost's, scores may differ between two machines.
TOLERANCE = {"LogisticRegression": 1e-9, "XGBoost": 1e-6}


@dataclass(frozen=True)
class Trial:
    """A cluster and services: their folder, and the variables that jobs find them by."""

    folder: Path
    variables: dict[str, str]


def surroundings() -> dict[str, str]:
    """The environment without the JARs that the tests' own JVM has: a job has to bring its own."""
    return {name: value for name, value in os.environ.items() if name != "SPARK_DIST_CLASSPATH"}


def script(name: str, action: str, folder: Path, **variables: str) -> dict[str, str]:
    """Runs a script of deploy/local; the variables that it prints."""
    command = [str(HOME / "deploy/local" / f"{name}.sh"), action, str(folder)]
    done = subprocess.run(command, env=surroundings() | variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return dict(re.findall(r"^export (\w+)=(.*)$", done.stdout, re.MULTILINE))


def free_ports() -> int:
    """The first of some ports that nobody listens on, by all likelihood."""
    return min(free_port(), PORTS.stop - 200)


@pytest.fixture(scope="module")
def trial(s3: S3) -> Iterator[Trial]:
    folder = Path(tempfile.mkdtemp(prefix="tidemill-trial-"))
    folder.chmod(0o755)  # PostgreSQL runs as another user
    try:
        first = free_ports()
        ports = {"TIDEMILL_PORTS": str(first), "TIDEMILL_MASTER_PORT": str(first + 10)}
        # Executors have the environment that their workers were started in.
        yield Trial(folder, script("trial", "start", folder, **ports, **s3.variables))
    finally:
        script("trial", "stop", folder)
        shutil.rmtree(folder)


@pytest.fixture
def cluster(trial: Trial, s3: S3) -> Trial:
    """With both of its workers."""
    folder = trial.folder / "cluster"
    if not (folder / "worker-1.pid").exists():
        script("cluster", "stop", folder)
        found = script("cluster", "start", folder, TIDEMILL_MASTER_PORT=str(free_ports()), **s3.variables)
        trial.variables.update(found)
    return trial


@pytest.fixture(params=TOLERANCE)
def shop(request: pytest.FixtureRequest, trial: Trial, tmp_path: Path) -> Shop:
    """Whose orders come through a topic: good ones, one of the wrong type, and one that is cut off."""
    made = make_shop_in(tmp_path)("local")
    file, topic = made.repo / "shop.py", f"orders-{request.param}"
    if request.param == "XGBoost":
        text = file.read_text("utf-8").replace("LogisticRegression(regParam=0.1, maxIter=5)", "XGBoost(n_estimators=5)")
        file.write_text(text, encoding="utf-8")
    contract = made.repo / "contracts/shop/orders.yaml"
    text = contract.read_text("utf-8")
    landing = text[text.index("  - server: landing") : text.index("schema:")]
    server: dict[str, Any] = {
        "server": "topic",
        "type": "kafka",
        "host": trial.variables["TIDEMILL_KAFKA"],
        "format": "kafka",
    }
    server |= {"customProperties": [{"property": "topic", "value": topic}]}
    contract.write_text(text.replace(landing, f"  - {json.dumps(server)}\n"), encoding="utf-8")
    rows = [{"Customer": who, "At": f"{at:%Y-%m-%d %H:%M:%S}", "Amount": float(amount)} for who, at, amount in orders()]
    rows.append({"Customer": "c001", "At": "not a time", "Amount": 1.0})
    produce(trial, topic, [json.dumps(row) for row in rows] + ['{"Customer": "c002", "At": '])
    return made


def produce(trial: Trial, topic: str, values: list[str]) -> None:
    """Makes a topic of two partitions and writes to it."""
    from confluent_kafka import Producer
    from confluent_kafka.admin import AdminClient
    from confluent_kafka.cimpl import NewTopic

    address: dict[str, str | int | float | bool] = {
        "bootstrap.servers": trial.variables["TIDEMILL_KAFKA"],
        "log_level": 0,
    }
    admin = AdminClient(address)  # held until the topics are there: its end would end the wait for them
    for made in admin.create_topics([NewTopic(topic, 2, 1)]).values():
        made.result(30)
    producer = Producer(address)
    for number, value in enumerate(values):
        producer.produce(topic, value.encode(), partition=number % 2)
    assert producer.flush(30) == 0


def start(shop: Shop, root: Path, env: str, **variables: str) -> subprocess.Popen[str]:
    command = [str(HOME / "spark-submit.sh"), "pipeline", "--use-case", "shop", "--repo", str(shop.repo)]
    command += ["--root", str(root), "--as-of", AS_OF, "--env", env, "--json"]
    return subprocess.Popen(
        command, env=surroundings() | variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def finish(process: subprocess.Popen[str]) -> dict[str, Any]:
    said = process.communicate()[0]
    assert process.returncode == 0, said[-6000:]
    found: dict[str, Any] = json.loads(said.splitlines()[-1])
    return found


def scores(root: Path) -> dict[Any, float]:
    rows = open_delta(tables_of(root) / "gold" / "shop_predictions").to_pyarrow_table().to_pylist()
    return {(r["customer"], r["event_timestamp"], r["role"]): r["score"] for r in rows}


def online_entities(root: Path) -> int:
    """How many entities the online store of a run on this machine knows."""
    with contextlib.closing(sqlite3.connect(root / "feast/online.db")) as database:
        (table,) = database.execute(
            "select name from sqlite_master where name like '%orders_of_customer_v1'"
        ).fetchone()
        return int(database.execute(f'select count(distinct entity_key) from "{table}"').fetchone()[0])


def kill_in_the_middle(trial: Trial, process: subprocess.Popen[str], root: Path) -> None:
    """Kills a worker with its executors, at once, when gold is being built."""
    deadline = time.monotonic() + 300
    while not (root / "lake/gold/orders_of_customer_v1").exists():
        assert process.poll() is None, process.communicate()[0][-6000:]
        assert time.monotonic() < deadline
        time.sleep(0.1)
    noted = trial.folder / "cluster/worker-1.pid"
    os.killpg(int(noted.read_text(encoding="utf-8")), signal.SIGKILL)
    noted.unlink()


def test_a_cluster_gives_what_one_machine_gives_even_when_a_worker_dies(
    shop: Shop, cluster: Trial, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    alone, spread = shop.root, tmp_path / "spread"
    here = finish(start(shop, alone, "local"))
    running = start(shop, spread, "trial", **cluster.variables)
    kill_in_the_middle(cluster, running, spread)
    there = finish(running)

    assert there["status"] == here["status"] == "ok"
    assert there["counts"] == here["counts"]
    assert here["counts"]["quarantined"] == 2
    assert contents(spread, *EQUAL) == contents(alone, *EQUAL)
    expected, found = scores(alone), scores(spread)
    assert found.keys() == expected.keys()
    family = request.node.callspec.params["shop"]
    assert max(abs(found[key] - expected[key]) for key in expected) <= TOLERANCE[family]

    # The services keep what stands below the root otherwise.
    assert not (spread / "mlflow/mlflow.db").exists()
    assert not (spread / "feast/online.db").exists()
    registry = cluster.variables["TIDEMILL_FEAST_REGISTRY"].replace("+psycopg", "")
    with psycopg.connect(registry) as connection:
        names = connection.execute("select feature_service_name from feature_services").fetchall()
    assert ("shop",) in names
    host, _, password = cluster.variables["TIDEMILL_REDIS"].partition(",password=")
    with redis.Redis(host=host.partition(":")[0], port=int(host.partition(":")[2]), password=password) as client:
        assert client.dbsize() == online_entities(alone)


def test_tables_in_a_store_are_those_of_a_disk(cluster: Trial, bucket: str, tmp_path: Path) -> None:
    shop = make_shop_in(tmp_path)("disk")
    shop.deliver("orders.csv", delivery())
    here = finish(start(shop, shop.root, "local"))
    for env in ("local", "trial"):
        store = tmp_path / env
        shutil.copytree(shop.root / "landing", store / "landing")
        there = finish(start(shop, store, env, **cluster.variables, TIDEMILL_TABLES=f"s3://{bucket}/{env}"))
        assert (there["status"], there["counts"]) == ("ok", here["counts"])
        assert contents(store, *EQUAL) == contents(shop.root, *EQUAL)
        expected, found = scores(shop.root), scores(store)
        assert found.keys() == expected.keys()
        assert max(abs(found[key] - expected[key]) for key in expected) <= TOLERANCE["LogisticRegression"]
        assert sorted(path.name for path in (store / "lake").iterdir()) == ["address", "ops"]
    # Afterwards the root alone says where its tables lie.
    assert finish(start(shop, store, "trial", **cluster.variables))["status"] == "skipped"
