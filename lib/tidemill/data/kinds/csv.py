"""CSV files as RFC 4180 says, with a header; also gzipped."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.csv as arrow_csv

from tidemill.data.contract import DISCARD_ROW, FREEZE, bronze_name
from tidemill.data.csv_rows import Shape, is_regular, records
from tidemill.data.kinds.kind import FileKind, Inspection, Landed
from tidemill.data.landed_rows import exact_batches, rows_batch
from tidemill.data.streams import BOM, Rejected, blocks, open_landed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tidemill.data.contract import Contract

_BLOCK = 8 << 20
_LONGEST_HEADER = 1 << 20


def inspect(path: Path, contract: Contract) -> Inspection:
    """Judges a file by its first line, and proves or disproves that it is regular."""
    try:
        with open_landed(path) as stream:
            parts = blocks(stream)
            first = next(parts, b"")
            header = _header_line(first)
            names = _names(header, contract)
            columns = _match(names, contract) if any(names) else contract.landed
            shape = _shape(columns, header, contract)
            rest, empty = _Watched(_after_header(first, header, parts)), not any(names)
            simple = not contract.multiline and not shape.unwanted and len(header.splitlines()) == 1
            regular = simple and is_regular(rest, shape)
            for _ in rest:  # to its end, for what unpacking finds only there
                pass
        if contract.multiline and rest.quotes % 2 and _has_open_quote(path, shape):
            return Inspection(reason="UNCLOSED_QUOTE", detail="a quote is never closed and would take in what follows")
        warnings = ("EMPTY_FILE",) if empty or rest.blank else ()
        return Inspection(columns, regular=regular, warnings=warnings)
    except Rejected as error:
        return Inspection(reason=error.reason, detail=error.detail)


def _has_open_quote(path: Path, shape: Shape) -> bool:
    with open_landed(path) as stream:
        return any("UNCLOSED_QUOTE" in record.reasons for record in records(stream, shape))


class _Watched:
    """Blocks passed on, whether all of them were blank, and how many quotes they had."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        self._parts = parts
        self.blank = True
        self.quotes = 0

    def __iter__(self) -> Iterator[bytes]:
        for part in self._parts:
            self.blank = self.blank and not part.strip()
            self.quotes += part.count(b'"')
            yield part


def rows(landed: Landed, contract: Contract, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """The rows of a file: read by Arrow where it is regular, else record by record."""
    if "EMPTY_FILE" in landed.found.warnings:
        return
    name, own = landed.file.name, landed.found.columns
    if landed.found.regular:
        reader = arrow_csv.open_csv(
            str(landed.file.path),  # Arrow unpacks by the ending of the name
            read_options=arrow_csv.ReadOptions(
                use_threads=False, block_size=_BLOCK, column_names=list(own), skip_rows=1
            ),
            parse_options=arrow_csv.ParseOptions(delimiter=contract.delimiter),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(own, pa.string()), null_values=[""], strings_can_be_null=True
            ),
        )
        position = 1
        for batch in reader:
            places = np.arange(position, position + batch.num_rows)
            yield rows_batch(dict(zip(own, batch.columns, strict=True)), columns, name, places, places + 1)
            position += batch.num_rows
        return
    with open_landed(landed.file.path) as stream:
        shape = _shape(own, _header_line(next(blocks(stream), b"")), contract)
    with open_landed(landed.file.path) as stream:
        yield from exact_batches(records(stream, shape), own, columns, name)


def _header_line(first: bytes) -> bytes:
    """The first record's bytes without its end: one line, unless a quoted name has a line break in it."""
    text = first[:_LONGEST_HEADER].removeprefix(BOM)
    reader = csv.reader(io.StringIO(text.decode("latin-1"), newline=""))
    next(reader, None)
    header = b"".join(text.splitlines(keepends=True)[: reader.line_num]).rstrip(b"\r\n")
    if len(header) + len(BOM) >= _LONGEST_HEADER:
        raise Rejected("HEADER_MISMATCH", "the first line is longer than a header can be")
    return header


def _names(header: bytes, contract: Contract) -> list[str]:
    try:
        text = header.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Rejected("ENCODING", f"byte {error.start} of the first line is not UTF-8") from error
    return [name.strip() for name in next(csv.reader(io.StringIO(text, newline=""), delimiter=contract.delimiter), [])]


def _match(names: Sequence[str], contract: Contract) -> tuple[str, ...]:
    """The file's columns by their names in bronze; only the case of a name may differ."""
    agreed = contract.physical
    known = {name.casefold(): name for name in agreed}
    found = tuple(known.get(name.casefold(), name) for name in names)
    missing = [name for name in agreed if name not in found]
    extra = [name for name in found if name not in agreed]
    twice = [name for name in found if found.count(name) > 1]
    if len(names) == 1 and len(agreed) > 1 and (sign := next((s for s in ";\t|," if s in names[0]), None)):
        raise Rejected("DELIMITER", f"the header splits at {sign!r}, not at {contract.delimiter!r}")
    if names[0].startswith(("{", "[")) and missing:
        raise Rejected("CONTENT_TYPE", "it looks like JSON, not CSV")
    if len(missing) == len(agreed):
        raise Rejected("HEADER_MISMATCH", f"no column of the contract stands in the first line, {names[0][:40]!r}, ...")
    if twice:
        raise Rejected(f"HEADER_DUPLICATE:{twice[0]}", f"the column {twice[0]!r} stands there twice")
    if missing:
        raise Rejected(f"HEADER_MISSING_COLUMN:{missing[0]}", f"the column {missing[0]!r} of the contract is missing")
    if extra and contract.new_columns == FREEZE:
        raise Rejected(f"HEADER_EXTRA_COLUMN:{extra[0]}", f"the column {extra[0]!r} is not in the contract")
    if tuple(n for n in found if n in agreed) != agreed and not contract.by_name:
        raise Rejected("HEADER_MISMATCH", f"the columns stand in another order: {', '.join(names)[:200]}")
    landed = dict(zip(agreed, contract.landed, strict=True))
    return tuple(landed.get(name) or bronze_name(name) for name in found)


def _shape(columns: Sequence[str], header: bytes, contract: Contract) -> Shape:
    keys = {c.landed for c in contract.columns if c.key}
    places = frozenset(i for i, name in enumerate(columns) if name in keys)
    unwanted = frozenset(
        i for i, name in enumerate(columns) if contract.new_columns == DISCARD_ROW and name not in contract.landed
    )
    return Shape(tuple(columns), contract.delimiter, contract.multiline, places, unwanted, header)


def _after_header(first: bytes, header: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    body = first.removeprefix(BOM)[len(header) :]
    yield body[2:] if body.startswith(b"\r\n") else body[1:]
    yield from rest


KIND = FileKind("csv", inspect, rows)
