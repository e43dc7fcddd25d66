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
from deltalake import DeltaTable
from servers.process import PORTS, free_port
from shopkeeping import AS_OF, contents, delivery
from tidemill.cli.job import HOME

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Shop

pytestmark = pytest.mark.cluster
EQUAL = ("bronze.orders", "silver.orders", "gold.orders_of_customer_v1", "gold.shop_labels", "gold.shop_training_sets")
# As MLlib's, and XGBoost's, scores may differ between two machines.
TOLERANCE = {"LogisticRegression": 1e-9, "XGBoost": 1e-6}


@dataclass(frozen=True)
class Trial:
    """A cluster and services: their folder, and the variables that jobs find them by."""

    folder: Path
    variables: dict[str, str]


def script(name: str, action: str, folder: Path, **variables: str) -> dict[str, str]:
    """Runs a script of deploy/local; the variables that it prints."""
    command = [str(HOME / "deploy/local" / f"{name}.sh"), action, str(folder)]
    done = subprocess.run(command, env=os.environ | variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return dict(re.findall(r"^export (\w+)=(.*)$", done.stdout, re.MULTILINE))


def free_ports() -> int:
    """The first of some ports that nobody listens on, by all likelihood."""
    return min(free_port(), PORTS.stop - 200)


@pytest.fixture(scope="module")
def trial() -> Iterator[Trial]:
    folder = Path(tempfile.mkdtemp(prefix="tidemill-trial-"))
    folder.chmod(0o755)  # PostgreSQL runs as another user
    try:
        found = script("services", "start", folder / "services", TIDEMILL_PORTS=str(free_ports()))
        found |= script("cluster", "start", folder / "cluster", TIDEMILL_MASTER_PORT=str(free_ports()))
        yield Trial(folder, found)
    finally:
        script("cluster", "stop", folder / "cluster")
        script("services", "stop", folder / "services")
        shutil.rmtree(folder)


@pytest.fixture(params=TOLERANCE)
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Shop:
    made = make_shop_in(tmp_path)("local")
    file = made.repo / "shop.py"
    if request.param == "XGBoost":
        text = file.read_text("utf-8").replace("LogisticRegression(regParam=0.1, maxIter=5)", "XGBoost(n_estimators=5)")
        file.write_text(text, encoding="utf-8")
    made.deliver("orders.csv", delivery())
    return made


def start(shop: Shop, root: Path, env: str, **variables: str) -> subprocess.Popen[str]:
    command = [str(HOME / "spark-submit.sh"), "pipeline", "--use-case", "shop", "--repo", str(shop.repo)]
    command += ["--root", str(root), "--as-of", AS_OF, "--env", env, "--json"]
    return subprocess.Popen(
        command, env=os.environ | variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def finish(process: subprocess.Popen[str]) -> dict[str, Any]:
    said = process.communicate()[0]
    assert process.returncode == 0, said[-6000:]
    found: dict[str, Any] = json.loads(said.splitlines()[-1])
    return found


def scores(root: Path) -> dict[Any, float]:
    rows = DeltaTable(str(root / "lake/gold/shop_predictions")).to_pyarrow_table().to_pylist()
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
    leader = int((trial.folder / "cluster/worker-1.pid").read_text(encoding="utf-8"))
    os.killpg(leader, signal.SIGKILL)


def test_a_cluster_gives_what_one_machine_gives_even_when_a_worker_dies(
    shop: Shop, trial: Trial, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    alone, spread = shop.root, tmp_path / "spread"
    shutil.copytree(alone / "landing", spread / "landing")
    here = finish(start(shop, alone, "local"))
    running = start(shop, spread, "trial", **trial.variables)
    if (trial.folder / "cluster/worker-1.pid").exists():
        kill_in_the_middle(trial, running, spread)
        (trial.folder / "cluster/worker-1.pid").unlink()
    there = finish(running)

    assert there["status"] == here["status"] == "ok"
    assert there["counts"] == here["counts"]
    assert contents(spread, *EQUAL) == contents(alone, *EQUAL)
    expected, found = scores(alone), scores(spread)
    assert found.keys() == expected.keys()
    family = request.node.callspec.params["shop"]
    assert max(abs(found[key] - expected[key]) for key in expected) <= TOLERANCE[family]

    # The services keep what stands below the root otherwise.
    assert not (spread / "mlflow/mlflow.db").exists()
    assert not (spread / "feast/online.db").exists()
    registry = trial.variables["TIDEMILL_FEAST_REGISTRY"].replace("+psycopg", "")
    with psycopg.connect(registry) as connection:
        names = connection.execute("select feature_service_name from feature_services").fetchall()
    assert ("shop",) in names
    host, _, password = trial.variables["TIDEMILL_REDIS"].partition(",password=")
    with redis.Redis(host=host.partition(":")[0], port=int(host.partition(":")[2]), password=password) as client:
        assert client.dbsize() == online_entities(alone)


def test_the_broker_takes_topics(trial: Trial) -> None:
    from confluent_kafka.admin import AdminClient
    from confluent_kafka.cimpl import NewTopic

    admin = AdminClient({"bootstrap.servers": trial.variables["TIDEMILL_KAFKA"], "log_level": 0})
    for made in admin.create_topics([NewTopic("orders", num_partitions=2, replication_factor=1)]).values():
        made.result(30)
    assert len(admin.list_topics("orders", timeout=30).topics["orders"].partitions) == 2
