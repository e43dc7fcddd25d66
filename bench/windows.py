"""Window features on entity buckets, beside a scan, a shuffle with a sort, and their twin in plain Spark.

Thirty features, five aggregates over six windows, at ten as-of times. `x1`, `x4` and `x16` are a million events and its
multiples, twenty thousand at small size. Every contestant starts a session of its own; what that takes is measured,
too, and taken off where two are compared. The rows of windows go to no table, so that nothing else is measured; they
are looked at on their way, by figures that both sides have to agree on.
"""

from __future__ import annotations

import functools
import json
import math
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.harness import Contestant, Measured, Size, Target, main

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pyarrow as pa
    from pyspark.sql import Column, DataFrame, SparkSession
    from tidemill.data.tables import Lake, Table
    from tidemill.features.specs import FeatureView

EVENTS: dict[Size, int] = {"small": 20_000, "full": 1_000_000}
SCALES = (1, 4, 16)
APPENDED_DAYS: dict[Size, int] = {"small": 3, "full": 360}
COMPACTED_EVERY_DAYS = 7
BUCKETS = 16
DAYS = 360
FIRST = datetime(2025, 1, 1, tzinfo=UTC)
AS_OFS = tuple(FIRST + timedelta(days=day) for day in range(90, 361, 30))
NEXT_DAY = (FIRST + timedelta(days=DAYS),)
EVENTS_OF_A_CUSTOMER = 80
SKEWED_SHARE = 0.1  # of one customer
LANDED_FILES = 8
SEED = 20260102
NEEDED = ("customer", "event_time", "known_time", "op", "amount")


# ------------------------------------------------------------------------------------------------------------ the data


def make_data(folder: Path, size: Size) -> None:
    """Writes events as Parquet and, in a process of its own whose JVM ends with it, as silver tables."""
    for scale in SCALES:
        _land(folder / f"x{scale}" / "plain", EVENTS[size] * scale, 0.0)
    _land(folder / "skewed" / "plain", EVENTS[size] * 4, SKEWED_SHARE)
    command = "import sys; from bench.windows import make_tables; make_tables(sys.argv[1], sys.argv[2])"
    subprocess.run([sys.executable, "-P", "-c", command, str(folder), size], check=True)  # noqa: S603


def make_tables(place: str, size: Size) -> None:
    """Silver tables of the landed events, what their windows amount to, and one table that grew day by day."""
    folder, spark = Path(place), _session()
    for each in sorted(folder.iterdir()):
        _commit(each, "all", _plain(spark, each))
        _observed(_by_spark(spark, each, AS_OFS), each / "expected.json")
    _observed(_by_spark(spark, folder / "x1", NEXT_DAY), folder / "x1" / "expected_next.json")
    _append_daily(spark, folder / "x1", folder / "appended", size)
    (folder / "appended" / "expected_next.json").write_text((folder / "x1" / "expected_next.json").read_text("utf-8"))
    spark.stop()


def _land(folder: Path, events: int, skewed: float) -> None:
    import pyarrow.parquet as pq

    folder.mkdir(parents=True)
    for number in range(LANDED_FILES):
        pq.write_table(_events(number, events // LANDED_FILES, events, skewed), folder / f"part-{number}.parquet")


def _events(number: int, rows: int, events: int, skewed: float) -> pa.Table:
    """One landed file, with the columns that silver has; some customers come far more often than others."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    random = np.random.default_rng((SEED, number))
    customers = (random.random(rows) ** 1.5 * events / EVENTS_OF_A_CUSTOMER).astype(np.int64)
    customers[random.random(rows) < skewed] = 0
    names = pc.utf8_lpad(pa.array(customers).cast(pa.string()), 7, "0")
    start = np.datetime64(FIRST.replace(tzinfo=None), "us").astype(np.int64)
    times = pa.array(start + random.integers(DAYS * 86_400, size=rows) * 1_000_000).cast(pa.timestamp("us", "UTC"))
    numbers = np.arange(rows) + number * rows
    return pa.table(
        {
            "customer": pc.binary_join_element_wise("C", names, ""),
            "amount": np.round(random.random(rows) * 100, 2),
            "event_time": times,
            "known_time": times,
            "seq": np.zeros(rows, np.int64),
            "content": random.integers(-(2**63), 2**63 - 1, size=rows),
            "op": pa.repeat("upsert", rows),
            "row_id": pa.array(numbers).cast(pa.string()),
            "batch_id": pa.repeat("landed", rows),
        }
    )


def _append_daily(spark: SparkSession, whole: Path, folder: Path, size: Size) -> None:
    """The same events as in `whole`: what came before the last days at once, then a batch a day, compacted weekly."""
    from pyspark.sql import functions as F
    from tidemill.data.upkeep import compact, crowded_partitions

    rows, days = _plain(spark, whole), APPENDED_DAYS[size]
    number = F.datediff("event_time", F.lit(FIRST.date()))
    rows.withColumn("day", F.greatest(number, F.lit(DAYS - days))).repartition(8, "day").write.partitionBy(
        "day"
    ).parquet(str(folder / "daily"))
    for day in range(DAYS - days, DAYS):
        _commit(folder, f"day {day}", spark.read.parquet(str(folder / "daily" / f"day={day}")))
        if day % COMPACTED_EVERY_DAYS == 0:
            crowded = crowded_partitions(_lake(folder), _silver(), 4)
            if crowded:
                compact(spark, _lake(folder), _silver(), crowded)


# --------------------------------------------------------------------------------------------------------- the tables


def _session() -> SparkSession:
    from pyspark.sql import SparkSession

    return SparkSession.builder.appName("windows").getOrCreate()


def _plain(spark: SparkSession, folder: Path) -> DataFrame:
    return spark.read.parquet(str(folder / "plain"))


def _lake(folder: Path) -> Lake:
    from tidemill.core.config import Layout
    from tidemill.data.tables import Lake

    return Lake(folder, "bench", Layout(buckets=BUCKETS, period="all"))


def _silver() -> Table:
    from tidemill.data.tables import Table

    texts, numbers, times = ("op", "row_id", "batch_id"), ("seq", "content"), ("event_time", "known_time")
    columns = [("customer", "string"), ("amount", "double"), *((n, "timestamp") for n in times)]
    columns += [*((n, "bigint") for n in numbers), *((n, "string") for n in texts)]
    return Table(
        "silver",
        "events",
        (*columns, ("period", "string"), ("bucket", "int")),
        partitions=("period", "bucket"),
        sort=("customer", "event_time", "row_id"),
        entity="customer",
        time="event_time",
    )


def _commit(folder: Path, name: str, rows: DataFrame) -> None:
    from tidemill.data.commit import commit
    from tidemill.data.layout import with_layout
    from tidemill.data.write import Batch

    placed = with_layout(rows, _silver(), BUCKETS, "all")
    commit(_lake(folder), _silver(), Batch(name, {"of": name}), placed, counts={"first_known": 0, "revised": 0})


def _view() -> FeatureView:
    from tidemill.declare import Aggregate, Entity, FeatureView, Source, days

    customer = Entity("customer")
    windows = tuple(days(number) for number in (1, 7, 14, 30, 60, 90))
    features = tuple(Aggregate(name, "amount", windows=windows) for name in ("count", "sum", "mean", "min", "max"))
    source = Source("events", "events.yaml", customer, key=("row_id",))
    return FeatureView("windows", 1, customer, source, features, cadence=days(1), ttl=days(1))


def _by_spark(spark: SparkSession, folder: Path, times: tuple[datetime, ...]) -> DataFrame:
    from tidemill.data.read import read
    from tidemill.features.compute import build_view
    from tidemill.features.pairs import with_validity

    return build_view(with_validity(read(spark, _lake(folder), _silver()), versions=False), _view(), times)


def _by_buckets(spark: SparkSession, folder: Path, times: tuple[datetime, ...]) -> DataFrame:
    from tidemill.data.buckets import bucket_files
    from tidemill.features.window_path import build_from_buckets, window_path

    path = window_path(_lake(folder), _silver(), _view())
    if path.plan is None:
        raise RuntimeError(path.why_spark)
    return build_from_buckets(spark, bucket_files(_lake(folder), _silver()), _view(), path.plan, times)


def _observed(frame: DataFrame, answer: Path) -> None:
    """Computes the rows, keeps none of them, and writes down what they amount to."""
    from pyspark.sql import Observation
    from pyspark.sql import functions as F

    figures: dict[str, Column] = {
        "rows": F.count(F.lit(1)),
        "events in 90 days": F.sum("amount_count_90d"),
        "rows with events in 7 days": F.count("amount_max_7d"),
        "largest in 7 days": F.max("amount_max_7d"),
        "sum of the least in 30 days": F.sum("amount_min_30d"),
        "sum in 60 days": F.sum("amount_sum_60d"),
        "sum of means in 14 days": F.sum("amount_mean_14d"),
    }
    seen = Observation("seen")
    observed = frame.observe(seen, *[figure.alias(name) for name, figure in figures.items()])
    observed.write.format("noop").mode("overwrite").save()
    answer.write_text(json.dumps(seen.get), "utf-8")


# --------------------------------------------------------------------------------------------------------- contestants


def start(_data: Path, out: Path) -> None:
    """A session that computes a row."""
    _session().range(1).write.format("noop").mode("overwrite").save()
    _agree({}, {}, out)


def scan(folder: str, data: Path, out: Path) -> None:
    """Reads what the features need."""
    from pyspark.sql import functions as F

    rows = _plain(_session(), data / folder)
    found = rows.agg(F.sum("amount"), F.max("event_time"), F.max("known_time"), F.max("op"), F.max("customer")).first()
    _agree({"sum": found is not None}, {"sum": True}, out)


def shuffle(folder: str, columns: tuple[str, ...], data: Path, out: Path) -> None:
    """Brings the rows of each customer together, in their order: the floor of whatever works on entities."""
    rows = _plain(_session(), data / folder).select(*(columns or ("*",)))
    rows.repartition(BUCKETS, "customer").sortWithinPartitions("customer", "event_time").write.format("noop").mode(
        "overwrite"
    ).save()
    _agree({}, {}, out)


def write(folder: str, data: Path, out: Path) -> None:
    """The bucketed, sorted write that a batch of silver pays once."""
    _commit(out, "all", _plain(_session(), data / folder))
    _agree({}, {}, out)


def windows(
    how: Callable[[SparkSession, Path, tuple[datetime, ...]], DataFrame],
    folder: str,
    expected: str,
    data: Path,
    out: Path,
) -> None:
    """The features of all customers."""
    times = AS_OFS if expected == "expected" else NEXT_DAY
    _observed(how(_session(), data / folder, times), out / "found.json")
    found, known = (json.loads(p.read_text("utf-8")) for p in (out / "found.json", data / folder / f"{expected}.json"))
    _agree(found, known, out)


def _agree(found: Mapping[str, Any], expected: Mapping[str, Any], out: Path) -> None:
    """Writes whether figures are those expected; sums of doubles may differ in their last digits."""
    same = found.keys() == expected.keys() and all(math.isclose(found[n], expected[n], rel_tol=1e-11) for n in found)
    (out / "answer.json").write_text(json.dumps("as expected" if same else {"found": found, "expected": expected}))


def _answer(out: Path) -> Any:
    return json.loads((out / "answer.json").read_text("utf-8"))


def _of_scale(scale: int) -> tuple[Contestant, ...]:
    x = f"x{scale}"
    made = functools.partial(Contestant, group=x, answer=_answer, extra=scale > 1)
    return (
        made(f"scan {x}", run=functools.partial(scan, x), role="peer"),
        made(f"shuffle and sort {x}", run=functools.partial(shuffle, x, NEEDED), role="reference"),
        made(f"spark twin {x}", run=functools.partial(windows, _by_spark, x, "expected"), role="peer"),
        made(f"buckets {x}", run=functools.partial(windows, _by_buckets, x, "expected"), role="ours"),
    )


def _one(what: str, group: str, run: Callable[[Path, Path], None], *, reference: bool = False) -> Contestant:
    return Contestant(what, group, run, _answer, "reference" if reference else "ours", extra=True)


CONTESTANTS = (
    Contestant("start", "start", start, _answer, "reference"),
    *(contestant for scale in SCALES for contestant in _of_scale(scale)),
    _one("shuffle and sort whole rows x4", "write", functools.partial(shuffle, "x4", ()), reference=True),
    _one("bucketed write x4", "write", functools.partial(write, "x4")),
    _one("buckets skewed x4", "skew", functools.partial(windows, _by_buckets, "skewed", "expected"), reference=True),
    _one(
        "next day, compacted x1",
        "next day",
        functools.partial(windows, _by_buckets, "x1", "expected_next"),
        reference=True,
    ),
    _one("next day, appended x1", "next day", functools.partial(windows, _by_buckets, "appended", "expected_next")),
)


def _beyond_start(by: Mapping[str, Measured], what: str) -> float:
    return by[what].cpu_s - by["start"].cpu_s


def _at_most(what: str, reference: str, limit: float) -> Target:
    return Target(
        f"CPU beyond start of {what} / {reference}",
        lambda by: _beyond_start(by, what) / _beyond_start(by, reference),
        limit,
    )


def _growth(by: Mapping[str, Measured]) -> float:
    """The power of the number of events that the CPU seconds grow with."""
    return math.log(_beyond_start(by, "buckets x16") / _beyond_start(by, "buckets x1")) / math.log(16)


TARGETS = (
    *(_at_most(f"buckets x{n}", f"shuffle and sort x{n}", 0.5) for n in (4, 16)),
    *(_at_most(f"buckets x{n}", f"spark twin x{n}", 0.2) for n in (4, 16)),
    # Both: what the other features' floor is, of the columns that these need, and that of the rows that are written.
    _at_most("bucketed write x4", "shuffle and sort x4", 2.0),
    _at_most("bucketed write x4", "shuffle and sort whole rows x4", 2.0),
    Target("buckets x1 to x16: CPU grows with events to the power of", _growth, 1.1),
    _at_most("buckets skewed x4", "buckets x4", 1.5),
    Target(
        "wall of buckets skewed x4 / buckets x4",
        lambda by: by["buckets skewed x4"].wall_s / by["buckets x4"].wall_s,
        1.5,
    ),
    _at_most("next day, appended x1", "next day, compacted x1", 2.0),
)

if __name__ == "__main__":
    main(make_data, CONTESTANTS, TARGETS)
