"""What a kind of source is: how its files are judged before they are read, and how their rows are read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

    from tidemill.data.contract import Contract

# The columns beside the landed ones: why a row is rejected (null where it is not), what else is known of that, its
# bytes as far as they are kept, and its place: the file's name in the ledger, the row within it and the line it begins
# at, both from 1.
REASONS, DETAIL, RAW, FILE, POSITION, LINE = "_reasons", "_detail", "_raw", "source_file", "position", "line"
RAW_LIMIT = 64 * 1024


@dataclass(frozen=True)
class LandedFile:
    """A file that a source delivered.

    Args:
        name: relative to the folder that the source's place names; what the ledger knows it by.
        path: where it is now.
        digest: SHA-256 of its bytes, in hexadecimal.
        size: in bytes.
    """

    name: str
    path: Path
    digest: str
    size: int


@dataclass(frozen=True)
class Inspection:
    """What is known of a file before its rows are read.

    Args:
        columns: those of the file, in its order, by the names of the contract where it has them.
        reason: why the whole file is rejected, `CODE` or `CODE:column`, or None.
        detail: the reason in words.
        regular: whether every reader of its format reads it alike; what is not is read slowly and exactly.
        warnings: codes of what is accepted and yet worth knowing.
        schema: the types that a file states itself; only files of one schema are read together.
    """

    columns: tuple[str, ...] = ()
    reason: str | None = None
    detail: str = ""
    regular: bool = True
    warnings: tuple[str, ...] = ()
    schema: str = ""


@dataclass(frozen=True)
class Landed:
    """A file that can be read, with what its inspection found."""

    file: LandedFile
    found: Inspection


@dataclass(frozen=True)
class FileKind:
    """A kind of source whose rows lie in files; all of it runs in workers, without Spark.

    Args:
        name: what a contract calls it; the name of its module.
        inspect: judges one file.
        rows: those of a file that can be read, given the columns to land: these as strings, and the columns above.
    """

    name: str
    inspect: Callable[[Path, Contract], Inspection]
    rows: Callable[[Landed, Contract, Sequence[str]], Iterator[pa.RecordBatch]]


@dataclass(frozen=True)
class FetchedKind:
    """A kind of source that is asked for its rows; what it answers lands as files, and goes on as files do.

    The landed files are what a batch is made from: whatever happens afterwards, nothing has to be asked for twice.

    Args:
        name: what a contract calls it; the name of its module.
        fetch: asks for what is new, and lands it below a folder, whole or not at all.
        lands: the kind of the files.
    """

    name: str
    fetch: Callable[[Callable[[], SparkSession], Contract, Path, datetime], None]
    lands: FileKind


@dataclass(frozen=True)
class LogKind:
    """A kind of source that is a log: records have an offset in a partition, and can be read again.

    A batch is a range of offsets. The ledger alone remembers how far the log was read.

    Args:
        name: what a contract calls it; the name of its module.
        ends: the first and the next offset of every partition, by topic and partition.
        read: the records of a range, with the columns that `FileKind.rows` gives: the file is `topic/partition`, the
            position the offset.
    """

    name: str
    ends: Callable[[SparkSession, Contract], Mapping[str, tuple[int, int]]]
    read: Callable[[SparkSession, Contract, Mapping[str, tuple[int, int]]], DataFrame]
