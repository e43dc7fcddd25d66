"""What a caller is told who gets no answer: an error as everywhere in this project, with an HTTP status."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import JSONResponse

from tidemill.core.errors import Exit, TidemillError

if TYPE_CHECKING:
    from collections.abc import Mapping

STATUS = {
    "E_BODY": 422,
    "E_BODY_SIZE": 413,
    "E_BODY_SLOW": 408,
    "E_BODY_TWICE": 400,
    "E_BODY_TYPE": 415,
    "E_BUSY": 503,
    "E_DEADLINE": 503,
    "E_HEAD_SIZE": 431,
    "E_HEAD_SLOW": 408,
    "E_ISSUER": 503,
    "E_KEY": 401,
    "E_NOT_READY": 503,
    "E_NO_REASONS": 404,
    "E_NO_USE_CASE": 404,
    "E_RATE": 429,
    "E_REQUEST": 422,
    "E_ONLINE_STORE": 503,
}
COME_BACK = (429, 503)


def refused(code: str, what: str, where: str, next_step: str) -> TidemillError:
    """An error whose code says the HTTP status."""
    exit_code = Exit.TRY_AGAIN if STATUS[code] in COME_BACK else Exit.USAGE
    return TidemillError(code, what, where=where, next_step=next_step, exit_code=exit_code)


def response_of(error: TidemillError, retry_after: int) -> JSONResponse:
    """The response; where a later try may succeed it says after how many seconds."""
    status = STATUS[error.code]
    headers: Mapping[str, str] = {}
    if status in COME_BACK:
        headers = {"Retry-After": str(retry_after)}
    elif status == 401:
        headers = {"WWW-Authenticate": "Bearer"}
    return JSONResponse({"error": error.as_json()}, status, headers)
