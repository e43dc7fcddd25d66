"""Bytes of landed files: what they are by their first bytes, unpacked within bounds, cut at line ends."""

from __future__ import annotations

import gzip
import re
import zlib
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BLOCK = 4 << 20
BOM = b"\xef\xbb\xbf"
LONGEST_FIELD = 1 << 20  # characters; more in one field is a fault of the file
LONGEST_LINE = 16 << 20  # bytes; a longer line is cut, so that memory stays bounded
CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_RATIO, _SMALL = 200, 32 << 20
_GZIP = b"\x1f\x8b"
_MAGIC = {
    b"PK\x03\x04": "a zip archive",
    b"PAR1": "a Parquet file",
    b"BZh": "a bzip2 file",
    b"(\xb5/\xfd": "a Zstandard file",
    b"\xfd7zXZ": "an xz file",
    b"%PDF": "a PDF",
    b"\xd0\xcf\x11\xe0": "an Office file",
}


class Rejected(Exception):  # noqa: N818 - an outcome, not an error
    """A file cannot be read as what it should be.

    Args:
        reason: `CODE` or `CODE:column`.
        detail: the reason in words.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


@contextmanager
def open_landed(path: Path) -> Iterator[IO[bytes]]:
    """The bytes of a text file, unpacked where its name ends in `.gz`.

    Raises:
        Rejected: COMPRESSION, BOMB, CONTENT_TYPE or ENCODING, when it is opened or while it is read.
    """
    with path.open("rb") as raw:
        head = raw.read(len(BOM) + 4096)
        raw.seek(0)
        if not path.name.endswith(".gz"):
            _check_head(head)
            yield raw
            return
        if not head:  # nothing was delivered, not even a header of gzip
            yield raw
            return
        size = path.stat().st_size
        try:
            with gzip.GzipFile(fileobj=raw, mode="rb") as unpacked:
                _check_head(unpacked.peek(4096)[:4096])
                yield cast("IO[bytes]", _Bounded(unpacked, max(_SMALL, size * _RATIO)))  # it reads, and no more
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise Rejected("COMPRESSION", f"it cannot be unpacked: {error}") from error


class _Bounded:
    """A stream that is given up when it yields far more than its packed bytes could honestly hold."""

    def __init__(self, stream: gzip.GzipFile, most: int) -> None:
        self._stream = stream
        self._left = most

    def read(self, size: int) -> bytes:
        """Up to so many bytes."""
        block = self._stream.read(size)
        self._left -= len(block)
        if self._left < 0:
            raise Rejected("BOMB", f"it unpacks to more than {_RATIO} times its size")
        return block


def _check_head(head: bytes) -> None:
    if head.startswith(_GZIP):
        raise Rejected("CONTENT_TYPE", "it is a gzip file whose name does not end in .gz")
    for magic, what in _MAGIC.items():
        if head.startswith(magic):
            raise Rejected("CONTENT_TYPE", f"it is {what}, not a text file")
    if head.startswith((b"\xff\xfe", b"\xfe\xff")) or head.count(0) * 4 >= max(len(head), 8):
        raise Rejected("ENCODING", "it is not UTF-8 but UTF-16 or UTF-32; convert it")
    if len(CONTROL.findall(head)) * 20 > len(head) >= 64:
        raise Rejected("CONTENT_TYPE", "it is binary, not a text file")


def blocks(stream: IO[bytes]) -> Iterator[bytes]:
    """The stream in blocks that end at a line end, the last one as it is; without a byte order mark."""
    rest = stream.read(len(BOM)).removeprefix(BOM)
    while block := stream.read(BLOCK):
        block = rest + block
        cut = block.rfind(b"\n") + 1
        if not cut and len(block) < LONGEST_LINE:
            rest = block
            continue
        cut = cut or len(block)
        yield block[:cut]
        rest = block[cut:]
    if rest:
        yield rest


def lines(stream: IO[bytes]) -> Iterator[bytes]:
    """The physical lines with their ends: LF, CR LF, or CR alone."""
    rest = b""
    for block in blocks(stream):
        found = (rest + block).splitlines(keepends=True)
        rest = b""
        # A CR at the very end of a block may be the first half of a line end.
        if found and (found[-1].endswith(b"\r") or not found[-1].endswith(b"\n")):
            rest = found.pop()
        yield from found
    if rest:
        yield rest
