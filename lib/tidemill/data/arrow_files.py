"""A Delta table's files as an Arrow dataset, opened by Arrow itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyarrow.fs import LocalFileSystem, SubTreeFileSystem

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow.dataset as ds
    from deltalake import DeltaTable


def arrow_dataset(table: DeltaTable, path: Path) -> ds.Dataset:
    """The files of the opened version of a table.

    deltalake would open them through a file system written in Python. Arrow's threads then hold Python objects, and one
    that lets go of them while the interpreter ends brings the whole process down: about one in a hundred.

    Args:
        table: opened at the version that is wanted.
        path: of the table's folder.
    """
    return table.to_pyarrow_dataset(filesystem=SubTreeFileSystem(str(path), LocalFileSystem()))
