"""What a connection may bring before there is a request for the guard: so many bytes of a head, in so many seconds."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from tidemill.serving.refusals import STATUS, refused

if TYPE_CHECKING:
    from asyncio import TimerHandle, Transport

LARGEST_HEAD = 16 << 10  # bytes of the request line and the headers
PATIENCE = 5  # seconds for a head, from the connection or the last answer on


class Bounded(HttpToolsProtocol):
    """uvicorn's protocol, which has no limit of a head, and stops its clock at any byte that arrives.

    Whenever no answer is owed, the caller owes the next request: its whole head within `PATIENCE` seconds, whatever
    arrives meanwhile. Once the head is there, the guard's own time runs.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._in_head, self._head = True, 0  # whether one is arriving, and how many bytes of it have
        self._clock: TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """The clock starts."""
        super().connection_made(transport)
        self._clock = self.loop.call_later(PATIENCE, self.timeout_keep_alive_handler)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody waits any more."""
        self._stop()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """The parser keeps a header until its end: what comes has to be counted before that."""
        if self._in_head:
            self._head += len(data)
        super().data_received(data)
        if self._in_head and self._head > LARGEST_HEAD and not self.transport.is_closing():
            self._refuse_large()

    def on_headers_complete(self) -> None:
        """From now on an answer is owed."""
        self._in_head, self._head = False, 0
        self._stop()
        if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > LARGEST_HEAD:
            self._refuse_large()
            raise ValueError("the head is too large")  # the parser stops there
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """What comes next is a head."""
        self._in_head, self._head = True, 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """The next request is owed, where none waits already."""
        super().on_response_complete()
        self._stop()
        # Its clock is taken away: it would be stopped by a byte, and for good.
        self._clock, self.timeout_keep_alive_task = self.timeout_keep_alive_task, None

    def timeout_keep_alive_handler(self) -> None:
        """The time is over; who has begun to ask is told."""
        if self._in_head and self._head and not self.transport.is_closing():
            self._refuse("E_HEAD_SLOW", "the headers took too long to arrive", "send them at once")
        super().timeout_keep_alive_handler()

    def send_400_response(self, msg: str) -> None:
        """What the parser does not take, where it was not refused already."""
        if not self.transport.is_closing():
            super().send_400_response(msg)

    def _stop(self) -> None:
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None

    def _refuse_large(self) -> None:
        what = f"the request line and the headers have more than {LARGEST_HEAD} bytes"
        self._refuse("E_HEAD_SIZE", what, "send fewer and shorter ones")

    def _refuse(self, code: str, what: str, next_step: str) -> None:
        if self.cycle is None or self.cycle.response_complete:  # else it would be taken for another request's answer
            body = json.dumps({"error": refused(code, what, "headers", next_step).as_json()}).encode()
            head = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body)
            self.transport.write(STATUS_LINE[STATUS[code]] + head + body)
        self.transport.close()
