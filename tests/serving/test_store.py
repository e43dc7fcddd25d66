"""A store that is stopped, hangs and comes back: nothing but 503 in between, and right answers again after it."""

from __future__ import annotations

import signal
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from load import check, swap_under_load
from servers import process
from servers.fixtures import needed
from servers.redis import Redis
from service_ground import HOME, fill_store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from load import Promote
    from running_service import Serve
    from service_ground import Place


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[Redis]:
    """A server that the test may stop."""
    with process.running(Redis(tmp_path, needed("Redis", "TIDEMILL_REDIS", "TIDEMILL_NO_REDIS"))) as server:
        yield server


@pytest.fixture
def redis_place(place: Place, own_redis: Redis, tmp_path: Path) -> Place:
    """The place's models over a store in that server."""
    text = (HOME / "feature_repo" / "feature_store.yaml").read_text("utf-8")
    before, _, rest = text.partition("online_store:\n")
    after = rest[rest.index("offline_store:") :]
    store = f"online_store:\n  type: redis\n  connection_string: {own_redis.connection_string},socket_timeout=0.3\n"
    (tmp_path / "feature_store.yaml").write_text(before + store + after, "utf-8")
    (tmp_path / "var").mkdir()
    there = replace(place, root=tmp_path / "var", yaml=tmp_path / "feature_store.yaml")
    fill_store(there)
    return there


def test_while_the_store_is_away_callers_are_told_to_come_back(
    serve: Serve, own_redis: Redis, redis_place: Place
) -> None:
    running = serve(redis_place, timeout=0.6)

    def told(answer: Any) -> tuple[int, str]:
        assert answer.status_code == 200 or answer.headers["retry-after"] == "1"
        return answer.status_code, "" if answer.status_code == 200 else answer.json()["error"]["code"]

    def right() -> None:
        answer = running.ask("ann", "bob", "nobody")
        scores = [item["score"] for item in answer.json()["predictions"]]
        assert scores == [pytest.approx(0.48, abs=1e-12), pytest.approx(0.11, abs=1e-12), None]

    def right_again() -> None:
        # A question that was on its way when the store went ends first; then all is as before.
        until = time.monotonic() + 60
        while told(running.ask("ann", "bob", "nobody"))[0] != 200 and time.monotonic() < until:
            time.sleep(0.1)
        right()

    right()
    own_redis.stop()
    away = {told(running.ask("ann")) for _ in range(3)}
    assert away <= {(503, "E_ONLINE_STORE"), (503, "E_DEADLINE")}
    assert running.client.get("/healthz").status_code == running.client.get("/readyz").status_code == 200
    own_redis.start()
    fill_store(redis_place)
    right_again()
    server = own_redis._server
    assert server is not None
    server.send_signal(signal.SIGSTOP)
    try:
        assert told(running.ask("ann")) in {(503, "E_ONLINE_STORE"), (503, "E_DEADLINE")}
    finally:
        server.send_signal(signal.SIGCONT)
    right_again()


@pytest.mark.parametrize("seconds", [60, pytest.param(600, marks=pytest.mark.soak)])
def test_load_with_new_champions_and_a_store_that_goes_and_comes(
    serve: Serve, place: Place, promote: Promote, own_redis: Redis, redis_place: Place, seconds: int
) -> None:
    running, away = serve(redis_place, rate=1e6, burst=1_000_000), list[float]()

    def disturb() -> None:
        with own_redis.client() as client:
            client.save()  # so that it comes back with what it held
        away.append(time.monotonic())
        own_redis.stop()
        time.sleep(seconds / 20)
        own_redis.start()
        away.append(time.monotonic())

    answers = swap_under_load(running, place, promote, seconds, bad=seconds / 1000, disturb=disturb)
    check(answers)
    assert len(answers) > 10 * seconds
    refused = [answer for answer in answers if answer.status != 200]
    gone, back = away
    assert refused
    assert {(a.status, a.retry_after, a.version) for a in refused} <= {
        (503, "1", "E_ONLINE_STORE"),
        (503, "1", "E_DEADLINE"),
    }
    # A question that was asked a moment before it came back may find out only after that.
    assert [a for a in refused if a.answered < gone or a.asked > back] == []
