"""Rows to PostgreSQL: one row an entity and feature, in Feast's table.

A chunk is copied into a temporary table in the binary format of COPY, whose bytes Arrow joins, and merged from there by
one statement that leaves newer rows alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tidemill.core.failpoints import failpoint
from tidemill.features.online import encoding

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from numpy.typing import NDArray
    from psycopg import Connection

    from tidemill.features.online.view import OnlineView

_ENTITIES_OF_A_CHUNK = 5000
_COPY_HEAD = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
_COPY_END = b"\xff\xff"
_COLUMNS = "entity_key, feature_name, value, value_text, event_ts, created_ts"
_Y2K_MICROS = 946_684_800_000_000  # PostgreSQL counts from the year 2000
_MERGE = """
insert into {table} as stored (entity_key, feature_name, value, value_text, event_ts, created_ts)
select entity_key, feature_name, value, value_text, event_ts, created_ts from {incoming}
order by entity_key, feature_name
on conflict (entity_key, feature_name) do update
set value = excluded.value, value_text = excluded.value_text, event_ts = excluded.event_ts,
    created_ts = excluded.created_ts
where stored.event_ts is null or excluded.event_ts > stored.event_ts
   or excluded.event_ts = stored.event_ts
      and (stored.created_ts is null or excluded.created_ts is null or excluded.created_ts >= stored.created_ts)
"""


@dataclass(frozen=True)
class PostgresPlace:
    """How the database is reached.

    Args:
        conninfo: address, database, user and password.
        options: further arguments of `psycopg.connect`.
    """

    conninfo: str
    options: tuple[tuple[str, Any], ...]


def write(batches: Iterable[pa.RecordBatch], view: OnlineView, place: PostgresPlace) -> Iterator[int]:
    """Writes rows, a chunk of entities in a transaction, and never over newer ones; yields how many each chunk wrote.

    Args:
        batches: rows of different entities, with the view's columns.
        view: what they are.
        place: where they go.
    """
    from psycopg import sql

    table, incoming = sql.Identifier(view.table), sql.Identifier("tidemill_incoming")
    with _connect(place) as connection, connection.cursor() as cursor:
        cursor.execute(
            sql.SQL("create temporary table {} on commit delete rows as select {} from {} with no data").format(
                incoming, sql.SQL(_COLUMNS), table
            )
        )
        connection.commit()
        copy, merge = sql.SQL("copy {} from stdin (format binary)").format(incoming), sql.SQL(_MERGE)
        number = 0
        for batch in batches:
            for start in range(0, batch.num_rows, _ENTITIES_OF_A_CHUNK):
                chunk = batch.slice(start, _ENTITIES_OF_A_CHUNK)
                with cursor.copy(copy) as sink:
                    for part in _copied(chunk, view):
                        sink.write(part)
                cursor.execute(merge.format(table=table, incoming=incoming))
                written = cursor.rowcount // len(view.features)
                failpoint("online.chunk", str(number))
                connection.commit()
                yield written
                number += 1


def remove(view: OnlineView, place: PostgresPlace, before: datetime) -> int:
    """Removes the values that speak for a time earlier than `before`; returns of how many entities."""
    from psycopg import sql

    statement = sql.SQL(
        "with gone as (delete from {} where event_ts < %s returning entity_key)"
        " select count(distinct entity_key) from gone"
    ).format(sql.Identifier(view.table))
    with _connect(place) as connection:
        found = connection.execute(statement, (before,)).fetchone()
        return int(found[0]) if found else 0


def check(place: PostgresPlace) -> None:
    """Opens a connection."""
    _connect(place).close()


def _connect(place: PostgresPlace) -> Connection[Any]:
    import psycopg

    return psycopg.connect(place.conninfo, **dict(place.options))


def _copied(chunk: pa.RecordBatch, view: OnlineView) -> Iterator[bytes | memoryview]:
    """The chunk in the binary format of COPY, a feature after the other."""
    yield _COPY_HEAD
    key = _field(encoding.entity_keys(chunk, view))
    created = encoding.created_micros(chunk, view)
    times = (
        *_field(encoding.fixed((encoding.event_micros(chunk, view) - _Y2K_MICROS).astype(">i8"))),
        *_field(_instants(created, encoding.known(created))),
    )
    for feature in view.features:
        column, name = chunk.column(feature.source), feature.name.encode()
        # A text of PostgreSQL cannot hold the character zero; the value itself, in bytes, can.
        texts = pa.array(encoding.texts(column, feature.kind), pa.string())
        texts = pc.replace_substring(texts, "\x00", "").cast(pa.binary())
        rows = encoding.join(
            b"\x00\x06",
            *key,
            len(name).to_bytes(4, "big") + name,
            *_field(encoding.values(column, feature.kind)),
            *_field(texts),
            *times,
        )
        _, offsets, data = rows.buffers()
        end = int(np.frombuffer(offsets, np.int32, len(rows) + 1)[-1])
        yield memoryview(data)[:end]
    yield _COPY_END


def _field(values: pa.Array) -> tuple[pa.Array, pa.Array]:
    """A field of COPY: its length, or -1 where it is null, and its bytes."""
    lengths = pc.binary_length(values).fill_null(-1).to_numpy(zero_copy_only=False).astype(">i4")
    return encoding.fixed(lengths), values.fill_null(b"")


def _instants(micros: NDArray[np.int64], known: NDArray[np.bool_]) -> pa.Array:
    found = encoding.fixed((np.where(known, micros, _Y2K_MICROS) - _Y2K_MICROS).astype(">i8"))
    return pc.if_else(pa.array(known), found, pa.scalar(None, pa.binary()))
