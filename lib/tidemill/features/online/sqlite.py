"""Rows to SQLite: one row an entity and feature, in Feast's table, by the one writer that a local file can have.

Rows come ordered by entity key: both indices of the table then grow at one place, which halves the cost of writing.
"""

from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain, repeat
from typing import TYPE_CHECKING

from tidemill.core.failpoints import failpoint
from tidemill.core.locked import naming
from tidemill.core.time import from_micros
from tidemill.features.online import encoding

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from tidemill.features.online.view import OnlineView

_ENTITIES_OF_A_CHUNK = 5000
_CACHE_KIB = 32 << 10
_WAIT_S = 60.0
_UPSERT = """
insert into {table} as stored (entity_key, feature_name, value, value_text, event_ts, created_ts)
values (?, ?, ?, ?, ?, ?)
on conflict (entity_key, feature_name) do update
set value = excluded.value, value_text = excluded.value_text, event_ts = excluded.event_ts,
    created_ts = excluded.created_ts
where stored.event_ts is null or excluded.event_ts > stored.event_ts
   or excluded.event_ts = stored.event_ts
      and (stored.created_ts is null or excluded.created_ts is null or excluded.created_ts >= stored.created_ts)
"""


@dataclass(frozen=True)
class SqlitePlace:
    """Where the database is."""

    path: str


def write(batches: Iterable[pa.RecordBatch], view: OnlineView, place: SqlitePlace) -> Iterator[int]:
    """Writes rows, a chunk of entities in a transaction, and never over newer ones; yields how many each chunk wrote.

    Feast keeps times as whole seconds here, and so they are compared.

    Args:
        batches: rows of different entities, with the view's columns, ordered by entity key for speed.
        view: what they are.
        place: where they go.
    """
    statement = _UPSERT.format(table=_name(view))
    with naming(place.path), contextlib.closing(_connect(place)) as connection:
        connection.execute(f"pragma cache_size = -{_CACHE_KIB}")
        number = 0
        for batch in batches:
            for start in range(0, batch.num_rows, _ENTITIES_OF_A_CHUNK):
                chunk = batch.slice(start, _ENTITIES_OF_A_CHUNK)
                connection.execute("begin immediate")
                before = connection.total_changes
                connection.executemany(statement, _rows(chunk, view))
                failpoint("online.chunk", str(number))
                connection.execute("commit")
                yield (connection.total_changes - before) // len(view.features)
                number += 1


def remove(view: OnlineView, place: SqlitePlace, before: datetime) -> int:
    """Removes the values that speak for a second earlier than that of `before`; returns of how many entities."""
    with naming(place.path), contextlib.closing(_connect(place)) as connection:
        (first,) = _seconds([before])
        connection.execute("begin immediate")
        found = connection.execute(
            f"select count(distinct entity_key) from {_name(view)} where event_ts < ?",  # noqa: S608 - a quoted name
            (first,),
        ).fetchone()[0]
        if found:
            connection.execute(f"delete from {_name(view)} where event_ts < ?", (first,))  # noqa: S608
        connection.execute("commit")
        return int(found)


def check(place: SqlitePlace) -> None:
    """Opens the database."""
    with naming(place.path), contextlib.closing(_connect(place)) as connection:
        connection.execute("pragma schema_version")


def _connect(place: SqlitePlace) -> sqlite3.Connection:
    return sqlite3.connect(place.path, timeout=_WAIT_S, isolation_level=None)


def _name(view: OnlineView) -> str:
    return '"' + view.table.replace('"', '""') + '"'


def _rows(chunk: pa.RecordBatch, view: OnlineView) -> Iterator[tuple[object, ...]]:
    keys = encoding.entity_keys(chunk, view).to_pylist()
    events = _times(encoding.event_micros(chunk, view))
    created = encoding.created_micros(chunk, view)
    made: list[int] | list[None] = _times(created) if encoding.known(created).all() else [None] * len(keys)
    features = [
        zip(
            keys,
            repeat(f.name),
            encoding.values(chunk.column(f.source), f.kind).to_pylist(),
            encoding.texts(chunk.column(f.source), f.kind),
            events,
            made,
            strict=False,
        )
        for f in view.features
    ]
    # An entity's features one after the other, as the table's key orders them.
    return chain.from_iterable(zip(*features, strict=True))


def _times(micros: NDArray[np.int64]) -> list[int]:
    different = sorted(set(micros.tolist()))
    seconds = dict(zip(different, _seconds([from_micros(m) for m in different]), strict=True))
    return [seconds[m] for m in micros.tolist()]


def _seconds(times: Iterable[datetime]) -> list[int]:
    """Times as Feast stores them: it takes UTC for the machine's own time, and so does its reader."""
    return [int(time.astimezone(UTC).replace(tzinfo=None).timestamp()) for time in times]
