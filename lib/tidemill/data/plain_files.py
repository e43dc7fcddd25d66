"""Tables whose files, as the log names them, are all that a reader has to know; and frames of such files.

Delta's own reader computes the state of a log with jobs of Spark, whatever the size of the table. Many files are worth
it: it then leaves out those that a filter does not need. Of a few files it costs several times what reading them does.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc

from tidemill.data.places import sizes_of, spark_address

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from deltalake import DeltaTable
    from pyspark.sql import DataFrame, SparkSession

    from tidemill.data.places import Place

# What a reader must know beyond reading the named files as they are.
_BEYOND_FILES = frozenset({"deletionVectors", "columnMapping"})
_MAPPING = "delta.columnMapping.mode"
_MOST_FILES = 256
# Spark takes some characters of a path for a pattern, and writes others in a folder's name in another way.
_PATTERN = re.compile(r"[*?\[\]{}\\]")
_PLAIN_VALUE = re.compile(r"[\w.-]{1,100}", re.ASCII)


@dataclass(frozen=True)
class LoggedFile:
    """A file as the log names it.

    Args:
        path: below the table's folder, written as a part of a URI.
        size: in bytes.
        rows: of it.
        partition: the values of the partition columns, which the file itself does not hold.
    """

    path: str
    size: int
    rows: int
    partition: dict[str, Any]

    @property
    def name(self) -> str:
        """The path as the file system has it."""
        return unquote(self.path)


def beyond_files(table: DeltaTable) -> list[str]:
    """The features of a table for which its files cannot be read as they are."""
    protocol = table.protocol()
    found = _BEYOND_FILES & {*(protocol.reader_features or ()), *(protocol.writer_features or ())}
    # A protocol that is older than lists of features may have it, too.
    mapped = table.metadata().configuration.get(_MAPPING, "none") != "none"
    return sorted(found | ({"columnMapping"} if mapped else set()))


def logged_files(table: DeltaTable, column: str = "", since: int | None = None) -> Iterator[LoggedFile]:
    """The files of the version that a table is open at, in no order.

    Args:
        table: opened.
        column: of times; empty for none.
        since: microseconds since the epoch: files whose times the log knows to lie before that are left out.
    """
    partitions = table.metadata().partition_columns
    # Of these columns alone: a bound may be a value that Python has not.
    wanted = ["path", "size_bytes", "num_records", *(f"partition.{name}" for name in partitions)]
    actions = pa.table(table.get_add_actions(flatten=True))
    if since is not None and f"max.{column}" in actions.column_names:
        newest = actions[f"max.{column}"].cast(pa.timestamp("us", "UTC")).cast(pa.int64())
        actions = actions.filter(pc.fill_null(pc.greater_equal(newest, since), True))
    for action in actions.select(wanted).to_pylist():
        partition = {name: action[f"partition.{name}"] for name in partitions}
        yield LoggedFile(action["path"], int(action["size_bytes"]), int(action["num_records"]), partition)


def place_of(partition: Mapping[str, Any]) -> str | None:
    """The folders of a partition, each with a slash; None where a value is missing, or would be written otherwise."""
    if any(value is None or not _PLAIN_VALUE.fullmatch(str(value)) for value in partition.values()):
        return None
    return "".join(f"{name}={value}/" for name, value in partition.items())


def frame_of_files(spark: SparkSession, table: DeltaTable, folder: Place) -> DataFrame | None:
    """The rows of a table at the version that it is open at, from its files by name.

    Returns:
        None where Delta's own reader has to do it: for a feature beyond files, more files than it pays for, or a place
        that does not say the values of the partition columns as Spark reads them.

    Raises:
        OSError: where a file is gone or is not as long as the log says; Spark would read an empty one as no rows.
    """
    from pyspark.sql.types import StructType  # here: who reads without Spark imports this module, too

    if beyond_files(table) or _PATTERN.search(str(folder)) or len(table.file_uris()) > _MOST_FILES:
        return None
    schema = StructType.fromJson(json.loads(table.schema().to_json()))
    files = list(logged_files(table))
    if any(place_of(file.partition) != file.name[: file.name.rfind("/") + 1] for file in files):
        return None
    paths = [folder / file.name for file in files]
    for file, size in zip(files, sizes_of(paths), strict=True):
        if size != file.size:
            raise OSError(f"{file.name} has {size or 'no'} bytes, and the log says {file.size}")
    if not paths:
        return spark.createDataFrame([], schema)
    named = spark.read.schema(schema).option("basePath", spark_address(folder))
    frame = named.parquet(*sorted(spark_address(path) for path in paths))
    return frame.select(*[f"`{name}`" for name in schema.names])  # Spark puts partition columns behind the others
