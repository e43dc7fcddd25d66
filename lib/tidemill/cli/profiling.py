"""Profiles that the monitor job keeps, by day: how they are named, written and read."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import functions as F

from tidemill.cli.days import DAY, a_day_apart, day_of, judged_day, within_a_day
from tidemill.core.time import EPOCH, length_micros
from tidemill.data.commit import commit, derived_batch, ledgered
from tidemill.data.profile_rows import COUNTED_COLUMNS, from_row
from tidemill.data.profile_work import Wanted, merged
from tidemill.data.profiles import build_frame_profiles, build_table_profiles
from tidemill.data.read import read, read_arrow, version_of
from tidemill.data.schema import delta_schema
from tidemill.features.pairs import AS_OF
from tidemill.monitoring.tables import PROFILES
from tidemill.stats.bins import choose_bins

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime, timedelta

    from pyspark.sql import DataFrame

    from tidemill.cli.context import Context
    from tidemill.data.profile_rows import ColumnProfile
    from tidemill.data.tables import Table
    from tidemill.stats.bins import Bins


def scored_name(context: Context, what: str, clock: Sequence[timedelta]) -> str:
    """The name of a profile of judged times: those of 24 hours are not those of one time."""
    return profile_name(context, f"{what} in 24 hours" if within_a_day(context) else what, clock)


def profile_name(context: Context, what: str, clock: Sequence[timedelta]) -> str:
    """What is profiled and how: days on other bins, or of other times of day, cannot be held against each other."""
    at = f" at {', '.join(str(t) for t in clock)}" if clock else ""
    return f"{what}{at} on {context.config.monitor.bins} bins"


def reference_profiles(
    context: Context,
    table: Table,
    identity: str,
    name: str,
    columns: tuple[str, ...],
    slices: tuple[str, ...] = (),
    clock: Sequence[timedelta] = (),
    former: Mapping[str, Bins] | None = None,
) -> list[ColumnProfile]:
    """The profiles by day of rows that never change; made once, then read, whatever becomes of the rows.

    Args:
        context: the tables, and where profiles are kept.
        table: with a partition by `training_set_id`.
        identity: of the training set.
        name: of the profile.
        columns: that are profiled.
        slices: columns of few values.
        clock: the times of day that count; none for all.
        former: bins to keep as far as they fit, so that days which are counted on them stay comparable.
    """

    def build(wanted: Wanted) -> DataFrame:
        if not clock:
            return build_table_profiles(context.spark, context.lake, table, wanted, {"training_set_id": identity})
        rows = read(context.spark, context.lake, table).where(F.col("training_set_id") == identity)
        of_day = F.pmod(F.unix_micros(AS_OF), F.lit(length_micros(DAY)))
        return build_frame_profiles(rows.where(of_day.isin([length_micros(t) for t in clock])), wanted)

    def by_day() -> DataFrame:
        bins = chosen_bins(context, (row.asDict() for row in build(Wanted(columns)).toLocalIterator()), former)
        return build(Wanted(columns, AS_OF, slices, bins))

    keep_profiles(context, name, EPOCH, {"bins": context.config.monitor.bins}, by_day)
    return kept_profiles(context, name)


def keep_profiles(
    context: Context, name: str, at: datetime, inputs: dict[str, Any], build: Callable[[], DataFrame]
) -> None:
    """Keeps profiles in `ops.profiles`, once: one row a slice, day and column, no more than the job looks at anyway.

    Args:
        context: the tables and the use case.
        name: of the profile.
        at: the as-of time that it belongs to; `EPOCH` where it belongs to none.
        inputs: what it is made from, beside its name.
        build: rows of `PROFILE_SCHEMA`; called where they are not kept yet.
    """
    batch = derived_batch(PROFILES, {"use_case": context.use_case.name, "profile": name, **inputs})
    if ledgered(context.lake, PROFILES, batch) is not None:
        return
    context.progress.say(f"profile: {name}")
    commit(context.lake, PROFILES, batch, with_facts(context, build().toArrow(), name, at))


def chosen_bins(
    context: Context, profiles: Iterable[dict[str, Any]], former: Mapping[str, Bins] | None = None
) -> dict[str, Bins]:
    """Bins by rows of profiles without days, by column; former ones as far as they fit."""
    number, kept = context.config.monitor.bins, former or {}
    found = map(from_row, profiles)
    return {p.key.column: choose_bins(p.key.column, p.kind, p.sketch, number, kept.get(p.key.column)) for p in found}


def with_facts(context: Context, profiles: pa.Table, name: str, at: datetime) -> pa.Table:
    """Rows of `ops.profiles` from those of `PROFILE_SCHEMA`: what they are of, and when they were made."""
    schema = delta_schema(PROFILES.columns)
    facts = {"use_case": context.use_case.name, "profile": name, "as_of": at, "profiled_at": context.now}
    for key, value in facts.items():
        profiles = profiles.append_column(key, pa.repeat(pa.scalar(value, schema.field(key).type), len(profiles)))
    return profiles


def kept_profiles(
    context: Context, name: str, bins: Mapping[str, Bins] | None = None, *, judged: bool = False
) -> list[ColumnProfile]:
    """The profiles of all rows of a name up to T, oldest day first; of a day profiled again, the newest.

    Args:
        context: says T.
        name: of the profile.
        bins: of the columns that are wanted; those that were counted on others are left out. None for all.
        judged: whether they are of judged times: then 24 hours that end with T, or whole days before that, are a day.
    """
    if version_of(context.lake, PROFILES) is None:
        return []
    where = (pc.field("use_case") == context.use_case.name) & (pc.field("profile") == name)
    where &= (pc.field("as_of") <= context.as_of) & (pc.field("slice") == "")
    columns = ["as_of", "profiled_at", *COUNTED_COLUMNS]
    rows = read_arrow(context.lake, PROFILES, columns, where).to_pylist()
    made = _newest((row["as_of"], row["profiled_at"]) for row in rows)
    rows = [row for row in rows if row["profiled_at"] == made[row["as_of"]]]
    if judged and within_a_day(context):
        apart = set(a_day_apart(made))
        found = [(row["as_of"], _of_its_day(context, row)) for row in rows if row["as_of"] in apart]
    else:
        found = [(row["as_of"], from_row(row)) for row in rows]
    if bins is not None:
        found = [(at, p) for at, p in found if p.bins == bins.get(p.key.column)]
    last = _newest((p.key, at) for at, p in found)
    return sorted(merged(p for at, p in found if at == last[p.key]), key=day_of)


def newest_bins(context: Context, name: str) -> dict[str, Bins]:
    """The bins that the newest profiles of a name up to T were counted on, by column."""
    return {p.key.column: p.bins for p in kept_profiles(context, name) if p.bins is not None}


def by_column(found: Sequence[ColumnProfile]) -> dict[str, list[ColumnProfile]]:
    """The profiles of each column."""
    by: dict[str, list[ColumnProfile]] = defaultdict(list)
    for profile in found:
        by[profile.key.column].append(profile)
    return by


def _newest(found: Iterable[tuple[Any, datetime]]) -> dict[Any, datetime]:
    newest: dict[Any, datetime] = {}
    for key, at in found:
        newest[key] = max(at, newest.get(key, at))
    return newest


def _of_its_day(context: Context, row: dict[str, Any]) -> ColumnProfile:
    """A profile of 24 hours that end with their as-of time, as that of the day that it is judged as."""
    found = from_row(row)
    return replace(found, key=found.key._replace(day=judged_day(context, row["as_of"])))
