"""A shop's deliveries, and what a run leaves behind in a form that two runs can be compared by."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from deltalake import DeltaTable
from tidemill.data import ledger
from tidemill.models.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

START = datetime(2024, 1, 1)  # noqa: DTZ001 - written without a zone, as the files are
ALL_JOBS = "ingest refine build_features materialize train promote score monitor"
AS_OF = "2024-03-11"
# What may differ between equal runs: when, by whom, and under which identity.
VOLATILE = {
    "created_timestamp",
    "batch_id",
    "bronze_batch_id",
    "training_set_id",
    "decided_at",
    "gold_batch",
    "label_version",
    "profile",
}


def orders(until: int = 110, customers: int = 40) -> list[tuple[str, datetime, str]]:
    """Orders of customers who come every few days and stop for good at some day; no chance in it."""
    rows = []
    for number in range(customers):
        every, stops = 3 + number % 5, 25 + (number * 37) % 120
        day = number % every
        while day < min(until, stops):
            at = START + timedelta(days=day, hours=number % 24, minutes=number)
            rows.append((f"c{number:03d}", at, f"{10 + (number * 7 + day * 3) % 50}.{day % 100:02d}"))
            day += every
    return sorted(rows, key=lambda r: (r[1], r[0]))


def as_csv(rows: Iterable[tuple[str, datetime, str]]) -> str:
    """The rows as a landing file."""
    return "Customer,At,Amount\n" + "".join(f"{c},{at:%Y-%m-%d %H:%M:%S},{amount}\n" for c, at, amount in rows)


def contents(root: Path, *labels: str) -> dict[str, list[str]]:
    """The rows of the ledgered tables, as sorted texts without what may differ between equal runs."""
    versions = {e.table: e.version for e in ledger.entries(root)}
    found = {}
    for label in labels or sorted(versions):
        layer, _, name = label.partition(".")
        rows = DeltaTable(str(root / "lake" / layer / name), version=versions[label]).to_pyarrow_table().to_pylist()
        found[label] = sorted(repr(sorted((k, _plain(v)) for k, v in r.items() if k not in VOLATILE)) for r in rows)
    return found


def versions(root: Path) -> dict[str, int]:
    """The Delta version of every table."""
    return {e.table: e.version for e in ledger.entries(root)}


def registered(root: Path) -> list[str]:
    """The registered versions of the shop's model, and the statuses of its runs."""
    registry = Registry(root)
    found = registry._client.search_model_versions("name = 'shop'")
    experiment = registry._client.get_experiment_by_name("shop")
    runs = registry._client.search_runs([experiment.experiment_id]) if experiment else []
    unfinished = [r.info.status for r in runs if r.info.status == "RUNNING"]
    return [*sorted(v.version for v in found), *unfinished, f"champion {registry.alias('shop', 'champion')}"]


def _plain(value: Any) -> Any:
    return "nan" if isinstance(value, float) and math.isnan(value) else value
