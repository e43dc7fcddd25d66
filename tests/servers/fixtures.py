"""Fixtures, which `tests/conftest.py` gives to all tests: one server of each kind, started by the first that asks."""

import hashlib
import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from servers import process
from servers.chromium import Chromium
from servers.kafka import Kafka
from servers.postgres import Postgres
from servers.prometheus import Prometheus
from servers.redis import Redis
from servers.s3 import S3
from servers.webhook import webhook

HOME = Path(__file__).resolve().parents[2]


def needed(name: str, place: str, reason: str) -> Path:
    """The place of a server's programs, as `./test.sh` found it; without one the test is skipped."""
    if not os.environ.get(place):
        pytest.skip(f"no {name}: {os.environ.get(reason) or 'only ./test.sh looks for it'}")
    return Path(os.environ[place])


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A running PostgreSQL; tests tell their tables apart by name."""
    programs = needed("PostgreSQL", "TIDEMILL_POSTGRES_BIN", "TIDEMILL_NO_POSTGRES")
    # Not below pytest's own folder: only its owner may enter that, and the server may run as another user.
    with (
        tempfile.TemporaryDirectory(prefix="tidemill-postgres-") as folder,
        process.running(Postgres(Path(folder), programs)) as server,
    ):
        yield server


@pytest.fixture(scope="session")
def redis() -> Iterator[Redis]:
    """A running Redis with nothing in it but what tests leave; they tell their projects apart by name."""
    program = needed("Redis", "TIDEMILL_REDIS", "TIDEMILL_NO_REDIS")
    with (
        tempfile.TemporaryDirectory(prefix="tidemill-redis-") as folder,
        process.running(Redis(Path(folder), program)) as server,
    ):
        yield server


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """A running S3; tests tell their buckets apart by name."""
    with process.running(S3(tmp_path_factory.mktemp("s3"))) as server:
        yield server


@pytest.fixture
def bucket(s3: S3, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty bucket that this process and its children reach."""
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")  # for tests that ask delta-rs itself
    for name, value in s3.variables.items():
        monkeypatch.setenv(name, value)
    name = f"b{secrets.token_hex(8)}"
    s3.make_bucket(name)
    return name


@pytest.fixture
def spark_on_s3(spark: SparkSession, s3: S3, monkeypatch: pytest.MonkeyPatch) -> Iterator[SparkSession]:
    """The session, told what a JVM that starts where S3 is meant knows, and workers with it."""
    said = s3.variables
    for name, value in said.items():
        monkeypatch.setitem(spark.sparkContext.environment, name, value)
    settings = {
        "fs.s3a.endpoint": said["AWS_ENDPOINT_URL"],
        "fs.s3a.endpoint.region": said["AWS_REGION"],
        "fs.s3a.path.style.access": "true",
        "fs.s3a.access.key": said["AWS_ACCESS_KEY_ID"],
        "fs.s3a.secret.key": said["AWS_SECRET_ACCESS_KEY"],
    }
    hadoop = spark.sparkContext._jsc.hadoopConfiguration()
    for name, value in settings.items():
        hadoop.set(name, value)
    yield spark
    for name in settings:
        hadoop.unset(name)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Chromium]:
    """A running browser."""
    program = needed("Chromium", "TIDEMILL_CHROMIUM", "TIDEMILL_NO_CHROMIUM")
    with (
        tempfile.TemporaryDirectory(prefix="tidemill-chromium-", ignore_cleanup_errors=True) as folder,
        process.running(Chromium(Path(folder), program)) as browser,
    ):
        yield browser


@pytest.fixture
def alert_path() -> Iterator[tuple[Prometheus, list[tuple[str, Any]]]]:
    """Pushgateway, Prometheus and Alertmanager, and what the receiver at their end got."""
    programs = needed("Prometheus", "TIDEMILL_PROMETHEUS_BIN", "TIDEMILL_NO_PROMETHEUS")
    with (
        tempfile.TemporaryDirectory(prefix="tidemill-prometheus-") as folder,
        webhook() as (port, got),
        process.running(Prometheus(Path(folder), programs, f"http://127.0.0.1:{port}/chat")) as servers,
    ):
        yield servers, got


@pytest.fixture(scope="session")
def onnx_node() -> Path:
    """A folder whose `node_modules` holds the locked ONNX Runtime for Node, installed on first use below .cache."""
    if shutil.which("npm") is None:
        pytest.skip("no ONNX Runtime for Node: npm is not installed")
    made_from = Path(__file__).parent / "onnx_node"
    digest = hashlib.sha256((made_from / "package-lock.json").read_bytes()).hexdigest()[:16]
    folder = HOME / ".cache" / "onnx_node" / digest
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as new:
            for name in ("package.json", "package-lock.json"):
                shutil.copy(made_from / name, new)
            # Without scripts: the package's own would fetch libraries for graphics cards from elsewhere.
            command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
            done = subprocess.run(command, cwd=new, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                pytest.skip(f"no ONNX Runtime for Node: {done.stderr.strip().splitlines()[-1:]}")
            shutil.copytree(new, folder)
    return folder


@pytest.fixture(scope="session")
def kafka() -> Iterator[Kafka]:
    """A running broker; tests tell their topics apart by name, and whoever kills it restarts it."""
    jars = needed("Kafka broker", "TIDEMILL_KAFKA_JARS", "TIDEMILL_NO_KAFKA")
    with tempfile.TemporaryDirectory(prefix="tidemill-kafka-") as folder:
        server = Kafka(Path(folder), jars)
        try:
            server.start()
            yield server
        finally:
            server.kill()
