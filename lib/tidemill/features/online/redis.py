"""Rows to Redis: one hash an entity, in Feast's format, written by a script that refuses what is older.

The hash's key is the entity key and the project; its fields are one for each feature, and one with the time that the
view's values speak for. To that time, a message of protocol buffers, the moment when the row was made is added as a
field of our own, which readers skip: of two rows for the same time the one that was made last stays, in any order.

A script runs undisturbed, so that nothing can come between the look at the stored time and the write. A call carries
many entities: its bytes are joined by Arrow, its answer is one number.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tidemill.core.failpoints import failpoint
from tidemill.core.time import to_micros
from tidemill.features.online import encoding
from tidemill.features.online.redis_scripts import REMOVE, WRITE, script_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from redis import Redis

    from tidemill.features.online.view import OnlineView

_ENTITIES_OF_A_CALL = 64
_ENTITIES_OF_A_CHUNK = 4096
_KEYS_OF_A_LOOK = 1000
_SECOND = 1_000_000
_MADE_FIELD = b"\x78"  # number 15, a whole number


@dataclass(frozen=True)
class RedisPlace:
    """Where a Redis is, and what Feast calls the features there.

    Args:
        nodes: hosts and ports; of sentinels where `master` is given.
        options: further arguments of the client, such as `password`, `db` and `ssl`.
        fields: the hash field of each feature, in the order of the view.
        master: the name that the sentinels know the master by, or None without sentinels.
        key_ttl: seconds after which an entity's hash expires, or None.
    """

    nodes: tuple[tuple[str, int], ...]
    options: tuple[tuple[str, Any], ...]
    fields: tuple[bytes, ...]
    master: str | None = None
    key_ttl: int | None = None


def write(batches: Iterable[pa.RecordBatch], view: OnlineView, place: RedisPlace) -> Iterator[int]:
    """Writes rows, an entity's at once, and never over newer ones; yields how many each chunk wrote.

    Args:
        batches: rows of different entities, with the view's columns.
        view: what they are.
        place: where they go.
    """
    with _client(place) as client:
        script = script_text(WRITE, view, place.fields, place.key_ttl)
        head = b"$7\r\nEVALSHA\r\n" + _bulk(str(client.script_load(script)).encode())
        connection = client.connection_pool.get_connection()
        number = 0
        for batch in batches:
            for start in range(0, batch.num_rows, _ENTITIES_OF_A_CHUNK):
                chunk = batch.slice(start, _ENTITIES_OF_A_CHUNK)
                calls = _calls(chunk, view, head)
                failpoint("online.chunk", str(number))
                connection.send_packed_command([b"".join(calls)])
                yield sum(int(connection.read_response()) for _ in calls)
                number += 1
        client.connection_pool.release(connection)


def remove(view: OnlineView, place: RedisPlace, before: datetime) -> int:
    """Removes the values that speak for a time earlier than `before`; returns of how many entities."""
    seconds, rest = divmod(to_micros(before), _SECOND)
    head = encoding.key_head(view)
    pattern = _literal(head) + b"*" + _literal(view.project.encode())
    removed, cursor = 0, b"0"
    with _client(place) as client:
        call = client.register_script(script_text(REMOVE, view, place.fields))
        while True:
            cursor, found = call(args=[cursor, pattern, _KEYS_OF_A_LOOK, seconds, rest * 1000])
            removed += int(found)
            if cursor == b"0":
                return removed


def check(place: RedisPlace) -> None:
    """Asks the server whether it is there."""
    with _client(place) as client:
        client.ping()


def _client(place: RedisPlace) -> Redis:
    import redis

    options = dict(place.options)
    if place.master is not None:
        client: Redis = redis.Sentinel(list(place.nodes), **options).master_for(place.master)
        return client
    host, port = place.nodes[0]
    return redis.Redis(host=host, port=port, **options)


def _calls(chunk: pa.RecordBatch, view: OnlineView, head: bytes) -> list[bytes]:
    """The calls of the script for a chunk, each as the bytes that the server reads."""
    keys = _bytes_and_ends(_bulks(encoding.join(encoding.entity_keys(chunk, view), view.project.encode())))
    given = [_times(chunk, view)]
    given += [encoding.values(chunk.column(f.source), f.kind) for f in view.features]
    arguments = _bytes_and_ends(encoding.join(*[part for values in given for part in _bulk_parts(values)]))
    calls = []
    for first in range(0, chunk.num_rows, _ENTITIES_OF_A_CALL):
        last = min(first + _ENTITIES_OF_A_CALL, chunk.num_rows)
        count = last - first
        start = b"*%d\r\n" % (3 + count * (1 + len(given))) + head + _bulk(b"%d" % count)
        calls.append(b"".join((start, _cut(keys, first, last), _cut(arguments, first, last))))
    return calls


def _times(chunk: pa.RecordBatch, view: OnlineView) -> pa.Array:
    """Messages `Timestamp` of the event times, with the time of the row's making added."""
    seconds, rest = np.divmod(encoding.event_micros(chunk, view), _SECOND)
    created = encoding.created_micros(chunk, view)
    made = encoding.join(_MADE_FIELD, encoding.varints(created))
    parts = [
        _where(seconds != 0, encoding.join(b"\x08", encoding.varints(seconds))),
        _where(rest != 0, encoding.join(b"\x10", encoding.varints(rest * 1000))),
        _where(encoding.known(created), made),
    ]
    return encoding.join(*parts)


def _where(mask: np.ndarray[Any, np.dtype[np.bool_]], found: pa.Array) -> pa.Array:
    return pc.if_else(pa.array(mask), found, pa.scalar(b"", pa.binary()))


def _bulks(values: pa.Array) -> pa.Array:
    return encoding.join(*_bulk_parts(values))


def _bulk_parts(values: pa.Array) -> tuple[pa.Array | bytes, ...]:
    """Bulk strings of the Redis protocol: their length, their bytes."""
    lengths = pc.binary_length(values).cast(pa.string()).cast(pa.binary())
    return (b"$", lengths, b"\r\n", values, b"\r\n")


def _bulk(value: bytes) -> bytes:
    return b"$%d\r\n%s\r\n" % (len(value), value)


def _bytes_and_ends(values: pa.Array) -> tuple[memoryview, list[int]]:
    _, offsets, data = values.buffers()
    ends = np.frombuffer(offsets, np.int32, len(values) + 1, values.offset * 4)
    return memoryview(data), ends.tolist()


def _cut(values: tuple[memoryview, list[int]], first: int, last: int) -> memoryview:
    data, ends = values
    return data[ends[first] : ends[last]]


def _literal(value: bytes) -> bytes:
    """The bytes as a pattern that matches just them."""
    return b"".join(b"\\" + bytes([byte]) if byte in b"*?[]\\^" else bytes([byte]) for byte in value)
