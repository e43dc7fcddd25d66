"""One as-of time scored by every version that scores at it, once per version, gold batch and population."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from tidemill.cli.models import check_still_declared, registered_graph, scoring_versions
from tidemill.cli.plan import gold_builder
from tidemill.core.errors import Exit, TidemillError
from tidemill.core.failpoints import failpoint
from tidemill.core.time import format_time
from tidemill.data import ledger
from tidemill.data.commit import commit_together, derived_batch, ledgered
from tidemill.data.slices import visible
from tidemill.features.gold import view_batches
from tidemill.models.scoring import build_predictions
from tidemill.models.scoring_work import Contender
from tidemill.models.tables import predictions_table

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from tidemill.cli.context import Context
    from tidemill.models.registry import Version
    from tidemill.models.scoring_work import Graph


_MANY = 100_000  # of which the reasons of trees cost about a minute of CPU


@dataclass(frozen=True)
class ScoredTime:
    """What became of one as-of time.

    Args:
        population: entities scored at it, now or before.
        written: rows of predictions that this run wrote.
        path: how they came about, or None where all were there.
    """

    population: int
    written: int
    path: str | None


def reasons_said(rows: int, reasons: int) -> tuple[str, ...]:
    """What a reader should know of predictions that a run wrote with reasons; nothing where they are few."""
    if not reasons or rows < _MANY:
        return ()
    said = f"{rows:,} predictions carry up to {reasons} reasons each, which may take many times as long as the scores"
    return (f"{said}: score.reasons=0 leaves them out (docs/explanations.md says what they cost)",)


def graphs_of(context: Context) -> Callable[[str], Graph]:
    """The graph of a version by its number: fetched once, however many as-of times it scores."""
    registry, name = context.registry, context.use_case.name

    @cache
    def graph_of(number: str) -> Graph:
        version = registry.version(name, number)
        check_still_declared(registry, version, context.use_case)
        return registered_graph(registry, version, context.config.score.reasons)

    return graph_of


def score_time(context: Context, at: datetime, graph_of: Callable[[str], Graph]) -> ScoredTime:
    """Scores what no batch of predictions holds yet of an as-of time, all versions in one pass.

    Raises:
        TidemillError: E_NO_MODEL (no input) where nobody scores at it; E_OLD_MODEL (data); what `commit` raises.
    """
    use_case, lake = context.use_case, context.lake
    table, population, due = predictions_table(use_case), 0, []
    gold = "-".join(b for view in use_case.views for b in view_batches(lake, view, [at]))
    members = visible(ledger.entries(lake.root, context.silver(use_case.label.population.source).label), at)
    for role, version in _versions(context, at):
        inputs = {"as_of": format_time(at), "model": version.version, "gold": gold, "population": list(members)}
        batch = derived_batch(table, {**inputs, **context.again})
        entry = ledgered(lake, table, batch)
        if entry is None:
            due.append((role, version.version, batch))
        else:
            population = entry.rows
    if not due:
        return ScoredTime(population, 0, None)
    who, reasons = " and ".join(f"{role} version {number}" for role, number, _ in due), context.config.score.reasons
    context.progress.say(f"{who} at {format_time(at)}{f', {reasons} reasons a row' if reasons else ''}")
    contenders = []
    for role, number, batch in due:
        beside = {"model_version": number, "role": role, "gold_batch": gold, "batch_id": batch.batch_id}
        contenders.append(Contender(graph_of(number), tuple(beside.items())))
    predictions = build_predictions(gold_builder(context), use_case, at, contenders, table)
    entries = [one.entry for one in commit_together(lake, table, [batch for *_, batch in due], predictions.rows)]
    failpoint("score.committed")
    return ScoredTime(entries[-1].rows, sum(entry.rows for entry in entries), predictions.path)


def _versions(context: Context, at: datetime) -> list[tuple[str, Version]]:
    found = scoring_versions(context, context.registry, at)
    if not found:
        raise TidemillError(
            "E_NO_MODEL",
            f"no version was champion at {format_time(at)}, and none that was trained by then is challenger",
            where=f"registered model {context.use_case.name!r}",
            next_step="run train and promote for that time first, or the whole pipeline",
            exit_code=Exit.NO_INPUT,
        )
    return found
