"""Which model versions a run works with."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tidemill.cli.promoting import read_promotions
from tidemill.core.errors import Exit, TidemillError
from tidemill.core.frozen import thaw
from tidemill.core.time import parse_time
from tidemill.models.card import CARD, DECLARATION
from tidemill.models.promotion import CHALLENGER, champion_at
from tidemill.models.registry_flavor import GRAPH_FOLDER
from tidemill.models.scoring import read_graph

if TYPE_CHECKING:
    from datetime import datetime

    from tidemill.cli.context import Context
    from tidemill.models.registry import Registry, Version
    from tidemill.models.scoring_work import Graph
    from tidemill.models.use_case import UseCase


def champion(context: Context, registry: Registry, at: datetime) -> Version | None:
    """The champion at a moment, by the ledger of promotions."""
    number = champion_at(read_promotions(context.lake), context.use_case.name, at)
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


def registered_graph(registry: Registry, version: Version, reasons: int = 0) -> Graph:
    """The graph of a version for workers to score with, its card's threshold, and how many reasons to give."""
    card = registry.document(version, CARD)
    with tempfile.TemporaryDirectory() as folder:
        return read_graph(registry.fetch(version, GRAPH_FOLDER, Path(folder)), card["threshold"], reasons)


def learned_the_same(registry: Registry, version: Version, use_case: UseCase) -> bool:
    """Whether a version was trained on the features and the label that the use case has now."""
    return _learned(_declared_then(registry, version, use_case)) == _learned(use_case)


def check_still_declared(registry: Registry, version: Version, use_case: UseCase) -> None:
    """Refuses a version that reads features which nobody builds any more.

    Raises:
        TidemillError: E_OLD_MODEL (data), which names the views.
    """
    present = {view.table_name for view in use_case.views}
    then = _declared_then(registry, version, use_case)
    gone = [view.table_name for view in then.views if view.table_name not in present]
    if gone:
        raise TidemillError(
            "E_OLD_MODEL",
            f"version {version.version} reads features of {', '.join(gone)}, which the use case no longer declares",
            where=f"registered model {version.name!r}",
            next_step="promote or approve a version that was trained under the present declaration",
            exit_code=Exit.DATA,
        )


def _declared_then(registry: Registry, version: Version, use_case: UseCase) -> UseCase:
    """The use case that a version was trained under; fetched only where it is not the present one."""
    if version.tags["declaration"] == use_case.digest:
        return use_case
    then: UseCase = thaw(registry.document(version, DECLARATION))
    return then


def _learned(use_case: UseCase) -> tuple[list[str], str]:
    return [view.digest for view in use_case.views], use_case.label.digest
