"""Shops whose source is whatever a test of ingestion needs, and what became of its rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conftest import Shop
from tidemill.data.read import read_arrow
from tidemill.data.tables import QUARANTINE, SILVER, Table

if TYPE_CHECKING:
    from pathlib import Path

CONTRACT = """\
apiVersion: v3.0.2
kind: DataContract
id: readings
name: readings
version: 1.0.0
status: active
servers:
  - {{server: landing, type: local, path: "{{root}}/landing/readings", format: {form}}}
customProperties:
  {options}
schema:
  - name: readings
    properties:
      - name: id
        physicalName: id
        logicalType: integer
        required: true
        customProperties: [{{property: nullTokens, value: ["NULL", "NA"]}}]
      - name: amount
        physicalName: amount
        logicalType: number
        customProperties: [{{property: nullTokens, value: ["NULL", "NA", '\\N', "-"]}}]
      - {{name: ts, physicalName: ts, logicalType: timestamp, required: true}}
      - {{name: name, physicalName: name, logicalType: string, required: true}}
      - {{name: active, physicalName: active, logicalType: boolean}}
{more}
"""
USE_CASE = """\
from tidemill.declare import *

WHO = Entity("name")
READINGS = Source("readings", contract="shop/orders.yaml", entity=WHO, event_time="ts")
VIEW = FeatureView("seen", version=1, entity=WHO, source=READINGS, cadence=days(1), ttl=days(2), features=(Recency(),))
SHOP = UseCase(
    "shop",
    views=(VIEW,),
    label=Label("gone", horizon=days(10), population=ActiveWithin(READINGS, days(20)), outcome=NoEventIn(READINGS)),
    task="binary",
    models=(LogisticRegression(),),
    grid=Grid("2024-01-11", every=days(10)),
    baseline="recency_days",
)
"""
HEADER = "id,amount,ts,name,active\n"
GOOD = "1,1.5,2024-01-01 00:00:00,ann,true\n"


def land_contract(folder: Path, form: str, options: str = "[]", more: str = "") -> Shop:
    """A shop with a source of readings; nothing is delivered."""
    shop = Shop(folder / "repo", folder / "var")
    (shop.repo / "contracts" / "shop").mkdir(parents=True, exist_ok=True)
    text = CONTRACT.format(form=form, options=options, more=more)
    (shop.repo / "contracts" / "shop" / "orders.yaml").write_text(text, encoding="utf-8")
    (shop.repo / "shop.py").write_text(USE_CASE, encoding="utf-8")
    return shop


def line(**changed: str) -> str:
    """A good row with values changed."""
    values = {"id": "2", "amount": "2.5", "ts": "2024-01-02 00:00:00", "name": "bob", "active": "true", **changed}
    return ",".join(values.values()) + "\n"


def land(shop: Shop, name: str, *lines: str, header: str = HEADER) -> None:
    """Lands a CSV file."""
    place = shop.root / "landing" / "readings"
    place.mkdir(parents=True, exist_ok=True)
    (place / name).write_text(header + "".join(lines), encoding="utf-8")


def rewrite(shop: Shop, old: str, new: str) -> None:
    """Changes the contract."""
    path = shop.repo / "contracts" / "shop" / "orders.yaml"
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def run(shop: Shop, jobs: str, *arguments: str, code: int = 0) -> dict[str, Any]:
    """Runs jobs, which have to end with a code; the summary."""
    found, summary = shop.run(jobs, *arguments)
    assert found == code, summary
    return summary


def rows_of(shop: Shop, layer: str) -> list[dict[str, Any]]:
    """The rows of one of the source's tables."""
    found: list[dict[str, Any]] = read_arrow(shop.lake, Table(layer, "readings", ())).to_pylist()
    return found


def silver(shop: Shop, *columns: str) -> list[tuple[Any, ...]]:
    """Columns of silver, ordered."""
    return sorted(tuple(row[c] for c in columns) for row in rows_of(shop, SILVER))


def rejected(shop: Shop) -> list[tuple[Any, ...]]:
    """File, position (0 for a whole file), reasons and state of what is in quarantine, ordered."""
    found = rows_of(shop, QUARANTINE)
    return sorted(((r["source_file"], r["position"] or 0, r["reasons"], r["state"]) for r in found), key=str)
