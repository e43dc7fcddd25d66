"""A store that is stopped, hangs and comes back: nothing but 503 in between, and right answers again after it."""

from __future__ import annotations

import signal
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from servers.fixtures import needed
from servers.redis import Redis
from service_ground import HOME, fill_store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from running_service import Serve
    from service_ground import Place


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[Redis]:
    """A server that the test may stop."""
    server = Redis(tmp_path, needed("Redis", "TIDEMILL_REDIS", "TIDEMILL_NO_REDIS"))
    server.start()
    yield server
    server.stop()


def test_while_the_store_is_away_callers_are_told_to_come_back(
    serve: Serve, place: Place, own_redis: Redis, tmp_path: Path
) -> None:
    text = (HOME / "feature_repo" / "feature_store.yaml").read_text("utf-8")
    before, _, rest = text.partition("online_store:\n")
    after = rest[rest.index("offline_store:") :]
    store = f"online_store:\n  type: redis\n  connection_string: {own_redis.connection_string},socket_timeout=0.3\n"
    (tmp_path / "feature_store.yaml").write_text(before + store + after, "utf-8")
    (tmp_path / "var").mkdir()
    there = replace(place, root=tmp_path / "var", yaml=tmp_path / "feature_store.yaml")
    fill_store(there)
    running = serve(there, timeout=0.6)

    def told(answer: Any) -> tuple[int, str]:
        assert answer.status_code == 200 or answer.headers["retry-after"] == "1"
        return answer.status_code, "" if answer.status_code == 200 else answer.json()["error"]["code"]

    def right() -> None:
        answer = running.ask("ann", "bob", "nobody")
        scores = [item["score"] for item in answer.json()["predictions"]]
        assert scores == [pytest.approx(0.48, abs=1e-12), pytest.approx(0.11, abs=1e-12), None]

    right()
    own_redis.stop()
    away = {told(running.ask("ann")) for _ in range(3)}
    assert away <= {(503, "E_ONLINE_STORE"), (503, "E_DEADLINE")}
    assert running.client.get("/healthz").status_code == running.client.get("/readyz").status_code == 200
    own_redis.start()
    fill_store(there)
    right()
    server = own_redis._server
    assert server is not None
    server.send_signal(signal.SIGSTOP)
    try:
        assert told(running.ask("ann")) in {(503, "E_ONLINE_STORE"), (503, "E_DEADLINE")}
    finally:
        server.send_signal(signal.SIGCONT)
    # A question that was on its way when the store froze ends first; then all is as before.
    until = time.monotonic() + 20
    while told(running.ask("ann"))[0] != 200 and time.monotonic() < until:
        time.sleep(0.1)
    right()
