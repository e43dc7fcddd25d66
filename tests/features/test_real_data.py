"""Declared features of real data: CDNOW's published summary, and DuckDB's answers on Online Retail and CDNOW."""

import gzip
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from pyspark.sql import DataFrame, SparkSession
from tidemill.core.time import to_micros
from tidemill.data.buckets import BucketFiles
from tidemill.data.tables import Table
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
from tidemill.features.declarations import aggregate_names
from tidemill.features.pairs import with_validity
from tidemill.features.window_plan import plan_of
from tidemill.features.windows_buckets import bucket_rows

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


def by_customer(frame: DataFrame) -> dict[str, dict[str, Any]]:
    return {row["customer"]: row.asDict() for row in frame.toLocalIterator()}


def land_purchases(db: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """CDNOW's lines, each as the array of its fields."""
    plain = folder / "sample.txt"
    plain.write_bytes(gzip.decompress((EXAMPLES / "cdnow" / "CDNOW_sample.txt.gz").read_bytes()))
    db.execute(
        "create table purchases as select regexp_split_to_array(trim(line), ' +') as parts, row_number() over () as n"
        f" from read_csv('{plain}', columns = {{'line': 'varchar'}}, delim = '\t', header = false) as t(line)"
    )


def test_recency_frequency_and_tenure_of_cdnow_are_the_published_ones(
    spark: SparkSession, db: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    land_purchases(db, tmp_path)
    purchases = (
        "select parts[2] as customer, strptime(parts[3], '%Y%m%d')::timestamptz as event_time, parts[3] as day,"
        f" 'row ' || n as row_id, {SILVER} from purchases"
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
    built = by_customer(build_view(events_of(spark, db, purchases, tmp_path / "p.parquet"), view, [at]))
    db.execute(f"create table summary as from read_csv('{EXAMPLES / 'cdnow' / 'cdnow_customers_summary.csv.gz'}')")
    published = {f"{row[0]:04}": row[1:] for row in db.execute("from summary").fetchall()}
    assert len(published) == 2357
    # The summary gives weeks to two decimals.
    ours = {
        name: (row["frequency"], round(row["recency"] / 7, 2), round(row["T"] / 7, 2)) for name, row in built.items()
    }
    assert ours == {name: tuple(map(float, row)) for name, row in published.items()}


# ------------------------------------------------------------------------------------------- every aggregate, by DuckDB


@dataclass(frozen=True)
class Data:
    """A real data set as `lines`: an amount, a price, a text, and a kind that rows are told apart by."""

    lines: str
    kinds: tuple[str, str]
    price: str
    at: datetime
    customers: int

    def algebraic(self, *windows: timedelta) -> tuple[Aggregate, ...]:
        """The aggregates that buckets compute, too."""
        numbers = ("count", "sum", "mean", "stddev", "min", "max", "first", "last", "slope")
        return (
            Aggregate("count", windows=windows),
            *(Aggregate(f, column, windows=windows) for f in numbers for column in ("amount", "price")),
            Aggregate("last_text", "code", windows=windows),
            Aggregate("share", "price", value=self.price, windows=windows),
            Aggregate("share", "kind", value=self.kinds[0], windows=windows),
            *(Aggregate(f, "amount", by="kind", values=self.kinds, windows=windows) for f in ("count", "sum", "last")),
        )

    def others(self, *windows: timedelta) -> tuple[Aggregate, ...]:
        """The aggregates that only Spark computes."""
        return (
            Aggregate("count_distinct", "code", windows=windows),
            Aggregate("count_distinct", "price", windows=windows),
            Aggregate("top", "code", windows=windows),
            Aggregate("quantile", "amount", q=0.9, windows=windows),
            Aggregate("quantile", "price", q=0.5, windows=windows),
        )


RETAIL = Data(
    "select split_part(CustomerID, '.', 1) as customer, InvoiceDate::timestamptz as event_time,"
    " (Quantity * UnitPrice)::double as amount, UnitPrice as price, StockCode as code, Country as kind"
    f" from read_csv('{EXAMPLES / 'online_retail' / 'online_retail.csv.gz'}', types = {{'CustomerID': 'varchar',"
    " 'StockCode': 'varchar', 'InvoiceNo': 'varchar', 'UnitPrice': 'decimal(12,2)', 'InvoiceDate': 'timestamp'})"
    " where CustomerID is not null",
    ("France", "United Kingdom"),
    "1.25",
    datetime(2011, 11, 1, tzinfo=UTC),
    3900,
)
CDNOW = Data(
    "select parts[2] as customer, strptime(parts[3], '%Y%m%d')::timestamptz as event_time, parts[5]::double as amount,"
    " parts[5]::decimal(12,2) as price, parts[3] as code, parts[4]::int as kind from purchases",
    ("1", "2"),
    "14.37",
    datetime(1997, 7, 1, tzinfo=UTC),
    2300,
)
COLUMNS = {
    "customer": "string",
    "event_time": "timestamp",
    "known_time": "timestamp",
    "amount": "double",
    "price": "decimal(12,2)",
    "code": "string",
    "seq": "bigint",
    "content": "bigint",
    "op": "string",
    "row_id": "string",
    "period": "string",
    "bucket": "int",
}
DATA = pytest.mark.parametrize("data", [RETAIL, CDNOW], ids=["online retail", "cdnow"])
ORACLE = """
with seen as (
    select * from lines where event_time < $at and event_time >= $at - to_seconds($seconds)
),
ranked as (
    select customer, first(code order by times desc, code) as top
    from (select customer, code, count(*) as times from seen group by all) group by customer
)
select customer, {columns}
from (select distinct customer from lines where event_time < $at)
left join seen using (customer) left join ranked using (customer)
group by customer
"""
ORACLES = {
    "count": "count({x}) {those}",
    "count_distinct": "count(distinct {x}) {those}",
    "sum": "coalesce(sum({x}) {those}, 0)",
    "mean": "avg({x}) {those}",
    "stddev": "stddev_samp({x}) {those}",
    "min": "min({x}) {those}",
    "max": "max({x}) {those}",
    "first": "first({x} order by event_time, row_id) {those}",
    "last": "first({x} order by event_time desc, row_id desc) {those}",
    "last_text": "first({x} order by event_time desc, row_id desc) {those}",
    "quantile": "quantile_cont({x}::double, {q}) {those}",
    "share": "count_if({x}::varchar = '{value}') {those} / nullif(count({x}) {those}, 0)",
    "slope": "if(min(event_time) {those} < max(event_time) {those}, regr_slope({x}, {days}) {those}, null)",
    "top": "any_value(top)",
}
DAYS = "(epoch_us(event_time) - epoch_us($at)) / 86400e6"
ADDED_UP = ("sum", "mean", "stddev", "slope")  # in another order than ours; what cancels is zero to eight digits


def oracle(aggregates: Sequence[Aggregate], window: timedelta) -> dict[str, str]:
    """What DuckDB computes of `seen` for each feature of the window."""
    found = {}
    for item in aggregates:
        for cell in item.cells():
            if cell.window == window:
                x = item.column or "event_time"
                those = f"filter ({x} is not null" + (f" and kind::varchar = '{cell.value}')" if item.by else ")")
                found[cell.feature.name] = ORACLES[item.function].format(
                    x=x, those=those, q=item.q, value=item.value, days=DAYS
                )
    return found


def agrees(
    rows: dict[str, dict[str, Any]],
    db: duckdb.DuckDBPyConnection,
    aggregates: Sequence[Aggregate],
    at: datetime,
) -> None:
    """All features of all customers, against DuckDB's."""
    for window in dict.fromkeys(window for item in aggregates for window in item.windows):
        columns = oracle(aggregates, window)
        asked = ORACLE.format(columns=", ".join(columns.values()))
        theirs = db.execute(asked, {"at": at, "seconds": window.total_seconds()}).fetchall()
        assert {row[0] for row in theirs} == set(rows)
        wrong = [
            (customer, name, rows[customer][name], value)
            for customer, *values in theirs
            for name, value in zip(columns, values, strict=True)
            if not same(rows[customer][name], value, name)
        ]
        assert not wrong, wrong[:10]
        seen = [name for n, name in enumerate(columns) if any(row[n + 1] is not None for row in theirs)]
        assert seen == list(columns)  # none of them is null everywhere


def same(ours: Any, theirs: Any, name: str) -> bool:
    if ours is None or theirs is None or isinstance(ours, str):
        return bool(ours == theirs)
    # DuckDB's slope is made of running sums over days in doubles, and two points may lie a minute apart.
    rel = 1e-9 if "_slope_" in name else 1e-12
    return bool(ours == pytest.approx(float(theirs), rel=rel, abs=1e-8 if added_up(name) else 0))


def added_up(name: str) -> bool:
    return any(f"_{function}_" in name for function in ADDED_UP)


def land(db: duckdb.DuckDBPyConnection, data: Data, folder: Path) -> None:
    """Makes `lines` of a data set, as silver has them."""
    if data is CDNOW:
        land_purchases(db, folder)
    db.execute(
        f"create table lines as select *, 'row ' || row_number() over () as row_id, {SILVER} from ({data.lines})"
    )


def test_every_aggregate_has_an_oracle() -> None:
    assert set(ORACLES) == set(aggregate_names())
    assert {item.function for item in (*RETAIL.algebraic(), *RETAIL.others())} == set(aggregate_names())


@DATA
def test_buckets_agree_with_duckdb(db: duckdb.DuckDBPyConnection, tmp_path: Path, data: Data) -> None:
    land(db, data, tmp_path)
    aggregates = data.algebraic(days(28), days(90))
    paths, view = [str(tmp_path / f"{n}.parquet") for n in range(2)], view_of(*aggregates)
    for n, path in enumerate(paths):  # two files whose rows interleave
        part = f"from lines where hash(row_id) % 2 = {n} order by customer, event_time, row_id"
        db.execute(f"copy ({part}) to '{path}' (format parquet)")
    kinds = COLUMNS | {"kind": "int" if data is CDNOW else "string"}
    silver = Table("silver", "lines", tuple(kinds.items()), ("period", "bucket"), (), "customer", "event_time")
    plan = replace(plan_of(silver, view, versions=False), as_ofs=(to_micros(data.at),), piece_rows=50_000)
    files = BucketFiles(0, tuple(paths), 1, db.execute("select count(*) from lines").fetchall()[0][0])
    rows = [row for batch in bucket_rows(files, plan) for row in batch.to_pylist()]
    found = {row["customer"]: row for row in rows}
    assert len(rows) == len(found) > data.customers
    agrees(found, db, aggregates, data.at)


COURSES = (
    Gaps(("mean", "min", "max", "stddev"), windows=(days(90),), distinct=True),
    Streak(days(7), days(84)),
    Expression("log1p(max(amount_q90_90d, 0)) / (events_count_90d + 1)", name="worth"),
)
ORACLE_OF_COURSES = """
with seen as (
    select * from lines where event_time < $at and event_time >= $at - interval 90 days
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
    select distinct customer, floor((epoch_us($at) - epoch_us(event_time) - 1) / 604800e6) as week
    from seen where event_time >= $at - interval 84 days
),
runs as (
    select customer, min(week) as first, count(*) as length
    from (select *, week - row_number() over (partition by customer order by week) as run from weeks)
    group by customer, run
),
streaks as (
    select customer, max(if(first = 0, length, 0)) as current, max(length) as longest from runs group by customer
)
select customer, any_value(mean), any_value(least), any_value(most), any_value(deviation),
    coalesce(any_value(current), 0), coalesce(any_value(longest), 0),
    ln(1 + greatest(quantile_cont(amount, 0.9), 0)) / (count(event_time) + 1)
from (select distinct customer from lines where event_time < $at)
left join seen using (customer) left join gaps using (customer) left join streaks using (customer)
group by customer
"""


@DATA
def test_spark_agrees_with_duckdb(
    spark: SparkSession, db: duckdb.DuckDBPyConnection, tmp_path: Path, data: Data
) -> None:
    land(db, data, tmp_path)
    db.execute("delete from lines where customer::int % 8 <> 0")
    aggregates = (*data.algebraic(days(90)), *data.others(days(90)))
    events = events_of(spark, db, "from lines", tmp_path / "lines.parquet")
    rows = by_customer(build_view(events, view_of(*aggregates, *COURSES), [data.at]))
    agrees(rows, db, aggregates, data.at)
    assert len(rows) > data.customers / 8 * 0.9
    names = [f.name for item in COURSES for f in item.features()]
    for customer, *values in db.execute(ORACLE_OF_COURSES, {"at": data.at}).fetchall():
        ours = [rows[customer][name] for name in names]
        assert all(map(same, ours, values, names)), (customer, ours, values)
