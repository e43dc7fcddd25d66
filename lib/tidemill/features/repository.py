"""A feature repository's `feature_store.yaml`, read without Feast."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import yaml

from tidemill.core.digest import digest_of

if TYPE_CHECKING:
    from pathlib import Path

_SECRETS = ("password", "username", "user")
_SECRET_PARAMETER = re.compile(rf",(?:{'|'.join(_SECRETS)})=[^,]*")


def repository_yaml(repo: Path, default: Path) -> Path:
    """The `feature_store.yaml` of a feature repository, or that of the default one where it has none of its own."""
    own = repo / "feature_store.yaml"
    return own if own.exists() else default / "feature_store.yaml"


def online_store_identity(path: Path) -> str:
    """What tells one online store from another: its type and place as they are written, not who logs in and how."""
    found = yaml.safe_load(path.read_text(encoding="utf-8"))
    store = found.get("online_store", {})
    if isinstance(store, dict):
        store = {k: v for k, v in store.items() if k not in _SECRETS}
        if "connection_string" in store:
            store["connection_string"] = _SECRET_PARAMETER.sub("", str(store["connection_string"]))
    return digest_of([found.get("project"), store])[:16]
