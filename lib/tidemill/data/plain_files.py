"""Tables whose files, as the log names them, are all that a reader has to know; and frames of such files.

Delta's own reader computes the state of a log with jobs of Spark, whatever the size of the table. Many files are worth
it: it then leaves out those that a filter does not need. Of a few files it costs several times what reading them does.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pyarrow as pa

if TYPE_CHECKING:
    from pathlib import Path

    from deltalake import DeltaTable
    from pyspark.sql import DataFrame, SparkSession

# What a reader must know beyond reading the named files as they are.
_BEYOND_FILES = frozenset({"deletionVectors", "columnMapping"})
_MAPPING = "delta.columnMapping.mode"
_MOST_FILES = 256
# Spark takes some characters of a path for a pattern, and writes others in a folder's name in another way.
_PATTERN = re.compile(r"[*?\[\]{}\\]")
_PLAIN_VALUE = re.compile(r"[\w.-]+", re.ASCII)


def beyond_files(table: DeltaTable) -> list[str]:
    """The features of a table for which its files cannot be read as they are."""
    protocol = table.protocol()
    found = _BEYOND_FILES & {*(protocol.reader_features or ()), *(protocol.writer_features or ())}
    if (
        table.metadata().configuration.get(_MAPPING, "none") != "none"
    ):  # protocols without lists of features have it, too
        found |= {"columnMapping"}
    return sorted(found)


def frame_of_files(spark: SparkSession, table: DeltaTable, folder: Path) -> DataFrame | None:
    """The rows of a table at the version that it is open at, from its files by name.

    Returns:
        None where Delta's own reader has to do it: for a feature beyond files, more files than it pays for, or a place
        that does not say the values of the partition columns as Spark reads them.

    Raises:
        OSError: where a file is gone or is not as long as the log says; Spark would read an empty one as no rows.
    """
    from pyspark.sql.types import StructType  # here: who reads without Spark imports this module, too

    if beyond_files(table) or _PATTERN.search(str(folder)):
        return None
    if len(table.file_uris()) > _MOST_FILES:
        return None
    schema = StructType.fromJson(json.loads(table.schema().to_json()))
    partitions = table.metadata().partition_columns
    named = [f"partition.{name}" for name in partitions]
    paths = []
    for action in pa.table(table.get_add_actions(flatten=True)).select(["path", "size_bytes", *named]).to_pylist():
        path = unquote(action["path"])  # paths stand in the log as parts of a URI
        values = [str(action[name]) for name in named]
        place = "".join(f"{name}={value}/" for name, value in zip(partitions, values, strict=True))
        if not all(_PLAIN_VALUE.fullmatch(v) for v in values) or path.rpartition("/")[0] != place.rstrip("/"):
            return None
        if (size := (folder / path).stat().st_size) != action["size_bytes"]:
            raise OSError(f"{path} has {size} bytes, and the log says {action['size_bytes']}")
        paths.append(str(folder / path))
    if not paths:
        return spark.createDataFrame([], schema)
    frame = spark.read.schema(schema).option("basePath", str(folder)).parquet(*sorted(paths))
    return frame.select(*[f"`{name}`" for name in schema.names])  # Spark puts partition columns behind the others
