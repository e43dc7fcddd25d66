"""The rows of a CSV file (RFC 4180), exactly: what each is, or every reason why it is none.

`is_regular` proves, a block at a time and without a loop over rows, that a file has nothing in it about which readers
differ: such a file is read by Arrow. Any other is read here, record by record, which is slow and says what is wrong.
"""

from __future__ import annotations

import csv
import io
import itertools
import re
import sys
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tidemill.data.landed_rows import Record
from tidemill.data.streams import CONTROL, LONGEST_FIELD, lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import IO

csv.field_size_limit(sys.maxsize)
# As escapes, for they cannot be seen: zero-width signs, bidirectional controls, no-break space, byte order mark.
INVISIBLE = re.compile("[\u00a0\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
_LONGEST_RECORD = 1 << 20
_LOOK_AHEAD = 50


@dataclass(frozen=True)
class Shape:
    """What rows of a file have to look like.

    Args:
        columns: of the file, in its order.
        delimiter: between fields.
        multiline: whether quoted fields may hold line breaks.
        keys: places of the columns that name an entity or a row: invisible signs in them are a fault.
        unwanted: places of the columns in which any value is a fault.
        header: the first line's bytes, without its end.
    """

    columns: tuple[str, ...]
    delimiter: str
    multiline: bool
    keys: frozenset[int]
    unwanted: frozenset[int]
    header: bytes


def is_regular(parts: Iterable[bytes], shape: Shape) -> bool:
    """Whether every reader reads the file alike, by its blocks of whole lines, the header included."""
    delimiter = ord(shape.delimiter)
    quoted = re.compile(rb'(?:(?<=[\n' + re.escape(shape.delimiter.encode()) + rb'])|\A)"(?:[^"\r\n]|"")*"(?=[\r\n'
                        + re.escape(shape.delimiter.encode()) + rb"]|\Z)")  # fmt: skip
    again = b"\n" + shape.header + b"\n"
    for block in filter(None, parts):
        if CONTROL.search(block) or not _plain_text(block, keys=bool(shape.keys)):
            return False
        bare = block
        if b'"' in block:
            bare = quoted.sub(b"", block)
            if b'"' in bare:
                return False
        if bare.count(b"\r") != bare.count(b"\r\n") or again in block.replace(b"\r\n", b"\n"):
            return False
        if not bare.endswith(b"\n"):
            bare += b"\n"
        signs = np.frombuffer(bare, np.uint8)
        ends = np.flatnonzero(signs == ord("\n"))
        if len(shape.columns) == 1 and (b"\n\n" in b"\n" + bare or b"\n\r\n" in b"\n" + bare):
            return False
        fields = np.diff(np.searchsorted(np.flatnonzero(signs == delimiter), ends), prepend=0)
        if (fields != len(shape.columns) - 1).any() or np.diff(ends, prepend=-1).max() > LONGEST_FIELD:
            return False
    return True


def _plain_text(block: bytes, *, keys: bool) -> bool:
    if block.isascii():
        return True
    try:
        text = block.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return not keys or not (INVISIBLE.search(text) or not unicodedata.is_normalized("NFC", text))


def records(stream: IO[bytes], shape: Shape) -> Iterator[Record]:
    """Every record after the header, blank lines left out, in order."""
    found = enumerate(lines(stream), start=1)
    for _ in shape.header.splitlines():
        next(found, None)
    ahead: list[tuple[int, bytes]] = []
    while (item := ahead.pop(0) if ahead else next(found, None)) is not None:
        number, line = item
        if not line.strip():
            continue
        if not _is_open(line, shape):
            yield _record(line, number, shape)
        elif shape.multiline:
            while _is_open(line, shape) and len(line) <= _LONGEST_RECORD and (more := next(found, None)) is not None:
                line += more[1]
            yield _record(line, number, shape)
        else:
            ahead += itertools.islice(found, max(0, _LOOK_AHEAD - len(ahead)))
            parts = _broken_apart(line, ahead, shape)
            reason = "POSSIBLE_MULTILINE" if parts else "UNCLOSED_QUOTE"
            for place, part in [item, *ahead[:parts]]:
                yield Record((), (reason,), part, place)
            del ahead[:parts]


def _broken_apart(line: bytes, ahead: Sequence[tuple[int, bytes]], shape: Shape) -> int:
    """How many of the lines ahead make one record with a line whose quote is open; none where no record comes out."""
    whole = line
    for count, (_, part) in enumerate(ahead, start=1):
        whole += part
        if b'"' in part and not _is_open(whole, shape):
            return 0 if _record(whole, 0, shape).reasons else count
    return 0


def _is_open(line: bytes, shape: Shape) -> bool:
    """Whether a quoted field has not ended where the line does; a quote within a field opens nothing."""
    if b'"' not in line:
        return False
    try:
        next(csv.reader(io.StringIO(line.decode("latin-1"), newline=""), delimiter=shape.delimiter, strict=True))
    except csv.Error as error:
        return "unexpected end" in str(error)
    return False


def _record(raw: bytes, line: int, shape: Shape) -> Record:
    def rejected(*reasons: str, detail: str = "") -> Record:
        return Record((), reasons, raw, line, detail)

    try:
        text = raw.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        return rejected("ENCODING", detail=f"byte {error.start} of the record is not UTF-8")
    try:
        values = next(csv.reader(io.StringIO(text, newline=""), delimiter=shape.delimiter, strict=True))
    except csv.Error:
        return rejected("UNCLOSED_QUOTE" if _is_open(raw, shape) else "QUOTE")
    if len(values) != len(shape.columns):
        return rejected("COLUMN_COUNT", detail=f"{len(values)} fields instead of {len(shape.columns)}")
    if text.encode() == shape.header:
        return rejected("REPEATED_HEADER")
    found = [
        f"{code}:{name}"
        for place, (name, value) in enumerate(zip(shape.columns, values, strict=True))
        for code in faults(value, is_key=place in shape.keys)
    ]
    found += [f"UNKNOWN_FIELD:{shape.columns[place]}" for place in sorted(shape.unwanted) if values[place]]
    if found:
        return rejected(*found)
    kept = (unicodedata.normalize("NFC", v) if place in shape.keys else v for place, v in enumerate(values))
    return Record([value or None for value in kept], (), raw, line)


def faults(value: str, *, is_key: bool) -> Iterator[str]:
    """What is wrong with a text wherever it stands."""
    if len(value) > LONGEST_FIELD:
        yield "FIELD_TOO_LONG"
    if not value.isprintable() and CONTROL.search(value.encode("utf-8", "surrogatepass")):
        yield "CONTROL_CHAR"
    if is_key and not value.isascii() and INVISIBLE.search(value):
        yield "INVISIBLE_CHAR"
