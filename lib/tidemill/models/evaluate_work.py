"""What workers do with files of scored rows: count, sort and cut, sum; each file in pieces of bounded size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tidemill.data.places import open_parquet
from tidemill.models.evaluate_sums import RowSums, merge_batches, merge_row_sums, to_batch
from tidemill.stats.binary import binary_sums
from tidemill.stats.counted import Totals, collapsed, counted_of, joined, keys_of, sides, usable
from tidemill.stats.ranges import Bins, Ranges, count_bins, merge_bins, split_codes
from tidemill.stats.residuals import residual_sums

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from tidemill.data.files import DataFile
    from tidemill.stats.counted import Counted, Floats, Ints, Keys

PIECE = 1 << 20  # rows that are held at the same time
BINS_SCHEMA = "lower binary, positives binary, negatives binary, bad_labels bigint, bad_scores bigint"
CODES_SCHEMA = "range int, below boolean, codes binary, times binary, bad_labels bigint, bad_scores bigint"
_COLUMNS = ["label", "score"]


def residuals_of_file(file: DataFile) -> Iterator[pa.RecordBatch]:
    """What the rows of a file add to the metrics of a regression: one row of `SUMS_SCHEMA`."""
    parts = []
    for label, score in _pieces(file):
        bad_label, bad_score = ~np.isfinite(label), ~np.isfinite(score)
        kept = ~(bad_label | bad_score)
        sums = residual_sums(label[kept], score[kept])
        parts.append(RowSums(int(bad_label.sum()), int(bad_score.sum()), Totals(0, 0), sums))
    yield to_batch(merge_row_sums(parts))


def bins_of_file(file: DataFile, level: int, within: Keys) -> Iterator[pa.RecordBatch]:
    """The rows of a file by bin of their score, one row of `BINS_SCHEMA`; see `ranges.count_bins`."""
    parts, bad = [], np.zeros(2, np.int64)
    for piece in _pieces(file):
        label, score, unusable = _judged(*piece)
        parts.append(count_bins(keys_of(score), label, level, within))
        bad += unusable
    yield _bins_batch(merge_bins(parts), bad)


def merge_bins_batches(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """One row of `BINS_SCHEMA` from many."""
    merged, bad = merge_bins([]), np.zeros(2, np.int64)
    for batch in batches:
        for row in batch.to_pylist():
            merged = merge_bins([merged, bins_from(row["lower"], row["positives"], row["negatives"])])
            bad += (row["bad_labels"], row["bad_scores"])
    yield _bins_batch(merged, bad)


def bins_from(lower: bytes, positives: bytes, negatives: bytes) -> Bins:
    """The bins of a row of `BINS_SCHEMA`."""
    return Bins(np.frombuffer(lower, np.uint64), np.frombuffer(positives, np.int64), np.frombuffer(negatives, np.int64))


def codes_of_file(file: DataFile, lower: Keys) -> Iterator[pa.RecordBatch]:
    """The rows of a file, sorted by score and cut into ranges: rows of `CODES_SCHEMA`, one a piece, side and range.

    Equal rows of a piece are one code and the number of times it stands for where that makes less to send.
    """
    for piece in _pieces(file):
        label, score, bad = _judged(*piece)
        yield _codes_batch(0, False, np.empty(0, np.uint64), None, bad)
        for below, codes in sides(keys_of(score), label):
            codes.sort()
            for number, part in split_codes(codes, below, lower):
                once, times = collapsed(codes[part])
                pays = 2 * len(once) < part.stop - part.start
                yield _codes_batch(number, below, once if pays else codes[part], times if pays else None, (0, 0))


def sum_ranges(batches: Iterable[pa.RecordBatch], ranges: Ranges | None, threshold: float) -> Iterator[pa.RecordBatch]:
    """What ranges of scores add to the metrics: one row of `SUMS_SCHEMA` for each that came.

    Args:
        batches: of `CODES_SCHEMA`, all rows of a range among them.
        ranges: where they lie among all, or None where there is one range only.
        threshold: of the decisions.
    """
    parts: dict[int, dict[bool, list[tuple[Keys, Ints | None]]]] = {}
    bad = np.zeros(2, np.int64)
    for batch in batches:
        for row in batch.to_pylist():
            bad += (row["bad_labels"], row["bad_scores"])
            if row["codes"]:
                times = np.frombuffer(row["times"], np.int64) if row["times"] else None
                side = parts.setdefault(row["range"], {}).setdefault(row["below"], [])
                side.append((np.frombuffer(row["codes"], np.uint64), times))
    yield to_batch(RowSums(int(bad[0]), int(bad[1]), Totals(0, 0), None))
    for number in sorted(parts):
        found = parts.pop(number)
        counted = joined([_merged(found[below], below) for below in (True, False) if below in found])
        inside = counted.totals
        above, total = (Totals(0, 0), inside) if ranges is None else (ranges.above[number], ranges.total)
        yield to_batch(RowSums(0, 0, inside, binary_sums(counted, above, total, threshold)))


def sum_one_range(batches: Iterable[pa.RecordBatch], threshold: float) -> Iterator[pa.RecordBatch]:
    """What all rows add, where they are one range: one row of `SUMS_SCHEMA`."""
    yield from merge_batches(sum_ranges(batches, None, threshold))


def _merged(parts: Sequence[tuple[Keys, Ints | None]], below: bool) -> Counted:
    codes = np.concatenate([codes for codes, _ in parts])
    if all(times is None for _, times in parts):
        codes.sort()
        return counted_of(codes, None, below)
    times = np.concatenate([np.ones(len(codes), np.int64) if times is None else times for codes, times in parts])
    order = np.argsort(codes, kind="stable")
    return counted_of(codes[order], times[order], below)


def _judged(label: Floats, score: Floats) -> tuple[Floats, Floats, tuple[int, int]]:
    """The rows that can be judged, and how many labels and scores are the reason that others cannot."""
    kept = usable(label, score)
    if kept.all():
        return label, score, (0, 0)
    bad_scores = np.isnan(score)
    return label[kept], score[kept], (int((~kept & ~bad_scores).sum()), int(bad_scores.sum()))


def _pieces(file: DataFile) -> Iterator[tuple[Floats, Floats]]:
    """Labels and scores of a file as doubles; a null is not a number."""
    with open_parquet(file.path) as opened:
        for batch in opened.iter_batches(batch_size=PIECE, columns=_COLUMNS, use_threads=False):
            yield _doubles(batch.column("label")), _doubles(batch.column("score"))


def _doubles(column: pa.Array) -> NDArray[np.float64]:
    return pc.cast(column, pa.float64()).to_numpy(zero_copy_only=False)


def _bins_batch(bins: Bins, bad: Sequence[int] | Ints) -> pa.RecordBatch:
    blobs = [pa.array([part.tobytes()]) for part in (bins.lower, bins.positives, bins.negatives)]
    counts = [pa.array([int(n)], pa.int64()) for n in bad]
    return pa.record_batch([*blobs, *counts], ["lower", "positives", "negatives", "bad_labels", "bad_scores"])


def _codes_batch(number: int, below: bool, codes: Keys, times: Ints | None, bad: Sequence[int]) -> pa.RecordBatch:
    blobs = [pa.array([b""]) if part is None else pa.array([part.tobytes()]) for part in (codes, times)]
    counts = [pa.array([int(n)], pa.int64()) for n in bad]
    return pa.record_batch(
        [pa.array([number], pa.int32()), pa.array([below]), *blobs, *counts],
        ["range", "below", "codes", "times", "bad_labels", "bad_scores"],
    )
