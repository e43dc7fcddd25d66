"""A shop's deliveries, and what a run leaves behind in a form that two runs can be compared by."""

from __future__ import annotations

import contextlib
import math
import re
import sqlite3
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from tidemill.core.home import HOME
from tidemill.data import ledger
from tidemill.data.places import open_delta
from tidemill.data.root_tables import tables_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

START = datetime(2024, 1, 1)  # noqa: DTZ001 - written without a zone, as the files are
ALL_JOBS = "ingest refine build_features materialize audit train promote score monitor"
AS_OF = "2024-03-11"
# What may differ between equal runs: when, by whom, and under which identity.
VOLATILE = {
    "created_timestamp",
    "batch_id",
    "bronze_batch_id",
    "training_set_id",
    "decided_at",
    "judged_at",
    "made_at",
    "profiled_at",
    "gold_batch",
    "predictions_batch",
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


def delivery() -> str:
    """Good rows, one of the wrong type, and one line that does not split into columns."""
    return as_csv(orders()) + "c001,not a time,1.00\n" + "c002,2024-01-05 00:00:00,1.00,too many\n"


def job_of(name: str) -> str:
    """The job that passes a place; those of the commit primitive are passed by every job, by ingest first."""
    place, _, at = name.partition(":")
    prefix = place.partition(".")[0]
    return at if prefix == "job" else "ingest" if prefix == "commit" else prefix


def failpoints() -> list[str]:
    """Every place that the code names for these jobs; a job's end once for each job."""
    sources = [*(HOME / "lib" / "tidemill").rglob("*.py"), *(HOME / "jobs").glob("*.py")]
    found = {name for path in sources for name in re.findall(r'failpoint\("([a-z_.]+)"', path.read_text("utf-8"))}
    passed = {name for name in found if name.partition(".")[0] in {"commit", *ALL_JOBS.split()}}
    return sorted(passed | {f"job.done:{job}" for job in ALL_JOBS.split()})


def contents(root: Path, *labels: str) -> dict[str, list[str]]:
    """The rows of the ledgered tables, as sorted texts without what may differ between equal runs."""
    versions = {e.table: e.version for e in ledger.entries(root)}
    found = {}
    for label in labels or sorted(versions):
        layer, _, name = label.partition(".")
        rows = open_delta(tables_of(root) / layer / name, versions[label]).to_pyarrow_table().to_pylist()
        found[label] = sorted(repr(sorted((k, _plain(v)) for k, v in r.items() if k not in VOLATILE)) for r in rows)
    return found


def versions(root: Path) -> dict[str, int]:
    """The Delta version of every table."""
    return {e.table: e.version for e in ledger.entries(root)}


def recorded(root: Path) -> list[str]:
    """What MLflow's database says: model versions, aliases, and runs that were never ended."""
    path = root / "mlflow" / "mlflow.db"
    if not path.exists():
        return []
    # Read by itself: through MLflow this process would keep the database open, whatever becomes of its folder.
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        versions = database.execute("select name, version from model_versions order by name, version")
        aliases = database.execute("select name, alias, version from registered_model_aliases order by name, alias")
        running = database.execute("select run_uuid from runs where status = 'RUNNING'")
        return [
            *(f"{name} {version}" for name, version in versions),
            *(f"{name} {alias} is {version}" for name, alias, version in aliases),
            *(f"{run} is running" for (run,) in running),
        ]


def _plain(value: Any) -> Any:
    return "nan" if isinstance(value, float) and math.isnan(value) else value
