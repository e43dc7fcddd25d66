"""Why an entity has its score, over HTTP: contributions that add up to the margin, by the explainer of the version."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from service_ground import NAME, PLAN, register
from tidemill.models.promotion import CHAMPION

if TYPE_CHECKING:
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
