"""Why an entity has its score, over HTTP: contributions that add up to the margin, by the explainer of the version."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from service_ground import NAME, PLAN, register
from tidemill.models.promotion import CHAMPION
from tidemill.models.reasons import make_explainer
from tidemill.serving import served

if TYPE_CHECKING:
    from collections.abc import Callable

    from load import Promote
    from running_service import Running, Serve
    from service_ground import Place


def explain(running: Running, *keys: str, **given: Any) -> Any:
    body = {"entities": [{"key": key, "given": given} for key in keys]}
    return running.client.post("/v1/shop/explain", json=body)


def test_contributions_add_up_to_the_margin(serve: Serve) -> None:
    running = serve()
    for given in ({}, {"basket": 90}):
        answer = explain(running, "ann", "bob", "nobody", "dee", **given)
        assert answer.status_code == 200, answer.text
        found = answer.json()
        assert (found["use_case"], found["model_version"], found["unit"], found["base"]) == ("shop", "1", "value", 0.0)
        ann, bob, nobody, dee = found["predictions"]
        for item in (ann, bob):
            moved = sum(reason["contribution"] for reason in item["reasons"])
            assert item["score"] == pytest.approx(found["base"] + moved, abs=1e-12)
        assert nobody["reasons"] is None
        assert (dee["reasons"] is None) == (dee["score"] is None)


def test_reasons_name_what_was_scored_largest_first(serve: Serve) -> None:
    (ann,) = explain(serve(), "ann", basket=90).json()["predictions"]
    assert ann["reasons"] == [
        {"feature": "basket_part", "value": 0.9, "contribution": pytest.approx(0.9)},
        {"feature": PLAN, "value": "gold", "contribution": pytest.approx(0.25)},
        {"feature": "events_count_10d", "value": 3.0, "contribution": pytest.approx(0.03)},
    ]


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_prediction_carries_as_many_reasons_as_are_asked_for(serve: Serve, count: int) -> None:
    (ann,) = serve(reasons=count).ask("ann").json()["predictions"]
    names = [PLAN, "basket_part", "events_count_10d"][:count]
    assert (ann["reasons"] is None) == (count == 0)
    assert [reason["feature"] for reason in ann["reasons"] or ()] == names


def test_a_model_that_nothing_explains_is_not_explained(serve: Serve, place: Place) -> None:
    version = register(place, 0.05, explained=False).version
    place.registry.set_alias(NAME, CHAMPION, version)
    try:
        running = serve()
        answer = explain(running, "ann")
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "E_NO_REASONS")
        (ann,) = running.ask("ann").json()["predictions"]
        assert (ann["score"], ann["reasons"]) == (pytest.approx(0.53, abs=1e-12), None)
    finally:
        place.registry.set_alias(NAME, CHAMPION, "1")


def test_what_is_refused_for_scores_is_refused_for_explanations(serve: Serve) -> None:
    running = serve()
    assert explain(running).status_code == 422
    assert running.client.post("/v1/shops/explain", json={}).status_code == 404
    assert explain(running, "ann", baskte=1).json()["error"]["code"] == "E_REQUEST"
    assert 'tidemill_requests_total{status="422",use_case="shop"} 2.0' in running.client.get("/metrics").text


@pytest.fixture
def slowly(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], list[float]]:
    """Explainers take so many seconds from now on; when each was begun."""

    def taking(seconds: float) -> list[float]:
        begun: list[float] = []

        def make(parts: Any) -> Any:
            begun.append(time.monotonic())
            time.sleep(seconds)
            return make_explainer(parts)

        monkeypatch.setattr(served, "make_explainer", make)
        return begun

    return taking


def test_an_explainer_is_made_once_within_the_time_of_a_request(
    serve: Serve, slowly: Callable[[float], list[float]]
) -> None:
    running, begun = serve(timeout=0.3), slowly(1.5)
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: explain(running, "ann"), range(6)))
    assert {(answer.status_code, answer.json()["error"]["code"]) for answer in answers} == {(503, "E_DEADLINE")}
    assert time.monotonic() - begun[0] < 1.5  # nobody waited for it
    assert running.ask("ann").status_code == 200  # and it is in nobody's way
    until = time.monotonic() + 30
    while explain(running, "ann").status_code != 200 and time.monotonic() < until:
        time.sleep(0.1)
    assert explain(running, "ann").status_code == 200
    assert len(begun) == 1
    model = running.champions.models[NAME]
    with ThreadPoolExecutor(4) as pool:
        assert len({id(made) for made in pool.map(lambda _: model.explainer, range(4))}) == 1


@pytest.mark.parametrize("reasons", [0, 2])
def test_a_new_champion_has_its_explainer_where_reasons_are_wanted(
    serve: Serve, promote: Promote, slowly: Callable[[float], list[float]], reasons: int
) -> None:
    begun = slowly(0.0)
    running = serve(reasons=reasons)
    assert len(begun) == (1 if reasons else 0)
    promote("2")
    running.champions.look()
    assert len(begun) == (2 if reasons else 0)
    assert explain(running, "ann").status_code == 200
    promote("3")
    running.champions.look()  # the one before was asked why
    assert len(begun) == (3 if reasons else 2)
    assert explain(running, "ann").json()["model_version"] == "3"
    assert len(begun) == (3 if reasons else 2)
