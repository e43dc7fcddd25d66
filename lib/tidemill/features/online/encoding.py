"""Feast's byte formats made by Arrow, a column at a time: entity keys of serialization version 3, values, times.

Every function turns columns into binary arrays of the same length. Nothing is done row by row in Python, and Feast,
which takes seconds to import, is not needed. The formats are those of Feast 0.67: `feast/infra/key_encoding_utils.py`
and `protos/feast/types/Value.proto`; the encoding of protocol buffers is specified at protobuf.dev.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tidemill.features.online.view import OnlineView

# The field numbers of Feast's message `Value` with their wire types, and what the numbers of its `ValueType` are.
_TAGS = {
    "bytes": b"\x0a",
    "string": b"\x12",
    "int32": b"\x18",
    "int64": b"\x20",
    "double": b"\x29",
    "float": b"\x35",
    "bool": b"\x38",
    "unix_timestamp": b"\x40",
}
_KEY_TYPES = {"string": 2, "int32": 3, "int64": 4}
_SECOND = 1_000_000
_NEVER = np.iinfo(np.int64).min

KINDS = frozenset(_TAGS)
KEY_KINDS = frozenset(_KEY_TYPES)


def join(*parts: pa.Array | bytes) -> pa.Array:
    """The parts of each row one behind the other; a part that is not an array is the same for every row."""
    scalars = [pa.scalar(p, pa.binary()) if isinstance(p, bytes) else p for p in parts]
    return pc.binary_join_element_wise(*scalars, pa.scalar(b"", pa.binary()))


def fixed(values: NDArray[Any]) -> pa.Array:
    """The bytes of numbers as they lie in memory."""
    width, count = values.dtype.itemsize, len(values)
    offsets = np.arange(count + 1, dtype=np.int32) * width
    return pa.Array.from_buffers(
        pa.binary(), count, [None, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(values))]
    )


def varints(values: NDArray[np.int64]) -> pa.Array:
    """Whole numbers in protobuf's variable length, negative ones in ten bytes."""
    rest = values.astype(np.int64).view(np.uint64)
    digits = np.zeros((len(rest), 10), np.uint8)
    lengths = np.ones(len(rest), np.int64)
    for place in range(10):
        digits[:, place] = rest & np.uint64(0x7F)
        rest = rest >> np.uint64(7)
        more = rest != 0
        if not more.any():
            break
        digits[more, place] |= 0x80
        lengths[more] = place + 2
    offsets = np.concatenate(([0], np.cumsum(lengths))).astype(np.int32)
    used = digits[np.arange(10) < lengths[:, None]]
    return pa.Array.from_buffers(pa.binary(), len(values), [None, pa.py_buffer(offsets), pa.py_buffer(used)])


def values(column: pa.Array, kind: str) -> pa.Array:
    """Feast's `Value` messages; a null is the empty message, and NaN is a number like others."""
    tag, count = _TAGS[kind], len(column)
    if kind in {"string", "bytes"}:
        texts = column.cast(pa.string() if kind == "string" else pa.binary()).cast(pa.binary()).fill_null(b"")
        found = join(tag, varints(pc.binary_length(texts).to_numpy(zero_copy_only=False).astype(np.int64)), texts)
    elif kind in {"double", "float"}:
        form = np.dtype("<f8" if kind == "double" else "<f4")
        numbers = column.cast(pa.float64() if kind == "double" else pa.float32()).fill_null(0)
        raw = np.empty((count, 1 + form.itemsize), np.uint8)
        raw[:, 0] = tag[0]
        raw[:, 1:] = numbers.to_numpy(zero_copy_only=False).astype(form).view(np.uint8).reshape(count, form.itemsize)
        found = fixed(raw.reshape(-1).view(np.dtype((np.void, 1 + form.itemsize))))
    else:
        whole = micros(column) // _SECOND if kind == "unix_timestamp" else _whole(column)
        found = join(tag, varints(whole))
    return pc.if_else(column.is_valid(), found, pa.scalar(b"", pa.binary())) if column.null_count else found


def texts(column: pa.Array, kind: str) -> list[str | None]:
    """What Feast's SQL stores keep beside a value to search in: Python's text of it."""
    if kind in {"bytes", "unix_timestamp"}:
        return [None] * len(column)
    if kind == "string":
        return column.cast(pa.string()).to_pylist()
    form = {"float": pa.float32(), "double": pa.float64(), "bool": pa.bool_()}.get(kind, pa.int64())
    plain = column.cast(form).to_pylist()
    return [None if value is None else str(value) for value in plain]


def entity_keys(batch: pa.RecordBatch, view: OnlineView) -> pa.Array:
    """Entity keys of serialization version 3; no key may be null."""
    parts: list[pa.Array | bytes] = [key_head(view)]
    for key in view.keys:
        column = _plain(batch.column(key.source))
        kind = np.array([_KEY_TYPES[key.kind]], "<u4").tobytes()
        if key.kind == "string":
            text = column.cast(pa.string()).cast(pa.binary())
            lengths = pc.binary_length(text).to_numpy(zero_copy_only=False).astype("<u4")
            parts += [kind, fixed(lengths), text]
        else:
            form = np.dtype("<i8" if key.kind == "int64" else "<i4")
            numbers = column.cast(pa.int64()).to_numpy(zero_copy_only=False).astype(form)
            parts += [kind, np.array([form.itemsize], "<u4").tobytes(), fixed(numbers)]
    return join(*parts) if batch.num_rows else pa.array([], pa.binary())


def key_head(view: OnlineView) -> bytes:
    """What all entity keys of a view begin with: how many join keys there are, and their names."""
    names = [key.name.encode() for key in view.keys]
    lengths = [np.array([2, len(name)], "<u4").tobytes() for name in names]
    return np.array([len(names)], "<u4").tobytes() + b"".join(a + b for a, b in zip(lengths, names, strict=True))


def micros(column: pa.Array) -> NDArray[np.int64]:
    """Microseconds since the epoch; a null is earlier than all else."""
    zone = getattr(column.type, "tz", None)
    whole = column.cast(pa.timestamp("us", tz=zone)).cast(pa.int64()).fill_null(_NEVER)
    return np.asarray(whole.to_numpy(zero_copy_only=False), np.int64)


def event_micros(batch: pa.RecordBatch, view: OnlineView) -> NDArray[np.int64]:
    """When the rows speak for."""
    return micros(_plain(batch.column(view.event)))


def created_micros(batch: pa.RecordBatch, view: OnlineView) -> NDArray[np.int64]:
    """When the rows were made; the least number where that is not known."""
    if view.created is None:
        return np.full(batch.num_rows, _NEVER)
    return micros(_plain(batch.column(view.created)))


def known(created: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Where it is known when a row was made."""
    return created != _NEVER


def _whole(column: pa.Array) -> NDArray[np.int64]:
    plain = column.cast(pa.uint8()) if pa.types.is_boolean(column.type) else column
    return np.asarray(plain.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False), np.int64)


def _plain(column: pa.Array) -> pa.Array:
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
