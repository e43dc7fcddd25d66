"""A feature repository's `feature_store.yaml`, read without Feast."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import yaml

from tidemill.core.digest import digest_of

if TYPE_CHECKING:
    from pathlib import Path

_PORT = 5432  # PostgreSQL's, where none is written
_SECRETS = ("password", "username", "user")
_SECRET_PARAMETER = re.compile(rf",(?:{'|'.join(_SECRETS)})=[^,]*")


def repository_yaml(repo: Path, default: Path, name: str = "feature_store.yaml") -> Path:
    """The `feature_store.yaml` of a feature repository, or that of the default one where it has none of its own."""
    own = repo / name
    return own if own.exists() else default / name


def online_store_identity(path: Path) -> str:
    """What tells one online store from another: its type and place, not who logs in and how.

    Environment variables count as what they hold; only the root, which the ledger lies in as well, is left as written.
    """
    text = path.read_text(encoding="utf-8").replace("${TIDEMILL_ROOT}", "<root>")
    found = yaml.safe_load(os.path.expandvars(text))
    store = found.get("online_store", {})
    if isinstance(store, dict):
        store = {k: v for k, v in store.items() if k not in _SECRETS}
        if "connection_string" in store:
            store["connection_string"] = _SECRET_PARAMETER.sub("", str(store["connection_string"]))
    return digest_of([found.get("project"), store])[:16]


def online_address(path: Path) -> tuple[str, tuple[str, int] | None]:
    """The kind of a repository's online store, and the first host and port it names; None where it is a file."""
    store = yaml.safe_load(os.path.expandvars(path.read_text(encoding="utf-8"))).get("online_store", {})
    kind = str(store.get("type", "sqlite"))
    if "connection_string" in store:
        host, _, port = str(store["connection_string"]).split(",")[0].rpartition(":")
        return kind, (host, int(port))
    if "host" in store:
        return kind, (str(store["host"]), int(store.get("port", _PORT)))
    return kind, None
