"""What the jobs of one run agree on: the matured times, and where gold rows come from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidemill.core.time import parse_time
from tidemill.data import ledger
from tidemill.data.watermark import first_event
from tidemill.features.gold import Builder
from tidemill.features.source_columns import check_source_columns
from tidemill.models.devices import check_devices
from tidemill.models.splits import matured_times
from tidemill.models.tables import predictions_table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from tidemill.cli.context import Context

_FIT = {"train", "backtest"}


def check_declarations(context: Context, jobs: Sequence[str]) -> None:
    """Holds the declarations against the contracts of their sources, and what trains against what is installed.

    Before anything runs.

    Raises:
        TidemillError: E_COLUMN (configuration) where a feature or the label reads a column that there is not; E_DEVICE
            (configuration) where a model is to be fitted on a GPU, which the installed library does not know.
    """
    use_case = context.use_case
    if _FIT & {*jobs}:
        check_devices(use_case, context.config.train)
    check_source_columns(use_case.views, use_case.label, lambda source: context.silver(source).names)


def training_times(context: Context) -> tuple[datetime, ...]:
    """The grid times whose labels are mature at T, by the watermark that the label's sources had then; oldest first."""
    label = context.use_case.label
    mark = context.watermark(label.sources, context.as_of)
    if mark is None:
        return ()
    return _matured(context, mark)


def test_times(context: Context) -> tuple[datetime, ...]:
    """T and the grid times in `[T, T + test_period)` whose labels have matured with everything delivered so far."""
    use_case = context.use_case
    mark = context.watermark(use_case.label.sources, None)
    if mark is None:
        return ()
    end = context.as_of + use_case.test_period
    times = (context.as_of, *(t for t in use_case.grid.times(end) if t > context.as_of))
    return tuple(t for t in times if t + use_case.label.matures_after <= mark)


def gold_builder(context: Context) -> Builder:
    """Where the run's gold rows come from."""
    silver = {s.name: context.silver(s) for s in context.use_case.sources}
    return Builder(context.lake, silver, lambda: context.spark, context.now, context.again)


def predictions_of(context: Context, version: str) -> dict[datetime, ledger.Entry]:
    """The batch of a version's predictions at each as-of time; rows scored again, after late data, take its place."""
    stored = ledger.entries(context.root, predictions_table(context.use_case).label)
    return {parse_time(e.inputs["as_of"]): e for e in stored if e.inputs["model"] == version}


def _matured(context: Context, mark: datetime) -> tuple[datetime, ...]:
    use_case = context.use_case
    # What only tells the outcome says nothing of a time that lies before it.
    seen = {s for view in use_case.views for s in view.sources} | {use_case.label.population.source}
    firsts = [first_event(context.lake, context.silver(s)) for s in seen]
    first = max(f for f in firsts if f is not None)
    return matured_times(use_case.grid, mark, use_case.label.matures_after, first, use_case.splits.history)
