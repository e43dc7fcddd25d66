"""Landed files become bronze: our `ingest` beside the plainest Spark job that reads and writes the same.

Plain Spark reads the files with their types and writes Delta, and knows nothing of what it read: no digest of a file,
no place of a row, no line that does not split, no ledger, and nothing to stop it from reading a file twice.
"""

from __future__ import annotations

import functools
import itertools
import sys
from typing import TYPE_CHECKING, Any

from bench.harness import Contestant, Size, cpu_ratio, main

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import pyarrow as pa

ROWS: dict[Size, int] = {"small": 50_000, "full": 5_000_000}
LANDED_FILES = 8
ROWS_OF_A_SMALL_FILE = 50  # 100,000 small files hold the same rows, a thousand at small size
SMALL_FILES_OF_A_FOLDER = 500
SEED = 20260101

SCHEMA = """
    id bigint, customer string, kind string, amount decimal(12,2), pieces int, express boolean, happened_at timestamp,
    note string
"""
CONTRACT = """\
apiVersion: v3.0.2
kind: DataContract
id: bench-events
name: events
version: 1.0.0
status: active
servers:
  - server: landing
    type: local
    path: "{{root}}/landing"
    format: {format}
schema:
  - name: events
    properties:
      - {{name: id, physicalName: id, logicalType: integer, required: true}}
      - {{name: customer, physicalName: customer, logicalType: string, required: true}}
      - {{name: kind, physicalName: kind, logicalType: string, required: true}}
      - {{name: amount, physicalName: amount, logicalType: number, physicalType: "decimal(12,2)", required: true}}
      - {{name: pieces, physicalName: pieces, logicalType: integer, physicalType: int, required: true}}
      - {{name: express, physicalName: express, logicalType: boolean, required: true}}
      - {{name: happened_at, physicalName: happened_at, logicalType: timestamp, required: true}}
      - {{name: note, physicalName: note, logicalType: string}}
"""
USE_CASE = """\
from tidemill.declare import *

CUSTOMER = Entity("customer")
EVENTS = Source("events", contract="events.yaml", entity=CUSTOMER, event_time="happened_at", key=("id",))
VIEW = FeatureView(
    "events_of_customer", version=1, entity=CUSTOMER, source=EVENTS, cadence=days(1), ttl=days(2), features=(Recency(),)
)
EVENTS_USE_CASE = UseCase(
    "events",
    views=(VIEW,),
    label=Label("gone", horizon=days(10), population=ActiveWithin(EVENTS, days(20)), outcome=NoEventIn(EVENTS)),
    task="binary",
    models=(LogisticRegression(),),
    grid=Grid("2025-02-01", every=days(10)),
    baseline="recency_days",
)
"""

KINDS = ("view", "order", "change", "return", "refund", "complaint")
NOTES = (
    None,
    "left at the door",
    "call before delivery",
    "second attempt, same day",
    'wants the "large" size',
    'said: "not today, thank you"',
    "Müller & Söhne, rear entrance",
    "paid by card; receipt sent",
)


# ------------------------------------------------------------------------------------------------------------ the data


def make_data(folder: Path, size: Size) -> None:
    """Writes the same events as CSV, Parquet and JSON lines, eight files each, and as CSV in many small files."""
    import pyarrow.parquet as pq

    for name in ("csv", "parquet", "jsonl", "small"):
        (folder / name).mkdir()
    rows = ROWS[size] // LANDED_FILES
    for number in range(LANDED_FILES):
        events = _events(number, rows)
        header = (",".join(events.column_names) + "\n").encode()
        lines = _csv_lines(events)
        pq.write_table(events, folder / "parquet" / f"part-{number}.parquet")
        _write(folder / "csv" / f"part-{number}.csv", header, *_slices(lines, rows))
        _write(folder / "jsonl" / f"part-{number}.jsonl", *_slices(_json_lines(events), rows))
        for index, text in enumerate(_slices(lines, ROWS_OF_A_SMALL_FILE)):
            place = folder / "small" / f"{number}-{index // SMALL_FILES_OF_A_FOLDER}"
            place.mkdir(exist_ok=True)
            _write(place / f"{index}.csv", header, text)


def _events(number: int, rows: int) -> pa.Table:
    """The events of one landed file: a week each, in the order of their times; some customers come far more often."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    random = np.random.default_rng((SEED, number))
    customers = (random.random(rows) ** 3 * ROWS["full"] / 25).astype(np.int64)
    names = pc.utf8_lpad(pa.array(customers).cast(pa.string()), 7, "0")
    week = 7 * 86_400
    monday = np.datetime64("2025-01-06", "s").astype(np.int64) + number * week
    seconds = pa.array(monday + np.sort(random.integers(week, size=rows)))
    cents = pa.array((random.lognormal(3.5, 1.0, rows) * 100).astype(np.int64)).cast(pa.decimal128(19))
    texts = pa.array(NOTES).take(pa.array(random.integers(len(NOTES), size=rows)))
    marks = pa.array(random.integers(1_000_000, size=rows)).cast(pa.string())
    return pa.table(
        {
            "id": pa.array(np.arange(rows) + number * rows),
            "customer": pc.binary_join_element_wise("C", names, ""),
            "kind": pa.array(KINDS).take(pa.array(random.integers(len(KINDS), size=rows))),
            # The same digits with the point elsewhere: cents are amounts.
            "amount": pa.Array.from_buffers(pa.decimal128(12, 2), rows, cents.buffers()),
            "pieces": pa.array(random.integers(1, 20, rows).astype(np.int32)),
            "express": pa.array(random.random(rows) < 0.2),
            "happened_at": seconds.cast(pa.timestamp("s", "UTC")).cast(pa.timestamp("us", "UTC")),
            "note": pc.binary_join_element_wise(texts, marks, " "),
        }
    )


def _texts(events: pa.Table) -> dict[str, pa.Array]:
    """Every column as text, nulls kept."""
    import pyarrow as pa

    times = events["happened_at"].cast(pa.timestamp("s"))  # without zone and fraction: 2025-01-01 00:00:00
    columns = events.set_column(events.schema.get_field_index("happened_at"), "happened_at", times)
    return {name: columns[name].cast(pa.string()).combine_chunks() for name in columns.column_names}


def _csv_lines(events: pa.Table) -> pa.Array:
    """Lines after RFC 4180, quoted where they must be, as most programs write them."""
    import pyarrow.compute as pc

    texts = _texts(events)
    doubled = pc.replace_substring(texts["note"], '"', '""')
    quoted = pc.binary_join_element_wise('"', doubled, '"', "")
    texts["note"] = pc.if_else(pc.match_substring_regex(texts["note"], '[",]'), quoted, texts["note"]).fill_null("")
    return pc.binary_join_element_wise(pc.binary_join_element_wise(*texts.values(), ","), "\n", "")


def _json_lines(events: pa.Table) -> pa.Array:
    """One object a line; numbers and booleans are no texts, and a note that is not there is null."""
    import pyarrow.compute as pc

    texts = _texts(events)
    for name in ("customer", "kind", "happened_at", "note"):
        escaped = pc.replace_substring(texts[name], '"', '\\"')
        texts[name] = pc.binary_join_element_wise('"', escaped, '"', "").fill_null("null")
    fields = [pc.binary_join_element_wise(f'"{name}":', text, "") for name, text in texts.items()]
    return pc.binary_join_element_wise("{", pc.binary_join_element_wise(*fields, ","), "}\n", "")


def _slices(lines: pa.Array, rows: int) -> Iterator[memoryview]:
    """The bytes of every `rows` lines, which divide them; Arrow keeps the texts of an array one behind the other."""
    import numpy as np

    _, offsets, text = lines.buffers()
    starts = np.frombuffer(offsets, np.int32, len(lines) + 1)[::rows].tolist()
    for start, end in itertools.pairwise(starts):
        yield memoryview(text)[start:end]


def _write(path: Path, *parts: bytes | memoryview) -> None:
    with path.open("wb") as file:
        file.writelines(parts)


# --------------------------------------------------------------------------------------------------------- contestants


def plain_spark(format_: str, data: Path, out: Path) -> None:
    """Reads the files with their types and writes Delta, unchecked."""
    from pyspark.sql import SparkSession

    spark = SparkSession.builder.appName("plain").getOrCreate()
    reader = spark.read.schema(SCHEMA)
    if format_ == "csv":
        reader = reader.option("header", "true").option("escape", '"')
    folder = "jsonl" if format_ == "json" else format_
    reader.format(format_).load(str(data / folder)).write.format("delta").save(str(out / "table"))
    spark.stop()


def our_jobs(format_: str, folder: str, jobs: tuple[str, ...], data: Path, out: Path) -> None:
    """Runs jobs as `./spark-submit.sh` does, with a feature repository of one use case and one contract."""
    from importlib import import_module

    from tidemill.cli.job import run_jobs
    from tidemill.cli.summary import PIPELINE

    repo = out / "repo"
    (repo / "contracts").mkdir(parents=True)
    (repo / "contracts" / "events.yaml").write_text(CONTRACT.format(format=format_), "utf-8")
    (repo / "events.py").write_text(USE_CASE, "utf-8")
    settings = [f"sources.events.path={data / folder}", "layout.buckets=16"]
    arguments = ["--use-case", "events", "--repo", str(repo), "--root", str(out / "var"), "--json"]
    chain = [(job, import_module(f"jobs.{job}").run) for job in jobs]
    name = jobs[0] if len(jobs) == 1 else PIPELINE
    sys.exit(run_jobs(name, lambda _: chain, arguments + [word for text in settings for word in ("--set", text)]))


def _answer(table: str, out: Path) -> dict[str, Any]:
    """How many rows a Delta table has, the exact sum of their amounts, and the characters of all notes together."""
    import pyarrow as pa
    import pyarrow.compute as pc
    from deltalake import DeltaTable

    rows, amount, characters = 0, 0, 0
    for batch in DeltaTable(str(out / table)).to_pyarrow_dataset().to_batches(columns=["amount", "note"]):
        rows += batch.num_rows
        amount += pc.sum(batch["amount"].cast(pa.decimal128(12, 2))).as_py() or 0
        characters += pc.sum(pc.utf8_length(batch["note"])).as_py() or 0
    return {"rows": rows, "amount": str(amount), "characters": characters}


BRONZE, SILVER, PLAIN = "var/lake/bronze/events", "var/lake/silver/events", "table"


def _plain(format_: str) -> Contestant:
    run = functools.partial(plain_spark, format_)
    # One of them is enough to say at small size whether our answers are right.
    return Contestant(f"plain spark {format_}", format_, run, _reads(PLAIN), "reference", extra=format_ != "csv")


def _ingest(format_: str, contract_format: str) -> Contestant:
    run = functools.partial(our_jobs, contract_format, contract_format, ("ingest",))
    return Contestant(f"ingest {format_}", format_, run, _reads(BRONZE), "ours")


def _reads(table: str) -> Callable[[Path], dict[str, Any]]:
    return functools.partial(_answer, table)


REFINED = functools.partial(our_jobs, "csv", "csv", ("ingest", "refine"))
SMALL_FILES = functools.partial(our_jobs, "csv", "small", ("ingest",))

CONTESTANTS = (
    _plain("csv"),
    _ingest("csv", "csv"),
    Contestant("ingest + refine csv", "csv", REFINED, _reads(SILVER), "ours", extra=True),
    _plain("parquet"),
    _ingest("parquet", "parquet"),
    _plain("json"),
    _ingest("json", "jsonl"),
    Contestant("ingest small files", "small files", SMALL_FILES, _reads(BRONZE), "ours", once=True, extra=True),
)
TARGETS = (
    cpu_ratio("ingest csv", "plain spark csv", 1.5),
    cpu_ratio("ingest parquet", "plain spark parquet", 1.5),
    cpu_ratio("ingest json", "plain spark json", 2.5),
)

if __name__ == "__main__":
    main(make_data, CONTESTANTS, TARGETS)
