"""Profiles of batches, files and tables: what is exact equals a naive count and plain Spark, however rows are cut."""

import math
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from tidemill.data import profile_work
from tidemill.data.column_sketches import count_column, kind_of, sketch_column
from tidemill.data.commit import commit
from tidemill.data.files import DataFile
from tidemill.data.profile_rows import COUNTED_COLUMNS, ColumnProfile, Key, from_row
from tidemill.data.profile_work import Wanted, WholeDays, merge_profiles, merged, profiles_of_batches, profiles_of_file
from tidemill.data.profiles import build_frame_profiles, build_table_profiles, table_profiles
from tidemill.data.read import read
from tidemill.data.tables import Lake, Table
from tidemill.data.write import Batch
from tidemill.stats.bins import NUMBER, TEXT, Bins, choose_bins
from tidemill.stats.sketch import Sketch

FIRST = datetime(2024, 3, 1, 22, tzinfo=UTC)
BINS = {"x": Bins("x", NUMBER, (-1.0, 0.0, 2.5)), "t": Bins("t", TEXT, values=("a", ""))}
WANTED = Wanted(("x", "t", "n"), day="at", slices=("t",), bins=BINS)


def rows_of(number: int, seed: int = 0) -> pa.Table:
    rng = np.random.default_rng(seed)
    x = np.where(rng.random(number) < 0.2, np.nan, np.round(rng.standard_normal(number) * 3))
    texts = [None if v > 0.9 else "abé"[: int(v * 4)] for v in rng.random(number)]
    at = [FIRST + timedelta(hours=int(h)) for h in rng.integers(0, 60, number)]
    return pa.table(
        {
            "x": pa.array(x, mask=rng.random(number) < 0.1),
            "t": pa.array(texts, pa.string()),
            "n": pa.array(rng.integers(-2, 3, number), pa.int64()),
            "at": pa.array(at, pa.timestamp("us", "UTC")),
        }
    )


def read_back(batches: Any) -> dict[Key, ColumnProfile]:
    found = [from_row(row) for batch in batches for row in batch.to_pylist()]
    by_key = {p.key: p for p in found}
    assert len(by_key) == len(found)
    return by_key


def test_a_reader_of_counts_gets_the_same_counts_without_what_tells_values_apart() -> None:
    (batch, *_) = profiles_of_batches(rows_of(300).to_batches(), WANTED)
    whole, counted = (merged(map(from_row, rows.to_pylist())) for rows in (batch, batch.select(COUNTED_COLUMNS)))
    for one, other in zip(whole, counted, strict=True):
        assert (one.key, one.kind, one.bins, one.sketch.moments) == (
            other.key,
            other.kind,
            other.bins,
            other.sketch.moments,
        )
        assert (one.sketch.rows, one.sketch.nulls) == (other.sketch.rows, other.sketch.nulls)
        assert np.array_equal(one.sketch.quantiles.values, other.sketch.quantiles.values)
        if one.sketch.counts is not None and other.sketch.counts is not None:
            assert one.sketch.counts.tolist() == other.sketch.counts.tolist()
        assert dict(other.sketch.frequent.counts) == {}
        assert other.sketch.distinct.estimate == 0
    assert any(dict(one.sketch.frequent.counts) for one in whole)


def assert_is_of(found: Sketch, values: list[Any], bins: Bins | None) -> None:
    """A sketch against the values that it is of, counted one by one."""
    known = [v for v in values if v is not None and not (isinstance(v, float) and math.isnan(v))]
    assert (found.rows, found.nulls) == (len(values), len(values) - len(known))
    assert found.zeros == sum(1 for v in known if v in (0, ""))
    assert found.distinct.estimate == len(set(known))
    assert found.frequent.error == 0
    assert dict(found.frequent.counts) == dict(Counter(known))
    measured = [len(v) if isinstance(v, str) else v for v in known]
    if measured:
        assert math.isclose(found.moments.mean, sum(measured) / len(measured), abs_tol=1e-12)
        assert (found.moments.low, found.moments.high) == (min(measured), max(measured))
    if bins is not None and bins.kind == NUMBER:
        assert found.counts is not None
        assert (
            found.counts.tolist()
            == np.bincount([sum(1 for e in bins.edges if v >= e) for v in known], minlength=bins.size)
            .astype(int)
            .tolist()
        )
    elif bins is not None:
        assert found.counts is not None
        told = [sum(1 for v in known if v == value) for value in bins.values]
        assert found.counts.tolist() == [*told, len(known) - sum(told)]


def assert_profiles(found: dict[Key, ColumnProfile], rows: pa.Table) -> None:
    values = rows.to_pylist()
    expected = {(day, "") for day in {r["at"].date() for r in values}}
    expected |= {(r["at"].date(), r["t"] or "") for r in values}
    slices = {(k.day, k.slice_value) for k in found}
    assert slices == expected
    for key, profile in found.items():
        mine = [r[key.column] for r in values if r["at"].date() == key.day]
        if key.slice:
            mine = [r[key.column] for r in values if r["at"].date() == key.day and (r["t"] or "") == key.slice_value]
        assert_is_of(profile.sketch, mine, BINS.get(key.column))


@pytest.mark.parametrize("pieces", [1, 7, 40])
def test_any_cut_of_rows_gives_the_profile_of_the_whole(pieces: int) -> None:
    rows = rows_of(600)
    cuts = np.linspace(0, 600, pieces + 1).astype(int)
    sent = []
    for start, end in pairwise(cuts):
        batches = rows.slice(start, end - start).to_batches(max_chunksize=31)
        sent += list(profiles_of_batches(batches, WANTED))
    found = read_back(merge_profiles(sent))
    assert_profiles(found, rows)
    by_day = [p for p in found.values() if not p.key.slice]
    whole = {p.key.column: p for p in merged(p.of_all_days for p in by_day)}
    for name in ("x", "t", "n"):
        assert_is_of(whole[name].sketch, rows.column(name).to_pylist(), BINS.get(name))


def test_files_are_read_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profile_work, "PIECE", 64)
    rows = rows_of(500, seed=4)
    pq.write_table(rows, tmp_path / "one.parquet", row_group_size=200)
    file = DataFile(str(tmp_path / "one.parquet"), 1, 500)
    assert_profiles(read_back(profiles_of_file(file, WANTED)), rows)


def test_every_type_has_its_profile() -> None:
    at = datetime(2024, 1, 2, tzinfo=UTC)
    found = sketch_column(pa.array([at, None], pa.timestamp("us", "UTC")))
    assert found.moments.high == at.timestamp() * 1e6
    assert sketch_column(pa.array([date(1970, 1, 3)])).moments.high == 2.0
    assert sketch_column(pa.array([True, False, None])).moments.mean == 0.5
    assert sketch_column(pa.array([Decimal("1.25"), Decimal("0.00")])).zeros == 1
    assert sketch_column(pa.array([2**60 + 1])).moments.high == 2.0**60
    nested = sketch_column(pa.array([[1], None], pa.list_(pa.int64())))
    assert (nested.rows, nested.nulls, nested.distinct.estimate) == (2, 1, 0)
    assert kind_of(pa.list_(pa.int64())) is None
    assert sketch_column(pa.array([None, None], pa.string())).nulls == 2


@given(st.lists(st.none() | st.floats(width=32), max_size=40), st.lists(st.none() | st.text(max_size=3), max_size=40))
def test_counts_alone_are_those_of_the_whole_sketch(numbers: list[float | None], texts: list[str | None]) -> None:
    for column, name in ((pa.array(numbers, pa.float64()), "x"), (pa.array(texts, pa.string()), "t")):
        whole, alone = sketch_column(column, BINS[name]), count_column(column, BINS[name])
        assert whole.counts is not None
        assert alone.counts is not None
        assert (whole.rows, whole.nulls, whole.counts.tolist()) == (alone.rows, alone.nulls, alone.counts.tolist())


@pytest.mark.parametrize(("shift", "kept"), [(0.0, True), (0.5, True), (2.0, False)])
def test_bins_stay_while_they_tell_rows_apart(shift: float, kept: bool) -> None:
    values = np.random.default_rng(1).standard_normal(5_000)
    former = choose_bins("x", NUMBER, sketch_column(pa.array(values)), 10)
    now = sketch_column(pa.array(values + shift))
    chosen = choose_bins("x", NUMBER, now, 10, former)
    assert (chosen == former) == kept
    assert kept or chosen == choose_bins("x", NUMBER, now, 10)
    assert choose_bins("x", NUMBER, now, 10, Bins("x", TEXT, values=("a",))) == choose_bins("x", NUMBER, now, 10)


def test_bins_of_a_text_stay_while_few_values_are_new() -> None:
    former = Bins("t", TEXT, values=("a", "b"))

    def chosen(*texts: str) -> Bins:
        return choose_bins("t", TEXT, sketch_column(pa.array(texts)), 10, former)

    assert chosen(*["a"] * 99, "b") == former
    assert chosen(*["a"] * 900, *["c"] * 5) == former
    assert chosen(*["a"] * 90, *["c"] * 10).values == ("a", "c")


def test_whole_days_of_a_source_are_seen_as_long_after_their_end() -> None:
    """Three days, a row of each known at once, one known an hour after the day's end, one two days after; a delete."""
    midnight = datetime(2026, 3, 1, tzinfo=UTC)
    rows = [
        {"x": float(day), "event_time": midnight + timedelta(days=day, hours=23), "op": op,
         "known_time": midnight + timedelta(days=day + 1) + late}
        for day in range(3)
        for op, late in (("upsert", timedelta(hours=-1)), ("upsert", timedelta(hours=1)),
                         ("upsert", timedelta(days=2)), ("delete", timedelta(hours=-1)))
    ]  # fmt: skip
    moment = pa.timestamp("us", "UTC")
    schema = pa.schema([("x", pa.float64()), ("event_time", moment), ("known_time", moment), ("op", pa.string())])
    batch = pa.RecordBatch.from_pylist(rows, schema=schema)

    def seen(after: timedelta) -> dict[Any, int]:
        days = WholeDays(midnight + timedelta(days=1), midnight + timedelta(days=3), after)
        found = read_back(profiles_of_batches([batch], Wanted(("x",), "event_time", days=days)))
        return {key.day: profile.sketch.rows for key, profile in found.items()}

    second, third = date(2026, 3, 2), date(2026, 3, 3)
    assert seen(timedelta(0)) == {second: 1, third: 1}
    assert seen(timedelta(hours=2)) == {second: 2, third: 2}
    assert seen(timedelta(days=3)) == {second: 3, third: 3}


def test_a_column_that_a_file_has_not_got_has_no_profile_of_it(tmp_path: Path) -> None:
    path = tmp_path / "old.parquet"
    pq.write_table(pa.table({"x": [1.0, 2.0]}), path)
    found = read_back(profiles_of_file(DataFile(str(path), 1, 2), Wanted(("x", "later"))))
    assert {key.column: profile.sketch.rows for key, profile in found.items()} == {"x": 2}


def test_bins_are_chosen_by_reference_rows() -> None:
    found = sketch_column(pa.array(np.arange(1000.0)))
    assert choose_bins("x", NUMBER, found, 4).edges == (249.0, 499.0, 749.0)
    assert choose_bins("x", NUMBER, sketch_column(pa.array([5.0] * 9)), 4).labels == ("< 5", "5", "> 5")
    assert choose_bins("t", TEXT, sketch_column(pa.array(["b", "a", "b"])), 4).labels == ("b", "a", "other")
    assert choose_bins("x", NUMBER, sketch_column(pa.array([None], pa.float64())), 4).labels == ("all",)


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
def test_slices_of_arrays_are_texts_of_their_own(kind: pa.DataType) -> None:
    whole = pa.array(["no", "", "yes", None, "yes"], pa.string()).cast(kind)
    found = sketch_column(whole.slice(1, 4))
    assert dict(found.frequent.counts) == {"yes": 2, "": 1}
    assert found.distinct.hashes.tolist() == sketch_column(pa.array(["", "yes"])).distinct.hashes.tolist()


def test_a_table_by_its_files_by_spark_and_in_sql(lake: Lake, spark: SparkSession) -> None:
    table = Table(
        "silver",
        "things",
        (("x", "double"), ("t", "string"), ("n", "bigint"), ("at", "timestamp"), ("part", "int")),
        partitions=("part",),
    )
    rows = rows_of(700, seed=9)
    frame = spark.createDataFrame(rows.to_pandas(), "x double, t string, n bigint, at timestamp")
    # Pandas has no null beside NaN.
    frame = frame.withColumn("x", F.when(F.isnan("x"), None).otherwise(F.col("x"))).withColumn("part", F.col("n") % 2)
    frame = frame.withColumn("part", F.abs("part").cast("int"))
    commit(lake, table, Batch("one", {"of": 1}), frame.repartition(3))
    by_files = read_back([batch_of(build_table_profiles(spark, lake, table, WANTED))])
    by_frame = read_back([batch_of(build_frame_profiles(read(spark, lake, table), WANTED))])
    assert by_files.keys() == by_frame.keys()
    small = read_back([table_profiles(lambda: spark, lake, table, WANTED)])  # of so few bytes it is made right here
    assert {k: p.sketch.rows for k, p in small.items()} == {k: p.sketch.rows for k, p in by_files.items()}
    odd = read_back([batch_of(build_table_profiles(spark, lake, table, WANTED, {"part": "1"}))])
    assert sum(p.sketch.rows for k, p in odd.items() if k.column == "x" and not k.slice) == sum(
        n % 2 for n in rows.column("n").to_pylist()
    )
    twin = {
        row["day"]: row
        for row in frame.groupBy(F.to_date("at").alias("day")).agg(*_exact("x", BINS["x"].edges)).toLocalIterator()
    }
    for day, row in twin.items():
        for found in (by_files, by_frame):
            sketch = found[Key("", "", day, "x")].sketch
            assert (sketch.rows, sketch.nulls, sketch.zeros) == (row["rows"], row["nulls"], row["zeros"])
            assert (sketch.moments.low, sketch.moments.high) == (row["low"], row["high"])
            assert math.isclose(sketch.moments.mean, row["mean"], rel_tol=1e-12, abs_tol=1e-12)
            assert math.isclose(sketch.moments.deviation, row["deviation"], rel_tol=1e-12)
            assert sketch.counts is not None
            assert sketch.counts.tolist() == row["counts"]


def _exact(name: str, edges: tuple[float, ...]) -> list[Any]:
    x = F.col(name)
    ends = [-math.inf, *edges, math.inf]
    inside = [F.count_if((x >= a) & (x < b)) for a, b in pairwise(ends)]
    return [
        F.count(F.lit(1)).alias("rows"),
        F.count_if(x.isNull()).alias("nulls"),
        F.count_if(x == 0).alias("zeros"),
        F.min(x).alias("low"),
        F.max(x).alias("high"),
        F.avg(x).alias("mean"),
        F.stddev_pop(x).alias("deviation"),
        F.array(*inside).alias("counts"),
    ]


def batch_of(frame: Any) -> pa.Table:
    return frame.toArrow()
