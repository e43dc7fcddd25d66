"""Tables whose files, as the log names them, are all that a reader has to know; and frames of such files.

Delta's own reader computes the state of a log with jobs of Spark, whatever the size of the table: five CPU seconds for
the first three files of a session, where naming them takes one. Many files are worth it: it then leaves out those that
a filter does not need.
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
_MOST_FILES = 256
# Spark takes some characters of a path for a pattern, and writes others in a folder's name in another way.
_PATTERN = re.compile(r"[*?\[\]{}\\]")
_PLAIN_VALUE = re.compile(r"[\w.-]+", re.ASCII)


def beyond_files(table: DeltaTable) -> list[str]:
    """The features of a table for which its files cannot be read as they are."""
    protocol = table.protocol()
    return sorted(_BEYOND_FILES & {*(protocol.reader_features or ()), *(protocol.writer_features or ())})


def frame_of_files(spark: SparkSession, table: DeltaTable, folder: Path) -> DataFrame | None:
    """The rows of a table at the version that it is open at, from its files by name.

    Returns:
        None where Delta's own reader has to do it: for a feature beyond files, more files than it pays for, or a place
        that does not say the values of the partition columns as Spark reads them.
    """
    from pyspark.sql.types import StructType  # here: who reads without Spark imports this module, too

    if beyond_files(table) or _PATTERN.search(str(folder)):
        return None
    actions = pa.table(table.get_add_actions(flatten=True))
    if actions.num_rows > _MOST_FILES:
        return None
    schema = StructType.fromJson(json.loads(table.schema().to_json()))
    partitions = table.metadata().partition_columns
    paths = []
    for action in actions.to_pylist():
        path = unquote(action["path"])  # paths stand in the log as parts of a URI
        values = [str(action[f"partition.{name}"]) for name in partitions]
        place = "".join(f"{name}={value}/" for name, value in zip(partitions, values, strict=True))
        if not all(_PLAIN_VALUE.fullmatch(v) for v in values) or path.rpartition("/")[0] != place.rstrip("/"):
            return None
        paths.append(str(folder / path))
    if not paths:
        return spark.createDataFrame([], schema)
    frame = spark.read.schema(schema).option("basePath", str(folder)).parquet(*sorted(paths))
    return frame.select(*[f"`{name}`" for name in schema.names])  # Spark puts partition columns behind the others
