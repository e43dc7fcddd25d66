"""Rows judged side by side: challenger, champion and baseline, as a whole and by slices. No Spark."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from tidemill.models.paired import BLOCKS, BOOTSTRAP, BRIER, Gain, Resampling, Scored, gain
from tidemill.models.specs import REGRESSION
from tidemill.stats.consistency import error_by_chance
from tidemill.stats.counted import count
from tidemill.stats.probabilities import probabilities, probability_sums

if TYPE_CHECKING:
    from collections.abc import Iterator

# So named that no slice, which is a feature, can have the name.
ENTITY, TIME, LABEL = "entity__", "time__", "label__"
CHALLENGER, CHAMPION, BASELINE = "challenger__", "champion__", "baseline__"
COLUMNS = (ENTITY, TIME, LABEL, CHALLENGER, CHAMPION, BASELINE)
FEWEST_ENTITIES = 30  # below which the variance among them is itself little known


@dataclass(frozen=True)
class Asked:
    """What is compared, and how.

    Args:
        metric: the primary one.
        task: scores of a task with classes are probabilities.
        slices: columns whose values make slices.
        floor: rows of a slice, below which it is not looked at.
        how: intervals are made.
        block: the shortest block of time that is drawn where entities are few.
    """

    metric: str
    task: str
    slices: tuple[str, ...]
    floor: int
    how: Resampling
    block: timedelta


@dataclass(frozen=True)
class Calibration:
    """The challenger's expected calibration error, and the one that chance alone would make."""

    error: float
    by_chance: float


@dataclass(frozen=True)
class SliceGain:
    """The rows of one value (as text, None for null) of a column, and the challenger's gain there."""

    column: str
    value: str | None
    gain: Gain


@dataclass(frozen=True)
class Comparison:
    """What the gate rows say.

    Args:
        baseline: the challenger's gain over the one-feature baseline.
        champion: its gain over the champion, or None where there is none.
        brier: the same by the Brier score, of tasks with classes.
        calibration: of tasks with classes; of several that of the predicted class's probability.
        slices: gains over the champion, or over the baseline where there is no champion, of every slice that has enough
            rows. Their intervals together, not each, have the confidence (Bonferroni): one of many is bad by chance.
    """

    baseline: Gain
    champion: Gain | None
    brier: Gain | None
    calibration: Calibration | None
    slices: tuple[SliceGain, ...]


def compare(rows: pa.Table, asked: Asked) -> Comparison:
    """Compares the scores of the same rows.

    Args:
        rows: entity, as-of time, label, the three scores (of several classes probabilities; the champion's all null
            where there is none), and the slices.
        asked: what and how.

    Raises:
        ValueError: where a row lacks a score or a label, or the metric cannot be had.
    """
    has_champion = rows.column(CHAMPION).null_count < rows.num_rows
    label, one, other, baseline = (numbers_of_column(rows, name) for name in (LABEL, CHALLENGER, CHAMPION, BASELINE))
    if any(np.isnan(values).any() for values in (label, one, baseline, *([other] if has_champion else []))):
        raise ValueError("a gate row lacks its label or a score")
    unit, drawn = units_of(rows, asked.block)
    against_baseline = Scored(label, one, baseline, unit, drawn)
    against = Scored(label, one, other, unit, drawn) if has_champion else against_baseline
    over_baseline = gain(asked.metric, against_baseline, asked.how)
    if over_baseline is None:
        raise ValueError(f"the gate rows do not allow {asked.metric}")
    classes = asked.task != REGRESSION
    return Comparison(
        over_baseline,
        gain(asked.metric, against, asked.how) if has_champion else None,
        gain(BRIER, against, asked.how) if classes and has_champion else None,
        _calibration(label, one, asked.how) if classes else None,
        _slices(rows, against, asked),
    )


def from_text(text: str) -> Comparison:
    """A comparison from its JSON."""
    read = json.loads(text)
    return Comparison(
        Gain(**read["baseline"]),
        _gain(read["champion"]),
        _gain(read["brier"]),
        None if read["calibration"] is None else Calibration(**read["calibration"]),
        tuple(SliceGain(s["column"], s["value"], Gain(**s["gain"])) for s in read["slices"]),
    )


def units_of(rows: pa.Table, block: timedelta) -> tuple[np.ndarray[Any, np.dtype[np.int64]], str]:
    """What is drawn together: entities or, where they are few, blocks of time, if these are more; and its name.

    A block is as long as asked, and as the third root of the number of as-of times (Hall, Horowitz and Jing 1995).
    """
    entity = np.unique(rows.column(ENTITY).to_numpy(zero_copy_only=False).astype(str), return_inverse=True)[1]
    if (entities := len(np.unique(entity))) >= FEWEST_ENTITIES:
        return entity, BOOTSTRAP
    at = rows.column(TIME).cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_numpy()
    times = np.unique(at)
    steps = int(np.median(np.diff(times))) * math.ceil(len(times) ** (1 / 3)) if len(times) > 1 else 0
    blocks = np.unique(at // max(steps, block // timedelta(microseconds=1)), return_inverse=True)[1]
    return (blocks, BLOCKS) if blocks.max(initial=0) + 1 > entities else (entity, BOOTSTRAP)


def _gain(read: dict[str, Any] | None) -> Gain | None:
    return None if read is None else Gain(**read)


def numbers_of_column(rows: pa.Table, name: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    """A column as numbers; of probabilities one row each, all NaN where a row has none."""
    column = rows.column(name)
    if not pa.types.is_list(column.type):
        return column.cast(pa.float64()).to_numpy(zero_copy_only=False)
    if column.null_count or not rows.num_rows:
        return np.full((rows.num_rows, 1), np.nan)
    return column.combine_chunks().flatten().to_numpy(zero_copy_only=False).reshape(rows.num_rows, -1)


def _calibration(label: Any, score: Any, how: Resampling) -> Calibration | None:
    if score.ndim > 1:
        label, score = label == score.argmax(axis=1), score.max(axis=1)
    counted = count(label, score)
    found = probabilities(probability_sums(counted), counted.totals)
    if found is None:
        return None
    by_chance = error_by_chance(score, how.draws, how.seed, how.confidence)
    return Calibration(found.expected_calibration_error, by_chance)


def _slices(rows: pa.Table, against: Scored, asked: Asked) -> tuple[SliceGain, ...]:
    enough = [(column, value, kept) for column in asked.slices for value, kept in _values(rows, column, asked.floor)]
    confidence = 1 - (1 - asked.how.confidence) / max(1, len(enough))
    how = Resampling(confidence, asked.how.draws, asked.how.seed)
    found = [(column, value, gain(asked.metric, against.where(kept), how)) for column, value, kept in enough]
    return tuple(SliceGain(column, value, item) for column, value, item in found if item is not None)


def _values(rows: pa.Table, column: str, floor: int) -> Iterator[tuple[str | None, Any]]:
    """The values that enough rows have, ordered, null last, each with a mask of its rows."""
    coded = rows.column(column).combine_chunks().cast(pa.string()).dictionary_encode(null_encoding="encode")
    codes, values = np.asarray(coded.indices), coded.dictionary.to_pylist()
    counts = np.bincount(codes, minlength=len(values))
    for code in sorted(np.flatnonzero(counts >= floor), key=lambda code: (values[code] is None, values[code])):
        yield values[code], codes == code
