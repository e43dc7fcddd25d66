"""A use case's online store: which it is, and opened with everything registered that is served from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidemill.core.failpoints import failpoint
from tidemill.core.home import HOME
from tidemill.features.repository import online_store_identity, repository_yaml

if TYPE_CHECKING:
    from pathlib import Path

    from tidemill.cli.context import Context
    from tidemill.features.feast_store import Store


def online_place(context: Context) -> dict[str, str]:
    """What every ledger row about online values holds: the use case, and which store."""
    return {"use_case": context.use_case.name, "store": online_store_identity(_described(context))}


def registered_store(context: Context) -> Store:
    """Feast's store of the feature repository, with the use case's entities, views and service registered in it."""
    # Feast takes a second to import: only those who need it wait for it.
    from tidemill.features import feast_store
    from tidemill.features.feast_objects import feast_objects

    use_case = context.use_case
    store = feast_store.open_store(_described(context), context.root)
    objects = feast_objects(use_case.name, use_case.description, use_case.views, context.lake)
    feast_store.apply_objects(store, objects, context.root)
    failpoint("materialize.registered")
    return store


def _described(context: Context) -> Path:
    return repository_yaml(context.repo, HOME / "feature_repo", context.config.services.feature_store)
