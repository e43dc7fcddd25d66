"""`tidemill promotions`, `approve` and `rollback`: what was decided about models, and what people decide."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path  # noqa: TC003 - Typer reads the annotations
from typing import Annotated, Any

import typer

from tidemill.cli.environment import open_registry
from tidemill.cli.overruling import approve as approve_version
from tidemill.cli.overruling import roll_back
from tidemill.cli.promoting import read_promotions
from tidemill.cli.shown import ROOT, Env, Json, Root, known_root, show_rows
from tidemill.data.tables import Lake


def _user() -> str:
    """Who runs the command: a container may know a number only."""
    return os.environ.get("LOGNAME") or os.environ.get("USER") or f"user {os.getuid()}"


Because = Annotated[str, typer.Option(help="Why; it is kept in the ledger.")]
By = Annotated[str, typer.Option(default_factory=_user, help="Who decides (default: who runs the command).")]
_LEASE_SECONDS = 10.0
_COLUMNS = ("decided_at", "as_of", "decision", "version", "champion_before", "by", "reasons")


def promotions(
    use_case: str,
    root: Root = ROOT,
    evidence: Annotated[bool, typer.Option("--evidence", help="Every check of the gate as well.")] = False,
    as_json: Json = False,
) -> None:
    """Lists the decisions about a use case's models, newest first: when, by whom, why, and what was champion before."""
    rows = [row for row in read_promotions(_lake(root)) if row["use_case"] == use_case]
    _show(sorted(rows, key=lambda row: row["decided_at"], reverse=True), evidence=evidence, as_json=as_json)


def approve(
    use_case: str, version: str, because: Because, by: By, root: Root = ROOT, env: Env = "local", as_json: Json = False
) -> None:
    """Makes a challenger that waits for approval (promote.approval) the champion."""
    lake = _lake(root)
    registry = open_registry(lake.root, env)
    made = approve_version(lake, registry, use_case, version, by=by, because=because, now=datetime.now(UTC))
    _show([made], evidence=False, as_json=as_json)


def rollback(
    use_case: str,
    because: Because,
    by: By,
    to: Annotated[str | None, typer.Option(help="A version that was champion (default: the one before).")] = None,
    root: Root = ROOT,
    env: Env = "local",
    as_json: Json = False,
) -> None:
    """Makes the former version champion again, from the as-of time on at which the present one became champion."""
    lake = _lake(root)
    registry = open_registry(lake.root, env)
    made = roll_back(lake, registry, use_case, to, by=by, because=because, now=datetime.now(UTC))
    _show([made], evidence=False, as_json=as_json)


COMMANDS = (promotions, approve, rollback)


def _lake(root: Path) -> Lake:
    known_root(root)
    return Lake(root.resolve(), "console", lease_timeout=_LEASE_SECONDS)


def _show(rows: list[dict[str, Any]], *, evidence: bool, as_json: bool) -> None:
    shown = []
    for row in rows:
        gate = json.loads(row["evidence"])["checks"] if row.get("evidence") else []
        checks = [f"{'passed' if c['passed'] else 'failed'} {c['name']}: {c['reason']}" for c in gate]
        shown.append(
            {
                **row,
                "version": row["challenger_version"],
                "champion_before": row["champion_version"],
                "by": row.get("decided_by") or "gate",
                "reasons": row["reasons"] if as_json else "; ".join(row["reasons"]),
                "checks": gate if as_json else "\n".join(checks),
            }
        )
    show_rows(shown, (*_COLUMNS, "checks") if evidence else _COLUMNS, as_json=as_json)
