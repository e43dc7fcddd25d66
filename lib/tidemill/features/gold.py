"""Gold rows kept up to date: what is missing or outdated is read, computed and committed, and nothing else."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from tidemill.data import ledger
from tidemill.data.buckets import bucket_files
from tidemill.data.commit import commit, derived_batch
from tidemill.data.layout import with_layout
from tidemill.data.read import layout_of, read
from tidemill.data.slices import Built, built, missing, slice_inputs, times_predicate, wanted
from tidemill.data.write import Slice
from tidemill.features.compute import build_view
from tidemill.features.derived import Joined
from tidemill.features.labels import build_labels, build_population
from tidemill.features.pairs import AS_OF, with_validity
from tidemill.features.tables import labels_table, view_table
from tidemill.features.touched import touched_entities
from tidemill.features.window_path import build_from_buckets, has_versions, why_scattered, window_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from pyspark.sql import DataFrame, SparkSession

    from tidemill.data.sources import Source
    from tidemill.data.tables import Lake, Table
    from tidemill.features.specs import FeatureView, Label
    from tidemill.features.touched import Touched
    from tidemill.features.window_path import WindowPath


@dataclass(frozen=True)
class Builder:
    """Where gold rows come from and go to.

    Args:
        lake: the tables.
        silver: the silver table of each source, by the source's name.
        spark: gives the session; called only where there is something to build.
        now: stamps the rows as their `created_timestamp`.
        again: inputs that make every as-of time outdated, for a rebuild.
    """

    lake: Lake
    silver: Mapping[str, Table]
    spark: Callable[[], SparkSession]
    now: datetime
    again: Mapping[str, str]

    def events(self, source: Source) -> DataFrame:
        """The source's silver versions with `superseded_time`, as of its last ledgered version."""
        table = self.silver[source.name]
        return with_validity(read(self.spark(), self.lake, table), versions=has_versions(self.lake, table))

    def path(self, view: FeatureView) -> WindowPath:
        """How the view is computed from its source's silver table as it is now."""
        return window_path(self.lake, self.silver[view.source.name], view)

    def rows(self, view: FeatureView, times: Iterable[datetime], only: Touched | None = None) -> DataFrame:
        """The view's rows at the as-of times, of all entities or some, whichever way they are computed."""
        path = self.path(view)
        if path.plan is None:
            events = {s.name: self.events(s) for s in view.sources}
            own = events[view.source.name]
            return build_view(own if only is None else only.of(own), view, list(times), events)
        files = bucket_files(self.lake, self.silver[view.source.name])
        if only is None:
            return build_from_buckets(self.spark(), files, view, path.plan, times)
        files = [file for file in files if file.bucket in only.buckets]
        return only.of(build_from_buckets(self.spark(), files, view, path.plan, times))

    def upstream(self, sources: Iterable[Source]) -> list[list[ledger.Entry]]:
        """The ledgers of the sources' silver tables."""
        return [ledger.entries(self.lake.root, self.silver[s.name].label) for s in sources]


def commit_view(builder: Builder, view: FeatureView, times: Iterable[datetime]) -> int:
    """Builds the view's rows at the as-of times that are missing or outdated; returns how many times that were.

    Raises:
        TidemillError: what `commit` raises.
    """
    table, asked = view_table(view), _asked(builder, view, stamps(view, times))
    return _commit_missing(builder, table, asked, lambda todo: builder.rows(view, todo), keep_versions=False)


def refresh_view(builder: Builder, view: FeatureView, stamp: datetime) -> Touched | None:
    """Brings the view's rows of one stamp up to date at the least cost.

    Where the stamp has no rows yet, all entities get theirs. Where it has, only the entities are looked at of which
    silver has got rows since that were known before the stamp: the rows of the others would be the same again.

    Returns:
        The entities whose rows were made; None where it was all entities, or where nothing was to be done.

    Raises:
        TidemillError: what `commit` raises.
    """
    table, asked = view_table(view), _asked(builder, view, [stamp])
    there = built(ledger.entries(builder.lake.root, table.label))
    only = _touched(builder, view, stamp, asked[stamp], there[stamp]) if stamp in there else None
    build = functools.partial(builder.rows, view, only=only)
    _commit_missing(builder, table, asked, build, keep_versions=False, only=only)
    return only


def commit_labels(builder: Builder, use_case: str, label: Label, times: Iterable[datetime]) -> int:
    """Builds the labels at the as-of times, all mature, that are missing or outdated; returns how many times that were.

    A label that changes after it had matured is a new version beside the old one.

    Raises:
        TidemillError: what `commit` raises.
    """
    table = labels_table(use_case, label)
    asked = wanted(times, builder.upstream(label.sources), label.matures_after)

    def build(todo: list[datetime]) -> DataFrame:
        population = build_population(builder.events(label.population.source), label, todo)
        rows = build_labels(population, builder.events(label.outcome.source), label, todo)
        matured = F.col(AS_OF) + F.make_dt_interval(secs=F.lit(label.matures_after.total_seconds()))
        return rows.withColumn("matured_at", matured)

    return _commit_missing(builder, table, asked, build, keep_versions=True, declaration=label.digest)


def read_labels(spark: SparkSession, lake: Lake, use_case: str, label: Label, times: Iterable[datetime]) -> DataFrame:
    """The current version of the labels at the as-of times: entity, `event_timestamp`, `label`."""
    table = labels_table(use_case, label)
    return current_labels(read(spark, lake, table), ledger.entries(lake.root, table.label), label, times)


def current_labels(
    rows: DataFrame, entries: Iterable[ledger.Entry], label: Label, times: Iterable[datetime]
) -> DataFrame:
    """Of label rows those that are current by ledger entries: entity, `event_timestamp`, `label`."""
    return _current(rows, built(entries), times).select(label.population.source.entity.key, AS_OF, "label")


def read_view(spark: SparkSession, lake: Lake, view: FeatureView, times: Iterable[datetime]) -> DataFrame:
    """The view's gold rows that are used at the as-of times."""
    return read(spark, lake, view_table(view)).where(times_predicate(AS_OF, stamps(view, times)))


def stamps(view: FeatureView, times: Iterable[datetime]) -> list[datetime]:
    """The stamps of the gold rows that are used at the as-of times: the view's delay before them."""
    return [t - view.delay for t in times]


def current_stamps(builder: Builder, view: FeatureView, times: Iterable[datetime]) -> list[datetime]:
    """The stamps of the gold rows that are used at the as-of times, where they were made from all that silver holds."""
    asked = _asked(builder, view, stamps(view, times))
    outdated = set(missing(asked, built(ledger.entries(builder.lake.root, view_table(view).label))))
    return [t for t in asked if t not in outdated]


def view_batches(lake: Lake, view: FeatureView, times: Iterable[datetime]) -> list[str]:
    """The batches of the view's gold rows that are used at the as-of times, ordered."""
    return sorted(set(_batches_at(lake, view_table(view), stamps(view, times)).values()))


def online_batches(lake: Lake, view: FeatureView, at: datetime) -> list[str]:
    """The batches of the view's gold rows that may be online at a moment: `[at - delay - ttl, at - delay]`."""
    until = at - view.delay
    there = built(ledger.entries(lake.root, view_table(view).label))
    return sorted({made.batch_id for stamp, made in there.items() if until - view.ttl <= stamp <= until})


def label_batches(lake: Lake, use_case: str, label: Label, times: Iterable[datetime]) -> dict[datetime, str]:
    """The batch of the current labels of each as-of time that has some."""
    return _batches_at(lake, labels_table(use_case, label), times)


def _asked(builder: Builder, view: FeatureView, at: Iterable[datetime]) -> dict[datetime, tuple[str, ...]]:
    """The batches of all of the view's sources that each stamp can see."""
    return wanted(at, builder.upstream(view.sources), timedelta(0))


def _batches_at(lake: Lake, table: Table, times: Iterable[datetime]) -> dict[datetime, str]:
    there = built(ledger.entries(lake.root, table.label))
    return {t: there[t].batch_id for t in times if t in there}


def _current(rows: DataFrame, there: Mapping[datetime, Built], times: Iterable[datetime]) -> DataFrame:
    by_batch: dict[str, list[datetime]] = {}
    for time in times:
        if time in there:
            by_batch.setdefault(there[time].batch_id, []).append(time)
    if not by_batch:
        return rows.where("false")
    parts = [f"(batch_id = '{batch}' and ({times_predicate(AS_OF, group)}))" for batch, group in by_batch.items()]
    return rows.where(" or ".join(parts))


def _touched(
    builder: Builder, view: FeatureView, stamp: datetime, upstream: tuple[str, ...], before: Built
) -> Touched | None:
    new, silver = set(upstream) - set(before.upstream), builder.silver[view.source.name]
    if not new or set(before.upstream) - set(upstream):
        return None
    # Joined views, and corrections that move a row to another entity, reach further than the new rows say.
    joins = any(isinstance(item, Joined) for item in view.features)
    if joins or why_scattered(silver, view, versions=has_versions(builder.lake, silver)):
        return None
    return touched_entities(read(builder.spark(), builder.lake, silver), view.entity.key, new, stamp)


def _commit_missing(
    builder: Builder,
    table: Table,
    asked: Mapping[datetime, tuple[str, ...]],
    build: Callable[[list[datetime]], DataFrame],
    *,
    keep_versions: bool,
    declaration: str = "",
    only: Touched | None = None,
) -> int:
    there = built(ledger.entries(builder.lake.root, table.label))
    todo = sorted(asked) if builder.again else missing(asked, there)
    if not todo:
        return 0
    outdated = [t for t in todo if t in there]
    inputs = {**slice_inputs(asked, todo), **builder.again}
    if declaration:
        inputs["declaration"] = declaration
    if only is not None:
        inputs["entities"] = only.digest
    cause = "rebuild" if builder.again else "late" if outdated else "new"
    batch = derived_batch(table, inputs, cause)
    rows = build(todo).withColumns({"created_timestamp": F.lit(builder.now), "batch_id": F.lit(batch.batch_id)})
    if keep_versions:
        rows = rows.withColumn("label_version", F.lit(batch.batch_id))
    # Rows of new times go in with those that are replaced, in one commit: the predicate covers both.
    parts = [times_predicate(AS_OF, todo), *([] if only is None else [only.predicate])]
    replace = Slice(" and ".join(f"({part})" for part in parts)) if outdated and not keep_versions else None
    commit(builder.lake, table, batch, with_layout(rows, table, *layout_of(builder.lake, table)), replace=replace)
    return len(todo)
