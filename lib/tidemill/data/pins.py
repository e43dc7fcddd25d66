"""Pins: the files that a model was trained on, listed once, so that they outlive compaction and VACUUM.

A manifest below `<root>/pins/<name>/` names every file of one table's snapshot. It is read without the table's log:
Delta refuses time travel beyond the file retention, and what a log forgets a manifest still knows.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from tidemill.core.errors import Exit, TidemillError
from tidemill.core.runs import write_json
from tidemill.data.arrow_files import dataset_of
from tidemill.data.places import sizes_of, spark_address
from tidemill.data.plain_files import logged_files
from tidemill.data.read import layout_of, open_table, version_of
from tidemill.data.root_tables import tables_of
from tidemill.data.schema import delta_schema

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

    from tidemill.data.places import Place
    from tidemill.data.tables import Lake, Table


@dataclass(frozen=True)
class PinnedFile:
    """One file of a pinned snapshot.

    Args:
        path: relative to the table's folder.
        size: in bytes.
        rows: that it holds.
        partition: the values of the partition columns, which the file itself does not hold.
    """

    path: str
    size: int
    rows: int
    partition: Mapping[str, str | int | None]


@dataclass(frozen=True)
class Pin:
    """The snapshot of one table, or some partitions of it, as one manifest.

    Args:
        name: whose files these are: a training set.
        layer, table: of the table.
        version: the Delta version that was read.
        columns: names and Spark SQL types.
        buckets, period: how its rows are cut into partitions; None for a table without buckets.
        files: ordered by path.
    """

    name: str
    layer: str
    table: str
    version: int
    columns: tuple[tuple[str, str], ...]
    buckets: int | None
    period: str | None
    files: tuple[PinnedFile, ...]

    @property
    def label(self) -> str:
        """`layer.table`."""
        return f"{self.layer}.{self.table}"


def pin(lake: Lake, table: Table, name: str, only: Mapping[str, str] | None = None) -> Pin | None:
    """Pins the last ledgered version of a table under a name; a pin that is there is kept as it is.

    Args:
        lake: the tables.
        table: what is pinned.
        name: whose files these are.
        only: partition values that a file must have, or None for the whole snapshot.

    Returns:
        The manifest, or None where the table holds nothing.

    Raises:
        TidemillError: E_TABLE_DAMAGED (data) where the log cannot be read.
    """
    path = _manifest(lake.root, name, table.label)
    if path.exists():
        return _read(path)
    version = version_of(lake, table)
    if version is None:
        return None
    files = [
        PinnedFile(file.path, file.size, file.rows, file.partition)
        for file in logged_files(open_table(lake, table, version))
        if all(str(file.partition[name]) == value for name, value in (only or {}).items())
    ]
    buckets, period = layout_of(lake, table) if table.entity is not None else (None, None)
    made = Pin(name, table.layer, table.name, version, table.columns, buckets, period, tuple(sorted(files, key=_path)))
    write_json(path, asdict(made))
    return made


def pins(root: Path, name: str | None = None) -> list[Pin]:
    """The pins of a name, or of all, ordered by name and table."""
    return [_read(path) for path in sorted((root / "pins").glob(f"{name or '*'}/*.json"))]


def pinned_files(root: Path, label: str) -> frozenset[str]:
    """The files of a table, relative to its folder, that any pin names."""
    return frozenset(file.path for pin in pins(root) if pin.label == label for file in pin.files)


def frame_of_pin(session: SparkSession, root: Path, pin: Pin) -> DataFrame:
    """The rows of a pinned snapshot as a frame, read by Spark without the table's log.

    Columns that make folders are left out: they say where a row lies, not what it is.

    Raises:
        TidemillError: E_PIN (data) where a file is gone or has another size.
    """
    paths = [spark_address(path) for path in _pinned_paths(root, pin)]
    placed = {name for file in pin.files for name in file.partition}
    schema = ", ".join(f"`{name}` {kind}" for name, kind in pin.columns if name not in placed)
    return session.read.schema(schema).parquet(*paths)


def read_pin(root: Path, pin: Pin, columns: list[str] | None = None) -> pa.Table:
    """The rows of a pinned snapshot, without the table's log.

    Raises:
        TidemillError: E_PIN (data) where a file is gone or has another size.
    """
    paths = _pinned_paths(root, pin)
    files = [(path, file.partition) for path, file in zip(paths, pin.files, strict=True)]
    return dataset_of(files, delta_schema(pin.columns)).to_table(columns=columns)


def _pinned_paths(root: Path, pin: Pin) -> list[Place]:
    folder = tables_of(root) / pin.layer / pin.table
    paths = [folder / file.path for file in pin.files]
    for file, path, held in zip(pin.files, paths, sizes_of(paths), strict=True):
        if held != file.size:
            raise TidemillError(
                "E_PIN",
                "a pinned file is gone" if held is None else f"a pinned file has {held} bytes instead of {file.size}",
                where=f"{path}, pinned by {pin.name}",
                next_step="bring the file back from a backup: without it no model trained on it can be reproduced",
                exit_code=Exit.DATA,
            )
    return paths


def _path(file: PinnedFile) -> str:
    return file.path


def _manifest(root: Path, name: str, label: str) -> Path:
    return root / "pins" / name / f"{label}.json"


def _read(path: Path) -> Pin:
    found = json.loads(path.read_text(encoding="utf-8"))
    files = tuple(PinnedFile(**file) for file in found.pop("files"))
    columns = tuple((name, kind) for name, kind in found.pop("columns"))
    return Pin(**found, columns=columns, files=files)
