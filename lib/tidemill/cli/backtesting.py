"""The parts of the backtest job: what is replayed, what is kept of it, and its page."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from tidemill.cli.plan import training_times
from tidemill.core.errors import Exit, TidemillError
from tidemill.core.runs import REPORT, run_folder, write_text
from tidemill.core.time import format_time, length_name, to_micros
from tidemill.data.commit import commit, derived_batch, ledgered
from tidemill.data.schema import delta_schema
from tidemill.features.asof_choice import join_gold
from tidemill.features.gold import read_labels
from tidemill.features.tables import labels_table
from tidemill.models.candidates import Candidate, recipe_of
from tidemill.models.card import CARD
from tidemill.models.promotion import CHALLENGER
from tidemill.models.tables import BACKTESTS
from tidemill.models.training_set import training_set_inputs
from tidemill.pages.backtest import AgePoint, Backtest, render_backtest

if TYPE_CHECKING:
    from datetime import datetime

    from tidemill.cli.context import Context
    from tidemill.data.write import Batch
    from tidemill.models.backtest import Loss


@dataclass(frozen=True)
class Replay:
    """What is to be replayed.

    Args:
        batch: what it is known by; the same rows, recipe and times are replayed once.
        recipe: of the newest trained version.
        trainings: each cut-off with the times to train on.
    """

    batch: Batch
    recipe: Candidate
    trainings: dict[datetime, tuple[datetime, ...]]


def what_to_replay(context: Context) -> Replay | None:
    """The recipe and the times; None where they have been replayed before.

    Raises:
        TidemillError: E_NO_VERSION (usage) where nothing has been trained; E_NO_SPLIT (no input) where no time comes
            after another had matured.
    """
    from tidemill.models.backtest import cutoffs

    use_case = context.use_case
    registry = context.registry
    number = registry.alias(use_case.name, CHALLENGER)
    if number is None:
        raise TidemillError(
            "E_NO_VERSION",
            f"no version of {use_case.name!r} has been trained, whose recipe could be replayed",
            where=registry.place,
            next_step="train it first",
            exit_code=Exit.USAGE,
        )
    card = registry.document(registry.version(use_case.name, number), CARD)
    times = training_times(context)
    trainings = cutoffs(times, use_case.label.matures_after, context.config.backtest.trainings)
    if not trainings:
        raise TidemillError(
            "E_NO_SPLIT",
            f"{len(times)} as-of time(s) have mature labels, none of them after others had matured",
            where=f"use case {use_case.name!r} as of {format_time(context.as_of)}",
            next_step="choose a later as-of time",
            exit_code=Exit.NO_INPUT,
        )
    recipe = recipe_of(card, "replayed")
    inputs = {
        **training_set_inputs(context.lake, use_case, times),
        "recipe": [recipe.family, recipe.parameters, *recipe.without],
        "fit": context.config.train.of_fits(),
        "trainings": [format_time(at) for at in trainings],
        **context.again,
    }
    batch = derived_batch(BACKTESTS, inputs)
    return None if ledgered(context.lake, BACKTESTS, batch) is not None else Replay(batch, recipe, trainings)


def run_backtest(context: Context, asked: Replay) -> tuple[list[Loss], str]:
    """Replays, writes the page and keeps the rows; returns what models lose with age, and where the page is."""
    from tidemill.models.backtest import as_rows, losses, replay

    use_case, lake = context.use_case, context.lake
    times = sorted({*asked.trainings, *(t for known in asked.trainings.values() for t in known)})
    spine = read_labels(context.spark, lake, use_case.name, use_case.label, times)
    rows = join_gold(lake, spine, use_case.views, times).frame.persist()
    try:
        where = labels_table(use_case.name, use_case.label).label
        settings, say = context.config.train, context.progress.say
        found = replay(rows, use_case, asked.recipe, settings, asked.trainings, where, say)
    finally:
        rows.unpersist()
    lost = losses(found, use_case.metric)
    report = _write_page(context, asked, {a.trained_at for a in found}, lost)
    facts: dict[str, Any] = {
        "use_case": use_case.name,
        "as_of": context.as_of,
        "family": asked.recipe.family,
        "metric": use_case.metric,
        "batch_id": asked.batch.batch_id,
    }
    kept = pa.Table.from_pylist(as_rows(found, facts), schema=delta_schema(BACKTESTS.columns))
    commit(lake, BACKTESTS, asked.batch, kept)
    return lost, report


def _step(every: timedelta | str) -> str:
    return length_name(every) if isinstance(every, timedelta) else f"a {every}"


def _write_page(context: Context, asked: Replay, trained: set[int], lost: list[Loss]) -> str:
    from tidemill.models.backtest import conclusion

    use_case = context.use_case
    page = render_backtest(
        Backtest(
            use_case=use_case.name,
            as_of=format_time(context.as_of),
            run_id=context.lake.run_id,
            generated=format_time(context.now.replace(microsecond=0)),
            metric=use_case.metric,
            recipe=f"{asked.recipe.family}: {asked.recipe.parameters}",
            step=_step(use_case.grid.every),
            trained=tuple(format_time(at) for at in asked.trainings if to_micros(at) in trained),
            conclusion=conclusion(lost, use_case.metric),
            ages=tuple(AgePoint(x.age, x.times, x.value, x.fresh, x.loss, x.error, clear=x.clear) for x in lost),
        )
    )
    path = run_folder(context.root, context.lake.run_id) / REPORT
    write_text(path, page)
    return str(path)
