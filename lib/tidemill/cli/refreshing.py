"""Streaming refresh: silver that grows brings gold and the online store to each view's newest tick.

A tick is a multiple of the view's cadence. At a new tick all entities get a row; between two ticks only those whose
silver has grown by rows that were known before the tick, and late, get theirs made again.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from tidemill.cli.exporting import leave_online
from tidemill.cli.plan import gold_builder
from tidemill.cli.serving import online_place, registered_store
from tidemill.core.failpoints import failpoint
from tidemill.core.time import format_time, round_down
from tidemill.data import ledger
from tidemill.data.commit import commit, derived_batch
from tidemill.data.schema import delta_schema
from tidemill.data.slices import built
from tidemill.features.gold import read_view, refresh_view
from tidemill.features.tables import view_table
from tidemill.monitoring.tables import REFRESHES

if TYPE_CHECKING:
    from datetime import datetime

    from tidemill.cli.context import Context
    from tidemill.features.feast_store import Store
    from tidemill.features.specs import FeatureView
    from tidemill.features.touched import Touched

ALL, TOUCHED = "all", "touched"


@dataclass(frozen=True)
class Refreshed:
    """What became of one view.

    Args:
        view: its name with its version.
        stamp: the event time of its rows.
        entities: `all`, or `touched` where only those were looked at that silver has got rows of.
        written: entities whose online values were written.
    """

    view: str
    stamp: datetime
    entities: str
    written: int


@dataclass
class Refresher:
    """Refreshes the views of a run's use case for as long as the run goes on.

    Args:
        context: the run; its `now` moves on.
    """

    context: Context

    @cached_property
    def store(self) -> Store:
        """Feast's store, opened when gold has the rows that are registered in it."""
        return registered_store(self.context)

    @cached_property
    def place(self) -> dict[str, str]:
        """What tells the rows of `ops.refreshes` about this use case and store from others."""
        return online_place(self.context)

    def refresh(self) -> list[Refreshed]:
        """Brings every view to its newest tick, `delay` before now; returns what there was to do.

        What is in gold but was not loaded, since a former process ended in between, is loaded first: what was loaded is
        known from `ops.refreshes`.

        Raises:
            TidemillError: what `commit` raises; E_ENGINE (configuration), E_ONLINE_STORE (unavailable).
        """
        found = [self._refresh(view) for view in self.context.use_case.views]
        return [refreshed for refreshed in found if refreshed is not None]

    def _refresh(self, view: FeatureView) -> Refreshed | None:
        context = self.context
        builder = gold_builder(context)
        stamp = round_down(context.now - view.delay, view.cadence)
        if not any(entry.rows for entries in builder.upstream(view.sources) for entry in entries):
            return None  # nothing is known of anybody
        before = self._batch(view, stamp)
        only = refresh_view(builder, view, stamp)
        failpoint("refresh.built", view.name)
        batch = self._batch(view, stamp)
        loaded = self._loaded(view)
        if loaded == batch:
            return None
        written = self._push(view, stamp, only) if only is not None and before == loaded is not None else None
        entities = ALL if written is None else TOUCHED
        if written is None:
            written = self._load(view, stamp)
        failpoint("refresh.loaded", view.name)
        refreshed = Refreshed(view.table_name, stamp, entities, written)
        self._record(view, refreshed, str(batch))
        return refreshed

    def _batch(self, view: FeatureView, stamp: datetime) -> str | None:
        """The batch that the view's rows of a stamp were last changed by."""
        there = built(ledger.entries(self.context.root, view_table(view).label))
        return there[stamp].batch_id if stamp in there else None

    def _loaded(self, view: FeatureView) -> str | None:
        """The batch that was last loaded into this store."""
        mine = {**self.place, "view": view.table_name}
        entries = ledger.entries(self.context.root, REFRESHES.label)
        return next((e.inputs["gold"] for e in reversed(entries) if mine.items() <= e.inputs.items()), None)

    def _push(self, view: FeatureView, stamp: datetime, only: Touched) -> int | None:
        from tidemill.features import feast_store

        rows = only.of(read_view(self.context.spark, self.context.lake, view, [stamp + view.delay]))
        loaded = feast_store.push(self.store, view, rows, stamp)
        return None if loaded is None else loaded.written

    def _load(self, view: FeatureView, stamp: datetime) -> int:
        from tidemill.features import feast_store

        return sum(load.written for load in feast_store.materialize(self.store, [view], stamp + view.delay))

    def _record(self, view: FeatureView, refreshed: Refreshed, batch: str) -> None:
        context, place = self.context, self.place
        inputs = {"as_of": format_time(refreshed.stamp + view.delay), "view": view.table_name, "gold": batch}
        row: dict[str, Any] = {
            "use_case": place["use_case"],
            "view": refreshed.view,
            "event_timestamp": refreshed.stamp,
            "entities": refreshed.entities,
            "written": refreshed.written,
            "refreshed_at": context.now,
        }
        rows = pa.Table.from_pylist([row], schema=delta_schema(REFRESHES.columns))
        commit(context.lake, REFRESHES, derived_batch(REFRESHES, place | inputs), rows)
        leave_online(context, view, refreshed.stamp)
