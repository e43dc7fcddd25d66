"""Drift of what comes out: the scores of T against those of the gate, matured labels against those of the training."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from tidemill.cli.days import (
    DAY,
    clock_of,
    day_of,
    days_of,
    event_of,
    judged_day,
    judged_days,
    judged_times,
    within_a_day,
)
from tidemill.cli.plan import predictions_of, training_times
from tidemill.cli.profiling import keep_profiles, kept_profiles, scored_name
from tidemill.cli.reference import gate_profiles, label_profiles
from tidemill.cli.reported import reported
from tidemill.core.time import parse_time
from tidemill.data.profile_rows import from_row
from tidemill.data.profile_work import Wanted, merged
from tidemill.data.profiles import build_frame_profiles
from tidemill.data.read import read
from tidemill.features.gold import label_batches, read_labels
from tidemill.features.labels import LABEL
from tidemill.features.pairs import AS_OF
from tidemill.features.tables import labels_table
from tidemill.models.card import times_of
from tidemill.models.tables import PREDICTION, SCORE, predictions_table
from tidemill.monitoring import drift
from tidemill.monitoring.calibration import WINDOWS
from tidemill.monitoring.quiet import Period, calendar_of, period_of
from tidemill.monitoring.volume import ALL_ROWS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from pyspark.sql import DataFrame

    from tidemill.cli.context import Context
    from tidemill.cli.judging import Scored
    from tidemill.cli.reported import Reported
    from tidemill.data.profile_rows import ColumnProfile
    from tidemill.monitoring.quiet import Calendar
    from tidemill.stats.bins import Bins


def find_output_drift(context: Context, scored: Scored) -> list[drift.Drift]:
    """What moved of scores, of several classes also of predictions, and of labels; a side without a row is left out.

    A column is held against its own variation where the reference has days enough. The gate has few: until then the
    first days that the version scored count as quiet, too, and before there are enough of them stated limits decide.
    Scores of another version are other scores, so that each version needs days of its own.
    """
    told, limits = reported(context, scored.version.version), context.config.monitor
    times = [t for t in predictions_of(context, scored.version.version) if t <= context.as_of]
    numbered = calendar_of(context.use_case.grid.every, (judged_day(context, t) for t in times))
    said = (SCORE, PREDICTION) if scored.card.get("classes") else (SCORE,)
    found = [_scores(context, scored, told, numbered, column) for column in said]
    found.append(_labels(context, scored, told, numbered))
    season = numbered.season(limits.season_days)
    return drift.compare([w for w in found if w is not None], season, limits, numbered.year)


def _scores(context: Context, scored: Scored, told: Reported, numbered: Calendar, column: str) -> drift.Watched | None:
    version, limits = scored.version.version, context.config.monitor
    times = judged_times(context, version)
    clock = clock_of(context, times)
    reference = gate_profiles(context, scored.card["training_set_id"], column, clock)
    if not scored.population or not reference:
        return None
    name = scored_name(context, f"{column}s of version {version}", clock)
    current = _score_profiles(context, scored, name, column, _bins(reference), times)
    table = predictions_table(context.use_case).label
    odd = told.odd(table, column) | told.odd(table, ALL_ROWS)
    judged = judged_days(context, current, numbered, column, odd)
    trained = judged_day(context, parse_time(scored.card["as_of"]))
    period = period_of(days_of(context, reference, numbered, column), judged, trained, limits.quiet_days)
    return _watched(context, reference, current[-1], period, told, table)


def _score_profiles(
    context: Context, scored: Scored, name: str, column: str, bins: Bins, times: Sequence[datetime]
) -> list[ColumnProfile]:
    """The profiles of the scores, or predictions, that a version made up to T, by day, on the bins of its gate's."""
    table = predictions_table(context.use_case)
    stored = predictions_of(context, scored.version.version)
    batches = [stored[t].batch_id for t in times if t in stored]

    def build() -> DataFrame:
        rows = read(context.spark, context.lake, table).where(F.col("batch_id").isin(batches))
        return build_frame_profiles(rows, Wanted((column,), AS_OF, bins={column: bins}))

    keep_profiles(context, name, context.as_of, {"scores": batches, **context.again}, build)
    return kept_profiles(context, name, {column: bins}, judged=True)


def _labels(context: Context, scored: Scored, told: Reported, numbered: Calendar) -> drift.Watched | None:
    times = _newer(context, scored)
    clock = clock_of(context, times)
    if not times:
        return None
    use_case = context.use_case
    reference = label_profiles(context, scored.card["training_set_id"], clock)
    rows = read_labels(context.spark, context.lake, use_case.name, use_case.label, times)
    made = build_frame_profiles(rows, Wanted((LABEL,), AS_OF, bins={LABEL: _bins(reference)}))
    newest = sorted((from_row(row.asDict()) for row in made.toLocalIterator()), key=day_of)
    if not newest:
        return None
    quiet, later = (days_of(context, side, numbered, LABEL) for side in (reference, newest))
    table = labels_table(use_case.name, use_case.label).label
    return _watched(context, reference, newest[-1], Period(quiet, later), told, table)


def _newer(context: Context, scored: Scored) -> list[datetime]:
    """The newest grid times with labels known at T that the model has not learnt from: as many days as are looked at.

    Where a day has several times it counts once the labels of all of them have matured.
    """
    use_case = context.use_case
    seen = set(times_of(scored.card, "final"))
    newer = [t for t in training_times(context) if t not in seen]
    newer = sorted(label_batches(context.lake, use_case.name, use_case.label, newer))
    if within_a_day(context) and isinstance(use_case.grid.every, timedelta):
        each, whole = Counter(t.date() for t in newer), DAY // use_case.grid.every
        newer = [t for t in newer if each[t.date()] >= whole]
    days = sorted({t.date() for t in newer})[-WINDOWS[-1] :]
    return [t for t in newer if t.date() in days]


def _watched(
    context: Context,
    reference: Sequence[ColumnProfile],
    now: ColumnProfile,
    period: Period,
    told: Reported,
    table: str,
) -> drift.Watched:
    (whole,) = merged(p.of_all_days for p in reference)
    column, day = whole.key.column, day_of(now)
    return drift.Watched(
        _bins(reference),
        whole.sketch,
        now.sketch,
        *period,
        told.before(table, column, day),
        event_of(context, column, day),
        drift.LABELS if column == LABEL else drift.PREDICTIONS,
        table,
        day,
    )


def _bins(reference: Sequence[ColumnProfile]) -> Bins:
    bins = reference[0].bins
    if bins is None:
        raise ValueError(f"the profile of {reference[0].key.column} was not counted on bins")
    return bins
