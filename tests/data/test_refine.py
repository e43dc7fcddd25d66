"""Bronze to silver: types, rules with every reason, versions and duplicates."""

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from tidemill.core.errors import TidemillError
from tidemill.data.contract import Contract
from tidemill.data.contract_file import read_contract
from tidemill.data.judgement import build_kinds, enforce_null_shares, judge
from tidemill.data.kinds.kind import REASONS
from tidemill.data.quarantine import build_rejected
from tidemill.data.refine import WARNINGS, with_types
from tidemill.data.versions import build_current, build_silver, keep_unknown, revised_rows
from tidemill.declare import Entity, Source, days, hours

CONTRACT = """\
apiVersion: v3.0.2
kind: DataContract
id: t
name: t
version: 1.0.0
status: active
servers: [{server: landing, type: local, path: x, format: csv}]
customProperties: [{property: timezone, value: %s}]
schema:
  - name: t
    properties:
"""
LATEST = datetime(2024, 6, 1, tzinfo=UTC)


def contract_of(folder: Path, *properties: str, timezone: str = "UTC") -> Contract:
    (folder / "contracts").mkdir(exist_ok=True)
    lines = "".join(f"      - {{{text}}}\n" for text in properties)
    (folder / "contracts" / "t.yaml").write_text(CONTRACT % timezone + lines, encoding="utf-8")
    return read_contract(folder, "t.yaml")


def bronze(spark: SparkSession, contract: Contract, rows: Iterable[tuple[str | None, ...]]) -> DataFrame:
    """Landed rows; their positions count from 1."""
    columns = [
        *(f"`{name}` string" for name in contract.landed),
        "source_file string, position bigint, line bigint, batch_id string",
    ]
    placed = [(*row, "f.csv", n, n + 1, "b1") for n, row in enumerate(rows, start=1)]
    return spark.createDataFrame(placed, ", ".join(columns))


def typed(spark: SparkSession, contract: Contract, *rows: tuple[str | None, ...]) -> list[dict[str, Any]]:
    frame = with_types(bronze(spark, contract, rows), contract, LATEST).orderBy("position")
    return [row.asDict() for row in frame.toLocalIterator()]


def test_every_rule_has_its_reason(spark: SparkSession, tmp_path: Path) -> None:
    contract = contract_of(
        tmp_path,
        "name: a_text, physicalName: T, logicalType: string, required: true, logicalTypeOptions: {pattern: '[a-z]{2}'}",
        "name: a_count, physicalName: N, logicalType: integer, physicalType: int,"
        " logicalTypeOptions: {minimum: 0, maximum: 10}",
        "name: a_price, physicalName: P, logicalType: number, physicalType: 'decimal(5,2)'",
        "name: a_time, physicalName: At, logicalType: timestamp, required: true,"
        " logicalTypeOptions: {format: 'dd.MM.yyyy HH:mm', minimum: '2020-01-01 00:00:00'}",
        "name: a_colour, physicalName: C, logicalType: string,"
        " customProperties: [{property: allowedValues, value: [red, blue]}, {property: nullTokens, value: ['-', n/a]}]",
        "name: a_flag, physicalName: F, logicalType: boolean",
        "name: a_day, physicalName: D, logicalType: date, logicalTypeOptions: {maximum: '2024-12-31'}",
    )
    good = ("ab", "5", "1.25", "01.02.2024 10:30", "red", "true", "2024-02-29")

    def but(**changes: str | None) -> tuple[str | None, ...]:
        return tuple(changes.get(name, value) for name, value in zip(contract.landed, good, strict=True))

    cases: list[tuple[tuple[str | None, ...], list[str]]] = [
        (good, []),
        (but(T=None), ["NULL:a_text"]),
        (but(T="   "), ["NULL:a_text"]),
        (but(T="abc"), ["PATTERN:a_text"]),
        (but(T="ab\n"), ["PATTERN:a_text"]),
        (but(T="xab"), ["PATTERN:a_text"]),
        (but(T=" ab "), []),
        (but(N="x"), ["TYPE:a_count"]),
        (but(N=" 5"), ["TYPE:a_count"]),
        (but(N="1.5"), ["TYPE:a_count"]),
        (but(N="99999999999"), ["OVERFLOW:a_count"]),
        (but(N=None), []),
        (but(N="0"), []),
        (but(N="10"), []),
        (but(N="-1"), ["RANGE:a_count"]),
        (but(N="11"), ["RANGE:a_count"]),
        (but(P="1000"), ["OVERFLOW:a_price"]),
        (but(P="-999.99"), []),
        (but(At="2024-02-01 10:30"), ["TS_INVALID:a_time"]),
        (but(At="30.02.2024 10:30"), ["TS_INVALID:a_time"]),
        (but(At="soon"), ["TYPE:a_time"]),
        (but(At="31.12.2019 23:59"), ["RANGE:a_time"]),
        (but(At="01.06.2024 00:00"), ["TS_FUTURE:a_time"]),
        (but(At="31.05.2024 23:59"), []),
        (but(C="green"), ["ALLOWED:a_colour"]),
        (but(C="-"), []),
        (but(C=" n/a "), []),
        (but(C="Red"), ["ALLOWED:a_colour"]),
        (but(F="perhaps"), ["TYPE:a_flag"]),
        (but(D="2024-13-01"), ["TS_INVALID:a_day"]),
        (but(D="2025-01-01"), ["RANGE:a_day"]),
        (but(T="?", N="-5", At=None, C="x"), ["PATTERN:a_text", "RANGE:a_count", "NULL:a_time", "ALLOWED:a_colour"]),
        (but(T="?", N="x", F="?"), ["TYPE:a_count", "TYPE:a_flag", "PATTERN:a_text"]),
    ]
    found = typed(spark, contract, *(row for row, _ in cases))
    assert [(row, f[REASONS]) for (row, _), f in zip(cases, found, strict=True)] == cases
    first = found[0]
    assert (first["a_text"], first["a_count"], first["a_price"]) == ("ab", 5, Decimal("1.25"))
    assert first["a_time"] == datetime(2024, 2, 1, 10, 30)  # noqa: DTZ001
    assert (first["a_flag"], str(first["a_day"])) == (True, "2024-02-29")
    assert found[cases.index((but(C="-"), []))]["a_colour"] is None
    assert found[cases.index((but(T=" ab "), []))]["a_text"] == "ab"


def test_logic_cleans_before_typing_and_derives_after(spark: SparkSession, tmp_path: Path) -> None:
    contract = contract_of(
        tmp_path,
        "name: id, physicalName: Id, logicalType: string, transformLogic: \"regexp_replace(Id, '[.]0$', '')\"",
        "name: pieces, physicalName: N, logicalType: integer, physicalType: int",
        "name: price, physicalName: P, logicalType: number, physicalType: 'decimal(12,3)'",
        "name: amount, logicalType: number, physicalType: 'decimal(18,3)', transformLogic: pieces * price",
        "name: big, logicalType: boolean, transformLogic: amount > 100, required: true",
    )
    found = typed(spark, contract, ("17850.0", "3", "2.555"), ("x", "60", "2.000"), ("x", None, "1"))
    assert [(r["id"], r["amount"], r["big"], r[REASONS]) for r in found] == [
        ("17850", Decimal("7.665"), False, []),
        ("x", Decimal("120.000"), True, []),
        ("x", None, None, ["NULL:big"]),
    ]


def test_a_derived_value_that_does_not_fit_is_a_reason_and_no_crash(spark: SparkSession, tmp_path: Path) -> None:
    contract = contract_of(
        tmp_path,
        "name: pieces, physicalName: N, logicalType: integer, physicalType: int",
        "name: price, physicalName: P, logicalType: number, physicalType: 'decimal(12,3)'",
        "name: amount, logicalType: number, physicalType: 'decimal(10,3)', transformLogic: pieces * price",
    )
    found = typed(spark, contract, ("2000000000", "999999999.000"), ("2", "1.5"), (None, "1.5"))
    assert [(r["amount"], r[REASONS]) for r in found] == [
        (None, ["TYPE:amount"]),
        (Decimal("3.000"), []),
        (None, []),
    ]


def test_naive_times_are_read_in_the_contracts_zone(spark: SparkSession, tmp_path: Path) -> None:
    contract = contract_of(tmp_path, "name: at, physicalName: At, logicalType: timestamp", timezone="Asia/Shanghai")
    found = typed(spark, contract, ("2024-03-01 08:00:00",))
    assert found[0]["at"] == datetime(2024, 3, 1)  # noqa: DTZ001


def test_rejected_rows_keep_their_text_and_place(spark: SparkSession, tmp_path: Path) -> None:
    contract = contract_of(
        tmp_path,
        "name: n, physicalName: N, logicalType: integer",
        "name: t, physicalName: 'A Text', logicalType: string",
    )
    frame = with_types(bronze(spark, contract, [("1", "ok"), (" x ", None), ("y", "z")]), contract, LATEST)
    rows = build_rejected(frame, "refine", F.col("batch_id"), "q1").toLocalIterator()
    rejected = sorted(rows, key=lambda r: r["position"])
    assert [(r["reasons"], bytes(r["raw"]), r["source_file"], r["position"], r["line"]) for r in rejected] == [
        (["TYPE:n"], b'{"N":" x ","t":null}', "f.csv", 2, 3),
        (["TYPE:n"], b'{"N":"y","t":"z"}', "f.csv", 3, 4),
    ]
    assert rejected[1]["digest"] == hashlib.sha256(b'{"N":"y","t":"z"}').hexdigest()
    assert (rejected[1]["raw_length"], rejected[1]["step"], rejected[1]["state"]) == (17, "refine", "open")
    assert (rejected[1]["bronze_batch_id"], rejected[1]["batch_id"]) == ("b1", "q1")


def test_a_batch_is_judged_by_the_sum_of_its_rows() -> None:
    found = judge(
        [
            {"reasons": [], "warnings": ["RANGE:n"], "rows": 3, "first_known": 50},
            {"reasons": [], "warnings": [], "rows": 2, "first_known": 40},
            {"reasons": ["NULL:t", "TYPE:n"], "warnings": [], "rows": 5, "first_known": 10},
            {"reasons": ["TYPE:n"], "warnings": ["RANGE:n"], "rows": 1, "first_known": None},
        ]
    )
    assert (found.rows, found.rejected, found.first_known) == (11, 6, 40)
    assert (found.reasons, found.warnings) == ({"NULL:t": 5, "TYPE:n": 6}, {"RANGE:n": 4})
    assert judge([]).first_known == 0


def test_a_batch_with_too_many_nulls_is_refused(tmp_path: Path) -> None:
    share = "quality: [{metric: nullValues, unit: percent, mustBeLessOrEqualTo: 40}]"
    contract = contract_of(tmp_path, f"name: n, physicalName: N, logicalType: integer, required: true, {share}")
    enforce_null_shares(contract, 10, {"NULL:n": 4}, "silver.t")
    enforce_null_shares(contract, 0, {}, "silver.t")
    with pytest.raises(TidemillError) as caught:
        enforce_null_shares(contract, 10, {"NULL:n": 5}, "silver.t")
    assert (caught.value.code, caught.value.exit_code) == ("E_NULL_SHARE", 65)
    assert caught.value.what == "5 of 10 rows have no 'n', more than the declared 40.0%"


SHOP = Entity("customer")
LANDED = {"customer": "string", "at": "timestamp", "arrived": "timestamp", "number": "integer", "amount": "number"}
VALID = (
    "customer string, at timestamp, arrived timestamp, number bigint, amount double,"
    " source_file string, position bigint, batch_id string, _digest string"
)


def valid(spark: SparkSession, *rows: tuple[str, str, int, float, str, int, str]) -> DataFrame:
    """customer, day, number, amount, file, position, batch; known two days later; the digest says what was landed."""
    made = [
        (c, f"2024-03-{d}", f"2024-03-{int(d) + 2:02}", n, a, f, p, b, f"{c}|{d}|{n}|{a}")
        for c, d, n, a, f, p, b in rows
    ]
    text = VALID.replace("timestamp", "string")
    return spark.createDataFrame(made, text).selectExpr(
        *[f"cast({name} as {kind}) as {name}" for name, kind in (part.split() for part in VALID.split(", "))]
    )


def counted(silver: DataFrame) -> list[tuple[Any, ...]]:
    """The rows that count, by their place."""
    kept = silver.where("_rank = 1").select("source_file", "position", "amount")
    return sorted(tuple(row) for row in kept.toLocalIterator())


@pytest.fixture
def contract(tmp_path: Path) -> Contract:
    return contract_of(
        tmp_path,
        *(f"name: {name}, physicalName: {name}, logicalType: {kind}" for name, kind in LANDED.items()),
    )


def test_equal_lines_of_a_file_are_kept_and_a_second_delivery_is_not(spark: SparkSession, contract: Contract) -> None:
    source = Source("orders", "orders.yaml", SHOP, event_time="at")
    frame = valid(
        spark,
        ("a", "01", 1, 5.0, "one.csv", 1, "b1"),
        ("a", "01", 1, 5.0, "one.csv", 2, "b1"),
        ("b", "01", 1, 5.0, "one.csv", 3, "b1"),
        ("b", "01", 1, 5.0, "again.csv", 1, "b2"),
        ("a", "01", 1, 5.0, "again.csv", 2, "b2"),
        ("a", "01", 1, 5.0, "again.csv", 3, "b2"),
        ("a", "01", 1, 5.0, "again.csv", 4, "b2"),  # a third one: the file holds one more
    )
    silver = build_silver(frame, source, contract)
    assert counted(silver) == [("again.csv", 4, 5.0), ("one.csv", 1, 5.0), ("one.csv", 2, 5.0), ("one.csv", 3, 5.0)]
    held = silver.where("_rank = 1 and batch_id = 'b1'")
    fresh = build_silver(frame.where("batch_id = 'b2'"), source, contract).where("_rank = 1")
    assert counted(keep_unknown(fresh, held)) == [("again.csv", 4, 5.0)]


def test_a_keyed_row_is_known_by_key_and_sequence(spark: SparkSession, contract: Contract) -> None:
    source = Source(
        "orders", "orders.yaml", SHOP, event_time="at", known_time="arrived", key=("customer", "at"), sequence="number"
    )
    frame = valid(
        spark,
        ("a", "01", 1, 5.0, "one.csv", 1, "b1"),
        ("a", "01", 1, 5.0, "two.csv", 1, "b2"),  # the same version again
        ("a", "01", 2, 6.0, "two.csv", 2, "b2"),  # a correction
        ("a", "02", 1, 7.0, "two.csv", 3, "b2"),  # another row
    )
    silver = build_silver(frame, source, contract)
    assert counted(silver) == [("one.csv", 1, 5.0), ("two.csv", 2, 6.0), ("two.csv", 3, 7.0)]
    rows = silver.where("_rank = 1")
    assert sorted(r["seq"] for r in rows.toLocalIterator()) == [1, 1, 2]
    assert {r["op"] for r in rows.toLocalIterator()} == {"upsert"}
    assert revised_rows(frame, source, contract, None) == 1
    held = rows.where("batch_id = 'b1'")
    assert counted(keep_unknown(silver, held)) == [("two.csv", 2, 6.0), ("two.csv", 3, 7.0)]
    assert revised_rows(frame.where("batch_id = 'b2'"), source, contract, held) == 1
    assert revised_rows(frame.where("number = 1"), source, contract, held) == 0


def test_rows_are_known_by_arrival_or_after_the_delay(spark: SparkSession, contract: Contract) -> None:
    frame = valid(spark, ("a", "01", 1, 5.0, "one.csv", 1, "b1"))
    plainly = Source("orders", "o.yaml", SHOP, event_time="at")
    late = Source("orders", "o.yaml", SHOP, event_time="at", delay=hours(6) + days(1))
    by_arrival = Source("orders", "o.yaml", SHOP, event_time="at", known_time="arrived")
    plain, delayed, arrived = (build_silver(frame, source, contract) for source in (plainly, late, by_arrival))
    frames = {"plain": plain, "delayed": delayed, "arrived": arrived}
    times = {
        name: [str(value) for value in next(found.select("event_time", "known_time").toLocalIterator())]
        for name, found in frames.items()
    }
    assert times == {
        "plain": ["2024-03-01 00:00:00", "2024-03-01 00:00:00"],
        "delayed": ["2024-03-01 00:00:00", "2024-03-02 06:00:00"],
        "arrived": ["2024-03-01 00:00:00", "2024-03-03 00:00:00"],
    }
    assert "at" not in plain.columns
    assert "arrived" not in arrived.columns
    nothing = F.array().cast("array<string>")
    judged = frame.withColumns({REASONS: nothing, WARNINGS: nothing})
    firsts = [next(build_kinds(judged, s).toLocalIterator())["first_known"] for s in (by_arrival, plainly)]
    assert firsts == [1709424000000000, 1709251200000000]  # 2024-03-03, 2024-03-01


def test_versions_do_not_depend_on_who_came_first(spark: SparkSession, contract: Contract) -> None:
    source = Source("orders", "o.yaml", SHOP, event_time="at", key=("customer", "at"), sequence="number")
    rows = [
        ("a", "01", 1, 5.0, "one.csv", 1, "b1"),
        ("a", "01", 1, 6.0, "two.csv", 1, "b2"),  # another content under the same sequence
        ("a", "01", 3, 7.0, "three.csv", 1, "b3"),
        ("b", "01", 1, 8.0, "three.csv", 2, "b3"),
    ]
    found = []
    for order in (rows, rows[::-1], [rows[2], rows[0], rows[3], rows[1]]):
        held = build_silver(valid(spark, *order[:1]), source, contract).where("_rank = 1")
        for row in order[1:]:
            held = held.unionByName(keep_unknown(build_silver(valid(spark, row), source, contract), held))
        versions = sorted((r["row_id"], r["seq"], r["amount"]) for r in held.toLocalIterator())
        found.append((versions, sorted(r["amount"] for r in build_current(held).toLocalIterator())))
    assert len(found[0][0]) == 4
    assert found[0][1] == [7.0, 8.0]
    assert found[1:] == found[:1] * 2
