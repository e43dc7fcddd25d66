"""Parquet files, each judged by its own footer; typed values land as texts."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyspark.sql import functions as F

from tidemill.data.contract import FREEZE, bronze_name
from tidemill.data.kinds.kind import DETAIL, FILE, LINE, POSITION, RAW, REASONS, FileKind, Inspection, Landed
from tidemill.data.landed_rows import Record, exact_batches, landed_columns, read_rows
from tidemill.data.streams import Rejected

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from pyspark.sql import Column, DataFrame, SparkSession

    from tidemill.data.contract import Contract

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


def read(session: SparkSession, contract: Contract, files: Sequence[Landed]) -> DataFrame:
    """The rows of files that can be read: by Spark's own reader, but for files with texts that are not UTF-8."""
    odd: list[Landed] = []
    alike: dict[str, list[Landed]] = {}
    for file in files:
        if file.found.regular:
            alike.setdefault(file.found.schema, []).append(file)
        else:
            odd.append(file)
    columns = landed_columns(contract, files)
    frames = [_read_natively(session, contract, group, columns) for group in alike.values()]
    frames += [read_rows(session, contract, odd, _rows)] if odd else []
    return reduce(lambda a, b: a.unionByName(b, allowMissingColumns=True), frames)


def _read_natively(
    session: SparkSession, contract: Contract, files: Sequence[Landed], columns: Sequence[str]
) -> DataFrame:
    frame = session.read.parquet(*[str(f.file.path) for f in files])
    renamed = {c.landed: str(c.physical) for c in contract.landed_columns} if contract.format == KIND.name else {}
    bronze = {bronze_name(name): name for name in frame.columns}
    there = {name: renamed.get(name) or bronze.get(name, name) for name in columns}
    base = str(files[0].file.path)[: -len(files[0].file.name)]
    path = F.url_decode(F.regexp_replace(F.col("_metadata.file_path"), r"\+", "%2B"))
    place = F.col("_metadata.row_index") + 1
    return frame.select(
        *[_text(frame, there[name]).alias(name) for name in columns],
        F.lit(None).cast("array<string>").alias(REASONS),
        F.lit(None).cast("string").alias(DETAIL),
        F.lit(None).cast("binary").alias(RAW),
        F.substring_index(path, base, -1).alias(FILE),
        place.alias(POSITION),
        F.lit(None).cast("bigint").alias(LINE),
    )


def _text(frame: DataFrame, name: str) -> Column:
    if name.casefold() not in {there.casefold() for there in frame.columns}:
        return F.lit(None).cast("string")
    return F.col("`{}`".format(name.replace("`", "``"))).cast("string")


def _rows(landed: Landed, _: Contract, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    yield from exact_batches(_records(landed), landed.found.columns, columns, landed.file.name)


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


KIND = FileKind("parquet", inspect, read)
