"""Hostile bodies, strangers, too many requests: always an error in our words, and never a 5xx that we did not mean."""

from __future__ import annotations

import hashlib
import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from tidemill.serving.guard import PROBES, Guard

if TYPE_CHECKING:
    from running_service import Serve
    from service_ground import Place
    from starlette.types import Message, Receive, Scope, Send

JSON = {"Content-Type": "application/json"}


def of(key: bytes = b'"ann"', given: bytes = b"{}", more: bytes = b"") -> bytes:
    return b'{"entities":[{"key":' + key + b',"given":' + given + b"}]" + more + b"}"


BODIES = {
    "empty": (b"", 422),
    "no JSON": (b"{", 422),
    "null": (b"null", 422),
    "NaN": (of(given=b'{"basket":NaN}'), 422),
    "Infinity": (of(given=b'{"basket":-Infinity}'), 422),
    "1e400": (of(given=b'{"basket":1e400}'), 422),
    "a long integer": (of(given=b'{"basket":' + b"9" * 5000 + b"}"), 422),
    "an integer beyond doubles": (of(given=b'{"basket":' + b"9" * 400 + b"}"), 422),
    "true": (of(given=b'{"basket":true}'), 422),
    "a text for a number": (of(given=b'{"basket":"1.5"}'), 422),
    "a number for a text": (of(key=b"1"), 422),
    "a list": (of(given=b'{"basket":[1]}'), 422),
    "an unknown value": (of(given=b'{"x":1}'), 422),
    "an extra field": (of(more=b',"x":1'), 422),
    "no entity": (b'{"entities":[]}', 422),
    "a name twice": (of(given=b'{"basket":1,"basket":2}'), 400),
    "a key twice": (b'{"entities":[{"key":"ann","k\\u0065y":"bob"}]}', 400),
    "entities twice": (of(more=b',"entities":[{"key":"bob"}]'), 400),
    "a name twice, first a long integer": (of(given=b'{"basket":' + b"9" * 5000 + b',"basket":2}'), 422),
    "an empty key": (of(key=b'""'), 422),
    "a long key": (of(key=b'"' + b"k" * 600 + b'"'), 422),
    "many entities": (b'{"entities":[' + b",".join([b'{"key":"a"}'] * 1001) + b"]}", 422),
    "many values": (of(given=json.dumps({f"v{i}": 1 for i in range(65)}).encode()), 422),
    "a lone surrogate": (of(key=rb'"\ud800"'), 422),
    "a lone surrogate as a name": (of(given=rb'{"\udfff":1}'), 422),
    "a surrogate in UTF-8": (of(key=b'"\xed\xa0\x80"'), 422),
    "bad UTF-8": (of(key=b'"\xff"'), 422),
    "UTF-16": (of().decode().encode("utf-16"), 422),
    "a byte order mark": (b"\xef\xbb\xbf" + of(), 422),
    "deep nesting": (b'{"entities":' + b"[" * 100_000 + b"]" * 100_000 + b"}", 422),
    "deep objects": (b'{"a":' * 50_000 + b"1" + b"}" * 50_000, 422),
    "10 MB": (of(key=b'"' + b"k" * 10_000_000 + b'"'), 413),
    "two objects": (of() + of(), 422),
    "the character zero": (of(key=rb'"\u0000"'), 200),
    "an odd key": (of(key='"größe \N{SNOWMAN} \U0001f600"'.encode()), 200),
    "SQL": (of(key=b'"\' or 1=1 --"'), 200),
    "an escaped pair": (of(key=rb'"\ud83d\ude00"'), 200),
    "null given": (of(given=b'{"basket":null}'), 200),
    "minus zero": (of(given=b'{"basket":-0.0}'), 200),
    "the largest number": (of(given=b'{"basket":1.7976931348623157e308}'), 200),
}


@pytest.mark.parametrize("name", BODIES)
def test_a_hostile_body_is_refused_in_our_words_or_answered(serve: Serve, name: str) -> None:
    body, status = BODIES[name]
    answer = serve().client.post("/v1/shop/predict", content=body, headers=JSON)
    assert answer.status_code == status, answer.text
    said = answer.json()
    if status == 200:
        assert len(said["predictions"]) == 1
    else:
        assert set(said["error"]) == {"code", "what", "where", "next"}
        assert len(answer.content) < 500


def test_a_chunked_body_is_counted_too(serve: Serve) -> None:
    running = serve(max_body=1000)

    def chunks(count: int) -> Any:
        for _ in range(count):
            yield b" " * 100

    for count, status in ((9, 422), (10, 422), (11, 413)):
        answer = running.client.post("/v1/shop/predict", content=chunks(count), headers=JSON)
        assert answer.status_code == status


def test_other_methods_paths_and_types(serve: Serve) -> None:
    client = serve().client
    for method, path, kind, status in (
        ("GET", "/v1/shop/predict", "application/json", 405),
        ("POST", "/v1/shops/predict", "application/json", 404),
        ("POST", "/v1/%00/predict", "application/json", 404),
        ("POST", "/v1/..%2f..%2fetc/predict", "application/json", 404),
        ("POST", "/v1/shop/predict", "text/plain", 415),
        ("POST", "/v1/shop/predict", "multipart/form-data; boundary=x", 415),
        ("POST", "/v1/shop/predict", "application/json; charset=utf-8", 200),
        ("POST", "/nothing", "application/json", 404),
    ):
        answer = client.request(method, path, content=of(), headers={"Content-Type": kind})
        assert answer.status_code == status, (method, path, answer.text)
        assert status == 200 or set(answer.json()["error"]) == {"code", "what", "where", "next"}
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
    assert "did you mean 'shop'" in client.post("/v1/shops/predict", content=of(), headers=JSON).json()["error"]["next"]


def test_only_probes_ask_under_another_name(serve: Serve) -> None:
    client = serve(hosts=("here",)).client
    for host, status in (("here", 200), ("elsewhere", 400), ("10.1.2.3:8000", 400)):
        asked = [client.get(path, headers={"Host": host}).status_code for path in ("/v1", "/", "/metrics")]
        assert asked == [status] * 3
        assert [client.get(path, headers={"Host": host}).status_code for path in PROBES] == [200, 200]


def test_only_callers_with_a_key_are_answered(serve: Serve) -> None:
    keys = {name: hashlib.sha256(key.encode()).hexdigest() for name, key in (("app", "secret"), ("other", "ünder"))}
    client = serve(keys=keys).client
    for given, status in (
        ({}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Authorization": "Basic secret"}, 401),
        ({"Authorization": "Bearer"}, 401),
        ({"Authorization": "Bearer " + keys["app"]}, 401),
        ({"Authorization": "Bearer secret"}, 200),
        ({"Authorization": "bearer ünder".encode()}, 200),
    ):
        for path in ("/v1", "/metrics", "/openapi.json"):
            answer = client.get(path, headers=given)
            assert answer.status_code == status, (given, path)
        assert status == 200 or (answer.headers["www-authenticate"], answer.json()["error"]["code"]) == (
            "Bearer",
            "E_KEY",
        )
    assert [client.get(path).status_code for path in ("/healthz", "/readyz", "/")] == [200, 200, 200]
    without, secret = serve(keys=keys, pages=False).client, {"Authorization": "Bearer secret"}
    assert [without.get(path).status_code for path in ("/healthz", "/readyz", "/", "/openapi.json")] == [
        *(200, 200),
        *(401, 401),
    ]
    assert [without.get(path, headers=secret).status_code for path in ("/", "/openapi.json", "/v1")] == [404, 404, 200]


def test_each_caller_has_a_rate_of_its_own(serve: Serve) -> None:
    keys = {name: hashlib.sha256(name.encode()).hexdigest() for name in ("a", "b")}
    client = serve(keys=keys, rate=0.001, burst=3).client

    def ask(name: str) -> Any:
        return client.get("/v1", headers={"Authorization": f"Bearer {name}"})

    assert [ask("a").status_code for _ in range(5)] == [200, 200, 200, 429, 429]
    assert (ask("a").headers["retry-after"], ask("a").json()["error"]["code"]) == ("1", "E_RATE")
    assert ask("b").status_code == 200


def test_no_more_requests_than_allowed_are_worked_on_at_a_time(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    running = serve(concurrency=2, timeout=0.5)
    ground = running.champions.ground
    assert ground is not None
    monkeypatch.setattr(ground.reader, "read", lambda *_: time.sleep(0.8))
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: running.ask("ann"), range(6)))
    codes = sorted(answer.json()["error"]["code"] for answer in answers)
    assert codes == ["E_BUSY"] * 4 + ["E_DEADLINE"] * 2
    assert {(answer.status_code, answer.headers["retry-after"]) for answer in answers} == {(503, "1")}


def test_a_body_that_takes_too_long_is_not_waited_for(place: Place) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise AssertionError("nothing may come through")

    async def slowly() -> Message:
        await anyio.sleep(0.03)
        return {"type": "http.request", "body": b" ", "more_body": True}

    said: list[Message] = []

    async def send(message: Message) -> None:
        said.append(message)

    noted: list[tuple[str, int]] = []
    settings = place.settings.model_copy(update={"timeout": 0.1})
    guard = Guard(app, settings, lambda path, status, _: noted.append((path, status)))
    anyio.run(guard, {"type": "http", "path": "/v1/shop/predict", "headers": [], "method": "POST"}, slowly, send)
    assert (said[0]["status"], noted) == (408, [("/v1/shop/predict", 408)])
    assert json.loads(said[1]["body"])["error"]["code"] == "E_BODY_SLOW"
