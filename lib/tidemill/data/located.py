"""The table of a lake that lies in a folder, for those who know the folder only."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlparse

from deltalake import DeltaTable
from deltalake.schema import PrimitiveType

from tidemill.data.read import version_of
from tidemill.data.tables import ENTITY_PROPERTY, Lake, Table

_LAKE = "lake"
_READER = "reader"


def table_at(place: str, time: str) -> tuple[Lake, Table] | None:
    """The lake and the table with buckets that a folder holds, or None where it is no such table.

    Args:
        place: a path, or a `file:` address.
        time: the column that a reader takes for the time of a row.

    Returns:
        The table with those of its columns that are of a simple type; to read, not to write.
    """
    address = urlparse(place)
    if address.scheme not in ("", "file"):
        return None
    path = Path(unquote(address.path) if address.scheme else place).resolve()
    if len(path.parents) < 3 or path.parents[1].name != _LAKE or not DeltaTable.is_deltatable(str(path)):
        return None
    found = DeltaTable(str(path))
    metadata = found.metadata()
    entity = metadata.configuration.get(ENTITY_PROPERTY)
    fields = found.schema().fields
    columns = tuple((f.name, f.type.type) for f in fields if isinstance(f.type, PrimitiveType))
    table = Table(path.parent.name, path.name, columns, tuple(metadata.partition_columns), entity=entity, time=time)
    lake = Lake(path.parents[2], _READER)
    return None if entity is None or version_of(lake, table) is None else (lake, table)
