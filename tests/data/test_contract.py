"""Contracts: what is read of them, and what is refused before anything runs."""

from datetime import timedelta
from pathlib import Path

import pytest
from tidemill.core.errors import TidemillError
from tidemill.data.contract_file import read_contract

GOOD = """\
apiVersion: v3.0.2
kind: DataContract
id: t
name: t
version: 1.0.0
status: active
servers: [{server: landing, type: local, path: "in/*.csv", format: csv, delimiter: ";"}]
customProperties: [{property: timezone, value: Asia/Shanghai}, {property: stale, value: stop}]
slaProperties: [{property: freshness, value: 36, unit: h}]
schema:
  - name: orders
    description: One order.
    properties:
      - {name: id, physicalName: Id, logicalType: string, primaryKey: true}
      - name: colour
        physicalName: Colour
        logicalType: string
        customProperties: [{property: allowedValues, value: [red, 1]}, {property: nullTokens, value: [N/A, -]}]
        quality: [{metric: nullValues, unit: percent, mustBeLessOrEqualTo: 2.5}]
      - name: at
        physicalName: At
        logicalType: timestamp
        logicalTypeOptions: {minimum: "2020-01-01", maximum: "2030-01-01"}
      - name: price
        physicalName: P
        logicalType: number
        physicalType: "decimal(9,2)"
        logicalTypeOptions: {minimum: 0}
      - {name: dear, logicalType: boolean, transformLogic: price > 10}
"""


def refused(folder: Path, text: str) -> TidemillError:
    (folder / "contracts").mkdir(exist_ok=True)
    (folder / "contracts" / "t.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(TidemillError) as caught:
        read_contract(folder, "t.yaml")
    assert (caught.value.code, caught.value.exit_code) == ("E_CONTRACT", 78)
    assert caught.value.where == str(folder / "contracts" / "t.yaml")
    return caught.value


def test_what_a_contract_says(tmp_path: Path) -> None:
    (tmp_path / "contracts").mkdir()
    (tmp_path / "contracts" / "t.yaml").write_text(GOOD, encoding="utf-8")
    found = read_contract(tmp_path, "t.yaml")
    assert (found.name, found.description, found.format, found.path, found.delimiter) == (
        "orders",
        "One order.",
        "csv",
        "in/*.csv",
        ";",
    )
    assert (found.timezone, found.stale, found.freshness) == ("Asia/Shanghai", "stop", timedelta(hours=36))
    assert found.landed == ("Id", "Colour", "At", "P")
    assert [c.type for c in found.columns] == ["string", "string", "timestamp", "decimal(9,2)", "boolean"]
    assert [c.required for c in found.columns] == [True, False, False, False, False]
    colour, at, price = (found.column(name) for name in ("colour", "at", "price"))
    assert (colour.allowed, colour.null_tokens, colour.null_share) == (("red", "1"), ("N/A", "-"), 0.025)
    assert (at.minimum, at.maximum, price.minimum) == ("timestamp'2020-01-01'", "timestamp'2030-01-01'", "0")
    assert found.column("dear").physical is None
    with pytest.raises(TidemillError, match="no column 'prise'") as caught:
        found.column("prise")
    assert "did you mean 'price'?" in caught.value.next_step


def test_the_digest_is_what_the_contract_says(tmp_path: Path) -> None:
    (tmp_path / "contracts").mkdir()
    digests = []
    for text in (GOOD, GOOD.replace("version: 1.0.0", "version: 1.0.1"), GOOD.replace("2.5", "3")):
        (tmp_path / "contracts" / "t.yaml").write_text(text, encoding="utf-8")
        digests.append(read_contract(tmp_path, "t.yaml").digest)
    assert digests[0] == digests[1] != digests[2]


def test_a_missing_contract(tmp_path: Path) -> None:
    with pytest.raises(TidemillError) as caught:
        read_contract(tmp_path, "none.yaml")
    assert (caught.value.code, caught.value.exit_code) == ("E_CONTRACT", 78)


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("format: csv", "format: cvs", "did you mean 'csv'?"),
        ("logicalType: boolean", "logicalType: bolean", "did you mean 'boolean'?"),
        ("transformLogic: price > 10", "required: false", "nothing stands under physicalName or transformLogic"),
        ("value: stop", "value: never", "stale 'never' is not known"),
        ('physicalType: "decimal(9,2)"', "physicalType: money", "money"),
        ("unit: h", "unit: fortnight", "fortnight"),
        ("servers: [{", "servers: [{server: other, type: local, path: x, format: csv}, {", "exactly one entry"),
        ("apiVersion: v3.0.2", "apiVersion: [", "cannot be used"),
        ("{name: id, physicalName: Id", "{name: colour, physicalName: Id", "two columns are named 'colour'"),
        ("{name: id, physicalName: Id", "{name: id, physicalName: At", "two columns are named 'At'"),
    ],
)
def test_what_cannot_be_used_is_said(tmp_path: Path, old: str, new: str, what: str) -> None:
    assert old in GOOD
    assert what in refused(tmp_path, GOOD.replace(old, new)).what


@pytest.mark.parametrize("text", ["", "- a", "x: 1"])
def test_what_is_no_contract_is_said(tmp_path: Path, text: str) -> None:
    refused(tmp_path, text)
