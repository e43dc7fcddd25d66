"""The champion is followed under load: no request fails, an answer is its version's, and a bad model never answers."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from load import check, swap_under_load
from service_ground import NAME, ORDER_VIEW, USE_CASE, fill_store
from tidemill.features.feast_objects import feast_objects
from tidemill.features.feast_store import apply_objects, open_store
from tidemill.monitoring.service_metrics import ServiceMetrics
from tidemill.serving.follow import Champions, Ground

if TYPE_CHECKING:
    from pathlib import Path

    from load import Promote
    from running_service import Serve
    from service_ground import Place


def test_champions_change_without_a_failed_request(serve: Serve, place: Place, promote: Promote) -> None:
    running = serve(rate=1e6, burst=1_000_000)
    answers = swap_under_load(running, place, promote, 1.2, bad=0.03, disturb=lambda: None)
    assert len(answers) > 50
    assert {answer.status for answer in answers} == {200}
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
