"""The drift part of the monitor job: profiles of what was trained on and of what was scored, and verdicts over both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from tidemill.cli.profiling import (
    a_day_apart,
    by_column,
    clock_of,
    day_of,
    days_of,
    event_of,
    judged_times,
    keep_profiles,
    kept_profiles,
    profile_name,
    reference_profiles,
    scored_name,
    season_and_year,
    within_a_day,
)
from tidemill.core.time import EPOCH, format_time
from tidemill.data.commit import commit
from tidemill.data.profile_work import Wanted, merged
from tidemill.data.profiles import build_frame_profiles
from tidemill.data.read import read_arrow, version_of
from tidemill.data.schema import delta_schema
from tidemill.features.pairs import AS_OF
from tidemill.models.tables import training_sets_table
from tidemill.monitoring import drift
from tidemill.monitoring.distances import distances
from tidemill.monitoring.tables import DRIFT
from tidemill.monitoring.volume import odd_volume

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from pyspark.sql import DataFrame

    from tidemill.cli.context import Context
    from tidemill.cli.judging import Scored
    from tidemill.data.profile_rows import ColumnProfile
    from tidemill.models.registry import Version
    from tidemill.monitoring.joint import Joint
    from tidemill.stats.bins import Bins


JOINT, ALL_FEATURES = "joint_drift", "all features"


@dataclass(frozen=True)
class Moved:
    """What moved: each feature, the number of scored rows in words, what came out, and all features together."""

    features: list[drift.Drift]
    volume: str | None
    outputs: Sequence[drift.Drift] = ()
    joint: Joint | None = None


def find_drift(context: Context, scored: Scored, rows: DataFrame) -> Moved:
    """What moved from the training rows to the population at T, whose rows are given."""
    version, use_case, limits = scored.version, context.use_case, context.config.monitor
    identity, columns = scored.card["training_set_id"], tuple(f.name for f in context.use_case.features)
    times = judged_times(context, version.version)
    clock = clock_of(context, times)
    name = profile_name(context, f"training set {identity}", clock)
    reference = reference_profiles(
        context, training_sets_table(use_case), identity, name, columns, use_case.slices, clock
    )
    whole = {p.key.column: p for p in merged(p.of_all_days for p in reference)}
    bins = {name: p.bins for name, p in whole.items() if p.bins is not None}
    name = scored_name(context, f"scored by version {version.version}", clock)
    current = _scored_profiles(context, name, bins, times, list(scored.batches), rows)
    season, year = season_and_year(context)
    reported = reported_before(context, version)
    quiet, newest = by_column(reference), by_column(current)
    watched = [
        drift.Watched(
            bins[f.name],
            whole[f.name].sketch,
            newest[f.name][-1].sketch,
            days_of(context, quiet[f.name], f.name),
            days_of(context, newest[f.name], f.name),
            reported.get(f.name, 0),
            event_of(context, f.name, day_of(newest[f.name][-1])),
        )
        for f in use_case.features
    ]
    first = use_case.features[0].name
    volume = None
    if not event_of(context, "", context.as_of.date()):
        volume = odd_volume(days_of(context, quiet[first]), days_of(context, newest[first]), season, limits)
    return Moved(drift.compare(watched, season, limits, year), volume)


def commit_drift(context: Context, scored: Scored, found: Moved) -> None:
    """Keeps the drift of each feature and of what comes out, with every distance."""
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
            "kind": d.kind,
            **distances(d.bins, d.reference, d.current),
        }
        for d in (*found.features, *found.outputs)
    ]
    if found.joint is not None:
        verdict = drift.WARN if found.joint.odd(context.config.monitor.least) else drift.OK
        told = {"feature": ALL_FEATURES, "rows": found.joint.rows, "kind": JOINT, "verdict": verdict}
        rows.append({**facts, **told, "reason": found.joint.text, "auc": found.joint.found.estimate})
    commit(context.lake, DRIFT, scored.drift_batch, pa.Table.from_pylist(rows, schema=delta_schema(DRIFT.columns)))


def _scored_profiles(
    context: Context, name: str, bins: dict[str, Bins], times: Sequence[datetime], scored: list[str], rows: DataFrame
) -> list[ColumnProfile]:
    """The profiles of the populations that a version scored up to T, by day, on the bins of its training rows."""
    use_case = context.use_case
    inputs = {"scored": scored, "bins": context.config.monitor.bins, **context.again}
    if len(times) > 1:
        inputs["times"] = [format_time(t) for t in times]
    wanted = Wanted(tuple(f.name for f in use_case.features), AS_OF, use_case.slices, bins)
    keep_profiles(context, name, context.as_of, inputs, lambda: build_frame_profiles(rows, wanted))
    return kept_profiles(context, name, judged=True)


def reported_before(context: Context, version: Version) -> dict[str, int]:
    """On how many judged days directly before T each column was reported; of each as-of time what was judged last."""
    if version_of(context.lake, DRIFT) is None:
        return {}
    where = (pc.field("use_case") == context.use_case.name) & (pc.field("model_version") == version.version)
    columns = ["as_of", "feature", "verdict", "judged_at"]
    found = read_arrow(context.lake, DRIFT, columns, where & (pc.field("as_of") < context.as_of)).to_pylist()
    if within_a_day(context):  # times within a day are judged on much the same rows
        apart = set(a_day_apart({context.as_of, *(r["as_of"] for r in found)}))
        found = [r for r in found if r["as_of"] in apart]
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
