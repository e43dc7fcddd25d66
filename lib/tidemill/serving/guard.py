"""What stands before the service: who asks, how often, how many at a time, and how large a body is. Plain ASGI."""

from __future__ import annotations

import asyncio
import hmac
import time
from hashlib import sha256
from typing import TYPE_CHECKING

from starlette.middleware.trustedhost import TrustedHostMiddleware

from tidemill.core.errors import TidemillError
from tidemill.serving.refusals import refused, response_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from tidemill.core.service_config import Oidc, Serve
    from tidemill.serving.oidc import Tokens

PROBES = ("/healthz", "/readyz")
OPEN = (*PROBES, "/")
_OF_ISSUER = "token of "  # no key is called so: a subject cannot take a key's share of the rate
# What a caller is told whose time is over, by what it was waited for.
_NO_ISSUER = ("E_ISSUER", "the issuer of tokens did not answer in time", "serve.oidc", "come back later")
_NO_BODY = ("E_BODY_SLOW", "the body took too long to arrive", "body", "send it at once")
_NO_ANSWER = ("E_DEADLINE", "there was no answer in time", "service", "come back later")
_SAFE = [(b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store")]


class Hosts(TrustedHostMiddleware):
    """Refuses requests under a name that is not ours; who probes a machine by its address knows no name."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        probed = scope["type"] == "http" and scope["path"] in PROBES
        await (self.app if probed else super().__call__)(scope, receive, send)


class Guard:
    """Lets a request through with its whole body read, or refuses it; ends it when its time is over.

    Args:
        app: what it guards.
        settings: keys and limits.
        note: told of each guarded request: its path, the status of the answer, seconds.
    """

    def __init__(self, app: ASGIApp, settings: Serve, note: Callable[[str, int, float], None]) -> None:
        self._app, self._settings, self._note = app, settings, note
        self._tokens = None if settings.oidc is None else _tokens(settings.oidc)
        self._open = OPEN if settings.pages else PROBES
        self._running = 0
        self._buckets: dict[str, tuple[float, float]] = {}  # caller: requests that are left, and when they were counted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.monotonic(), 0

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", []), *_SAFE]
            await send(message)

        if scope["path"] in self._open:
            await self._app(scope, receive, sent)
            return
        self._running += 1
        late = _NO_ISSUER
        try:
            async with asyncio.timeout(self._settings.timeout) as clock:
                self._find_room()
                self._admit(await self._caller(scope))
                late = _NO_BODY
                body = await self._body(scope, receive)
                late = _NO_ANSWER
                await self._app(scope, _whole(body, receive), sent)
        except TidemillError as error:
            await response_of(error, self._settings.retry_after)(scope, receive, sent)
        except TimeoutError:
            if status or not clock.expired():
                raise
            await response_of(refused(*late), self._settings.retry_after)(scope, receive, sent)
        finally:
            self._running -= 1
            self._note(scope["path"], status or 500, time.monotonic() - started)

    def _find_room(self) -> None:
        if self._running > self._settings.concurrency:
            raise refused("E_BUSY", "too many requests are being worked on", "service", "come back later")

    def _admit(self, caller: str) -> None:
        settings = self._settings
        left, counted = self._buckets.get(caller, (float(settings.burst), time.monotonic()))
        now = time.monotonic()
        left = min(float(settings.burst), left + (now - counted) * settings.rate)
        self._buckets[caller] = (max(0.0, left - 1), now)
        if left < 1:
            raise refused("E_RATE", f"more than {settings.rate:g} requests a second", "caller", "come back later")

    async def _caller(self, scope: Scope) -> str:
        """Who asks; the empty text where nobody is asked for a key."""
        if not self._settings.keys and self._tokens is None:
            return ""
        given = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        kind, _, key = given.partition(b" ")
        digest = sha256(key.strip()).hexdigest()
        # Every key is compared to its end, so that the time tells nothing.
        found = [name for name, held in self._settings.keys.items() if hmac.compare_digest(digest, held)]
        if kind.lower() == b"bearer" and not found and self._tokens is not None and key.count(b".") == 2:
            return f"{_OF_ISSUER}{await self._tokens.caller(key.strip().decode('ascii', 'replace'))}"
        if kind.lower() != b"bearer" or not found:
            raise refused("E_KEY", "the key is missing or not known", "header Authorization", "send `Bearer KEY`")
        return found[0]

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        most = self._settings.max_body
        large = refused("E_BODY_SIZE", f"the body has more than {most} bytes", "body", "ask in parts")
        declared = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if declared.isdigit() and int(declared) > most:
            raise large
        parts, size, more = [], 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                break
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > most:
                raise large
            more = message.get("more_body", False)
        return b"".join(parts)


def _tokens(settings: Oidc) -> Tokens:
    from tidemill.serving.oidc import Tokens  # and its libraries, where they are needed

    return Tokens(settings)


def _whole(body: bytes, receive: Receive) -> Receive:
    """What the service receives: the body in one piece, then what becomes of the connection."""
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
