"""The table of a lake that lies at an address, for those who know the address only."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from deltalake.schema import PrimitiveType

from tidemill.data.places import is_delta, open_delta, spark_place
from tidemill.data.read import version_of
from tidemill.data.root_tables import LAKE
from tidemill.data.tables import ENTITY_PROPERTY, ROOT_PROPERTY, Lake, Table

if TYPE_CHECKING:
    from deltalake import DeltaTable

_READER = "reader"


def table_at(address: str, time: str) -> tuple[Lake, Table] | None:
    """The lake and the table with buckets that lies at an address, or None where there is no such table.

    Args:
        address: a path, a `file:` address, or that of a store as Spark takes it.
        time: the column that a reader takes for the time of a row.

    Returns:
        The table with those of its columns that are of a simple type; to read, not to write.
    """
    there = _opened(address)
    if there is None:
        return None
    lake, named, found = there
    metadata = found.metadata()
    entity = metadata.configuration.get(ENTITY_PROPERTY)
    fields = found.schema().fields
    columns = tuple((f.name, f.type.type) for f in fields if isinstance(f.type, PrimitiveType))
    table = Table(named.layer, named.name, columns, tuple(metadata.partition_columns), entity=entity, time=time)
    return None if entity is None or version_of(lake, table) is None else (lake, table)


def lake_at(address: str) -> tuple[Lake, Table] | None:
    """The lake of the table that lies at an address, and the table by its name; None where there is none of a lake."""
    there = _opened(address)
    return None if there is None else there[:2]


def _opened(address: str) -> tuple[Lake, Table, DeltaTable] | None:
    place = spark_place(address)
    try:
        if place is None or not is_delta(place):
            return None
    except OSError:  # a store that Spark may reach, and we do not
        return None
    found = open_delta(place)
    *above, layer, name = str(place).split("/")
    root = "/".join(above[:-1]) if isinstance(place, Path) else found.metadata().configuration.get(ROOT_PROPERTY)
    if not root or (isinstance(place, Path) and above[-1] != LAKE):
        return None
    lake, table = Lake(Path(root), _READER), Table(layer, name, ())
    return (lake, table, found) if lake.path(table) == place else None
