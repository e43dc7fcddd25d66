"""Parquet files, each judged by its own footer; typed values land as texts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tidemill.data.contract import FREEZE, bronze_name
from tidemill.data.kinds.kind import FileKind, Inspection, Landed
from tidemill.data.landed_rows import Record, exact_batches, rows_batch
from tidemill.data.streams import Rejected

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tidemill.data.contract import Contract

_BATCH = 1 << 16
_LARGEST = (1 << 63) - 1
_WHOLE = (pa.types.is_integer,)
_NUMBERS = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal)
_TEXT = (pa.types.is_string, pa.types.is_large_string)
_BYTES = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary)
_FITS = {
    "string": (*_TEXT, *_BYTES),
    "integer": _WHOLE,
    "number": _NUMBERS,
    "boolean": (pa.types.is_boolean,),
    "timestamp": (pa.types.is_timestamp, *_TEXT),
    "date": (pa.types.is_date, *_TEXT),
}


def logical_types(kind: pa.DataType) -> tuple[str, ...]:
    """The types of a contract that a column of this type of a file may be declared as."""
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return tuple(logical for logical, fitting in _FITS.items() if any(fits(kind) for fits in fitting))


def inspect(path: Path, contract: Contract) -> Inspection:
    """Judges a file by its footer, and decodes it once: a damaged page would end the job that reads it."""
    if path.stat().st_size == 0:
        return Inspection(reason="EMPTY_FILE", detail="a Parquet file has a footer even where it has no row")
    try:
        with pq.ParquetFile(path) as file:
            schema = file.schema_arrow
            columns = _match(schema.names, contract)
            texts = _check_types(schema, dict(zip(columns, schema.names, strict=True)), contract)
            regular = True
            for batch in file.iter_batches(columns=[n for c, n in zip(columns, schema.names, strict=True) if c]):
                _check_values(batch)
                regular = regular and all(_is_utf8(batch.column(name)) for name in texts)
        shape = ", ".join(f"{name} {kind}" for name, kind in zip(schema.names, schema.types, strict=True))
        return Inspection(columns, regular=regular, schema=shape)
    except Rejected as error:
        return Inspection(reason=error.reason, detail=error.detail)
    except (pa.ArrowException, OSError) as error:
        return Inspection(reason="PARQUET_UNREADABLE", detail=str(error).splitlines()[0][:200])


def _match(names: Sequence[str], contract: Contract) -> tuple[str, ...]:
    folded = [name.casefold() for name in names]
    for name in folded:
        if folded.count(name) > 1:
            raise Rejected(f"DUPLICATE_COLUMN:{name}", f"two columns are named {name!r} but for the case")
    texts = contract.physical if contract.format == KIND.name else contract.landed  # what is fetched lands renamed
    known = dict(zip((name.casefold() for name in texts), contract.landed, strict=True))
    for name in texts:
        if name.casefold() not in folded:
            raise Rejected(f"MISSING_COLUMN:{name}", f"the column {name!r} of the contract is missing")
    extra = [name for name in names if name.casefold() not in known]
    if extra and contract.new_columns == FREEZE:
        raise Rejected(f"EXTRA_COLUMN:{extra[0]}", f"the column {extra[0]!r} is not in the contract")
    return tuple(known.get(name.casefold()) or bronze_name(name) for name in names)


def _check_types(schema: pa.Schema, names: dict[str, str], contract: Contract) -> list[str]:
    """The file's columns of bytes and texts whose encoding has to be looked at."""
    texts = []
    for column in contract.landed_columns:
        name = names[column.landed]
        kind = schema.field(name).type
        kind = kind.value_type if pa.types.is_dictionary(kind) else kind
        if any(fits(kind) for fits in (*_TEXT, *_BYTES)):
            texts.append(name)
        if pa.types.is_null(kind) or column.logic is not None or contract.format != KIND.name:
            continue  # what another kind of source has landed are texts
        # Whoever declares texts that mean null has a column of texts.
        fitting = (*_FITS[column.logical], *_TEXT) if column.null_tokens else _FITS[column.logical]
        if not any(fits(kind) for fits in fitting):
            raise Rejected(f"TYPE:{column.name}", f"the column {name!r} is {kind}, not {column.logical}")
    return texts


def _check_values(batch: pa.RecordBatch) -> None:
    for name, kind in zip(batch.schema.names, batch.schema.types, strict=True):
        if kind == pa.uint64() and (pc.max(batch.column(name)).as_py() or 0) > _LARGEST:
            raise Rejected(f"OVERFLOW:{name}", f"the column {name!r} holds a number beyond {_LARGEST}")


def _is_utf8(values: pa.Array) -> bool:
    if pa.types.is_dictionary(values.type):
        values = values.dictionary
    try:
        if any(is_bytes(values.type) for is_bytes in _BYTES):
            values.cast(pa.binary()).cast(pa.string())
        else:
            values.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def rows(landed: Landed, contract: Contract, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """The rows of a file: whole columns at a time, unless it has texts that are not UTF-8."""
    own, name = landed.found.columns, landed.file.name
    if not landed.found.regular:
        yield from exact_batches(_records(landed), own, columns, name)
        return
    position = 1
    with pq.ParquetFile(landed.file.path) as file:
        for batch in file.iter_batches(batch_size=_BATCH):
            texts = {c: as_text(values, contract) for c, values in zip(own, batch.columns, strict=True) if c in columns}
            places = np.arange(position, position + batch.num_rows)
            yield rows_batch(texts, columns, name, places, None)
            position += batch.num_rows


def as_text(values: pa.Array, contract: Contract) -> pa.Array:
    """Typed values as the texts that land.

    Instants state that they are in UTC where the contract's own times are not. What is nested becomes JSON.
    """
    kind = values.type
    if pa.types.is_dictionary(kind):
        return as_text(values.dictionary_decode(), contract)
    if pa.types.is_timestamp(kind):
        stated = "Z" if kind.tz is not None and contract.timezone != "UTC" else ""
        return pc.binary_join_element_wise(_local(values), stated, "") if stated else _local(values)
    if pa.types.is_nested(kind):
        return pa.array([None if v is None else json.dumps(v, default=str) for v in values.to_pylist()], pa.string())
    return values.cast(pa.string())


def _local(values: pa.Array) -> pa.Array:
    """Moments as texts without a zone, and with no more digits of a second than they need."""
    local = values.cast(pa.timestamp(values.type.unit))
    try:
        return local.cast(pa.timestamp("s")).cast(pa.string())
    except pa.ArrowInvalid:  # some have a fraction
        return pc.replace_substring_regex(local.cast(pa.string()), r"\.?0+$", "")


def _records(landed: Landed) -> Iterator[Record]:
    own = landed.found.columns
    with pq.ParquetFile(landed.file.path) as file:
        for batch in file.iter_batches():
            texts = [_texts(values) for values in batch.columns]
            for row in zip(*texts, strict=True):
                broken = [name for name, value in zip(own, row, strict=True) if isinstance(value, bytes)]
                raw = b"\x1f".join(v if isinstance(v, bytes) else str(v or "").encode() for v in row)
                reasons = tuple(f"ENCODING:{name}" for name in broken)
                yield Record((), reasons, raw, 0) if broken else Record(row, (), b"", 0)


def _texts(values: pa.Array) -> list[str | bytes | None]:
    """Values as texts; bytes that are no UTF-8 stay bytes."""
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if any(fits(values.type) for fits in (*_TEXT, *_BYTES)):
        found: list[str | bytes | None] = []
        for value in values.cast(pa.binary()).to_pylist():
            try:
                found.append(None if value is None else value.decode("utf-8"))
            except UnicodeDecodeError:
                found.append(value)
        return found
    return list(values.cast(pa.string()).to_pylist())


KIND = FileKind("parquet", inspect, rows)
