"""Run records: one folder a run under `<root>/runs/`, written whole or not at all."""

from __future__ import annotations

import json
import os
import secrets
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SUMMARY = "summary.json"
RECORD = "record.json"
TRACEBACK = "traceback.txt"
REPORT = "report.html"
KEPT = "report-{}.html"  # of an as-of time: a run over a period has several
JUDGED = "judged-{}.json"  # what the index tells of it
INDEX = "{}.html"  # of a use case's pages, beside the folders of runs: links in it hold wherever both are served
SPARK_LOG = "spark.log"
_STARTED = "%Y%m%dT%H%M%SZ"


def new_run_id(started: datetime, job: str) -> str:
    """A name that sorts by start and is not given twice."""
    return f"{started.strftime(_STARTED)}-{job}-{secrets.token_hex(3)}"


def started_at(run_id: str) -> datetime:
    """When the run of a name started, to the second."""
    return datetime.strptime(run_id.partition("-")[0], _STARTED).replace(tzinfo=UTC)


def run_folder(root: Path, run_id: str) -> Path:
    """The folder of one run."""
    return root / "runs" / run_id


def write_text(path: Path, text: str) -> None:
    """Writes a file so that a reader sees the old one or the whole new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(path)


def write_json(path: Path, value: Any) -> None:
    """Writes a JSON file so that a reader sees the old one or the whole new one."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n")


def summaries(root: Path) -> Iterator[dict[str, Any]]:
    """The summaries of the finished runs of a root, newest first."""
    for path in sorted((root / "runs").glob(f"*/{SUMMARY}"), reverse=True):
        yield json.loads(path.read_text(encoding="utf-8"))


def judgements(root: Path, use_case: str) -> list[dict[str, Any]]:
    """What the judgements of a use case left for the index, oldest run first."""
    paths = sorted((root / "runs").glob(f"*/{JUDGED.format('*')}"))
    found = (json.loads(path.read_text(encoding="utf-8")) for path in paths)
    return [entry for entry in found if entry["use_case"] == use_case]
