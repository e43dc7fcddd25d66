"""Checks of the services: Feast's registry and online store, MLflow's tracking server."""

from __future__ import annotations

import os
import socket
import urllib.request
from dataclasses import replace
from typing import TYPE_CHECKING

from tidemill.cli.checks_machine import writable
from tidemill.cli.findings import Finding
from tidemill.core.errors import Exit, TidemillError
from tidemill.data.root_tables import try_store
from tidemill.features.repository import online_address, repository_yaml
from tidemill.models.registry_server import place_of

if TYPE_CHECKING:
    from pathlib import Path

    from tidemill.data.places import StorePath

_SECONDS = 5.0


def store(place: StorePath) -> Finding:
    """The store that tables lie in, or will: an object can be written there, and deleted."""
    try:
        try_store(place)
    except TidemillError as error:
        return Finding("tables", error.what, error.exit_code, error.next_step)
    return Finding("tables", f"{place}: an object can be written there, and deleted")


def feature_registry(repo: Path, default: Path, name: str, root: Path) -> Finding:
    """Feast's registry: opened and read through Feast itself."""
    path = repository_yaml(repo, default, name)
    next_step = f"check the registry in {path}, and the variables that it names"
    if not path.is_file():
        return Finding(
            "Feast registry", f"there is no {path}", Exit.CONFIGURATION, "write one as feature_store.yaml is"
        )
    if not root.is_dir():
        return Finding("Feast registry", "the root is not there yet; the first run makes it")
    from tidemill.features.feast_store import open_store

    try:
        services = len(open_store(path, root).list_feature_services())
    except Exception as error:  # noqa: BLE001 - whatever Feast, SQLAlchemy or a driver raises is what a run would meet
        return Finding("Feast registry", f"it cannot be read: {_first_line(error)}", Exit.UNAVAILABLE, next_step)
    return Finding("Feast registry", f"it answers, and knows {services} use case(s)")


def online_store(repo: Path, default: Path, name: str, root: Path) -> Finding:
    """Feast's online store: a server that takes connections, or a file that can be written."""
    path = repository_yaml(repo, default, name)
    if not path.is_file():
        return Finding("online store", f"there is no {path}", Exit.CONFIGURATION, "write one as feature_store.yaml is")
    os.environ["TIDEMILL_ROOT"] = str(root)
    try:
        kind, address = online_address(path)
    except ValueError:
        said = f"{path} names no host and port"
        return Finding("online store", said, Exit.CONFIGURATION, "set the variables that it names")
    if address is None:
        return Finding("online store", f"{kind}, a file below the root") if kind == "sqlite" else _unknown(kind)
    return _connects("online store", f"{kind} at {address[0]}:{address[1]}", address)


def _unknown(kind: str) -> Finding:
    return Finding("online store", f"{kind} is of a kind that is not looked at here")


def _connects(what: str, place: str, address: tuple[str, int]) -> Finding:
    try:
        socket.create_connection(address, _SECONDS).close()
    except OSError as error:
        said = f"{place} does not answer: {error.strerror or error}"
        return Finding(what, said, Exit.UNAVAILABLE, "start it, or correct its address")
    return Finding(what, f"{place} takes connections")


def tracking(uri: str, root: Path) -> Finding:
    """MLflow's server, by its own health page; or the folder of the database below the root."""
    if not uri:
        return replace(writable(root / "mlflow"), what="tracking")
    if not uri.startswith(("http://", "https://")):
        return Finding("tracking", f"{uri.partition(':')[0]} is reached without a server")
    try:
        with urllib.request.urlopen(f"{place_of(uri).rstrip('/')}/health", timeout=_SECONDS) as answer:  # noqa: S310 - http, see above
            healthy = answer.status == 200
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        said = f"the server does not answer: {_first_line(reason)}"
        return Finding("tracking", said, Exit.UNAVAILABLE, "start it, or correct services.tracking")
    return (
        Finding("tracking", "the server answers")
        if healthy
        else Finding("tracking", "it is not healthy", Exit.UNAVAILABLE)
    )


def _first_line(error: object) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
