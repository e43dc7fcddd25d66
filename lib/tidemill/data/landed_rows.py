"""Landed rows as Arrow batches: the landed texts, each row's place, and of a rejected one its reasons and bytes."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa

from tidemill.data.contract import EVOLVE
from tidemill.data.file_tasks import map_files
from tidemill.data.kinds.kind import DETAIL, FILE, LINE, POSITION, RAW, REASONS
from tidemill.data.worker_rows import WorkerRows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from pyspark.sql import DataFrame, SparkSession

    from tidemill.data.contract import Contract
    from tidemill.data.kinds.kind import FileKind, Landed

    Places = Sequence[int] | NDArray[np.int64]

_BATCH = 4096
_BESIDE = {
    REASONS: "array<string>",
    DETAIL: "string",
    RAW: "binary",
    FILE: "string",
    POSITION: "bigint",
    LINE: "bigint",
}


@dataclass(frozen=True)
class Record:
    """One record of a file.

    Args:
        fields: its values, None for an empty one; none at all where there is a reason.
        reasons: why it is rejected, each `CODE` or `CODE:column`.
        detail: what else helps to find the fault.
        raw: its bytes.
        line: the physical line it begins at, from 1.
    """

    fields: Sequence[str | None]
    reasons: tuple[str, ...]
    raw: bytes
    line: int
    detail: str = ""


def landed_columns(contract: Contract, files: Iterable[Landed]) -> tuple[str, ...]:
    """The columns that files land: those of the contract, and where it evolves what else a file has."""
    if contract.new_columns != EVOLVE:
        return contract.landed
    return tuple(dict.fromkeys((*contract.landed, *(name for f in files for name in f.found.columns))))


def read_rows(session: SparkSession, kind: FileKind, contract: Contract, files: Sequence[Landed]) -> DataFrame:
    """The rows of files, with the reasons of those that are rejected, as a frame.

    Args:
        session: distributes the files.
        kind: of the files.
        contract: of the source.
        files: what to read.
    """
    columns = landed_columns(contract, files)
    return map_files(session, _items(files), partial(_of_file, kind, contract, columns), frame_schema(columns))


def good_rows(
    session: SparkSession, kind: FileKind, contract: Contract, files: Sequence[Landed], batch_id: str
) -> WorkerRows:
    """The rows of files for bronze, without those that are rejected, still to be read and written by workers."""
    make = partial(_of_file, kind, contract, landed_columns(contract, files))
    return WorkerRows(session, _items(files), make, {"batch_id": batch_id}, accepted)


def _items(files: Sequence[Landed]) -> list[tuple[Landed, int]]:
    return [(f, f.file.size) for f in files]


def accepted(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The landed rows without a reason against them."""
    reasons = batch.column(REASONS)
    return batch if reasons.null_count == batch.num_rows else batch.filter(reasons.is_null())


def frame_schema(columns: Sequence[str]) -> str:
    """Spark's schema of landed rows."""
    texts = (f"`{name.replace('`', '``')}` string" for name in columns)
    return ", ".join([*texts, *(f"`{name}` {kind}" for name, kind in _BESIDE.items())])


def _of_file(kind: FileKind, contract: Contract, columns: Sequence[str], landed: Landed) -> Iterator[pa.RecordBatch]:
    return kind.rows(landed, contract, columns)


def rows_batch(
    fields: Mapping[str, pa.Array], columns: Sequence[str], file: str, positions: Places, lines: Places | None
) -> pa.RecordBatch:
    """Rows that are none the worse, with the columns to land of those that the file has; not every file has lines."""
    size = len(positions)
    texts = [fields[name] if name in fields else pa.nulls(size, pa.string()) for name in columns]
    beside = {
        REASONS: pa.nulls(size, pa.list_(pa.string())),
        DETAIL: pa.nulls(size, pa.string()),
        RAW: pa.nulls(size, pa.binary()),
        FILE: pa.repeat(file, size),
        POSITION: pa.array(positions, pa.int64()),
        LINE: pa.nulls(size, pa.int64()) if lines is None else pa.array(lines, pa.int64()),
    }
    return pa.RecordBatch.from_arrays([*texts, *beside.values()], names=[*columns, *beside])


def exact_batches(
    records: Iterable[Record], own: Sequence[str], columns: Sequence[str], file: str
) -> Iterator[pa.RecordBatch]:
    """Records in their order, counted from 1, as batches of rows and of rejected rows.

    Args:
        records: of one file.
        own: the columns of a record.
        columns: the columns to land.
        file: the file's name in the ledger.
    """
    places = [own.index(name) if name in own else None for name in columns]
    position = 1
    source = iter(records)
    while held := list(itertools.islice(source, _BATCH)):
        moved = held if tuple(own) == tuple(columns) else [_moved(record, places) for record in held]
        yield records_batch(moved, columns, [file] * len(held), range(position, position + len(held)))
        position += len(held)


def _moved(record: Record, places: Sequence[int | None]) -> Record:
    fields = () if record.reasons else [None if place is None else record.fields[place] for place in places]
    return replace(record, fields=fields)


def records_batch(
    records: Sequence[Record], columns: Sequence[str], files: Sequence[str], positions: Sequence[int]
) -> pa.RecordBatch:
    """Records with the columns to land, each at its place, as one batch."""
    nothing = [None] * len(columns)
    texts = zip(*(nothing if r.reasons else r.fields for r in records), strict=True)
    beside = [
        pa.array([list(r.reasons) or None for r in records], pa.list_(pa.string())),
        pa.array([r.detail or None for r in records], pa.string()),
        pa.array([r.raw if r.reasons else None for r in records], pa.binary()),
        pa.array(files, pa.string()),
        pa.array(positions, pa.int64()),
        pa.array([r.line or None for r in records], pa.int64()),
    ]
    arrays = [*(pa.array(values, pa.string()) for values in texts), *beside]
    return pa.RecordBatch.from_arrays(arrays, names=[*columns, *_BESIDE])
