"""Answers over HTTP: scores, predictions, ages, policies; a service scores as its scorer does."""

from __future__ import annotations

import itertools
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from service_ground import ANN, HOUR, NOW, PLAN
from tidemill.core.time import days, format_time
from tidemill.data.read import read_arrow
from tidemill.data.tables import Lake
from tidemill.monitoring.service_metrics import ServiceMetrics
from tidemill.serving import request_log
from tidemill.serving.answers import Answer, Asked, Inquiry, build_answers
from tidemill.serving.request_log import REQUESTS, RequestLog
from tidemill.serving.served import load_served

if TYPE_CHECKING:
    from running_service import Serve
    from service_ground import Place


def told(answer: Any) -> list[tuple[Any, ...]]:
    """The answers about entities, without their times."""
    assert answer.status_code == 200, answer.text
    names = ("key", "status", "score", "prediction")
    return [tuple(item[name] for name in names) for item in answer.json()["predictions"]]


def test_entities_are_answered_for_in_their_order_with_the_age_of_their_features(serve: Serve) -> None:
    answer = serve().ask("bob", "nobody", "ann", "cy", "ann", "dee")
    found = answer.json()
    assert (found["use_case"], found["model_version"]) == ("shop", "1")
    assert told(answer) == [
        ("bob", "stale", pytest.approx(0.11, abs=1e-12), 0.0),
        ("nobody", "unknown", None, None),
        ("ann", "ok", pytest.approx(0.48, abs=1e-12), 0.0),
        ("cy", "no_score", None, None),  # this graph imputes nothing: null is NaN
        ("ann", "ok", pytest.approx(0.48, abs=1e-12), 0.0),
        ("dee", "no_score", None, None),
    ]
    bob, nobody, ann = found["predictions"][:3]
    assert ann["as_of"] == format_time(NOW - days(2 / 24))  # the older one of its two views
    assert 7200 <= ann["age_seconds"] <= (datetime.now(UTC) - NOW).total_seconds() + 7200
    assert bob["as_of"] == format_time(NOW - days(5))
    assert (nobody["as_of"], nobody["age_seconds"]) == (None, None)


def test_what_has_no_value_has_the_one_that_is_declared_for_that(place: Place) -> None:
    served = load_served(place.registry, place.registry.version("shop", "1"))
    rows = place.reader().read(served.use_case.views, ["cy", "dee", "nobody", "ann"])
    assert [row.features["events_count_10d"] for row in rows] == [None, None, None, 3.0]
    asked = [Asked(key, {"basket": 50}) for key in ("cy", "dee", "nobody", "ann")]
    settings = place.settings.model_copy(update={"unknown": "score"})
    (found,) = build_answers(served, [Inquiry(asked)], rows, settings, NOW)
    assert isinstance(found, list)
    assert {answer.batch_as_of for answer in found} == {None}  # batch knows of no basket
    assert [answer.features["events_count_10d"] for answer in found] == [0.0, 0.0, 0.0, 3.0]
    assert [answer.features["recency_days"] for answer in found] == [None, None, None, 20.0]
    assert [answer.score for answer in found] == [pytest.approx(s, abs=1e-12) for s in (0.75, 0.5, 0.5, 0.78)]
    assert [answer.status for answer in found] == ["ok", "ok", "unknown", "ok"]


def test_questions_that_come_together_are_answered_each_for_itself(place: Place) -> None:
    served = load_served(place.registry, place.registry.version("shop", "1"))
    inquiries = [
        Inquiry([Asked("ann"), Asked("nobody")]),
        Inquiry([Asked("bob", {"baskte": 1})]),
        Inquiry([Asked("bob", {"basket": 50})], reasons=1),
        Inquiry([Asked("ann", {"basket": "x"}), Asked("bob")]),
        Inquiry([Asked("bob")]),
    ]
    keys = [item.key for inquiry in inquiries for item in inquiry.asked]
    rows = place.reader().read(served.use_case.views, keys)
    together = build_answers(served, inquiries, rows, place.settings, NOW)
    alone = []
    for inquiry in inquiries:
        held = place.reader().read(served.use_case.views, [item.key for item in inquiry.asked])
        alone += build_answers(served, [inquiry], held, place.settings, NOW)
    assert [getattr(found, "code", found) for found in together] == [getattr(found, "code", found) for found in alone]
    assert [getattr(found, "code", "") for found in together] == ["", "E_REQUEST", "", "E_REQUEST", ""]
    (given,), (stored,) = together[2], together[4]  # type: ignore[misc]
    assert (given.score, stored.score) == (pytest.approx(0.51, abs=1e-12), pytest.approx(0.11, abs=1e-12))
    assert [reason.feature for reason in given.reasons or ()] == ["basket_part"]


def test_a_given_value_is_scored_in_the_place_of_its_stand_in(serve: Serve, place: Place) -> None:
    running = serve()
    assert told(running.ask("ann", basket=90)) == [("ann", "ok", pytest.approx(1.18, abs=1e-12), 1.0)]
    served = running.champions.models["shop"]
    expected = served.scorer.score_rows([{**ANN, "basket": 90.0, "basket_part": 0.9, PLAN: "gold"}])[0]
    assert running.ask("ann", basket=90).json()["predictions"][0]["score"] == expected
    for given, said in (({"baskte": 1}, "did you mean 'basket'"), ({"basket": "90"}, "'basket' is a number")):
        answer = running.ask("ann", **given)
        assert (answer.status_code, answer.json()["error"]["code"]) == (422, "E_REQUEST")
        assert said in answer.json()["error"]["what"] + answer.json()["error"]["next"]


def test_policies_for_unknown_entities_and_stale_values(serve: Serve) -> None:
    refusing = serve(stale="refuse")
    assert told(refusing.ask("bob", "ann"))[0] == ("bob", "stale", None, None)
    assert told(serve(max_age=6 * 86400.0).ask("bob"))[0][:2] == ("bob", "ok")
    assert told(serve(max_age=1.0).ask("ann"))[0][:2] == ("ann", "stale")
    # An unknown entity is scored as one of which all is missing; this model makes no number of that.
    assert told(serve(unknown="score").ask("nobody")) == [("nobody", "no_score", None, None)]


def test_a_sample_of_the_answers_is_kept_in_delta(serve: Serve, place: Place) -> None:
    running = serve(log_share=1.0)
    running.ask("ann", "nobody")
    running.ask("dee")
    running.log.flush()
    running.log.flush()
    rows = read_arrow(place.lake, REQUESTS).to_pylist()
    assert [(r["use_case"], r["entity"], r["model_version"], r["status"]) for r in rows] == [
        ("shop", "ann", "1", "ok"),
        ("shop", "nobody", "1", "unknown"),
        ("shop", "dee", "1", "no_score"),
    ]
    assert rows[0]["as_of"] == NOW - days(2 / 24)
    assert [row["batch_as_of"] for row in rows] == [None, None, NOW - HOUR]  # ann's views speak for two times
    assert '"basket_part": 0.2' in rows[0]["features"]
    assert 'tidemill_request_log_rows_total{outcome="written"} 3.0' in running.client.get("/metrics").text


def test_answers_beyond_what_may_wait_are_dropped_and_counted(place: Place) -> None:
    metrics = ServiceMetrics()
    settings = place.settings.model_copy(update={"log_share": 1.0, "log_rows": 1})
    log = RequestLog(Lake(place.root / "nowhere", "test"), settings, metrics)
    served = load_served(place.registry, place.registry.version("shop", "1"))
    answer = Answer("ann", "ok", 0.5, 1.0, NOW, 1.0, NOW, {"x": float("nan"), "y": None, "z": "ü"})
    for _ in range(13):
        log.add(served, [answer], NOW)
    assert b'tidemill_request_log_rows_total{outcome="dropped"} 3.0' in metrics.text()
    log.flush()
    rows = read_arrow(Lake(place.root / "nowhere", "test"), REQUESTS).to_pylist()
    assert [row["features"] for row in rows] == ['{"x": "nan", "y": null, "z": "ü"}'] * 10


def test_a_write_that_fails_is_tried_again_after_a_pause(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    tries, stopped = list[float](), threading.Event()

    def away(*_: Any) -> None:
        tries.append(time.monotonic())
        if len(tries) < 4:
            raise OSError("no space left")
        stopped.set()

    monkeypatch.setattr(request_log, "commit", away)
    monkeypatch.setattr(request_log, "_FIRST_PAUSE", 0.1)
    metrics = ServiceMetrics()
    settings = place.settings.model_copy(update={"log_share": 1.0, "log_rows": 1, "log_seconds": 0.2})
    log = RequestLog(Lake(place.root / "nowhere", "test"), settings, metrics)
    served = load_served(place.registry, place.registry.version("shop", "1"))
    log.add(served, [Answer("ann", "ok", 0.5, 1.0, NOW, 1.0, NOW, {})], NOW)
    writer = threading.Thread(target=log.run, args=(stopped,))
    writer.start()
    until = time.monotonic() + 60
    while writer.is_alive() and time.monotonic() < until:
        log.add(served, [], NOW)  # each says again that enough waits
        time.sleep(0.001)
    writer.join(60)
    pauses = [later - sooner for sooner, later in itertools.pairwise(tries)]
    assert all(pause >= least for pause, least in zip(pauses, (0.1, 0.2, 0.2), strict=True)), pauses
    assert b'tidemill_request_log_rows_total{outcome="written"} 1.0' in metrics.text()


def test_what_the_service_says_of_itself(serve: Serve) -> None:
    running = serve()
    running.ask("ann", "bob")
    assert running.client.get("/healthz").json() == {"status": "ok"}
    assert running.client.get("/readyz").json() == {"ready": True, "models": {"shop": "1"}, "reasons": {}}
    assert running.client.get("/v1").json()["use_cases"] == [
        {"name": "shop", "model_version": "1", "key": "customer", "given": {"basket": "double"}}
    ]
    said = running.client.get("/metrics").text
    for line in (
        'tidemill_requests_total{status="200",use_case="shop"} 1.0',
        'tidemill_answers_total{answer="ok",use_case="shop"} 1.0',
        'tidemill_answers_total{answer="stale",use_case="shop"} 1.0',
        'tidemill_model_version{use_case="shop"} 1.0',
    ):
        assert line in said
    assert "ann" not in said.replace("tidemill", "")
    page = running.client.get("/")
    assert "script-src 'sha256-" in page.headers["content-security-policy"]
    assert "https://" not in page.text
    hidden = serve(pages=False)
    assert [hidden.client.get(path).status_code for path in ("/", "/openapi.json", "/docs")] == [404, 404, 404]
