"""What an environment's configuration says to the console command: which registry, and which online store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidemill.cli.shown import REPO
from tidemill.core.config import load_config
from tidemill.core.home import HOME

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tidemill.models.registry import Registry


def tracking_of(env: str, sets: Sequence[str] = ()) -> str:
    """The address of the environment's tracking server; empty where the registry lies below the root."""
    return load_config(HOME / "conf", env, sets).services.tracking


def open_registry(root: Path, env: str, sets: Sequence[str] = ()) -> Registry:
    """The registry of a root in an environment."""
    from tidemill.models.registry import Registry

    return Registry(root.resolve(), tracking_of(env, sets))


def store_description(repo: Path, env: str, sets: Sequence[str] = ()) -> Path:
    """The file that describes the online store of a feature repository in an environment."""
    from tidemill.features.repository import repository_yaml

    return repository_yaml(repo, REPO, load_config(HOME / "conf", env, sets).services.feature_store)
