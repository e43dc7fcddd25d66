"""Which model versions a run works with."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidemill.cli.promoting import read_promotions
from tidemill.core.time import parse_time
from tidemill.models.promotion import champion_at
from tidemill.models.registry import CHALLENGER, Registry, Version
from tidemill.models.registry_flavor import GRAPH_FOLDER
from tidemill.models.scoring import read_graph

if TYPE_CHECKING:
    from datetime import datetime

    from tidemill.cli.context import Context
    from tidemill.models.scoring_work import Graph


def promotions(context: Context) -> list[dict[str, Any]]:
    """The ledger of promotions, in no order."""
    return read_promotions(context.lake)


def champion(context: Context, registry: Registry, at: datetime) -> Version | None:
    """The champion at a moment, by the ledger of promotions."""
    number = champion_at(promotions(context), context.use_case.name, at)
    return None if number is None else registry.version(context.use_case.name, number)


def scoring_versions(context: Context, registry: Registry, at: datetime) -> list[tuple[str, Version]]:
    """Who scores at a moment: the champion, and a challenger trained by then in shadow."""
    name = context.use_case.name
    best = champion(context, registry, at)
    number = registry.alias(name, CHALLENGER)
    found = [("champion", best)] if best is not None else []
    if number is not None and (best is None or number != best.version):
        challenger = registry.version(name, number)
        if parse_time(challenger.tags["as_of"]) <= at:
            found.append(("shadow", challenger))
    return found


def registered_graph(registry: Registry, version: Version) -> Graph:
    """The graph of a version, for workers to score with, and the threshold that its card says."""
    card = registry.document(version, "card.json")
    with tempfile.TemporaryDirectory() as folder:
        return read_graph(registry.fetch(version, GRAPH_FOLDER, Path(folder)), card["threshold"])
