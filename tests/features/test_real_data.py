"""Declared features of real data: CDNOW's published summary, and DuckDB's answers on Online Retail."""

import gzip
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from pyspark.sql import DataFrame, SparkSession
from tidemill.declare import (
    Aggregate,
    Difference,
    Entity,
    Expression,
    FeatureView,
    Gaps,
    Recency,
    Source,
    Streak,
    Tenure,
    days,
)
from tidemill.features.compute import build_view
from tidemill.features.pairs import with_validity

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
CUSTOMER = Entity("customer")
PURCHASES = Source("purchases", "p.yaml", CUSTOMER)
SILVER = "event_time as known_time, 0::bigint as seq, 0::bigint as content, 'upsert' as op"


def view_of(*features: Any) -> FeatureView:
    return FeatureView("v", 1, CUSTOMER, PURCHASES, features, cadence=days(1), ttl=days(1))


@pytest.fixture
def db() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(config={"threads": 2}) as connection:
        connection.execute("set timezone = 'UTC'")
        yield connection


def events_of(spark: SparkSession, db: duckdb.DuckDBPyConnection, query: str, path: Path) -> DataFrame:
    """The rows of a query as silver rows."""
    db.execute(f"copy ({query}) to '{path}' (format parquet)")
    return with_validity(spark.read.parquet(str(path)), versions=False)


def found(frame: DataFrame) -> dict[str, dict[str, Any]]:
    return {row["customer"]: row.asDict() for row in frame.toLocalIterator()}


def test_recency_frequency_and_tenure_of_cdnow_are_the_published_ones(
    spark: SparkSession, db: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    plain = tmp_path / "sample.txt"
    plain.write_bytes(gzip.decompress((EXAMPLES / "cdnow" / "CDNOW_sample.txt.gz").read_bytes()))
    db.execute(
        "create table lines as select regexp_split_to_array(trim(line), ' +') as parts, row_number() over () as n"
        f" from read_csv('{plain}', columns = {{'line': 'varchar'}}, delim = '\t', header = false) as t(line)"
    )
    purchases = (
        "select parts[2] as customer, strptime(parts[3], '%Y%m%d')::timestamptz as event_time, parts[3] as day,"
        f" 'row ' || n as row_id, {SILVER} from lines"
    )
    view = view_of(
        Recency(),
        Tenure(),
        Aggregate("count_distinct", "day"),
        Expression("day_count_distinct - 1", name="frequency"),
        Difference("tenure_days", "recency_days", name="recency"),
        # The calibration ends with the last of September: its T counts up to the beginning of that day.
        Expression("tenure_days - 1", name="T"),
    )
    at = datetime(1997, 10, 1, tzinfo=UTC)
    built = found(build_view(events_of(spark, db, purchases, tmp_path / "p.parquet"), view, [at]))
    db.execute(f"create table summary as from read_csv('{EXAMPLES / 'cdnow' / 'cdnow_customers_summary.csv.gz'}')")
    published = {f"{row[0]:04}": row[1:] for row in db.execute("from summary").fetchall()}
    assert len(published) == 2357
    # The summary gives weeks to two decimals.
    ours = {
        name: (row["frequency"], round(row["recency"] / 7, 2), round(row["T"] / 7, 2)) for name, row in built.items()
    }
    assert ours == {name: tuple(map(float, row)) for name, row in published.items()}


RETAIL = view_of(
    Aggregate("count", windows=(days(90),)),
    Aggregate("count", by="country", values=("France", "Germany"), windows=(days(90),)),
    Aggregate("top", "stock_code", windows=(days(90),)),
    Aggregate("share", "unit_price", value="1.25", windows=(days(90),)),
    Aggregate("quantile", "amount", q=0.9, windows=(days(90),)),
    Aggregate("slope", "amount", windows=(days(90),)),
    Gaps(("mean", "min", "max", "stddev"), windows=(days(90),), distinct=True),
    Streak(days(7), days(84)),
    Expression("log1p(max(amount_q90_90d, 0)) / (events_count_90d + 1)", name="worth"),
)
ORACLE = """
with seen as (
    select * from lines
    where event_time < timestamptz '2011-11-01' and event_time >= timestamptz '2011-11-01' - interval 90 days
),
instants as (
    select customer, (epoch_us(event_time) - epoch_us(lag(event_time) over one)) / 86400e6 as gap
    from (select distinct customer, event_time from seen)
    window one as (partition by customer order by event_time)
),
gaps as (
    select customer, avg(gap) as mean, min(gap) as least, max(gap) as most, stddev_samp(gap) as deviation
    from instants group by customer
),
weeks as (
    select distinct customer, floor((epoch_us(timestamptz '2011-11-01') - epoch_us(event_time) - 1) / 604800e6) as week
    from seen where event_time >= timestamptz '2011-11-01' - interval 84 days
),
runs as (
    select customer, min(week) as first, count(*) as length
    from (select *, week - row_number() over (partition by customer order by week) as run from weeks)
    group by customer, run
),
streaks as (
    select customer, max(if(first = 0, length, 0)) as current, max(length) as longest from runs group by customer
),
codes as (
    select customer, first(stock_code order by times desc, stock_code) as top
    from (select customer, stock_code, count(*) as times from seen group by all) group by customer
)
select customer, count(s.event_time), count(*) filter (country = 'France' and s.event_time is not null),
    count(*) filter (country = 'Germany' and s.event_time is not null), top,
    count(*) filter (unit_price = 1.25) / nullif(count(unit_price), 0), quantile_cont(amount, 0.9),
    if(min(s.event_time) < max(s.event_time), regr_slope(amount, epoch_us(s.event_time) / 86400e6), null),
    any_value(mean), any_value(least), any_value(most),
    any_value(deviation), coalesce(any_value(current), 0), coalesce(any_value(longest), 0),
    ln(1 + greatest(quantile_cont(amount, 0.9), 0)) / (count(s.event_time) + 1)
from (select distinct customer from lines where event_time < timestamptz '2011-11-01')
left join seen s using (customer) left join gaps using (customer) left join streaks using (customer)
left join codes using (customer)
group by customer, top
"""


def test_features_of_online_retail_are_duckdbs(
    spark: SparkSession, db: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    db.execute(
        "create table lines as"
        " select split_part(CustomerID, '.', 1) as customer, InvoiceDate::timestamptz as event_time,"
        " StockCode as stock_code, Country as country, UnitPrice as unit_price,"
        " (Quantity * UnitPrice)::double as amount,"
        f" 'row ' || row_number() over () as row_id, {SILVER.replace('event_time', 'InvoiceDate::timestamptz')}"
        f" from read_csv('{EXAMPLES / 'online_retail' / 'online_retail.csv.gz'}', types = {{'CustomerID': 'varchar',"
        " 'StockCode': 'varchar', 'InvoiceNo': 'varchar', 'UnitPrice': 'decimal(12,2)', 'InvoiceDate': 'timestamp'})"
        " where CustomerID is not null and split_part(CustomerID, '.', 1)::int % 4 = 0"
    )
    built = found(
        build_view(
            events_of(spark, db, "from lines", tmp_path / "lines.parquet"), RETAIL, [datetime(2011, 11, 1, tzinfo=UTC)]
        )
    )
    names = [f.name for f in RETAIL.columns]
    theirs = {row[0]: dict(zip(names, row[1:], strict=True)) for row in db.execute(ORACLE).fetchall()}
    assert set(built) == set(theirs)
    assert len(theirs) > 900
    wrong = [
        (customer, name, built[customer][name], value)
        for customer, row in sorted(theirs.items())
        for name, value in row.items()
        if not same(built[customer][name], value, name)
    ]
    assert not wrong, wrong[:10]


def same(ours: Any, theirs: Any, name: str) -> bool:
    if ours is None or theirs is None or isinstance(ours, str):
        return bool(ours == theirs)
    # DuckDB's slope is made of running sums over days since 1970.
    return bool(
        ours == pytest.approx(theirs, rel=1e-6 if "slope" in name else 1e-12, abs=1e-9 if "slope" in name else 0)
    )
