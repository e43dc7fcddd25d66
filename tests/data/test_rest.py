"""A web service that answers in pages, on this machine: every item once, failures passed over, secrets kept."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from data_shops import land_contract, run, silver

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from conftest import Shop


@dataclass
class Service:
    """What the service answers, by path; and what it was asked."""

    pages: dict[str, Any] = field(default_factory=dict)
    failures: list[int] = field(default_factory=list)
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    address: str = ""


@pytest.fixture
def service() -> Iterator[Service]:
    state = Service()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked.append((self.path, self.headers.get("Authorization")))
            status = state.failures.pop(0) if state.failures else 200
            body = state.pages.get(self.path, {"items": []}) if status == 200 else {"error": "later"}
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    state.address = f"http://127.0.0.1:{server.server_port}"
    yield state
    server.shutdown()
    server.server_close()


def service_shop(folder: Path, address: str, *more: str) -> Shop:
    shop = land_contract(folder, "csv")
    path = shop.repo / "contracts" / "shop" / "orders.yaml"
    text = path.read_text("utf-8")
    old = '{server: landing, type: local, path: "{root}/landing/readings", format: csv}'
    options = ", ".join(["{property: endpointUrl, value: '" + address + "/v1/readings'}",
                         "{property: items, value: items}", "{property: pause, value: 0.01}", *more])  # fmt: skip
    assert old in text
    server = "{server: service, type: api, format: rest, customProperties: [" + options + "]}"
    path.write_text(text.replace(old, server), encoding="utf-8")
    return shop


def item(number: int) -> dict[str, Any]:
    return {"id": number, "amount": 1.5, "ts": "2024-01-01 00:00:00", "name": "ann", "active": True}


def test_pages_are_followed_and_passing_failures_passed_over(tmp_path: Path, service: Service, spark: object) -> None:
    service.pages = {
        "/v1/readings": {"items": [item(1), item(2)], "next": f"{service.address}/v1/readings?page=2"},
        "/v1/readings?page=2": {"items": [item(3)], "next": None},
    }
    service.failures = [503, 429]
    shop = service_shop(tmp_path, service.address)
    assert run(shop, "ingest refine")["counts"]["accepted"] == 3
    assert [row[0] for row in silver(shop, "id")] == [1, 2, 3]
    assert run(shop, "ingest")["status"] == "skipped"  # the same answer again
    service.pages["/v1/readings?page=2"] = {"items": [item(3), item(4)], "next": None}
    counts = run(shop, "ingest refine")["counts"]
    assert counts == {"read": 7, "accepted": 4, "quarantined": 0, "duplicates": 3}


def test_a_cursor_and_a_token(tmp_path: Path, service: Service, monkeypatch: pytest.MonkeyPatch, spark: object) -> None:
    monkeypatch.setenv("TIDEMILL_TEST_TOKEN", "s3cret")
    service.pages = {
        "/v1/readings": {"items": [item(1)], "next": "abc"},
        "/v1/readings?after=abc": {"items": [item(2)]},
    }
    more = ("{property: cursorParameter, value: after}", "{property: token, value: 'env:TIDEMILL_TEST_TOKEN'}")
    shop = service_shop(tmp_path, service.address, *more)
    assert run(shop, "ingest refine")["counts"]["accepted"] == 2
    assert {token for _, token in service.asked} == {"Bearer s3cret"}


@pytest.mark.parametrize(
    ("pages", "failures", "what"),
    [
        ({}, [500] * 9, "status 500"),
        ({}, [404], "404"),
        ({"/v1/readings": b"<html>"}, [], "no usable answer"),
        ({"/v1/readings": {"data": []}}, [], "no list at 'items'"),
        ({"/v1/readings": {"items": [], "next": "/v1/readings"}}, [], "no usable answer"),
    ],
)
def test_what_is_no_answer_lands_nothing(
    tmp_path: Path, service: Service, pages: dict[str, Any], failures: list[int], what: str
) -> None:
    service.pages, service.failures = pages, failures
    shop = service_shop(tmp_path, service.address)
    error = run(shop, "ingest", code=69)["error"]
    assert error["code"] == "E_SERVICE"
    assert what in error["what"]
    assert list((shop.root / "landing").rglob("*.jsonl")) == []
    assert len(service.asked) <= 5
