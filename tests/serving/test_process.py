"""The command as a process of its own: up soon, small, without Java, and gone in order."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from servers import process
from tidemill.cli.console import app
from tidemill.core.errors import TidemillError
from tidemill.data.read import read_arrow, version_of
from tidemill.serving.connections import LARGEST_HEAD
from tidemill.serving.request_log import REQUESTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from service_ground import Place

COMMAND = "from tidemill.cli.console import main; main()"
BODY = json.dumps({"entities": [{"key": "ann"}]})


@dataclass(frozen=True)
class Served:
    """A service that listens, and its process."""

    port: int
    server: subprocess.Popen[bytes]

    def get(self, path: str, body: str | None = None) -> tuple[int, Any, dict[str, str]]:
        """Status, answer and headers; status 0 where nobody listens."""
        connection = http.client.HTTPConnection(process.HOST, self.port, timeout=10)
        try:
            method = "GET" if body is None else "POST"
            connection.request(method, path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read()), dict(answer.getheaders())
        except ConnectionRefusedError:
            return 0, None, {}
        finally:
            connection.close()

    def cpu_seconds(self) -> float:
        """Seconds of work: unlike those on the wall they do not depend on what else the machine does."""
        fields = (Path("/proc") / str(self.server.pid) / "stat").read_text("utf-8").rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def peak_mb(self) -> float:
        """The most memory that the process ever had."""
        text = (Path("/proc") / str(self.server.pid) / "status").read_text("utf-8")
        return int(next(line for line in text.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024


def start(root: Path, log: Path, *words: str) -> Served:
    """Starts the command."""
    port = process.free_port()
    command = [sys.executable, "-P", "-c", COMMAND, "serve", "--root", str(root), "--port", str(port), *words]
    return Served(port, process.launch(command, log, signal.SIGKILL))


def wait(served: Served, path: str) -> float:
    """Returns when a path is answered with 200: the seconds of work until then."""
    deadline = time.monotonic() + 120
    while served.get(path)[0] != 200:
        assert served.server.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return served.cpu_seconds()


@pytest.fixture
def served(place: Place, tmp_path: Path) -> Iterator[Served]:
    """The command over the place."""
    found = start(place.root, tmp_path / "log", "--set", "serve.log_share=1", "--set", "serve.timeout=3")
    yield found
    process.end(found.server, signal.SIGKILL)


def test_the_service_is_alive_before_it_is_ready_small_and_gone_in_order(
    served: Served, place: Place, tmp_path: Path
) -> None:
    # How soon, no test says: the same start took 6 and 21 CPU seconds on one shared machine within an hour.
    assert wait(served, "/healthz") < wait(served, "/readyz")
    for _ in range(20):
        status, answer, headers = served.get("/v1/shop/predict", BODY)
        assert (status, answer["predictions"][0]["score"]) == (200, pytest.approx(0.48, abs=1e-12))
    assert "server" not in {name.lower() for name in headers}
    assert served.peak_mb() < 400
    children = subprocess.run(["ps", "-o", "comm=", "--ppid", str(served.server.pid)], capture_output=True, check=False)
    assert b"java" not in children.stdout
    with socket.create_connection((process.HOST, served.port), timeout=10) as caller:
        caller.sendall(b"GET / HTTP/1.1\r\nA: " + b"a" * LARGEST_HEAD)
        assert caller.recv(100).startswith(b"HTTP/1.1 431 ")
    before = requests(place)
    with ThreadPoolExecutor(5) as pool, closing(sqlite3.connect(place.root / "feast" / "online.db")) as store:
        store.execute("begin exclusive")  # whoever reads waits
        first = pool.submit(served.get, "/v1/shop/predict", BODY)
        time.sleep(1.8)
        others = [pool.submit(served.get, "/v1/shop/predict", BODY) for _ in range(4)]
        time.sleep(0.3)
        served.server.terminate()
        status, answer, headers = first.result()
        assert (status, answer["error"]["code"], headers["retry-after"]) == (503, "E_DEADLINE", "1")
        assert served.get("/healthz")[0] == 0  # nobody new is let in
        store.rollback()
        for other in others:
            status, answer, _ = other.result()
            assert (status, answer["predictions"][0]["score"]) == (200, pytest.approx(0.48, abs=1e-12))
    assert served.server.wait(30) == 0
    assert requests(place) == before + 20 + 5  # the first was answered, too: to nobody
    assert "Traceback" not in (tmp_path / "log").read_text("utf-8")


def requests(place: Place) -> int:
    """Rows of the request log."""
    if version_of(place.lake, REQUESTS) is None:
        return 0
    return int(read_arrow(place.lake, REQUESTS).num_rows)


def test_other_machines_are_answered_with_keys_only(place: Place) -> None:
    for words, code in (
        (["--host", "0.0.0.0"], "E_OPEN"),  # noqa: S104 - it is refused
        (["--host", "scores.example.org"], "E_OPEN"),
        (["--set", "serve.keys={app: secret}"], "E_SET"),
        (["--set", "serve.rat=1"], "E_SET"),
        (["--env", "nowhere"], "E_ENVIRONMENT"),
    ):
        with pytest.raises(TidemillError) as caught:
            app(["serve", "--root", str(place.root), *words], standalone_mode=False)
        assert caught.value.code == code


def test_a_key_is_shown_once_with_the_digest_that_lets_it_in(capsys: pytest.CaptureFixture[str]) -> None:
    app(["key", "app", "--json"], standalone_mode=False)
    found = json.loads(capsys.readouterr().out)
    assert hashlib.sha256(found["key"].encode()).hexdigest() == found["sha256"]
    assert len(found["key"]) == 43
    app(["key", "app"], standalone_mode=False)
    shown = capsys.readouterr().out
    digest = yaml.safe_load(shown.partition("\n")[2])["serve"]["keys"]["app"]
    assert hashlib.sha256(shown.splitlines()[0].rpartition(" ")[2].encode()).hexdigest() == digest
