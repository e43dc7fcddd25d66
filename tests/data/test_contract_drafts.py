"""Contracts drafted from files, checked, and compared: `tidemill contract`."""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from tidemill.cli.console import main
from tidemill.core.errors import Exit, TidemillError
from tidemill.data.contract_diff import compare_contracts
from tidemill.data.contract_draft import draft_contract
from tidemill.data.contract_file import read_contract_file
from tidemill.data.kinds import kind_of
from tidemill.data.kinds.kind import FileKind

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ("Order No", "At", "Price", "Express", "Note", "Day")
ROWS = [
    dict(zip(NAMES, values, strict=True))
    for values in (
        ("1", "2024-01-05 10:00:00", "1.50", "true", "NA", "2024-01-05"),
        ("2", "2024-01-06 11:30:00", "2", "false", "left", "2024-01-06"),
        ("3", "2024-01-06 11:30:00", "7e3", "true", "", "2024-01-06"),
    )
]
KINDS = {
    "order_no": "integer",
    "at": "timestamp",
    "price": "number",
    "express": "boolean",
    "note": "string",
    "day": "date",
}


def as_csv(folder: Path) -> Path:
    path = folder / "orders.csv"
    path.write_text("\n".join([";".join(ROWS[0]), *(";".join(row.values()) for row in ROWS)]) + "\n")
    return path


def as_packed_csv(folder: Path) -> Path:
    path = folder / "orders.csv.gz"
    path.write_bytes(gzip.compress(as_csv(folder).read_bytes()))
    return path


def as_json_lines(folder: Path) -> Path:
    path = folder / "orders.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return path


def as_parquet(folder: Path) -> Path:
    path = folder / "orders.parquet"
    types = (pa.int64(), pa.timestamp("us"), pa.float64(), pa.bool_(), pa.string(), pa.date32())
    table = pa.Table.from_pylist(ROWS)
    typed = [column.cast(kind) for column, kind in zip(table.columns, types, strict=True)]
    lists = pa.array([[1], [2], [3]])
    pq.write_table(pa.table(typed, names=table.column_names).append_column("Parts", lists), path)
    return path


def saved(text: str, folder: Path, name: str = "orders.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


@pytest.mark.parametrize("landed", [as_csv, as_packed_csv, as_json_lines, as_parquet])
def test_a_draft_is_a_contract_that_its_file_satisfies(landed: Callable[[Path], Path], tmp_path: Path) -> None:
    path = landed(tmp_path)
    contract = read_contract_file(saved(draft_contract(path, "orders"), tmp_path))
    assert {c.name: c.logical for c in contract.columns} == KINDS
    assert [c.physical for c in contract.columns] == list(ROWS[0])
    assert [c.name for c in contract.columns if c.key] == ["order_no"]
    assert [c.name for c in contract.columns if not c.required] == ["note"]
    assert next(c for c in contract.columns if c.name == "note").null_tokens == ("NA",)
    kind = kind_of(contract.format)
    assert isinstance(kind, FileKind)
    assert kind.inspect(path, contract).reason is None


@pytest.mark.parametrize(
    ("name", "content"),
    [("broken.csv.gz", b"\x1f\x8b no more"), ("broken.parquet", b"PAR1PAR1"), ("gone.csv", None)],
)
def test_a_file_that_cannot_be_read_gives_no_draft(name: str, content: bytes | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(TidemillError) as caught:
        draft_contract(tmp_path / name, "orders")
    assert (caught.value.code, caught.value.exit_code) == ("E_FILE", Exit.DATA)
    assert name in caught.value.where


def changed(folder: Path, change: Callable[[dict[str, Any]], Any]) -> tuple[Path, Path]:
    """A contract before and after a change of its YAML."""
    text = draft_contract(as_csv(folder), "orders")
    body = yaml.safe_load(text)
    change(body)
    return saved(text, folder, "old.yaml"), saved(yaml.safe_dump(body, sort_keys=False), folder, "new.yaml")


def properties(body: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {p["name"]: p for p in body["schema"][0]["properties"]}


def without_price(body: dict[str, Any]) -> None:
    body["schema"][0]["properties"] = [p for p in body["schema"][0]["properties"] if p["name"] != "price"]


def with_shop(body: dict[str, Any]) -> None:
    body["schema"][0]["properties"].append({"name": "shop", "physicalName": "Shop", "logicalType": "string"})


def in_paris(body: dict[str, Any]) -> None:
    body["customProperties"] = [{"property": "timezone", "value": "Europe/Paris"}]


BREAKING: list[tuple[Callable[[dict[str, Any]], Any], str]] = [
    (without_price, "column price is gone"),
    (lambda b: properties(b)["price"].update(logicalType="string"), "column price is string instead of double"),
    (lambda b: properties(b)["price"].update(required=False), "column price may be null now"),
    (lambda b: properties(b)["order_no"].pop("primaryKey"), "column order_no is not part of the key now"),
    (in_paris, "times without a zone are Europe/Paris instead of UTC"),
    (
        lambda b: properties(b)["day"].update(logicalTypeOptions={"format": "yyyy-dd-MM"}),
        "column day is made in another",
    ),
]
COMPATIBLE: list[tuple[Callable[[dict[str, Any]], Any], str]] = [
    (with_shop, "column shop is new (string)"),
    (lambda b: properties(b)["note"].update(required=True), "column note always has a value now"),
    (lambda b: properties(b)["price"].update(logicalTypeOptions={"minimum": 0}), "column price has the minimum 0"),
    (lambda b: properties(b)["note"].update(physicalName="Remark"), "column note is read from Remark instead of Note"),
]


@pytest.mark.parametrize(("change", "what"), BREAKING)
def test_what_readers_relied_on_is_a_breaking_change(
    change: Callable[[dict[str, Any]], Any], what: str, tmp_path: Path
) -> None:
    old, new = changed(tmp_path, change)
    found = compare_contracts(read_contract_file(old), read_contract_file(new))
    assert [c.breaking for c in found] == [True]
    assert found[0].what.startswith(what)


@pytest.mark.parametrize(("change", "what"), COMPATIBLE)
def test_what_only_adds_or_tightens_is_none(change: Callable[[dict[str, Any]], Any], what: str, tmp_path: Path) -> None:
    old, new = changed(tmp_path, change)
    found = compare_contracts(read_contract_file(old), read_contract_file(new))
    assert [c.breaking for c in found] == [False]
    assert found[0].what.startswith(what)


def test_equal_contracts_do_not_differ(tmp_path: Path) -> None:
    old, new = changed(tmp_path, lambda body: body.update(description={"purpose": "said in other words"}))
    assert compare_contracts(read_contract_file(old), read_contract_file(new)) == []


Console = Callable[..., tuple[int, str, str]]


@pytest.fixture
def console(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Console:
    """The command with its arguments: exit code, standard output, standard error."""

    def say(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["tidemill", "contract", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return say


def test_the_console_drafts_checks_and_compares(tmp_path: Path, console: Console) -> None:
    path = as_csv(tmp_path)
    code, drafted, _ = console("infer", str(path))
    assert code == 0
    contract = saved(drafted, tmp_path)
    code, table, _ = console("check", str(contract), "--file", str(path))
    assert (code, "orders" in table) == (0, True)
    old, new = changed(tmp_path, without_price)
    code, table, error = console("diff", str(old), str(new))
    assert code == 65
    assert "column price is gone" in table
    assert error.startswith("error: E_BREAKING 1 change(s) may break readers")


def test_the_console_refuses_a_file_that_the_contract_would(tmp_path: Path, console: Console) -> None:
    contract = saved(draft_contract(as_csv(tmp_path), "orders"), tmp_path)
    other = saved("Price;At\n1;2\n", tmp_path, "other.csv")
    code, _, error = console("check", str(contract), "--file", str(other))
    assert code == 65
    assert "E_FILE the file would be rejected as a whole" in error
    assert str(other) in error
