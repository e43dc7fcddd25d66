"""Landed files: found, known by digest, read as they are; and ingest and refine over them."""

import gzip
import hashlib
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import Shop
from pyspark.sql import SparkSession
from tidemill.core.errors import TidemillError
from tidemill.core.failpoints import Crashed, armed
from tidemill.data.contract import Contract
from tidemill.data.contract_file import read_contract
from tidemill.data.kinds import kind_of
from tidemill.data.kinds.kind import FILE, POSITION, REASONS, Landed
from tidemill.data.kinds.parquet import as_text
from tidemill.data.landed_rows import read_rows
from tidemill.data.landing import Listing, digest_files, inspect_files, list_files
from tidemill.data.read import read_arrow
from tidemill.data.tables import GOLD, Table, bronze_table, quarantine_table
from tidemill.models.use_case import load_use_case

TEXT = """\
apiVersion: v3.0.2
kind: DataContract
id: t
name: visits
version: 1.0.0
status: active
servers: [{server: landing, type: local, path: x, format: %s, delimiter: "%s"}]
schema:
  - name: visits
    properties:
      - {name: who, physicalName: Who, logicalType: string}
      - {name: pages, physicalName: Pages Seen, logicalType: integer}
"""


def contract_of(folder: Path, *, form: str = "csv", delimiter: str = ",", by_name: bool = False) -> Contract:
    (folder / "contracts").mkdir(exist_ok=True)
    order = "customProperties: [{property: columnOrder, value: by_name}]\n" if by_name else ""
    (folder / "contracts" / "t.yaml").write_text(order + TEXT % (form, delimiter), encoding="utf-8")
    return read_contract(folder, "t.yaml")


def land(folder: Path, name: str, text: str) -> Path:
    path = folder / "landing" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if name.endswith(".gz"):
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text, encoding="utf-8")
    return path


def inspected(spark: SparkSession, contract: Contract, folder: Path) -> tuple[Landed, ...]:
    files, unfinished = digest_files(list_files(str(folder / "landing"), contract))
    assert unfinished == ()
    return inspect_files(spark, kind_of(contract.format), contract, files)


def landed(
    spark: SparkSession, contract: Contract, folder: Path
) -> list[tuple[str, int, str | None, str | None, list[str] | None]]:
    """File, position, the two columns, and the reasons."""
    frame = read_rows(spark, kind_of(contract.format), contract, inspected(spark, contract, folder))
    rows = [tuple(row[name] for name in (FILE, POSITION, "Who", "pages", REASONS)) for row in frame.toLocalIterator()]
    return sorted(rows, key=lambda row: row[:2])


def names(listing: Listing) -> list[str]:
    return [name for name, _ in listing.files]


def test_files_are_found_in_folders_and_by_patterns(tmp_path: Path) -> None:
    contract = contract_of(tmp_path)
    for name in ("b.csv", "2024/a.csv", "2024/01/c.csv", ".hidden.csv", "_SUCCESS", "_tmp/d.csv", "notes.txt"):
        land(tmp_path, name, name)
    place = tmp_path / "landing"
    assert names(list_files(str(place), contract)) == ["2024/01/c.csv", "2024/a.csv", "b.csv", "notes.txt"]
    assert names(list_files(f"{place}/*.csv", contract)) == ["b.csv"]
    assert names(list_files(f"{place}/**/*.csv", contract)) == ["2024/01/c.csv", "2024/a.csv", "b.csv"]
    assert names(list_files(str(place / "b.csv"), contract)) == ["b.csv"]
    assert list_files(str(place), contract).ignored == (".hidden.csv", "_SUCCESS", "_tmp/d.csv")
    files, unfinished = digest_files(list_files(str(place / "b.csv"), contract))
    assert [(f.name, f.digest, f.size) for f in files] == [("b.csv", hashlib.sha256(b"b.csv").hexdigest(), 5)]
    assert unfinished == ()


@pytest.mark.parametrize("place", ["nowhere", "nowhere/*.csv", "empty"])
def test_no_file_is_no_input(tmp_path: Path, place: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(TidemillError) as caught:
        list_files(str(tmp_path / place), contract_of(tmp_path))
    assert (caught.value.code, caught.value.exit_code) == ("E_NO_FILES", 66)
    assert "--set sources.visits.path=" in caught.value.next_step


def test_rows_come_with_their_file_and_place(spark: SparkSession, tmp_path: Path) -> None:
    contract = contract_of(tmp_path, by_name=True)
    land(tmp_path, "a b+c%20d.csv", "Who,Pages Seen\nx,1\ny,\n")
    land(tmp_path, "deep er/é.csv.gz", 'Who,Pages Seen\n"x, ""y""", 2 \nz,3\n')
    land(tmp_path, "turned.csv", "Pages Seen,Who\n4,w\n5,v\n")  # as the contract allows
    land(tmp_path, "only a header.csv", "Who,Pages Seen\n")
    assert landed(spark, contract, tmp_path) == [
        ("a b+c%20d.csv", 1, "x", "1", None),
        ("a b+c%20d.csv", 2, "y", None, None),
        ("deep er/é.csv.gz", 1, 'x, "y"', " 2 ", None),
        ("deep er/é.csv.gz", 2, "z", "3", None),
        ("turned.csv", 1, "w", "4", None),
        ("turned.csv", 2, "v", "5", None),
    ]


def test_malformed_lines_are_known_by_their_place(spark: SparkSession, tmp_path: Path) -> None:
    contract = contract_of(tmp_path, delimiter=";")
    lines = [f"n{n};{n}" for n in range(1, 3001)]
    lines[6], lines[1999], lines[2999] = "only one", "a;b;c", 'x;"open'
    land(tmp_path, "big.csv", "Who;Pages Seen\n" + "\n".join(lines) + "\n")
    rows = landed(spark, contract, tmp_path)
    assert [row[1] for row in rows] == list(range(1, 3001))
    rejected = [(7, ["COLUMN_COUNT"]), (2000, ["COLUMN_COUNT"]), (3000, ["UNCLOSED_QUOTE"])]
    assert [(row[1], row[4]) for row in rows if row[4] is not None] == rejected
    assert [(row[1], row[2], row[3]) for row in rows if row[1] in {1, 8, 2001}] == [
        (1, "n1", "1"),
        (8, "n8", "8"),
        (2001, "n2001", "2001"),
    ]


def test_parquet_is_read_as_text_with_its_place(spark: SparkSession, tmp_path: Path) -> None:
    contract = contract_of(tmp_path, form="parquet")
    (tmp_path / "landing").mkdir()
    for name, columns in {"a.parquet": ["Who", "Pages Seen"], "b c.parquet": ["Pages Seen", "Who"]}.items():
        table = pa.table({"Who": ["x", None], "Pages Seen": pa.array([1, 2], pa.int32())}).select(columns)
        pq.write_table(table, tmp_path / "landing" / name)
    assert landed(spark, contract, tmp_path) == [
        ("a.parquet", 1, "x", "1", None),
        ("a.parquet", 2, None, "2", None),
        ("b c.parquet", 1, "x", "1", None),
        ("b c.parquet", 2, None, "2", None),
    ]


NOON = datetime(2024, 2, 29, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("values", "zone", "texts"),
    [
        (pa.array([1.5, 1e10, None, float("nan")]), "UTC", ["1.5", "1e+10", None, "nan"]),
        (pa.array([Decimal("1.50"), None]), "UTC", ["1.50", None]),
        (pa.array([True, False]), "UTC", ["true", "false"]),
        (pa.array([date(2024, 2, 29)]), "UTC", ["2024-02-29"]),
        (pa.array([NOON], pa.timestamp("us", "UTC")), "UTC", ["2024-02-29 12:00:00"]),
        (pa.array([NOON], pa.timestamp("us", "UTC")), "Europe/Berlin", ["2024-02-29 12:00:00Z"]),
        (pa.array([NOON], pa.timestamp("ns", "Asia/Tokyo")), "Europe/Berlin", ["2024-02-29 12:00:00Z"]),
        (pa.array([1_500_000, 1_000_000, None], pa.timestamp("us")), "Europe/Berlin",
         ["1970-01-01 00:00:01.5", "1970-01-01 00:00:01", None]),
        (pa.array([10], pa.timestamp("s")), "UTC", ["1970-01-01 00:00:10"]),
        (pa.array(["a", None, "a"]).dictionary_encode(), "UTC", ["a", None, "a"]),
        (pa.array(["a"], pa.large_string()), "UTC", ["a"]),
        (pa.array([None, None], pa.null()), "UTC", [None, None]),
        (pa.array([{"a": 1, "b": [1.5, None]}, None]), "UTC", ['{"a": 1, "b": [1.5, null]}', None]),
    ],
)  # fmt: skip
def test_typed_values_land_as_texts(tmp_path: Path, values: pa.Array, zone: str, texts: list[str | None]) -> None:
    found = as_text(values, replace(contract_of(tmp_path, form="parquet"), timezone=zone))
    assert (found.type, found.to_pylist()) == (pa.string(), texts)


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("Who,Page Seen", "HEADER_MISSING_COLUMN:Pages Seen"),
        ("Who", "HEADER_MISSING_COLUMN:Pages Seen"),
        ("Pages Seen,Who", "HEADER_MISMATCH"),
        ("Who,Pages Seen,More", "HEADER_EXTRA_COLUMN:More"),
    ],
)
def test_a_file_with_a_wrong_header_is_rejected_as_a_whole(
    spark: SparkSession, tmp_path: Path, header: str, reason: str
) -> None:
    land(tmp_path, "a.csv", f"{header}\nx,1\n")
    land(tmp_path, "b.csv", "WHO,pages seen\nx,1\n")
    assert [f.found.reason for f in inspected(spark, contract_of(tmp_path), tmp_path)] == [reason, None]


HEADER = "Customer,At,Amount\n"


def tables(shop: Shop) -> tuple[Table, Table]:
    source = load_use_case(shop.repo, "shop").sources[0]
    return bronze_table(source, read_contract(shop.repo, source.contract)), quarantine_table(source)


def test_ingest_and_refine_keep_the_balance_and_repeat_nothing(shop: Shop) -> None:
    shop.deliver("one.csv", HEADER + "a,2024-01-01 10:00:00,5.00\nbroken\na,2024-01-01 10:00:00,5.00\nb,2024-01-02,x\n")
    code, summary = shop.run("ingest refine")
    assert (code, summary["status"]) == (0, "ok")
    assert summary["counts"] == {"read": 4, "accepted": 2, "quarantined": 2, "duplicates": 0}
    assert {k: v["rows"] for k, v in summary["tables"].items()} == {
        "bronze.orders": 3,
        "quarantine.orders": 2,
        "silver.orders": 2,
    }
    bronze, quarantine = tables(shop)
    kept = ("reasons", "raw", "source_file", "position", "line", "step", "state")
    rejected = sorted(tuple(row[k] for k in kept) for row in read_arrow(shop.lake, quarantine).to_pylist())
    assert rejected == [
        (["COLUMN_COUNT"], b"broken\n", "one.csv", 2, 3, "ingest", "open"),
        (["TYPE:amount"], b'{"Customer":"b","At":"2024-01-02","Amount":"x"}', "one.csv", 4, 5, "refine", "open"),
    ]
    assert sorted(r["position"] for r in read_arrow(shop.lake, bronze).to_pylist()) == [1, 3, 4]
    before = [(e.table, e.version) for e in shop.batches("silver.orders")]
    code, summary = shop.run("ingest refine")
    assert (code, summary["status"]) == (0, "skipped")
    assert summary["counts"] == {"read": 4, "accepted": 2, "quarantined": 2, "duplicates": 0}
    assert [(e.table, e.version) for e in shop.batches("silver.orders")] == before
    # The same rows under another name, one of them new.
    shop.deliver(
        "two.csv", HEADER + "a,2024-01-01 10:00:00,5.00\na,2024-01-01 10:00:00,5.00\na,2024-01-01 10:00:00,5.00\n"
    )
    code, summary = shop.run("ingest refine")
    assert (code, summary["counts"]) == (0, {"read": 7, "accepted": 3, "quarantined": 2, "duplicates": 2})
    # Made again, it is the same.
    code, summary = shop.run("refine", "--rebuild")
    assert (code, summary["counts"]) == (0, {"read": 7, "accepted": 3, "quarantined": 2, "duplicates": 2})
    assert {k: v["rows"] for k, v in summary["tables"].items()} == {
        "bronze.orders": 6,
        "quarantine.orders": 2,
        "silver.orders": 3,
    }


def test_a_file_edited_under_its_old_name_is_refused(shop: Shop) -> None:
    shop.deliver("one.csv", HEADER + "a,2024-01-01 10:00:00,5.00\n")
    assert shop.run("ingest")[0] == 0
    shop.deliver("one.csv", HEADER + "a,2024-01-01 10:00:00,6.00\n")
    shop.deliver("two.csv", HEADER + "b,2024-01-01 10:00:00,6.00\n")
    code, summary = shop.run("ingest")
    assert (code, summary["error"]["code"]) == (65, "E_FILE_CHANGED")
    assert "'one.csv'" in summary["error"]["what"]
    assert len(shop.batches("bronze.orders")) == 1


def test_nothing_delivered_is_no_input(shop: Shop) -> None:
    code, summary = shop.run("ingest")
    assert (code, summary["error"]["code"]) == (66, "E_NO_FILES")
    assert GOLD not in str(summary)


@pytest.mark.parametrize("column", ["customer", "ordered_at"])
def test_a_contract_must_require_what_places_a_row(shop: Shop, column: str) -> None:
    contract = shop.repo / "contracts" / "shop" / "orders.yaml"
    lines = contract.read_text("utf-8").splitlines(keepends=True)
    lax = [line.replace(", required: true", "") if f"name: {column}," in line else line for line in lines]
    contract.write_text("".join(lax), encoding="utf-8")
    shop.deliver("one.csv", HEADER + "a,2024-01-01,5.00\n,2024-01-01,5.00\na,,5.00\n")
    code, summary = shop.run("ingest")
    assert (code, summary["error"]["code"]) == (78, "E_CONTRACT")
    assert repr(column) in summary["error"]["what"]


def test_what_was_quarantined_before_a_crash_is_not_there_twice(shop: Shop) -> None:
    shop.deliver("one.csv", HEADER + "a,2024-01-01,5.00\nbroken\na,2024-01-01,x\n")
    for place, job in (("ingest.between_tables", "ingest"), ("refine.between_tables", "refine")):
        with armed(place), pytest.raises(Crashed):
            shop.run(job)
        if job == "ingest":
            assert shop.run("refine")[1]["counts"] == {"read": 0, "accepted": 0, "quarantined": 0, "duplicates": 0}
            assert shop.run("ingest")[0] == 0
    shop.deliver("two.csv", HEADER + "b,2024-01-01,5.00\nb,2024-01-01,y\n")  # more arrives before the next run
    code, summary = shop.run("ingest refine")
    assert (code, summary["counts"]) == (0, {"read": 5, "accepted": 2, "quarantined": 3, "duplicates": 0})
    held = sorted((r["source_file"], r["position"]) for r in read_arrow(shop.lake, tables(shop)[1]).to_pylist())
    assert held == [("one.csv", 2), ("one.csv", 3), ("two.csv", 2)]


def test_another_source_of_the_same_name_is_refused(shop: Shop) -> None:
    shop.deliver("one.csv", HEADER + "a,2024-01-01,5.00\n")
    assert shop.run("ingest")[0] == 0
    contracts, file = shop.repo / "contracts" / "shop", shop.repo / "shop.py"
    (contracts / "others.yaml").write_text((contracts / "orders.yaml").read_text("utf-8"), encoding="utf-8")
    file.write_text(file.read_text("utf-8").replace("shop/orders.yaml", "shop/others.yaml"), encoding="utf-8")
    shop.deliver("two.csv", HEADER + "b,2024-01-01,5.00\n")
    code, summary = shop.run("ingest")
    assert (code, summary["error"]["code"]) == (65, "E_DECLARATION")
