"""The champion is followed under load: no request fails, an answer is its version's, and a bad model never answers."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from service_ground import NAME, ORDER_VIEW, USE_CASE, fill_store, register
from tidemill.features.feast_objects import feast_objects
from tidemill.features.feast_store import apply_objects, open_store
from tidemill.models.registry import CHAMPION
from tidemill.monitoring.service_metrics import ServiceMetrics
from tidemill.serving.follow import Champions, Ground

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from running_service import Running, Serve
    from service_ground import Place

    Promote = Callable[[str], None]

SCORES = {"1": 0.48, "2": 0.49, "3": 0.5}


@pytest.fixture
def promote(place: Place) -> Iterator[Promote]:
    """Moves the alias; at the end it is where it was."""
    yield lambda version: place.registry.set_alias(NAME, CHAMPION, version)
    place.registry.set_alias(NAME, CHAMPION, "1")


def asked_until(running: Running, stopped: threading.Event) -> list[tuple[int, str, float]]:
    """What one caller is answered, who asks without a pause."""
    found = []
    while not stopped.is_set():
        answer = running.ask("ann")
        said = answer.json()
        found.append((answer.status_code, said["model_version"], said["predictions"][0]["score"]))
    return found


def swap_under_load(serve: Serve, place: Place, promote: Promote, seconds: float) -> list[tuple[int, str, float]]:
    """Two callers ask while two new champions and one that is wrong come, each for a while."""
    running, stopped = serve(rate=1e6, burst=1_000_000), threading.Event()
    found: list[list[tuple[int, str, float]]] = []
    callers = [threading.Thread(target=lambda: found.append(asked_until(running, stopped))) for _ in range(2)]
    for caller in callers:
        caller.start()
    bad = register(place, 0.03, wrong_by=0.001).version
    for version in ("2", bad, "3"):
        time.sleep(seconds)
        promote(version)
        running.champions.look()
        answering = running.champions.models[NAME].version
        assert answering == ("2" if version == bad else version)
        assert (bad in running.champions.reasons.get(NAME, "")) == (version == bad)
    time.sleep(seconds)
    stopped.set()
    for caller in callers:
        caller.join()
    assert 'tidemill_model_swaps_total{outcome="refused",use_case="shop"} 1.0' in running.client.get("/metrics").text
    return [answer for answers in found for answer in answers]


def check(answers: list[tuple[int, str, float]]) -> None:
    """All were answered, each with the score of the version that it names."""
    assert {status for status, _, _ in answers} == {200}
    assert {version for _, version, _ in answers} == set(SCORES)
    assert max(abs(score - SCORES[version]) for _, version, score in answers) < 1e-12


def test_champions_change_without_a_failed_request(serve: Serve, place: Place, promote: Promote) -> None:
    answers = swap_under_load(serve, place, promote, 0.3)
    assert len(answers) > 50
    check(answers)


@pytest.mark.soak
def test_champions_change_within_a_minute_of_load(serve: Serve, place: Place, promote: Promote) -> None:
    answers = swap_under_load(serve, place, promote, 15)
    assert len(answers) > 2000
    check(answers)


def test_nobody_answers_before_there_is_a_champion(serve: Serve, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    running = serve()
    running.champions.models.clear()
    monkeypatch.setattr(type(place.registry), "alias", lambda *_: None)
    running.champions.look()
    ready = running.client.get("/readyz")
    assert (ready.status_code, ready.headers["retry-after"]) == (503, "1")
    assert ready.json() == {"ready": False, "models": {}, "reasons": {"shop": "no version is champion"}}
    answer = running.ask("ann")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "E_NOT_READY")
    monkeypatch.undo()
    running.champions.look()
    assert running.ask("ann").status_code == 200


def test_a_registry_that_is_away_changes_nothing(serve: Serve, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    running = serve()

    def away(*_: Any) -> str:
        raise ConnectionError("postgresql://tidemill:secret@db.internal is away")

    monkeypatch.setattr(type(place.registry), "alias", away)
    running.champions.look()
    assert running.ask("ann").status_code == 200
    said = running.client.get("/readyz").json()["reasons"]["shop"]
    assert said == "the champion cannot be loaded (ConnectionError): the log says more"
    monkeypatch.undo()
    running.champions.look()
    assert running.client.get("/readyz").json()["reasons"] == {}


def test_a_champion_that_is_none_any_more_goes_on(serve: Serve, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    running = serve()
    monkeypatch.setattr(type(place.registry), "alias", lambda *_: None)
    running.champions.look()
    assert running.ask("ann").json()["model_version"] == "1"
    ready = running.client.get("/readyz")
    assert ready.status_code == 200
    assert ready.json()["reasons"] == {"shop": "no version is champion; version 1 goes on"}


def test_a_swap_leaves_alone_what_others_go_through(serve: Serve, promote: Promote) -> None:
    running = serve()
    before = running.champions.models
    promote("2")
    running.champions.look()
    assert (before[NAME].version, running.champions.models[NAME].version) == ("1", "2")


def test_a_model_whose_views_nobody_materialized_never_answers(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def ground() -> Ground:
        reader = place.reader()
        monkeypatch.setattr(reader._store, "list_feature_views", lambda **_: [])
        return Ground(place.registry, reader)

    champions = Champions(ground, ServiceMetrics(), ("shop",))
    champions.look()
    assert not champions.ready
    assert "cannot be loaded (LookupError)" in champions.reasons["shop"]
    assert "no orders_of_customer_v1:recency_days: materialize it first" in caplog.text


def test_a_view_that_was_registered_a_moment_ago_is_read_at_once(place: Place, tmp_path: Path) -> None:
    there = replace(place, root=tmp_path)
    fill_store(there)
    reader, newer = there.reader(), replace(ORDER_VIEW, version=2)
    reader.check(USE_CASE.views)  # the store holds a copy of the registry from now on
    with pytest.raises(LookupError):
        reader.check((newer,))
    apply_objects(open_store(there.yaml, there.root), feast_objects(NAME, "", (newer,), there.lake), there.root)
    reader.check((newer,))
    assert [row.seconds for row in reader.read((newer,), ["ann"])] == [{}]


def test_a_champion_whose_features_cannot_be_read_never_takes_over(
    serve: Serve, promote: Promote, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = serve()
    ground = running.champions.ground
    assert ground is not None

    def away(*_: Any, **__: Any) -> None:
        raise ConnectionError("away")

    promote("2")
    with monkeypatch.context() as changed:
        changed.setattr(ground.reader._store, "get_online_features", away)
        running.champions.look()
    assert running.champions.models[NAME].version == "1"
    running.champions.look()
    assert running.champions.models[NAME].version == "2"


def test_who_follows_goes_on_after_a_failure(place: Place) -> None:
    stopped, tries = threading.Event(), list[int]()

    def ground() -> Ground:
        tries.append(len(tries))
        if len(tries) < 3:
            raise ConnectionError("away")
        return Ground(place.registry, place.reader())

    champions = Champions(ground, ServiceMetrics())
    follower = threading.Thread(target=champions.follow, args=(0.01, stopped))
    follower.start()
    deadline = time.monotonic() + 30
    while not champions.ready and time.monotonic() < deadline:
        time.sleep(0.01)
    stopped.set()
    follower.join()
    assert (champions.models["shop"].version, tries) == ("1", [0, 1, 2])
