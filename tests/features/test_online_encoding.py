"""The bytes that Arrow makes are those that Feast makes, and the newest rows of files are those of a naive search."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from feast.infra.key_encoding_utils import serialize_entity_key
from feast.infra.online_stores.helpers import extract_text_and_num
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from hypothesis import given
from hypothesis import strategies as st
from tidemill.data.buckets import BucketFiles
from tidemill.features.online import encoding
from tidemill.features.online.newest import newest_batches
from tidemill.features.online.view import Column, OnlineView, Window

INT32, INT64 = st.integers(-(2**31), 2**31 - 1), st.integers(-(2**63), 2**63 - 1)
TEXTS = st.text(max_size=200)
KINDS: dict[str, tuple[pa.DataType, st.SearchStrategy[Any]]] = {
    "double": (pa.float64(), st.floats(allow_nan=True)),
    "float": (pa.float32(), st.floats(width=32)),
    "int64": (pa.int64(), INT64),
    "int32": (pa.int32(), INT32),
    "bool": (pa.bool_(), st.booleans()),
    "string": (pa.string(), TEXTS),
    "bytes": (pa.binary(), st.binary(max_size=200)),
}


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_values_and_their_texts_are_those_of_feast(kind: str, data: st.DataObject) -> None:
    form, strategy = KINDS[kind]
    given_values = data.draw(st.lists(st.none() | strategy, min_size=1, max_size=20))
    column = pa.array(given_values, form)
    messages = [Value() if v is None else Value(**{f"{kind}_val": v}) for v in column.to_pylist()]
    assert encoding.values(column, kind).to_pylist() == [m.SerializeToString() for m in messages]
    assert encoding.texts(column, kind) == [extract_text_and_num(m, compute_num=False)[0] for m in messages]


def test_times_as_values_are_whole_seconds() -> None:
    column = pa.array([datetime(2024, 1, 1, 0, 0, 1, 999_999, UTC), None], pa.timestamp("us", "UTC"))
    second = Value(unix_timestamp_val=1_704_067_201).SerializeToString()
    assert encoding.values(column, "unix_timestamp").to_pylist() == [second, b""]


@given(st.lists(st.tuples(TEXTS, INT64, INT32), min_size=1, max_size=10))
def test_entity_keys_are_those_of_feast(rows: list[tuple[str, int, int]]) -> None:
    keys = (Column("a", "a", "string"), Column("b", "bb", "int64"), Column("ü", "c", "int32"))
    view = OnlineView("p", "v", keys, (), "t", None)
    schema = pa.schema([("a", pa.string()), ("bb", pa.int64()), ("c", pa.int32())])
    batch = pa.RecordBatch.from_pylist([dict(zip(("a", "bb", "c"), row, strict=True)) for row in rows], schema)
    wanted = [
        serialize_entity_key(
            EntityKey(
                join_keys=["ü", "b", "a"], entity_values=[Value(int32_val=c), Value(int64_val=b), Value(string_val=a)]
            ),
            entity_key_serialization_version=3,
        )
        for a, b, c in rows
    ]
    assert encoding.entity_keys(batch, view).to_pylist() == wanted


START = datetime(2024, 1, 1, tzinfo=UTC)
VIEW = OnlineView("p", "v", (Column("k", "k", "string"),), (Column("x", "x", "int64"),), "at", "made")
INSTANT = pa.timestamp("us", "UTC")
SCHEMA = pa.schema([("k", pa.string()), ("at", INSTANT), ("made", INSTANT), ("x", pa.int64())])
ROWS = st.lists(
    st.tuples(st.none() | st.sampled_from(["", "a", "b", "é"]), st.integers(0, 9), st.none() | st.integers(0, 3)),
    max_size=40,
)


@given(ROWS, st.integers(1, 4), st.integers(0, 9), st.integers(0, 9))
def test_the_newest_rows_of_files_are_those_of_a_naive_search(
    rows: list[tuple[str | None, int, int | None]], files: int, since: int, length: int
) -> None:
    window = Window(START + timedelta(days=since), START + timedelta(days=since + length))
    # Two rows of one key, time and making would be one row twice: which of them is taken nobody could say.
    unique = {(k, at, made): n for n, (k, at, made) in enumerate(rows)}
    table = [
        {
            "k": k,
            "at": START + timedelta(days=at),
            "made": None if made is None else START + timedelta(hours=made),
            "x": n,
        }
        for (k, at, made), n in unique.items()
    ]
    best: dict[str, tuple[int, int, int]] = {}
    for (k, at, made), n in unique.items():
        if k is not None and since <= at <= since + length:
            best[k] = max(best.get(k, (-1, -2, -1)), (at, -1 if made is None else made, n))
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for number in range(files):
            paths.append(str(Path(folder) / f"{number}.parquet"))
            pq.write_table(pa.Table.from_pylist(table[number::files], SCHEMA), paths[-1], row_group_size=3)
        bucket = BucketFiles(0, tuple(paths), 1, len(table))
        found = [row for batch in newest_batches(bucket, SCHEMA, VIEW, window) for row in batch.to_pylist()]
    assert {row["k"]: row["x"] for row in found} == {k: n for k, (_, _, n) in best.items()}
    assert len(found) == len(best)
