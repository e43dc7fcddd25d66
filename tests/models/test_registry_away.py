"""A tracking server that refuses, hangs, breaks off or answers 503: waited for a while, then said, without secrets."""

from __future__ import annotations

import socket
import struct
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import mlflow
import pytest
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST
from sqlalchemy.exc import OperationalError
from tidemill.core.errors import TidemillError
from tidemill.models.registry import Registry
from tidemill.models.registry_server import LIMITS, asking, place_of
from urllib3.exceptions import ReadTimeoutError
from urllib3.util import Retry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from conftest import Shop

ANSWER, HANG, RESET, NOTHING = "200 OK", "hang", "reset", "nothing"
UNAVAILABLE, DENIED, ELSEWHERE = "503 Service Unavailable", "401 Unauthorized", "404 Not Found"


class Door:
    """Stands where a tracking server should be, and does to each connection what it is told; the last lasts.

    Args:
        moods: what to do to one connection after another.
    """

    def __init__(self, *moods: str) -> None:
        self.moods, self.seen, self._open = list(moods), 0, list[socket.socket]()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    @property
    def uri(self) -> str:
        """Its address, with a password that nobody is to read."""
        return f"http://ada:hush@127.0.0.1:{self.port}/models?token=hush"

    def close(self) -> None:
        """Lets nobody in any more."""
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join()
        for connection in self._open:
            connection.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            mood = self.moods[min(self.seen, len(self.moods) - 1)]
            self.seen += 1
            self._open.append(connection)
            if mood == RESET:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connection.close()
            elif mood != HANG:
                connection.recv(1 << 16)
                head = (
                    f"HTTP/1.1 {mood}\r\nContent-Type: application/json\r\nConnection: close\r\nRetry-After: 3600\r\n"
                )
                connection.sendall(f"{head}Content-Length: 2\r\n\r\n".encode() + (b"{}" if mood == ANSWER else b"no"))
                connection.shutdown(socket.SHUT_WR)


@contextmanager
def door(*moods: str) -> Iterator[Door]:
    made = Door(*moods)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One more try after a second, at once; and MLflow goes back to where it was."""
    before = mlflow.get_tracking_uri()
    for name, value in {"TIMEOUT": "1", "MAX_RETRIES": "1", "BACKOFF_FACTOR": "0", "BACKOFF_JITTER": "0"}.items():
        monkeypatch.setenv(f"MLFLOW_HTTP_REQUEST_{name}", value)
    yield
    mlflow.set_tracking_uri(before)
    mlflow.set_registry_uri(before)


def refused(root: Path, uri: str) -> TidemillError:
    started = time.monotonic()
    with pytest.raises(TidemillError) as caught:
        Registry(root, uri).check()
    assert time.monotonic() - started < 60  # MLflow alone takes minutes
    assert "hush" not in caught.value.lines()
    assert caught.value.__suppress_context__  # nor is it logged with what MLflow says
    return caught.value


@pytest.mark.parametrize(
    ("mood", "why"),
    [
        (HANG, "it gives no answer in time"),
        (RESET, "it breaks connections off"),
        (UNAVAILABLE, "it answers 503 only"),
        ("500 Internal Server Error", "it answers 500 only"),
    ],
)
def test_a_server_that_is_no_use_is_tried_twice_and_named(tmp_path: Path, mood: str, why: str) -> None:
    with door(mood) as there:
        error = refused(tmp_path, there.uri)
        assert there.seen == 2
    assert (error.code, int(error.exit_code)) == ("E_TRACKING", 75)
    assert error.what == f"the tracking server does not answer as it should: {why}"
    assert error.where == f"services.tracking, http://127.0.0.1:{there.port}/models"
    gone = refused(tmp_path, there.uri)
    assert (gone.code, gone.what.rpartition(": ")[2]) == ("E_TRACKING", "it refuses connections")


def test_a_server_that_is_back_in_time_is_waited_for(tmp_path: Path) -> None:
    for mood in (HANG, RESET, UNAVAILABLE):
        with door(mood, ANSWER) as there:
            registry = Registry(tmp_path, there.uri)
            registry.check()
            assert (registry.names(), there.seen) == ([], 3)


@pytest.mark.parametrize(
    ("mood", "what"),
    [
        (DENIED, "the tracking server refuses the credentials"),
        (ELSEWHERE, "what answers there is no tracking server of MLflow's"),
    ],
)
def test_a_server_that_will_never_do_is_not_tried_again(tmp_path: Path, mood: str, what: str) -> None:
    with door(mood) as there:
        error = refused(tmp_path, there.uri)
        assert there.seen == 1
    assert (error.code, error.what, int(error.exit_code)) == ("E_TRACKING_REFUSED", what, 78)


@pytest.mark.parametrize(("job", "arguments"), [("train", ()), ("score", ("--as-of", "2024-03-11"))])
def test_a_job_asks_the_server_before_it_works(
    make_shop: Callable[[str], Shop], monkeypatch: pytest.MonkeyPatch, job: str, arguments: tuple[str, ...]
) -> None:
    def start(*_: object) -> None:
        raise AssertionError("Spark is started")

    monkeypatch.setattr("tidemill.cli.context.spark_session", start)
    with door(UNAVAILABLE) as there:
        code, summary = make_shop("var").run(f"ingest {job}", *arguments, "--set", f"services.tracking={there.uri}")
    assert (code, summary["error"]["code"], summary["status"]) == (75, "E_TRACKING", "failed")
    assert "hush" not in str(summary)


def test_no_request_waits_for_a_minute() -> None:
    limits = {name.removeprefix("MLFLOW_HTTP_"): value for name, value in LIMITS.items()}
    assert limits["RESPECT_RETRY_AFTER_HEADER"] == "false"
    factor, chance = (float(limits[f"REQUEST_BACKOFF_{name}"]) for name in ("FACTOR", "JITTER"))
    retry = Retry(int(limits["REQUEST_MAX_RETRIES"]), backoff_factor=factor, backoff_jitter=chance)
    waited = float(limits["REQUEST_TIMEOUT"])
    while retry.total:
        retry = retry.increment("GET", "/", error=ReadTimeoutError(None, "/", "late"))  # type: ignore[arg-type]
        waited += retry.get_backoff_time() + float(limits["REQUEST_TIMEOUT"])
    assert 45 < waited < 60


def test_a_database_that_is_away_is_said_to_be() -> None:
    uri = "postgresql+psycopg://ada:hush@db.example:5432/mlflow?sslkey=hush"
    with pytest.raises(TidemillError) as caught, asking(uri):
        raise OperationalError("select 1", {}, Exception('connection to "db.example", port 5432 failed'))
    assert (caught.value.code, caught.value.what.rpartition(": ")[2]) == ("E_TRACKING", "it is not available")
    assert caught.value.where == "services.tracking, postgresql+psycopg://db.example:5432/mlflow"


def test_what_is_not_the_servers_fault_stays_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(TimeoutError), asking("http://models.example"):
        raise TimeoutError("timed out")  # Spark's, for instance
    with pytest.raises(OperationalError), asking(f"sqlite:///{tmp_path}/mlflow.db"):
        raise OperationalError("select 1", {}, Exception("unable to open database file"))
    with pytest.raises(MlflowException), asking("http://models.example"):
        raise MlflowException("no model is named 'timeouts'", RESOURCE_DOES_NOT_EXIST)
    assert place_of("sqlite:////a b/mlflow.db") == "sqlite:////a b/mlflow.db"
    assert place_of("databricks") == "databricks"
