"""The drift part of the monitor job: profiles of what was trained on and of what was scored, and verdicts over both."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import functions as F

from tidemill.cli.plan import gold_builder
from tidemill.core.time import EPOCH, MONTH
from tidemill.data.commit import commit, derived_batch, ledgered
from tidemill.data.profile_rows import COUNTED_COLUMNS, from_row
from tidemill.data.profile_work import Wanted, merged
from tidemill.data.profiles import build_frame_profiles, build_table_profiles
from tidemill.data.read import read_arrow, version_of
from tidemill.data.schema import delta_schema
from tidemill.features.pairs import AS_OF
from tidemill.models.scoring import build_scoring_rows
from tidemill.models.tables import training_sets_table
from tidemill.monitoring import drift
from tidemill.monitoring.distances import distances
from tidemill.monitoring.tables import DRIFT, PROFILES
from tidemill.monitoring.volume import odd_volume
from tidemill.stats.bins import choose_bins

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime

    from pyspark.sql import DataFrame

    from tidemill.cli.context import Context
    from tidemill.cli.judging import Scored
    from tidemill.data.profile_rows import ColumnProfile
    from tidemill.models.registry import Version
    from tidemill.monitoring.figures import Day
    from tidemill.stats.bins import Bins


_DAYS_OF_A_YEAR = 365.25


@dataclass(frozen=True)
class Moved:
    """What moved: the drift of each feature, and what is odd about the number of scored rows, or None."""

    features: list[drift.Drift]
    volume: str | None


def find_drift(context: Context, scored: Scored) -> Moved:
    """What moved from the training rows to the population at T."""
    version, card = scored.version, scored.card
    limits = context.config.monitor
    reference = _training_profiles(context, card["training_set_id"])
    whole = {p.key.column: p for p in merged(p.of_all_days for p in reference)}
    bins = {name: p.bins for name, p in whole.items() if p.bins is not None}
    current = _scored_profiles(context, version, bins, list(scored.batches))
    step, season = _step(context), 1
    if isinstance(context.use_case.grid.every, timedelta) and limits.season_days % step == 0:
        season = limits.season_days // step
    reported = _reported(context, version)
    quiet, newest = _by_column(reference), _by_column(current)
    watched = [
        drift.Watched(
            bins[f.name],
            whole[f.name].sketch,
            newest[f.name][-1].sketch,
            _days(context, quiet[f.name], f.name),
            _days(context, newest[f.name], f.name),
            reported.get(f.name, 0),
            _event(context, f.name, _day(newest[f.name][-1])),
        )
        for f in context.use_case.features
    ]
    first = context.use_case.features[0].name
    volume = None
    if not _event(context, "", context.as_of.date()):
        volume = odd_volume(_days(context, quiet[first]), _days(context, newest[first]), season, limits)
    year = 12.0 if context.use_case.grid.every == MONTH else _DAYS_OF_A_YEAR / step
    return Moved(drift.compare(watched, season, limits, year), volume)


def commit_drift(context: Context, scored: Scored, found: Sequence[drift.Drift]) -> None:
    """Keeps the drift of each feature, with every distance."""
    facts = {"use_case": context.use_case.name, "as_of": context.as_of, "model_version": scored.version.version}
    facts |= {"judged_at": context.now}
    rows = [
        {
            **facts,
            "feature": d.bins.column,
            "rows": d.current.rows,
            "psi": d.psi,
            "verdict": d.verdict,
            "reason": d.reason,
            "tail": d.tail,
            **distances(d.bins, d.reference, d.current),
        }
        for d in found
    ]
    commit(context.lake, DRIFT, scored.drift_batch, pa.Table.from_pylist(rows, schema=delta_schema(DRIFT.columns)))


def _training_profiles(context: Context, identity: str) -> list[ColumnProfile]:
    """The profiles of a model's training rows, by day; made once, by the files of the training set, then read."""
    use_case, limits, name = context.use_case, context.config.monitor, _name(context, f"training set {identity}")
    batch = derived_batch(PROFILES, {"use_case": use_case.name, "profile": name, "bins": limits.bins})
    if ledgered(context.lake, PROFILES, batch) is None:
        context.progress.say("profile of the training rows")
        columns, table = tuple(f.name for f in use_case.features), training_sets_table(use_case)
        only = {"training_set_id": identity}
        first = build_table_profiles(context.spark, context.lake, table, Wanted(columns), only)
        found = [from_row(row.asDict()) for row in first.toLocalIterator()]
        bins = {p.key.column: choose_bins(p.key.column, p.kind, p.sketch, limits.bins) for p in found}
        wanted = Wanted(columns, AS_OF, use_case.slices, bins)
        made = build_table_profiles(context.spark, context.lake, table, wanted, only)
        commit(context.lake, PROFILES, batch, _placed(context, made, name, EPOCH))
    return _read(context, name)


def _scored_profiles(
    context: Context, version: Version, bins: dict[str, Bins], scored: list[str]
) -> list[ColumnProfile]:
    """The profiles of the populations that a version scored up to T, by day, on the bins of its training rows."""
    use_case, name = context.use_case, _name(context, f"scored by version {version.version}")
    inputs = {"use_case": use_case.name, "profile": name, "scored": scored, "bins": context.config.monitor.bins}
    batch = derived_batch(PROFILES, {**inputs, **context.again})
    if ledgered(context.lake, PROFILES, batch) is None:
        context.progress.say("profile of the scored population")
        rows = build_scoring_rows(gold_builder(context), use_case, [context.as_of]).frame
        wanted = Wanted(tuple(f.name for f in use_case.features), AS_OF, use_case.slices, bins)
        commit(context.lake, PROFILES, batch, _placed(context, build_frame_profiles(rows, wanted), name, context.as_of))
    return _read(context, name)


def _name(context: Context, what: str) -> str:
    """What is profiled and how: days on other bins cannot be held against each other."""
    return f"{what} on {context.config.monitor.bins} bins"


def _placed(context: Context, made: DataFrame, name: str, at: datetime) -> DataFrame:
    facts = {"use_case": context.use_case.name, "profile": name, "as_of": at, "profiled_at": context.now}
    return made.withColumns({key: F.lit(value) for key, value in facts.items()}).select(*PROFILES.names)


def _read(context: Context, name: str) -> list[ColumnProfile]:
    """The profiles of all rows of a name up to T, oldest day first; of an as-of time profiled again, the newest."""
    where = (pc.field("use_case") == context.use_case.name) & (pc.field("profile") == name)
    where &= (pc.field("as_of") <= context.as_of) & (pc.field("slice") == "")
    columns = ["as_of", "profiled_at", *COUNTED_COLUMNS]
    rows = read_arrow(context.lake, PROFILES, columns, where).to_pylist()
    newest: dict[datetime, datetime] = {}
    for row in rows:
        newest[row["as_of"]] = max(row["profiled_at"], newest.get(row["as_of"], row["profiled_at"]))
    kept = merged(from_row(row) for row in rows if row["profiled_at"] == newest[row["as_of"]])
    return sorted(kept, key=_day)


def _by_column(found: Sequence[ColumnProfile]) -> dict[str, list[ColumnProfile]]:
    by: dict[str, list[ColumnProfile]] = defaultdict(list)
    for profile in found:
        by[profile.key.column].append(profile)
    return by


def _days(context: Context, found: Sequence[ColumnProfile], column: str = "") -> tuple[Day, ...]:
    """The days that may be held against others: all but those of events of the column, or of every column."""
    kept = [p for p in found if not _event(context, column, _day(p))]
    return tuple(drift.day_of_sketch(_place(context, _day(p)), p.sketch) for p in kept)


def _day(profile: ColumnProfile) -> date:
    if profile.key.day is None:
        raise ValueError(f"the profile of {profile.key.column} is of no day")
    return profile.key.day


def _step(context: Context) -> int:
    """Days from one as-of time to the next, at least one."""
    every = context.use_case.grid.every
    return max(1, every.days) if isinstance(every, timedelta) else 1


def _place(context: Context, day: date) -> int:
    """The number of a day among those that are judged."""
    if context.use_case.grid.every == MONTH:
        return day.year * 12 + day.month
    return day.toordinal() // _step(context)


def _event(context: Context, column: str, day: date) -> str:
    """Why a column, or where none is named every column, may do as it likes on a day, or nothing."""
    for event in context.config.monitor.events:
        if event.since <= day < event.until and (not event.columns or column in event.columns):
            return event.because
    return ""


def _reported(context: Context, version: Version) -> dict[str, int]:
    """On how many judged as-of times directly before T each feature was reported; each counts as judged last."""
    if version_of(context.lake, DRIFT) is None:
        return {}
    where = (pc.field("use_case") == context.use_case.name) & (pc.field("model_version") == version.version)
    columns = ["as_of", "feature", "verdict", "judged_at"]
    found = read_arrow(context.lake, DRIFT, columns, where & (pc.field("as_of") < context.as_of)).to_pylist()
    found.sort(key=lambda r: r["judged_at"] or EPOCH)  # it was not always kept
    rows = {(r["as_of"], r["feature"]): r for r in found}.values()
    runs: dict[str, int] = {}
    ended: set[str] = set()
    for row in sorted(rows, key=lambda r: r["as_of"], reverse=True):
        name = row["feature"]
        if row["verdict"] in {drift.WARN, drift.ALERT} and name not in ended:
            runs[name] = runs.get(name, 0) + 1
        else:
            ended.add(name)
    return runs
