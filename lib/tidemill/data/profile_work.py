"""What workers do for profiles: batches to sketches by day and slice, and sketches of many files to those of all."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tidemill.core.time import length_micros, to_micros
from tidemill.data.column_sketches import count_column, kind_of, sketch_column
from tidemill.data.places import open_parquet
from tidemill.data.profile_rows import ColumnProfile, Key, from_row, to_batch
from tidemill.data.versions import UPSERT
from tidemill.stats.sketch import Sketch, merge_sketches

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from numpy.typing import NDArray

    from tidemill.data.files import DataFile
    from tidemill.stats.bins import Bins

PIECE = 1 << 17  # rows that are sorted at once: a column of them lies in a core's cache
_AT_ONCE = 16  # sketches that merge at once; each such level adds a thousandth to the error of a rank
_EPOCH = date(1970, 1, 1)
_DAY = timedelta(days=1) // timedelta(microseconds=1)


@dataclass(frozen=True)
class WholeDays:
    """Rows of a source by the UTC day of their event, all days seen as long after their end; deletes are none.

    Args:
        since, until: midnights; events in `[since, until)` count.
        after: how long after the end of its day a row is known, at most.
    """

    since: datetime
    until: datetime
    after: timedelta

    def kept(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The rows that count."""
        event, known = (_micros(batch.column(name)) for name in ("event_time", "known_time"))
        seen = (event // _DAY + 1) * _DAY + length_micros(self.after)
        there = (event >= to_micros(self.since)) & (event < to_micros(self.until)) & (known < seen)
        upserts = pc.equal(pc.cast(batch.column("op"), pa.string()), UPSERT)
        return batch.filter(pc.and_(pa.array(there), upserts))


@dataclass(frozen=True)
class Wanted:
    """What is profiled.

    Args:
        columns: their names.
        day: the time column whose UTC day separates profiles, without nulls; None for one profile of all days.
        slices: columns of few values; for each of their values there are profiles of its rows, too.
        bins: of columns that are counted on bins.
        counts_only: nothing but rows, nulls and counts; of the columns with bins.
        days: of a source, which of its days; None for all rows of a table.
    """

    columns: tuple[str, ...]
    day: str | None = None
    slices: tuple[str, ...] = ()
    bins: Mapping[str, Bins] = field(default_factory=dict)
    counts_only: bool = False
    days: WholeDays | None = None

    @property
    def read(self) -> list[str]:
        """Every column that has to be read, each once."""
        told = () if self.days is None else ("event_time", "known_time", "op")
        return list(dict.fromkeys((*self.columns, *self.slices, *(() if self.day is None else (self.day,)), *told)))


def profiles_of_file(file: DataFile, wanted: Wanted) -> Iterator[pa.RecordBatch]:
    """The profiles of a file, rows of `PROFILE_SCHEMA`; of a column that came to the table after it there is none."""
    with open_parquet(file.path) as opened:
        schema = opened.schema_arrow
    there = [name for name in wanted.read if name in schema.names]
    texts = [name for name in there if kind_of(schema.field(name).type) == "text"]
    with open_parquet(file.path, read_dictionary=texts) as opened:
        batches = opened.iter_batches(batch_size=PIECE, columns=there, use_threads=False)
        yield from profiles_of_batches(batches, wanted)


def profiles_of_batches(batches: Iterable[pa.RecordBatch], wanted: Wanted) -> Iterator[pa.RecordBatch]:
    """The profiles of all rows of some batches, rows of `PROFILE_SCHEMA`."""
    merging: dict[Key, _Merging] = defaultdict(_Merging)
    kinds: dict[str, str] = {}
    for batch in batches if wanted.days is None else map(wanted.days.kept, batches):
        there = set(batch.schema.names)
        columns = [name for name in wanted.columns if name in there]
        for key, rows in _parts(batch, wanted):
            for name in columns:
                column = rows.column(name)
                kinds[name] = kind_of(column.type) or "other"
                bins = wanted.bins.get(name)
                if bins is not None and wanted.counts_only:
                    merging[key._replace(column=name)].add(count_column(column, bins))
                else:
                    merging[key._replace(column=name)].add(sketch_column(column, bins))
    made = [ColumnProfile(k, kinds[k.column], m.merged(), wanted.bins.get(k.column)) for k, m in merging.items()]
    yield to_batch(made)


def merge_profiles(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """One row a key from many, rows of `PROFILE_SCHEMA`."""
    yield to_batch(merged(from_row(row) for batch in batches for row in batch.to_pylist()))


def merged(profiles: Iterable[ColumnProfile]) -> list[ColumnProfile]:
    """One profile a key from many; the counts of all have to be on the same bins."""
    by_key: dict[Key, list[ColumnProfile]] = defaultdict(list)
    for profile in profiles:
        by_key[profile.key].append(profile)
    return [
        ColumnProfile(key, parts[0].kind, merge_sketches([p.sketch for p in parts]), parts[0].bins)
        for key, parts in by_key.items()
    ]


class _Merging:
    """Sketches as they come, merged many at once, level by level, so that few are held and few levels are made."""

    def __init__(self) -> None:
        self._levels: list[list[Sketch]] = [[]]

    def add(self, found: Sketch) -> None:
        self._levels[0].append(found)
        for number, level in enumerate(self._levels):
            if len(level) < _AT_ONCE:
                return
            if number + 1 == len(self._levels):
                self._levels.append([])
            self._levels[number + 1].append(merge_sketches(level))
            level.clear()

    def merged(self) -> Sketch:
        return merge_sketches([sketch for level in self._levels for sketch in level])


def _parts(batch: pa.RecordBatch, wanted: Wanted) -> Iterator[tuple[Key, pa.RecordBatch]]:
    """The rows of each day, and of each day and value of a slice."""
    for day, rows in _by_day(batch, wanted.day):
        yield Key("", "", day, ""), rows
        for name in wanted.slices:
            encoded = pc.fill_null(pc.cast(rows.column(name), pa.string()), "").dictionary_encode()
            for number, value in enumerate(encoded.dictionary.to_pylist()):
                yield Key(name, value, day, ""), rows.filter(pc.equal(encoded.indices, number))


def _by_day(batch: pa.RecordBatch, name: str | None) -> Iterator[tuple[date | None, pa.RecordBatch]]:
    if name is None:
        yield None, batch
        return
    days = _micros(batch.column(name)) // _DAY
    if len(days) and (days[1:] < days[:-1]).any():
        order = np.argsort(days, kind="stable")
        batch, days = batch.take(pa.array(order)), days[order]
    ends = np.concatenate([[0], np.flatnonzero(days[1:] != days[:-1]) + 1, [len(days)]])
    for start, end in pairwise(ends.tolist()):
        if end > start:
            yield _EPOCH + timedelta(days=int(days[start])), batch.slice(start, end - start)


def _micros(times: pa.Array) -> NDArray[np.int64]:
    found: NDArray[np.int64] = times.cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_numpy(zero_copy_only=False)
    return found
