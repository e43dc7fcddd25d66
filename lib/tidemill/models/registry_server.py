"""How long MLflow waits for its server or database, and what is said where these do not answer."""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tidemill.core.errors import Exit, TidemillError
from tidemill.core.locked import naming
from tidemill.core.quiet import quiet

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

AWAY, REFUSED = "E_TRACKING", "E_TRACKING_REFUSED"
_SQLITE, _POSTGRES = "sqlite:///", "postgresql"
# Less than a minute a request: three tries of 15 seconds, with pauses of 0 and 10 seconds and a second of chance each.
# Whoever uploads models that take a slow server longer sets these variables of MLflow's.
LIMITS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "5",
    "MLFLOW_HTTP_REQUEST_BACKOFF_JITTER": "1",
    "MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER": "false",  # a server may ask for an hour
}
_DATABASE_TRIES, _DATABASE_SECONDS = 6, "5"  # pauses of 0.1, 0.3, 0.7, 1.5 and 3.1 seconds
_TALK = {"mlflow", "requests", "urllib3", "sqlalchemy"}
_REASONS = {  # what MLflow, requests, urllib3 and drivers of databases say; the first that is found counts
    r"too many (\d{3}) error responses": "it answers {} only",
    r"certificate": "its certificate is not accepted",
    r"timed out|timeout": "it gives no answer in time",
    r"[Cc]onnection refused": "it refuses connections",
    r"[Rr]esol|not known|nodename": "its name is not known",
    r"[Cc]onnection (?:was )?(?:aborted|broken|reset)|RemoteDisconnected|IncompleteRead": "it breaks connections off",
    r"API request to \S+ failed with exception": "it cannot be reached",
}
_UNAVAILABLE = {"TEMPORARILY_UNAVAILABLE", "DEADLINE_EXCEEDED", "REQUEST_LIMIT_EXCEEDED", "RESOURCE_EXHAUSTED"}
_DENIED = {"UNAUTHENTICATED", "CUSTOMER_UNAUTHORIZED", "PERMISSION_DENIED"}


def limit_waiting(uri: str) -> None:
    """Bounds the time that MLflow waits for the server or database of an address, where the environment does not."""
    for name, value in LIMITS.items():
        os.environ.setdefault(name, value)
    if uri.startswith(_POSTGRES):
        from mlflow.store.db import utils

        os.environ.setdefault("PGCONNECT_TIMEOUT", _DATABASE_SECONDS)
        utils.MAX_RETRY_COUNT = _DATABASE_TRIES  # it has no variable; MLflow's ten tries take minutes


def below(root: Path) -> str:
    """The address of the database that lies below a root."""
    return f"{_SQLITE}{root / 'mlflow' / 'mlflow.db'}"


def place_of(uri: str) -> str:
    """An address as people may read it: without user, password and parameters."""
    if uri.startswith(_SQLITE):
        return uri
    parts = urlsplit(uri)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


@contextmanager
def asking(uri: str) -> Iterator[None]:
    """Keeps MLflow quiet while it is asked something, and says in three lines that what lies at an address is away.

    Raises:
        TidemillError: E_LOCKED, E_TRACKING (try again), E_TRACKING_REFUSED (configuration).
    """
    with quiet(), naming(place_of(uri).removeprefix(_SQLITE)):
        try:
            yield
        except TidemillError:
            raise
        except Exception as error:
            fault = None if uri.startswith(_SQLITE) else _fault(error, place_of(uri))
            if fault is None:
                raise
            raise fault from None  # what MLflow says holds the address with its password


def _fault(error: Exception, place: str) -> TidemillError | None:
    if type(error).__module__.partition(".")[0] not in _TALK:
        return None  # Spark's own, for instance, while it saves a model
    code, said = getattr(error, "error_code", ""), str(error)
    if code in _DENIED:
        return _refused("the tracking server refuses the credentials", place)
    if code == "ENDPOINT_NOT_FOUND" or "not in a valid JSON format" in said:
        return _refused("what answers there is no tracking server of MLflow's", place)
    if code not in {"", "INTERNAL_ERROR", *_UNAVAILABLE}:
        return None  # an answer
    found = ((re.search(pattern, said), reason) for pattern, reason in _REASONS.items())
    reason = next((reason.format(*match.groups()) for match, reason in found if match), None)
    if reason is None and code not in _UNAVAILABLE and type(error).__name__ != "OperationalError":
        return None
    return TidemillError(
        AWAY,
        f"the tracking server does not answer as it should: {reason or 'it is not available'}",
        where=f"services.tracking, {place}",
        next_step="see to it that it runs, and run the same command again: it goes on where it stopped",
        exit_code=Exit.TRY_AGAIN,
    )


def _refused(what: str, place: str) -> TidemillError:
    return TidemillError(
        REFUSED,
        what,
        where=f"services.tracking, {place}",
        next_step="correct it, or MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD",
        exit_code=Exit.CONFIGURATION,
    )
