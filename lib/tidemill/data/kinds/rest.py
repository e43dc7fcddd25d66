"""A web service that answers in pages of JSON: asked page by page, landed as JSON lines.

A fetch lands one file with every item of every page, whole or not at all; where nothing changed since the last one it
lands nothing. Attempts are bounded, with growing pauses, for what may pass: no answer, 429, and 5xx.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import requests
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from tidemill.core.digest import digest_of_file
from tidemill.core.errors import Exit, TidemillError
from tidemill.data.credentials import resolve
from tidemill.data.kinds.jsonl import KIND as JSON_LINES
from tidemill.data.kinds.kind import FetchedKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from pathlib import Path

    from pyspark.sql import SparkSession

    from tidemill.data.contract import Contract

_ATTEMPTS, _SECONDS, _LONGEST_PAUSE = 5, 30, 20
_MOST_PAGES = 100_000
_AGAIN = {429, 500, 502, 503, 504}


class _PassingError(Exception):
    """A failure that may be over soon."""


def fetch(_: Callable[[], SparkSession], contract: Contract, folder: Path, now: datetime) -> None:
    """Lands one file with what the service has.

    Raises:
        TidemillError: E_CONTRACT, E_CREDENTIALS (configuration), E_SERVICE (unavailable).
    """
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / ".unfinished"
    with unfinished.open("w", encoding="utf-8") as file:
        for item in _items(contract):
            file.write(json.dumps(item, separators=(",", ":"), ensure_ascii=False) + "\n")
    before = sorted(folder.glob("*.jsonl"))
    if before and digest_of_file(before[-1]) == digest_of_file(unfinished):
        unfinished.unlink()
        return
    unfinished.rename(folder / f"{now:%Y%m%dT%H%M%S%f}Z.jsonl")


def _items(contract: Contract) -> Iterator[Any]:
    server = contract.server
    url: str | None = server.get("endpointUrl", "")
    if not str(url).startswith(("http://", "https://")):
        raise _error(
            "E_CONTRACT", f"the endpointUrl {url!r} is no address of a web service", contract, "", Exit.CONFIGURATION
        )
    headers = {"Accept": "application/json"}
    if "token" in server:
        headers["Authorization"] = f"Bearer {resolve(server['token'], f'contract {contract.name!r}, field token')}"
    parameters: dict[str, str] = {}
    seen: set[tuple[str, str]] = set()
    with requests.Session() as session:
        for _ in range(_MOST_PAGES):
            page = _page(session, str(url), headers, parameters, contract)
            items = _at(page, server.get("items", ""))
            if not isinstance(items, list):
                what = f"the answer holds no list at {server.get('items', 'its top')!r}"
                raise _error("E_SERVICE", what, contract, str(url), Exit.UNAVAILABLE)
            yield from items
            following = _at(page, server.get("next", "next")) if isinstance(page, dict) else None
            if not following:
                return
            if "cursorParameter" in server:
                parameters = {server["cursorParameter"]: str(following)}
            else:
                url = str(following)
            if (str(url), str(parameters)) in seen:
                raise _error("E_SERVICE", "its pages lead back to one another", contract, str(url), Exit.UNAVAILABLE)
            seen.add((str(url), str(parameters)))
    raise _error("E_SERVICE", f"it has more than {_MOST_PAGES} pages", contract, str(url), Exit.UNAVAILABLE)


def _page(
    session: requests.Session, url: str, headers: dict[str, str], parameters: dict[str, str], contract: Contract
) -> Any:
    attempts = Retrying(
        stop=stop_after_attempt(_ATTEMPTS),
        wait=wait_exponential(multiplier=float(contract.server.get("pause", "1")), max=_LONGEST_PAUSE),
        retry=retry_if_exception_type(_PassingError),
        reraise=True,
    )
    try:
        return attempts(_ask, session, url, headers, parameters)
    except (_PassingError, requests.RequestException, ValueError) as error:
        what = f"the service gives no usable answer: {str(error)[:200]}"
        raise _error("E_SERVICE", what, contract, url, Exit.UNAVAILABLE) from error


def _ask(session: requests.Session, url: str, headers: dict[str, str], parameters: dict[str, str]) -> Any:
    try:
        answer = session.get(url, headers=headers, params=parameters, timeout=_SECONDS, allow_redirects=False)
    except (requests.ConnectionError, requests.Timeout) as error:
        raise _PassingError(str(error)) from error
    if answer.status_code in _AGAIN:
        raise _PassingError(f"status {answer.status_code}")
    answer.raise_for_status()
    if answer.status_code != 200:
        raise ValueError(f"status {answer.status_code}")
    return answer.json()


def _at(page: Any, path: str) -> Any:
    """What stands at a path of keys, separated by points; the page itself for an empty one."""
    for key in filter(None, path.split(".")):
        page = page.get(key) if isinstance(page, dict) else None
    return page


def _error(code: str, what: str, contract: Contract, url: str, exit_code: Exit) -> TidemillError:
    return TidemillError(
        code,
        what,
        where=f"contract {contract.name!r} {url}".rstrip(),
        next_step="check the service and the contract's server, and run the same command again: nothing was landed",
        exit_code=exit_code,
    )


KIND = FetchedKind("rest", fetch, JSON_LINES)
