"""What a stranger may do to a connection before there is a request: raw bytes to a server that listens."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn
from tidemill.serving import connections
from tidemill.serving.connections import LARGEST_HEAD, Bounded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import Receive, Scope, Send

PATIENCE = 0.4
GET = b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /%s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    """Says how many bytes the body had; `/slow` takes its time, and `/deaf` answers without it."""
    size, more = 0, scope["path"] != "/deaf"
    while more:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    if scope["path"] == "/slow":
        await asyncio.sleep(2 * PATIENCE)
    said = b"%s %d." % (scope["path"].encode()[:9], size)
    head = [(b"content-length", b"%d" % len(said))]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": said})


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Where it listens."""
    with pytest.MonkeyPatch.context() as changed:
        changed.setattr(connections, "PATIENCE", PATIENCE)
        seconds: Any = PATIENCE  # of whole ones it says that it needs them
        server = uvicorn.Server(
            uvicorn.Config(
                answer,
                port=0,
                http=Bounded,
                ws="none",
                lifespan="off",
                log_level="critical",
                timeout_keep_alive=seconds,
            )
        )
        thread = threading.Thread(target=server.run)
        thread.start()
        until = time.monotonic() + 30
        while not server.started and time.monotonic() < until:
            time.sleep(0.01)
        yield server.servers[0].sockets[0].getsockname()[1]
        server.should_exit = True
        thread.join()


@pytest.fixture
def caller(port: int) -> Iterator[socket.socket]:
    """A connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as found:
        found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield found


def drip(caller: socket.socket, data: bytes, times: int, pause: float = 0.0) -> int:
    """Sends the same bytes again and again until nobody takes them; how often it was."""
    for number in range(times):
        try:
            caller.sendall(data)
        except OSError:
            return number
        time.sleep(pause)
    return times


def rest(caller: socket.socket) -> bytes:
    """All that comes until the connection is ended."""
    found = b""
    try:
        while part := caller.recv(65536):
            found += part
    except ConnectionError:
        pass  # it was ended while we were sending
    return found


def one(caller: socket.socket) -> bytes:
    """An answer, to the point that ends its body."""
    found = b""
    while not found.endswith(b"."):
        found += caller.recv(1000) or b" cut."
    return found


def told(text: bytes) -> tuple[int, str]:
    """Status and code of a refusal."""
    head, _, body = text.partition(b"\r\n\r\n")
    assert b"connection: close" in head
    return int(head.split()[1]), json.loads(body)["error"]["code"]


@pytest.mark.parametrize("start", [b"GET /", b"GET / HTTP/1.1\r\nA: ", b"GET / HTTP/1.1\r\nA"])
def test_a_head_without_an_end_is_not_kept(caller: socket.socket, start: bytes) -> None:
    caller.sendall(start)
    # What the two systems hold between them is theirs.
    assert drip(caller, b"a" * 8192, 10_000) < 10_000
    assert told(rest(caller)) == (431, "E_HEAD_SIZE")


def test_headers_without_an_end_are_not_kept(caller: socket.socket) -> None:
    caller.sendall(b"GET / HTTP/1.1\r\n")
    assert drip(caller, b"A: b\r\n" * 1000, 10_000) < 10_000
    assert told(rest(caller)) == (431, "E_HEAD_SIZE")


@pytest.mark.parametrize("place", ["target", "value", "many"])
def test_a_whole_head_is_held_to_the_same_limit(port: int, place: str) -> None:
    for size, status in ((LARGEST_HEAD - 100, 200), (LARGEST_HEAD + 1, 431)):
        target = b"a" * size if place == "target" else b""
        more = {"target": b"", "value": b"A: " + b"b" * size + b"\r\n", "many": b"A: bcdef\r\n" * (size // 6)}[place]
        with socket.create_connection(("127.0.0.1", port), timeout=10) as caller:
            caller.sendall(b"GET /" + target + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + more + b"\r\n")
            found = rest(caller)
        assert int(found.split()[1]) == status
        assert status == 200 or told(found) == (431, "E_HEAD_SIZE")


def test_a_slow_head_is_ended_whatever_arrives(caller: socket.socket) -> None:
    began = time.monotonic()
    caller.sendall(b"GET / HTTP/1.1\r\nA: ")
    assert drip(caller, b"a", 100, PATIENCE / 8) < 20
    assert told(rest(caller)) == (408, "E_HEAD_SLOW")
    assert time.monotonic() - began < 10 * PATIENCE


def test_a_connection_that_says_nothing_is_ended(caller: socket.socket) -> None:
    assert rest(caller) == b""


@pytest.mark.parametrize(
    ("asked", "drop"),
    [
        (GET % b"", b"\r\n"),  # no part of a request
        (GET % b"", b""),
        (POST % (b"deaf", 10**9), b"a"),  # a body that nobody waits for any more
    ],
)
def test_what_comes_after_an_answer_does_not_keep_a_connection(
    caller: socket.socket, asked: bytes, drop: bytes
) -> None:
    caller.sendall(asked)
    assert one(caller).startswith(b"HTTP/1.1 200")
    if drop:
        assert drip(caller, drop, 100, PATIENCE / 8) < 20
    assert b"HTTP/1.1 200" not in rest(caller)


def test_a_large_head_behind_a_request_ends_both(caller: socket.socket) -> None:
    caller.sendall(GET % b"slow" + b"GET /")
    assert drip(caller, b"a" * 8192, 10_000) < 10_000
    assert rest(caller) == b""  # and is not taken for the first one's answer


def test_whoever_keeps_the_limits_is_answered(caller: socket.socket) -> None:
    for byte in POST % (b"a", 3):
        caller.sendall(bytes([byte]))
    for _ in range(3):
        time.sleep(0.7 * PATIENCE)  # the time of a body is the guard's
        caller.sendall(b"b")
    assert one(caller).endswith(b"\r\n\r\n/a 3.")
    caller.sendall(POST % (b"c", 1 << 20) + b"d" * (1 << 20))
    assert one(caller).endswith(b"\r\n\r\n/c 1048576.")
    caller.sendall(GET % b"slow" + GET % b"e" + POST % (b"f", 2) + b"gg" + b"GET /h HT")
    caller.sendall(b"TP/1.1\r\nConnection: close\r\n\r\n")
    found = rest(caller)
    assert [part.split(b".")[0] for part in found.split(b"\r\n\r\n")[1:]] == [b"/slow 0", b"/e 0", b"/f 2", b"/h 0"]
