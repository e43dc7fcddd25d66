"""Feast's registry and online store: the one place that talks to them.

Feast prints to standard output and warns about its own age; both are kept from a job's output here.
"""

from __future__ import annotations

import logging
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

# Feast redirects every later metric of the process to files unless the client is imported before it.
import prometheus_client  # noqa: F401
from feast import FeatureStore

from tidemill.core.errors import Exit, TidemillError, nearest
from tidemill.core.lease import lease
from tidemill.core.locked import naming
from tidemill.core.quiet import quiet

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from pyspark.sql import DataFrame

    from tidemill.features.online.load import Loaded
    from tidemill.features.specs import FeatureView

Store = FeatureStore  # for those who hold one without knowing Feast
_WAIT_SECONDS = 60.0


def open_store(yaml: Path, root: Path) -> FeatureStore:
    """Opens the store that a `feature_store.yaml` describes; `${TIDEMILL_ROOT}` in it stands for the root."""
    os.environ["TIDEMILL_ROOT"] = str(root)
    (root / "feast").mkdir(parents=True, exist_ok=True)
    logging.getLogger("feast").setLevel(logging.ERROR)
    with quiet(), naming(f"Feast's registry, which {yaml} names"):
        return FeatureStore(fs_yaml_file=yaml)


def apply_objects(store: FeatureStore, objects: Sequence[Any], root: Path) -> None:
    """Registers the objects; what other use cases registered stays."""
    with lease(root, "feast-registry", owner=str(os.getpid()), timeout=_WAIT_SECONDS), _asking(store):
        store.apply(list(objects))


def materialize(store: FeatureStore, views: Sequence[FeatureView], at: datetime) -> list[Loaded]:
    """Loads the newest gold row of every entity stamped in `[at - delay - ttl, at - delay]`, never over a newer one.

    Returns:
        What was done, by view; nothing where `feature_store.yaml` names another engine than ours.
    """
    engine = store._get_provider().batch_engine  # Feast hands back nothing of what it did
    before = len(getattr(engine, "loads", ()))
    for view in views:
        with _asking(store):
            store.materialize(
                start_date=at - view.delay - view.ttl, end_date=at - view.delay, feature_views=[view.table_name]
            )
    return list(getattr(engine, "loads", ())[before:])


def push(store: FeatureStore, view: FeatureView, rows: DataFrame, at: datetime) -> Loaded | None:
    """Writes some gold rows of a view, all stamped `at`, never over newer ones.

    Returns:
        What was done; None where `feature_store.yaml` names another engine than ours, which cannot do it.
    """
    engine = store._get_provider().batch_engine
    if not hasattr(engine, "push"):
        return None
    with _asking(store):
        found = store.get_feature_view(view.table_name)
        loaded: Loaded = engine.push(store.registry, store.project, found, rows, at)
    return loaded


def online_rows(
    store: FeatureStore, service: str, key: str, keys: Sequence[str], *, times: bool = False
) -> list[dict[str, Any]]:
    """The online features of entities, through Feast's own API, in the order of the keys.

    Args:
        store: opened.
        service: the use case's name.
        key: the join key.
        keys: the entities.
        times: whether each feature comes with `<feature>__ts`, the second since the epoch that it speaks for.

    Raises:
        TidemillError: E_NO_SERVICE (no input) where the use case was never materialized.
    """
    with _asking(store):
        known = [s.name for s in store.list_feature_services()]
        if service not in known:
            raise TidemillError(
                "E_NO_SERVICE",
                f"the online store knows no use case {service!r}",
                where=f"Feast registry of project {store.project!r}",
                next_step=f"run materialize or the pipeline first; {nearest(service, known)}",
                exit_code=Exit.NO_INPUT,
            )
        asked = store.get_feature_service(service)
        with naming(str(getattr(store.config.online_store, "path", "the online store"))):
            response = store.get_online_features(features=asked, entity_rows=[{key: value} for value in keys])
    columns = response.to_dict(include_event_timestamps=times)
    return [{name: values[i] for name, values in columns.items()} for i in range(len(keys))]


@contextmanager
def _asking(store: FeatureStore) -> Iterator[None]:
    """Feast kept quiet; a registry in SQLite that another process keeps locked is named."""
    with quiet(), naming(str(store.config.registry.path).removeprefix("sqlite:///")):
        yield
