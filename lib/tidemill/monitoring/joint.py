"""Joint drift: whether shallow trees can tell scored rows from training rows by all features together.

Each feature may be as it was and their combinations new. How well training rows of the newest as-of time can be told
from older ones says how much is usual: populations change from day to day.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import functions as F

from tidemill.features.pairs import AS_OF
from tidemill.models.scikit import cross_fitted
from tidemill.stats.intervals import Interval
from tidemill.stats.two_sample import folds_of, separation

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from numpy.typing import NDArray
    from pyspark.sql import DataFrame

    from tidemill.core.config_monitor import Least
    from tidemill.features.declarations import Feature

OLDER, NEWEST, SCORED = 0, 1, 2
FEWEST = 50  # rows of a side
_FOLDS = 5
_SIDE, _ORDER = "_side", "_order"
_NAMED = 3
_NUMBERS = {"double", "float", "bigint", "int", "smallint", "tinyint", "boolean", "timestamp", "decimal"}
_LARGEST = float(np.finfo(np.float32).max)  # trees look at floats of 32 bits


@dataclass(frozen=True)
class Joint:
    """What the trees reached.

    Args:
        rows: of the scored rows that were sampled.
        found: the ROC AUC of telling scored rows from training rows, with its interval.
        usual: that of telling the newest training rows from older ones, or None where there are too few.
        features: that told most apart, most first.
    """

    rows: int
    found: Interval
    usual: Interval | None
    features: tuple[str, ...]

    def odd(self, least: Least) -> bool:
        """Whether it is more than usual beyond both intervals, by as much as matters."""
        usual = Interval(0.5, 0.5, 0.5) if self.usual is None else self.usual
        return self.found.low > usual.high and self.found.estimate - usual.estimate >= least.joint

    @property
    def text(self) -> str:
        """A sentence."""
        told = f"shallow trees tell scored rows from training rows with a ROC AUC of {_words(self.found)}"
        usual = "" if self.usual is None else f"; the newest training rows from older ones with {_words(self.usual)}"
        return f"{told}{usual}; most by {', '.join(self.features)}"


def build_joint(
    reference: DataFrame, scored: DataFrame, features: Sequence[Feature], key: str, since: datetime, most: int
) -> Joint | None:
    """The joint drift of scored rows; None where a side has fewer than 50 rows.

    Samples are the rows with the least hashes of entity and as-of time, so that equal tables give equal samples; one
    worker sees no more than three of them.

    Args:
        reference: the training rows, `event_timestamp` and the features.
        scored: the same of the scored rows.
        features: of the use case.
        key: the entity's column.
        since: training rows of this as-of time and later are the newest.
        most: rows of a sample.
    """
    newest = F.col(AS_OF) >= F.lit(since)
    columns = [_column(f) for f in features]
    sides = [
        frame.select(F.lit(side).alias(_SIDE), F.xxhash64(F.col(key).cast("string"), AS_OF).alias(_ORDER), *columns)
        .orderBy(_ORDER)
        .limit(most)
        for side, frame in ((OLDER, reference.where(~newest)), (NEWEST, reference.where(newest)), (SCORED, scored))
    ]
    rows = sides[0].unionByName(sides[1]).unionByName(sides[2]).repartition(1).sortWithinPartitions(_SIDE, _ORDER)
    names = tuple(f.name for f in features)
    answer = rows.mapInArrow(partial(_work, names=names), "found string").first()
    return None if answer is None or answer["found"] is None else _from_text(answer["found"])


def joint_of(rows: pa.Table, names: Sequence[str]) -> Joint | None:
    """The joint drift of samples.

    Args:
        rows: `_side` (0 older training rows, 1 the newest, 2 scored rows), sorted by it and by something that has
            nothing to do with what rows hold; the features, numbers as doubles and all else as texts.
        names: of the features.
    """
    side = rows[_SIDE].to_numpy()
    table = np.column_stack([_numbers(rows[name]) for name in names])
    training, scored = side != SCORED, side == SCORED
    if min(training.sum(), scored.sum()) < FEWEST:
        return None
    found, weights = _told_apart(table, scored.astype(np.int64))
    usual = None
    if min((side == OLDER).sum(), (side == NEWEST).sum()) >= FEWEST:
        usual = _told_apart(table[training], side[training])[0]
    order = np.argsort(-weights, kind="stable")[:_NAMED]
    return Joint(int(scored.sum()), found, usual, tuple(names[place] for place in order))


def _told_apart(table: NDArray[np.float64], side: NDArray[Any]) -> tuple[Interval, NDArray[np.float64]]:
    fold = folds_of(side, _FOLDS)
    score, weights = cross_fitted(table, side, fold, zlib.crc32(np.ascontiguousarray(table).tobytes()))
    return separation(side, score, fold), weights


def _work(batches: Iterable[pa.RecordBatch], names: Sequence[str]) -> Iterator[pa.RecordBatch]:
    kept = list(batches)
    found = joint_of(pa.Table.from_batches(kept), names) if kept else None
    yield pa.record_batch([pa.array([None if found is None else json.dumps(asdict(found))], pa.string())], ["found"])


def _from_text(text: str) -> Joint:
    read = json.loads(text)
    usual = None if read["usual"] is None else Interval(**read["usual"])
    return Joint(read["rows"], Interval(**read["found"]), usual, tuple(read["features"]))


def _column(feature: Feature) -> Any:
    """A feature as a double, or as text where it is none."""
    column = F.col(f"`{feature.name}`")
    return (column.cast("string") if _is_text(feature.type) else column.cast("double")).alias(feature.name)


def _is_text(kind: str) -> bool:
    return kind.partition("(")[0] not in _NUMBERS


def _numbers(column: pa.ChunkedArray) -> NDArray[np.float64]:
    """Values as trees take them: a text as its place among all, none behind them; infinite ones as the largest."""
    if not pa.types.is_floating(column.type):
        column = pc.rank(column, tiebreaker="dense")
    values = column.to_numpy().astype(np.float64)
    found: NDArray[np.float64] = np.clip(values, -_LARGEST, _LARGEST)
    return found


def _words(found: Interval) -> str:
    return f"{found.estimate:.3f} ({found.low:.3f} to {found.high:.3f})"
