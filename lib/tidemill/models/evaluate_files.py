"""All metrics of scored rows in files, exact, whatever their number: no worker and no driver holds more than a range.

Workers count rows by bins of their score (pass 1); the counts cut the scores into ranges of about equally many rows and
tell how many of each class lie above each. Workers then sort the rows of each piece of a file and send each range's
share to one task (pass 2), which merges them and hands back what the range adds to each metric. Where a bin holds too
many rows, it is counted again by more bits; where all rows make one range, pass 1 is not needed.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from tidemill.data.file_tasks import map_files
from tidemill.models.evaluate_sums import SUMS_SCHEMA, RowSums, from_text, merge_batches, refuse_bad_rows
from tidemill.models.evaluate_work import (
    BINS_SCHEMA,
    CODES_SCHEMA,
    bins_from,
    bins_of_file,
    codes_of_file,
    merge_bins_batches,
    residuals_of_file,
    sum_one_range,
    sum_ranges,
)
from tidemill.models.specs import REGRESSION
from tidemill.stats.ranges import Bins, find_ranges

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyspark.sql import DataFrame, SparkSession

    from tidemill.data.files import DataFile
    from tidemill.stats.counted import Keys

RANGE_ROWS = 1 << 20


def sums_of_files(
    session: SparkSession,
    files: Sequence[DataFile],
    task: str,
    threshold: float,
    where: str,
    *,
    range_rows: int = RANGE_ROWS,
) -> RowSums:
    """What all rows of files with the columns `label` and `score` add to the metrics.

    Args:
        session: distributes the work.
        files: at least one; Parquet.
        task: `binary` or `regression`.
        threshold: of the decisions of a binary task.
        where: the rows are, for messages.
        range_rows: rows of a range, about: a task holds twice as many at most, unless more have one and the same score.

    Raises:
        TidemillError: E_LABEL_VALUE or E_SCORE_VALUE (data), where that is known before all is summed.
    """
    if task == REGRESSION:
        return _merged(map_files(session, _items(files), residuals_of_file, SUMS_SCHEMA))
    if sum(file.rows for file in files) <= range_rows:
        codes = partial(codes_of_file, lower=np.zeros(1, np.uint64))
        sent = map_files(session, _items(files), codes, CODES_SCHEMA).repartition(1)
        return _read(sent.mapInArrow(partial(sum_one_range, threshold=threshold), SUMS_SCHEMA))
    ranges = find_ranges(lambda level, within: _bins(session, files, level, within, where), range_rows)
    sent = map_files(session, _items(files), partial(codes_of_file, lower=ranges.lower), CODES_SCHEMA)
    placed = sent.repartitionById(len(ranges.above), "range")
    return _merged(placed.mapInArrow(partial(sum_ranges, ranges=ranges, threshold=threshold), SUMS_SCHEMA))


def _bins(session: SparkSession, files: Sequence[DataFile], level: int, within: Keys, where: str) -> Bins:
    counted = map_files(session, _items(files), partial(bins_of_file, level=level, within=within), BINS_SCHEMA)
    row = counted.repartition(1).mapInArrow(merge_bins_batches, BINS_SCHEMA).first()
    if row is None:
        raise ValueError("there is no file")
    refuse_bad_rows(row["bad_labels"], row["bad_scores"], where)
    return bins_from(row["lower"], row["positives"], row["negatives"])


def _merged(sums: DataFrame) -> RowSums:
    return _read(sums.repartition(1).mapInArrow(merge_batches, SUMS_SCHEMA))


def _read(sums: DataFrame) -> RowSums:
    row = sums.first()
    if row is None:
        raise ValueError("there is no file")
    return from_text(row["sums"])


def _items(files: Sequence[DataFile]) -> list[tuple[DataFile, int]]:
    return [(file, file.size) for file in files]
