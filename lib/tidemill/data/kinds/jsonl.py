"""JSON lines: one object a line; also gzipped."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tidemill.data import json_rows
from tidemill.data.contract import DISCARD_VALUE, EVOLVE, MOMENTS, NUMBERS, bronze_name
from tidemill.data.kinds.kind import FileKind, Inspection, Landed
from tidemill.data.landed_rows import Record, exact_batches
from tidemill.data.streams import Rejected, blocks, open_landed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from typing import IO

    import pyarrow as pa

    from tidemill.data.contract import Column, Contract


def inspect(path: Path, contract: Contract) -> Inspection:
    """Judges a file by its beginning, and unpacks it to its end where it is packed."""
    columns: dict[str, None] = dict.fromkeys(contract.landed)
    known = {*contract.physical, *contract.landed}
    try:
        with open_landed(path) as stream:
            blank = True
            for block in blocks(stream):
                if blank and block.strip():
                    blank = False
                    _check_first(block)
                if contract.new_columns == EVOLVE:
                    columns |= dict.fromkeys(bronze_name(key) for key in _keys(block) if key not in known)
                elif not path.name.endswith(".gz"):
                    break
        return Inspection(tuple(columns), regular=False, warnings=("EMPTY_FILE",) if blank else ())
    except Rejected as error:
        return Inspection(reason=error.reason, detail=error.detail)


def _check_first(block: bytes) -> None:
    """Refuses a document that is spread over lines: each line would be a fault of its own."""
    found = [line.strip() for line in block.splitlines() if line.strip()]
    first = found[0]
    if first in {b"{", b"["} or (first[:1] in {b"{", b"["} and first.endswith((b",", b"{", b"[")) and len(found) > 1):
        raise Rejected("MULTILINE_JSON", "one object is spread over several lines; write one a line")
    if first[:1] == b"<":
        raise Rejected("CONTENT_TYPE", "it looks like XML or HTML, not JSON")


def _keys(block: bytes) -> Iterator[str]:
    for line in block.splitlines():
        try:
            value = json.loads(line)
        except ValueError:
            continue
        if isinstance(value, dict):
            yield from value


def rows(landed: Landed, contract: Contract, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """The rows of a file, line by line."""
    with open_landed(landed.file.path) as stream:
        yield from exact_batches(read_lines(stream, contract, columns), columns, columns, landed.file.name)


def read_lines(stream: IO[bytes], contract: Contract, columns: Sequence[str]) -> Iterator[Record]:
    """The records of a stream of JSON lines."""
    known = contract.new_columns in {DISCARD_VALUE, EVOLVE}
    return json_rows.records(stream, line_fields(contract, columns), discard_unknown=known)


def line_fields(contract: Contract, columns: Sequence[str]) -> dict[str, json_rows.Field]:
    """What the keys of an object may be, by the columns to land."""
    by_name = {c.landed: c for c in contract.landed_columns}
    found = ((place, name, by_name.get(name)) for place, name in enumerate(columns))
    return {name if c is None else str(c.physical): _field(place, c) for place, name, c in found}


def _field(place: int, column: Column | None) -> json_rows.Field:
    if column is None or column.logic is not None:  # nothing is agreed of it, or its logic makes of it what is agreed
        return json_rows.Field(place, frozenset({"text", "number", "truth"}), is_key=False)
    if column.logical in NUMBERS or column.epoch is not None:
        kinds = {"number"}
    elif column.logical == "boolean":
        kinds = {"truth"} if column.true_tokens == ("true",) else {"truth", "text", "number"}
    else:
        kinds = {"text"} if column.logical in {"string", *MOMENTS} else {"number"}
    return json_rows.Field(place, frozenset(kinds), column.key)


KIND = FileKind("jsonl", inspect, rows)
