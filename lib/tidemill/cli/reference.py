"""What a model version is held against: the profiles of its training rows, their labels and what its gate was given.

They are made when it is trained, and made once, so that they stay when the rows are gone. Those of some times of the
day alone are made when the monitor job first asks for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tidemill.cli.profiling import newest_bins, profile_name, reference_profiles, scored_name
from tidemill.data.profile_work import merged
from tidemill.features.labels import LABEL
from tidemill.models.specs import MULTICLASS
from tidemill.models.tables import PREDICTION, SCORE, gate_scores_table, training_sets_table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from tidemill.cli.context import Context
    from tidemill.data.profile_rows import ColumnProfile

SCORED = "scored rows"  # whichever version scored them: features do not depend on it
_SHARES = np.linspace(0, 1, 21)


def feature_profiles(context: Context, identity: str, clock: Sequence[timedelta] = ()) -> list[ColumnProfile]:
    """The profiles by day of a training set's features, on the bins of rows scored before, as far as those fit."""
    use_case, name = context.use_case, profile_name(context, f"training set {identity}", clock)
    columns, table = tuple(f.name for f in use_case.features), training_sets_table(use_case)
    former = newest_bins(context, scored_name(context, SCORED, clock))
    return reference_profiles(context, table, identity, name, columns, use_case.slices, clock, former)


def label_profiles(context: Context, identity: str, clock: Sequence[timedelta] = ()) -> list[ColumnProfile]:
    """The profiles by day of a training set's labels."""
    name = profile_name(context, f"labels of training set {identity}", clock)
    return reference_profiles(context, training_sets_table(context.use_case), identity, name, (LABEL,), clock=clock)


def gate_profiles(context: Context, identity: str, column: str, clock: Sequence[timedelta] = ()) -> list[ColumnProfile]:
    """The profiles by day of the scores, or predictions, that a training's gate rows were given."""
    name = profile_name(context, f"gate {column}s of training set {identity}", clock)
    return reference_profiles(context, gate_scores_table(context.use_case), identity, name, (column,), clock=clock)


def keep_references(context: Context, identity: str) -> dict[str, Any]:
    """Keeps all that the version of a training set will be held against.

    Returns:
        The profile of all training days as JSON values, by column: rows, nulls, bins with their counts, and of numbers
        every twentieth of the quantiles.
    """
    found = [*feature_profiles(context, identity), *label_profiles(context, identity)]
    for column in (SCORE, PREDICTION) if context.use_case.task == MULTICLASS else (SCORE,):
        gate_profiles(context, identity, column)
    return {p.key.column: _told(p) for p in merged(p.of_all_days for p in found)}


def _told(profile: ColumnProfile) -> dict[str, Any]:
    sketch, bins = profile.sketch, profile.bins
    told: dict[str, Any] = {"rows": sketch.rows, "nulls": sketch.nulls}
    if bins is not None and sketch.counts is not None:
        told |= {"bins": list(bins.labels), "counts": sketch.counts.tolist()}
    if sketch.quantiles.rows:
        told["quantiles"] = [float(value) if np.isfinite(value) else None for value in sketch.quantiles.at(_SHARES)]
    return told
