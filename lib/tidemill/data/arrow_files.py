"""A Delta table's files as an Arrow dataset, opened by Arrow itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.dataset as ds

from tidemill.data.places import arrow_paths
from tidemill.data.plain_files import beyond_files, logged_files

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from deltalake import DeltaTable

    from tidemill.data.places import Place


def arrow_dataset(table: DeltaTable, path: Place) -> ds.Dataset:
    """The files of the opened version of a table.

    deltalake would open them through a file system written in Python. Arrow's threads then hold Python objects, and one
    that lets go of them while the interpreter ends brings the whole process down: about one in a hundred. It also takes
    a file whose log entry has bounds of some columns for one without a value of any other, and leaves out its rows.

    Args:
        table: opened at the version that is wanted.
        path: of the table's folder.
    """
    if beyond_files(table):
        return table.to_pyarrow_dataset()  # which refuses by name what it cannot read
    files = [(path / file.name, file.partition) for file in logged_files(table)]
    return dataset_of(files, pa.schema(table.schema()))


def dataset_of(files: Sequence[tuple[Place, Mapping[str, Any]]], schema: pa.Schema) -> ds.Dataset:
    """Files, each with the values of partition columns that it does not hold, as a dataset."""
    system, paths = arrow_paths([path for path, _ in files])
    return ds.FileSystemDataset.from_paths(
        paths,
        schema=schema,
        format=ds.ParquetFileFormat(read_options=ds.ParquetReadOptions(coerce_int96_timestamp_unit="us")),
        filesystem=system,
        partitions=[_expression(partition, schema) for _, partition in files],
    )


def _expression(partition: Mapping[str, Any], schema: pa.Schema) -> ds.Expression:
    found = ds.scalar(True)
    for name, value in partition.items():
        held = ds.field(name)
        typed = ds.scalar(pa.scalar(value, schema.field(name).type))
        found = found & (held.is_null() if value is None else held == typed)
    return found
