"""What arrives and should not: each kind of bad input, numbered, with what becomes of it, driven through the jobs.

A case is one landed file. Files of one contract are delivered together, so that each also shows that nothing stops the
rest. Expected is, for a file that is rejected as a whole, its reason; for others the reasons of each rejected row by
its position, and how many rows reach silver.
"""

from __future__ import annotations

import gzip
import io
import json
import random
import zipfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from data_shops import GOOD, HEADER, land_contract, line, rows_of
from tidemill.data.tables import BRONZE, QUARANTINE, SILVER

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Shop


@dataclass(frozen=True)
class Case:
    """One bad input.

    Args:
        row: its number.
        name: the file's name, with the row's number before it.
        data: the file's bytes.
        file: why it is rejected as a whole, or None.
        rows: the reasons of its rejected rows by position.
        accepted: how many of its rows reach silver.
        values: what the accepted rows hold in one column, where that matters.
    """

    row: int
    name: str
    data: bytes
    file: str | None = None
    rows: dict[int, list[str]] = field(default_factory=dict)
    accepted: int = 0
    values: tuple[str, list[Any]] | None = None

    @property
    def landed(self) -> str:
        """The file's name."""
        return f"{self.row:02}-{self.name}"


def csv(row: int, name: str, *lines: str, header: str = HEADER, **expected: Any) -> Case:
    """A CSV file."""
    return Case(row, f"{name}.csv", (header + "".join(lines)).encode(), **expected)


def one(row: int, file: str, reason: str, **changed: str) -> Case:
    """A good row and one with a value changed, which is rejected for one reason."""
    return csv(row, file, GOOD, line(**changed), rows={2: [reason]}, accepted=1)


def packed(text: str) -> bytes:
    return gzip.compress(text.encode(), mtime=0)


def zipped(text: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.csv", text)
    return file.getvalue()


def damaged(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 0xFF, data[middle + 1] ^ 0xFF]) + data[middle + 2 :]


MANY = "".join(line(id=str(n), name=f"n{n % 7}") for n in range(2000))
CSV = [
    csv(1, "reordered", GOOD, header="amount,id,ts,name,active\n", file="HEADER_MISMATCH"),
    csv(2, "missing", "1,1.5,2024-01-01,ann\n", header="id,amount,ts,name\n", file="HEADER_MISSING_COLUMN:active"),
    csv(3, "extra", "1,1.5,2024-01-01,ann,true,x\n", header="id,amount,ts,name,active,more\n",
        file="HEADER_EXTRA_COLUMN:more"),
    csv(4, "case", GOOD, header="ID,Amount,TS,Name,Active\n", accepted=1),
    csv(5, "twice", "1,1,2024-01-01,ann,true\n", header="id,id,ts,name,active\n", file="HEADER_DUPLICATE:id"),
    csv(6, "none", GOOD, GOOD, header="", file="HEADER_MISMATCH"),
    csv(7, "header-only"),
    csv(7, "empty", header=""),
    csv(7, "blank", header=" \n\n"),
    csv(8, "repeated", GOOD, HEADER, GOOD, rows={2: ["REPEATED_HEADER"]}, accepted=2),
    csv(9, "few", GOOD, "1,2\n", "1,2,3,4,5,6\n", rows={2: ["COLUMN_COUNT"], 3: ["COLUMN_COUNT"]}, accepted=1),
    csv(10, "delimiter", GOOD, "1,1.5,2024-01-01 00:00:00,ann, jr,true\n", rows={2: ["COLUMN_COUNT"]}, accepted=1),
    csv(11, "newline", GOOD, '1,1.5,2024-01-01 00:00:00,"an\nn",true\n', GOOD,
        rows={2: ["POSSIBLE_MULTILINE"], 3: ["POSSIBLE_MULTILINE"]}, accepted=2),
    csv(12, "unclosed", GOOD, '1,1.5,2024-01-01 00:00:00,"ann,true\n', GOOD, rows={2: ["UNCLOSED_QUOTE"]}, accepted=2),
    csv(13, "rfc", line(name='"an ""x"" n"'), accepted=1, values=("name", ['an "x" n'])),
    csv(14, "stray", line(name='an"n'), accepted=1, values=("name", ['an"n'])),
    Case(15, "crlf.csv", (HEADER + GOOD + line()).replace("\n", "\r\n").encode(), accepted=2),
    Case(15, "cr.csv", (HEADER + GOOD + line()).replace("\n", "\r").encode(), accepted=2),
    Case(15, "mixed.csv", (HEADER + GOOD.replace("\n", "\r\n") + line() + GOOD).encode(), accepted=3),
    Case(16, "bom.csv", b"\xef\xbb\xbf" + (HEADER + GOOD).encode(), accepted=1),
    Case(17, "utf16.csv", (HEADER + GOOD).encode("utf-16"), file="ENCODING"),
    Case(17, "utf16-bare.csv", (HEADER + GOOD).encode("utf-16-le"), file="ENCODING"),
    Case(18, "latin.csv", (HEADER + GOOD).encode() + line(name="zo\xe9").encode("latin-1"), rows={2: ["ENCODING"]},
         accepted=1),
    one(19, "nul", "CONTROL_CHAR:name", name="a\x00b"),
    one(19, "ansi", "CONTROL_CHAR:name", name="\x1b[31mred"),
    one(20, "bidi", "INVISIBLE_CHAR:name", name="a\u202eb"),
    one(20, "zero-width", "INVISIBLE_CHAR:name", name="a\u200bb"),
    one(20, "no-break", "INVISIBLE_CHAR:name", name="a\u00a0b"),
    csv(20, "decomposed", line(name="Zoe\u0308"), accepted=1, values=("name", ["Zo\u00eb"])),
    one(21, "long", "FIELD_TOO_LONG:name", name="x" * 2_000_000),
    csv(22, "wide", GOOD, ",".join("x" * 25_000) + "\n", GOOD, rows={2: ["COLUMN_COUNT"]}, accepted=2),
    *(one(23, f"whole-{n}", "TYPE:id", id=value) for n, value in enumerate(("1.0", "1e3", "0x10", " 7", "x"))),
    one(24, "overflow", "OVERFLOW:id", id=str(2**63)),
    one(25, "digits", "NON_ASCII_NUMBER:id", id="\u0661\u0662"),
    *(one(26, f"infinite-{n}", "NON_FINITE:amount", amount=value)
      for n, value in enumerate(("NaN", "Inf", "Infinity", "-Inf", "nan", "inf"))),
    one(27, "huge", "OVERFLOW:amount", amount="1e400"),
    one(27, "tiny", "UNDERFLOW:amount", amount="1e-400"),
    *(one(28, f"styled-{n}", "TYPE:amount", amount=value) for n, value in enumerate(('"1,234.5"', "1_000", "$5"))),
    csv(29, "tokens", *(line(amount=t) for t in ("NULL", "NA", "\\N", "-", "")), accepted=5, values=("amount", [None])),
    one(29, "required", "NULL:id", id="NULL"),
    *(one(30, f"truth-{value}", "TYPE:active", active=value) for value in ("yes", "1", "t", "on")),
    csv(30, "truth", line(active="TRUE"), line(active="false"), accepted=2, values=("active", [False, True])),
    *(one(31, f"order-{n}", "TS_INVALID:ts", ts=v) for n, v in enumerate(("01/02/2024", "20240102", "2024-1-2"))),
    *(one(32, f"impossible-{n}", "TS_INVALID:ts", ts=value)
      for n, value in enumerate(("2024-02-30", "2024-01-01 00:00:60", "2024-01-01 25:00:00"))),
    *(one(33, f"epoch-{n}", "TS_INVALID:ts", ts=value) for n, value in enumerate(("1704067200", "1704067200000"))),
    *(one(34, f"year-{n}", "TS_RANGE:ts", ts=f"{year}-01-01")
      for n, year in enumerate(("0000", "-0044", "10000", "294248", "1500", "0001"))),
    one(35, "future", "TS_FUTURE:ts", ts="2999-01-01"),
    csv(37, "semicolons", "1;1;2024-01-01;ann;true\n", header="id;amount;ts;name;active\n", file="DELIMITER"),
    csv(38, "comments", GOOD, "# a comment\n", "\n", GOOD, rows={2: ["COLUMN_COUNT"]}, accepted=2),
    Case(39, "truncated.csv.gz", packed(HEADER + MANY)[:-200], file="COMPRESSION"),
    Case(39, "flipped.csv.gz", damaged(packed(HEADER + MANY)), file="COMPRESSION"),
    Case(39, "no-gzip.csv.gz", (HEADER + GOOD).encode(), file="COMPRESSION"),
    Case(39, "trailing.csv.gz", packed(HEADER + GOOD) + b"garbage at the end", file="COMPRESSION"),
    Case(40, "gzip.csv", packed(HEADER + GOOD), file="CONTENT_TYPE"),
    Case(40, "json.csv", b'{"id": 1, "amount": 1.5}\n', file="CONTENT_TYPE"),
    Case(41, "zip.csv", zipped(HEADER + GOOD), file="CONTENT_TYPE"),
    Case(42, "bomb.csv.gz", packed(HEADER + GOOD * 2_000_000), file="BOMB"),
    Case(43, "empty.csv.gz", b""),
    Case(45, "a b+c%41,=[{.csv", (HEADER + GOOD).encode(), accepted=1),
    csv(46, "equal", GOOD, GOOD, accepted=2),
    csv(47, "formula", line(name="=cmd|' /C calc'!A0"), line(name="@SUM(A1)"), line(name="<b>x</b>"),
        line(name="x'; drop table y"), accepted=4),
    Case(48, "random.csv", random.Random(1).randbytes(5000), file="CONTENT_TYPE"),  # noqa: S311
]  # fmt: skip
LATER = [
    Case(3, "more.csv", b"id,amount,ts,name,active,more\n1,1.5,2024-01-01,ann,true,x\n1,1.5,2024-01-01,ann,true,\n"),
]


def obj(**changed: Any) -> str:
    return json.dumps({"id": 1, "amount": 1.5, "ts": "2024-01-01 00:00:00", "name": "ann", "active": True, **changed})


def jsonl(row: int, name: str, *bad: tuple[str, str], accepted: int = 1, **expected: Any) -> Case:
    """A good line, and others each with its reason; an empty reason is none."""
    text = obj() + "\n" + "".join(f"{text}\n" for text, _ in bad)
    rows = {n: [reason] for n, (_, reason) in enumerate(bad, start=2) if reason}
    return Case(row, f"{name}.jsonl", text.encode("utf-8", "surrogatepass"), rows=rows, accepted=accepted, **expected)


DEEP = "[" * 3000 + "]" * 3000
JSON = [
    jsonl(49, "two", (obj() + obj(), "TRAILING_DATA")),
    jsonl(50, "case", (json.dumps({**json.loads(obj()), "ID": 2}), "UNKNOWN_FIELD:ID")),
    jsonl(51, "twice", (obj()[:-1] + ', "id": 2}', "DUPLICATE_KEY:id")),
    jsonl(52, "unknown", (obj(more=1), "UNKNOWN_FIELD:more")),
    Case(53, "missing.jsonl", (obj() + "\n{}\n" + obj(id=None) + "\n").encode(),
         rows={2: ["NULL:id", "NULL:ts", "NULL:name"], 3: ["NULL:id"]}, accepted=1),
    jsonl(54, "nan", (obj(amount=float("nan")), "NON_FINITE"), (obj(amount=float("-inf")), "NON_FINITE"),
          (obj(amount="NaN"), "TYPE:amount")),
    jsonl(55, "single", (obj().replace('"', "'"), "SYNTAX")),
    jsonl(56, "kinds", (obj(id="1"), "TYPE:id"), (obj(id=1.0), "TYPE:id"), (obj(amount=True), "TYPE:amount")),
    jsonl(57, "nested", (obj(name={"a": 1}), "TYPE:name"), (obj(name=[1]), "TYPE:name"), (obj(name=5), "TYPE:name")),
    jsonl(58, "array", ("[" + obj() + "]", "NOT_AN_OBJECT")),
    jsonl(59, "scalar", ("5", "NOT_AN_OBJECT"), ("null", "NOT_AN_OBJECT"), ('"x"', "NOT_AN_OBJECT")),
    jsonl(60, "syntax", (obj()[:-1] + ",}", "SYNTAX"), (obj() + " // x", "TRAILING_DATA"), ("{id: 1}", "SYNTAX"),
          (obj().replace("1.5", "01.5"), "SYNTAX"), (obj(name="a b").replace("a b", "a\tb"), "SYNTAX")),
    Case(61, "pretty.jsonl", json.dumps(json.loads(obj()), indent=2).encode(), file="MULTILINE_JSON"),
    Case(62, "cut.jsonl", (obj() + "\n" + obj()[:40]).encode(), rows={2: ["TRUNCATED"]}, accepted=1),
    jsonl(63, "limits", (obj()[:-1] + f', "more": {DEEP}}}', "LIMIT"), (obj(name="x" * 21_000_000), "LIMIT"),
          (obj().replace("1.5", "1" * 2000), "LIMIT:amount")),
    jsonl(64, "surrogate", (obj(name="\ud83d"), "ENCODING:name")),
    jsonl(65, "corrupt-column", (obj(_reasons=1), "UNKNOWN_FIELD:_reasons"),
          (obj(_corrupt_record="x"), "UNKNOWN_FIELD:_corrupt_record")),
    Case(66, "utf16.jsonl", (obj() + "\n").encode("utf-16"), file="ENCODING"),
]  # fmt: skip


def parquet(row: int, file_name: str, *, damage: Any = None, drop: str = "", **expected: Any) -> Case:
    """A Parquet file with columns changed."""
    changed = {key: expected.pop(key) for key in list(expected) if isinstance(expected[key], pa.Array)}
    columns = {
        "id": pa.array([1, 2], pa.int64()),
        "amount": pa.array([1.5, 2.5]),
        "ts": pa.array([1704067200000000] * 2, pa.timestamp("us")),
        "name": pa.array(["ann", "bob"]),
        "active": pa.array([True, False]),
        **changed,
    }
    if drop:
        del columns[drop]
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file)
    data = file.getvalue()
    return Case(row, f"{file_name}.parquet", damage(data) if damage else data, **expected)


def cut_short(data: bytes) -> bytes:
    return data[: len(data) // 2]


PARQUET = [
    Case(67, "empty.parquet", b"", file="EMPTY_FILE"),
    parquet(68, "truncated", damage=cut_short, file="PARQUET_UNREADABLE"),
    Case(68, "text.parquet", (HEADER + GOOD).encode(), file="PARQUET_UNREADABLE"),
    parquet(68, "flipped", damage=lambda data: data[:30] + bytes(b ^ 0xFF for b in data[30:60]) + data[60:],
            file="PARQUET_UNREADABLE"),
    parquet(69, "narrow", id=pa.array([1, 2], pa.int32()), amount=pa.array([0.5, 0.25], pa.float32()), accepted=2),
    parquet(70, "text-for-truth", active=pa.array(["true", "x"]), file="TYPE:active"),
    parquet(70, "text-with-tokens", id=pa.array(["1", "NA"]), rows={2: ["NULL:id"]},
            accepted=1),
    parquet(70, "double-for-whole", id=pa.array([1.0, 2.0]), file="TYPE:id"),
    parquet(70, "whole-for-text", name=pa.array([1, 2]), file="TYPE:name"),
    parquet(71, "unsigned", id=pa.array([1, 2**63 + 5], pa.uint64()), file="OVERFLOW:id"),
    parquet(72, "missing", drop="active", file="MISSING_COLUMN:active"),
    parquet(73, "extra", more=pa.array([1, 2]), file="EXTRA_COLUMN:more"),
    parquet(75, "twice", ID=pa.array([1, 2]), file="DUPLICATE_COLUMN:id"),
    parquet(76, "null", amount=pa.array([None, None], pa.float64()), accepted=2),
    parquet(77, "bytes", name=pa.array([b"ann", b"\xff\xfe"], pa.binary()), rows={2: ["ENCODING:name"]}, accepted=1),
    parquet(79, "infinite", amount=pa.array([float("nan"), float("inf")]),
            rows={1: ["NON_FINITE:amount"], 2: ["NON_FINITE:amount"]}),
]  # fmt: skip
SHUFFLED = io.BytesIO()
pq.write_table(pa.table({
    "ACTIVE": pa.array([True]), "Name": pa.array(["ann"]), "TS": pa.array([1704067200000000], pa.timestamp("us")),
    "amount": pa.array([1.5]), "ID": pa.array([1], pa.int64()),
}), SHUFFLED)  # fmt: skip
PARQUET.append(Case(74, "shuffled.parquet", SHUFFLED.getvalue(), accepted=1))


@dataclass(frozen=True)
class Outcome:
    """What became of all files of one delivery."""

    counts: dict[str, int]
    notes: str
    rejected: list[dict[str, Any]]
    silver: list[dict[str, Any]]
    bronze: list[dict[str, Any]]


def deliver(folder: Path, cases: list[Case], form: str, options: str = "[]", more: str = "") -> Outcome:
    """Delivers the files of cases together, and runs ingest and refine."""
    shop = land_contract(folder, form, options, more)
    place = shop.root / "landing" / "readings"
    place.mkdir(parents=True, exist_ok=True)
    for case in cases:
        (place / case.landed).write_bytes(case.data)
    code, summary = shop.run("ingest refine")
    assert code == 0, summary
    return outcome_of(shop, summary)


def outcome_of(shop: Shop, summary: dict[str, Any]) -> Outcome:
    record = json.loads((shop.root / "runs" / summary["run_id"] / "summary.json").read_text("utf-8"))
    return Outcome(
        summary["counts"], "\n".join(record["notes"]), *(rows_of(shop, layer) for layer in (QUARANTINE, SILVER, BRONZE))
    )


def check(case: Case, found: Outcome) -> None:
    """Compares what became of one file with what should."""
    rejected = [row for row in found.rejected if row["source_file"] == case.landed]
    whole = [row["reasons"] for row in rejected if row["position"] is None]
    assert whole == ([[case.file]] if case.file else [])
    single = {row["position"]: row["reasons"] for row in rejected if row["position"] is not None}
    assert single == case.rows
    assert all(row["raw_length"] for row in rejected if row["position"] is not None)
    places = {row["position"] for row in found.bronze if row["source_file"] == case.landed}
    assert len(places - case.rows.keys()) == case.accepted
    if case.values is not None:
        column, values = case.values
        # Silver does not know its files: the values are those of no other case.
        held = [row[column] for row in found.silver]
        assert all(value in held for value in values)


@pytest.fixture(scope="module")
def csv_outcome(tmp_path_factory: pytest.TempPathFactory, spark: object) -> Outcome:
    folder = tmp_path_factory.mktemp("csv")
    hidden = [Case(44, "h.csv", (HEADER + GOOD).encode())]
    place = folder / "var" / "landing" / "readings"
    place.mkdir(parents=True)
    for name in ("_44-x.csv", ".44-x.csv"):
        (place / name).write_bytes(hidden[0].data)
    (folder / "elsewhere.csv").write_text(HEADER + GOOD, "utf-8")
    (place / "90-link.csv").symlink_to(folder / "elsewhere.csv")
    return deliver(folder, CSV, "csv")


@pytest.mark.parametrize("case", CSV, ids=lambda case: case.landed)
def test_csv(case: Case, csv_outcome: Outcome) -> None:
    check(case, csv_outcome)


def test_nothing_is_lost_and_what_is_ignored_is_said(csv_outcome: Outcome) -> None:
    accepted = sum(case.accepted for case in CSV)
    rejected = sum(len(case.rows) for case in CSV)
    assert csv_outcome.counts["read"] == accepted + rejected
    assert csv_outcome.counts["quarantined"] == rejected
    assert csv_outcome.counts["accepted"] == len(csv_outcome.silver)
    assert csv_outcome.counts["accepted"] + csv_outcome.counts["duplicates"] == accepted
    for name in ("_44-x.csv", ".44-x.csv", "90-link.csv"):  # rows 44 and 90
        assert name in csv_outcome.notes
    for name in ("07-header-only.csv", "07-empty.csv", "07-blank.csv"):  # row 7
        assert name in csv_outcome.notes or "more" in csv_outcome.notes
    assert "EMPTY_FILE" in csv_outcome.notes


def test_the_detail_names_the_place(csv_outcome: Outcome) -> None:
    by_file = {row["source_file"]: row for row in csv_outcome.rejected}
    latin = by_file["18-latin.csv"]
    assert (latin["position"], latin["line"], latin["detail"]) == (2, 3, "byte 28 of the record is not UTF-8")
    assert latin["raw"] == line(name="zo\xe9").encode("latin-1")
    assert by_file["21-long.csv"]["raw_length"] > 2_000_000
    assert len(by_file["21-long.csv"]["raw"]) == 64 * 1024


@pytest.fixture(scope="module")
def json_outcome(tmp_path_factory: pytest.TempPathFactory, spark: object) -> Outcome:
    return deliver(tmp_path_factory.mktemp("json"), JSON, "jsonl")


@pytest.mark.parametrize("case", JSON, ids=lambda case: case.landed)
def test_json_lines(case: Case, json_outcome: Outcome) -> None:
    check(case, json_outcome)


@pytest.fixture(scope="module")
def parquet_outcome(tmp_path_factory: pytest.TempPathFactory, spark: object) -> Outcome:
    return deliver(tmp_path_factory.mktemp("parquet"), PARQUET, "parquet")


@pytest.mark.parametrize("case", PARQUET, ids=lambda case: case.landed)
def test_parquet(case: Case, parquet_outcome: Outcome) -> None:
    check(case, parquet_outcome)


def test_a_folder_of_mixed_schemas_is_read_file_by_file(parquet_outcome: Outcome) -> None:  # row 78
    assert parquet_outcome.counts["accepted"] == len(parquet_outcome.silver) > 0
