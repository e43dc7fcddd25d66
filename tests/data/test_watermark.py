"""What a silver table covers, and how its rows lie in files."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession
from tidemill.core.config import Layout
from tidemill.data.commit import commit
from tidemill.data.layout import with_layout
from tidemill.data.tables import Lake, Table
from tidemill.data.watermark import first_event, watermark
from tidemill.data.write import Batch
from tidemill.declare import Entity, Source, days, hours

MICRO = timedelta(microseconds=1)
ORDERS = Source("orders", "o.yaml", Entity("customer"))
SILVER = Table(
    "silver",
    "orders",
    (
        ("customer", "string"),
        ("event_time", "timestamp"),
        ("known_time", "timestamp"),
        ("row_id", "string"),
        ("period", "string"),
        ("bucket", "int"),
    ),
    partitions=("period", "bucket"),
    sort=("customer", "event_time", "row_id"),
    entity="customer",
    time="event_time",
)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.fixture
def held(lake: Lake, spark: SparkSession) -> Lake:
    """Three events: one at a full day, one late by a week, one the newest."""
    frame = spark.sql(
        """select * from values
        ('a', timestamp'2024-01-02 00:00:00', timestamp'2024-01-02 00:00:00', '1'),
        ('b', timestamp'2024-01-04 10:30:00', timestamp'2024-01-11 00:00:00', '2'),
        ('c', timestamp'2024-01-05 10:30:00', timestamp'2024-01-05 10:30:00', '3')
        as t(customer, event_time, known_time, row_id)"""
    )
    commit(lake, SILVER, Batch("b", {}), with_layout(frame, SILVER, 4, "all"))
    return lake


def test_the_watermark_is_the_step_after_the_newest_event_known_before(held: Lake) -> None:
    cases = {
        None: at("2024-01-06"),
        "2024-02-01": at("2024-01-06"),
        "2024-01-05T12:00:00": at("2024-01-05T12:00:00"),  # never beyond the moment itself
        "2024-01-05T10:30:00": at("2024-01-03"),  # not yet known then: strictly before
        "2024-01-05": at("2024-01-03"),  # an event at a full step belongs to the step that it opens
        "2024-01-02T00:00:00.000001": at("2024-01-02T00:00:00.000001"),
        "2024-01-02": None,
    }
    found = {text: watermark(held, ORDERS, SILVER, None if text is None else at(text)) for text in cases}
    assert found == cases
    assert first_event(held, SILVER) == at("2024-01-02")


def test_a_row_counts_for_the_watermark_only_when_it_was_known(held: Lake, spark: SparkSession) -> None:
    late = "timestamp'2024-01-20'"
    frame = spark.sql(f"select 'd' customer, timestamp'2024-01-08' event_time, {late} known_time, '4' row_id")
    commit(held, SILVER, Batch("c", {}), with_layout(frame, SILVER, 4, "all"))
    assert watermark(held, ORDERS, SILVER, at("2024-01-20")) == at("2024-01-06")
    assert watermark(held, ORDERS, SILVER, at("2024-01-20") + MICRO) == at("2024-01-09")


@pytest.mark.parametrize(
    ("step", "expected"),
    [(hours(1), "2024-01-05T11:00:00"), (days(7), "2024-01-11"), (MICRO, "2024-01-05T10:30:00.000001")],
)
def test_the_completeness_step_is_the_sources(held: Lake, step: timedelta, expected: str) -> None:
    assert watermark(held, replace(ORDERS, completeness=step), SILVER) == at(expected)


def test_nothing_delivered_has_no_watermark(lake: Lake) -> None:
    assert watermark(lake, ORDERS, SILVER) is None
    assert first_event(lake, SILVER) is None


def test_buckets_do_not_depend_on_the_type_of_the_key(spark: SparkSession) -> None:
    buckets = []
    for kind in ("int", "bigint", "string", "decimal(10,0)"):
        frame = spark.sql(
            f"select cast(id as {kind}) as customer, current_timestamp() as event_time, '' as row_id from range(50)"
        )
        placed = with_layout(frame, SILVER, 8, "all")
        buckets.append({str(row["customer"]): row["bucket"] for row in placed.toLocalIterator()})
    assert buckets[0] == buckets[1] == buckets[2] == buckets[3]
    assert set(buckets[0].values()) == set(range(8))
    assert (buckets[0]["5"], buckets[0]["0"]) == (buckets[2]["5"], buckets[2]["0"])


def test_rows_are_sorted_within_files_and_cut_by_month_in_utc(lake: Lake, spark: SparkSession) -> None:
    lake = replace(lake, layout=Layout(buckets=2, period="month"))
    frame = spark.sql(
        """select concat('c', cast(pmod(id * 7919, 13) as string)) as customer,
        timestamp_micros(1709251199999999 - 86400000000 * pmod(id * 104729, 60) + pmod(id div 60, 2)) as event_time,
        current_timestamp() as known_time, cast(id as string) as row_id from range(400)"""
    )
    commit(lake, SILVER, Batch("b", {}), with_layout(frame.repartition(3), SILVER, 2, "month"))
    files = sorted(lake.folder(SILVER).glob("period=*/bucket=*/*.parquet"))
    folders = {str(file.parent.relative_to(lake.folder(SILVER))) for file in files}
    assert folders == {f"period=2024-{m:02}/bucket={b}" for m in (1, 2, 3) for b in (0, 1)}
    assert len(files) == 6  # one file a period and bucket
    total = 0
    for file in files:
        rows = pq.ParquetFile(file).read().to_pylist()
        order = [(row["customer"], row["event_time"], row["row_id"]) for row in rows]
        assert order == sorted(order)
        assert {f"period={row['event_time']:%Y-%m}" for row in rows} == {file.parent.parent.name}
        total += len(rows)
    assert total == 400
