"""`tidemill quarantine`: what was rejected and why, row by row; and the way back."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path  # noqa: TC003 - Typer reads the annotations
from typing import Annotated, Any

import pyarrow.dataset as ds
import typer

from tidemill.cli.shown import REPO, ROOT, Json, Repo, Root, known_root, show_rows
from tidemill.core.errors import Exit, TidemillError, nearest
from tidemill.core.home import job_command
from tidemill.data import ledger
from tidemill.data.quarantine import OPEN
from tidemill.data.read import read_arrow
from tidemill.data.tables import QUARANTINE, Lake, Table

app = typer.Typer(no_args_is_help=True, help=__doc__)
Source = Annotated[str | None, typer.Option(help="One source (default: all).")]
Batch = Annotated[str | None, typer.Option(help="One batch of the quarantine (default: all).")]
State = Annotated[str, typer.Option(help="open, replayed, waived, or all.")]
UseCase = Annotated[str, typer.Option("--use-case", help="The use case whose sources are meant.")]
_ALL = "all"


@app.command("list")
def list_(
    root: Root = ROOT, source: Source = None, batch: Batch = None, state: State = OPEN, as_json: Json = False
) -> None:
    """Counts the rejected rows by source, batch, reason and state; a row counts for each of its reasons."""
    counted: Counter[tuple[str, str, str, str]] = Counter()
    for name, row in _rows(root, source, batch, state, ["batch_id", "reasons", "state"]):
        counted.update((name, row["batch_id"], reason, row["state"]) for reason in row["reasons"])
    columns = ("source", "batch", "reason", "state", "rows")
    rows = [dict(zip(columns, (*key, n), strict=True)) for key, n in sorted(counted.items())]
    show_rows(rows, columns, as_json=as_json)


@app.command()
def show(
    root: Root = ROOT,
    source: Source = None,
    batch: Batch = None,
    state: State = OPEN,
    limit: Annotated[int, typer.Option(help="Rows, at most.")] = 20,
    as_json: Json = False,
) -> None:
    """Shows rejected rows: every reason, the exact place, the bytes with what cannot be printed escaped."""
    wanted = ("reasons", "detail", "source_file", "position", "line", "raw", "state", "batch_id")
    rows: list[dict[str, Any]] = []
    for name, row in _rows(root, source, batch, state, list(wanted)):
        if len(rows) == limit:
            break
        raw = row["raw"]
        rows.append({**row, "source": name, "raw": None if raw is None else _printable(raw)})
    show_rows(rows, ("source", *wanted), as_json=as_json)


@app.command()
def replay(
    use_case: UseCase, root: Root = ROOT, repo: Repo = REPO, source: Source = None, batch: Batch = None,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Sends open rows the same way again, under the contract as it is now."""
    _job(use_case, root, repo, source, batch, as_json=as_json)


@app.command()
def waive(
    use_case: UseCase, because: Annotated[str, typer.Option(help="Why; it is kept in the ledger.")],
    root: Root = ROOT, repo: Repo = REPO, source: Source = None, batch: Batch = None, as_json: Json = False,
) -> None:  # fmt: skip
    """Marks open rows as not wanted any more."""
    _job(use_case, root, repo, source, batch, "--because", because, as_json=as_json)


def _job(
    use_case: str, root: Path, repo: Path, source: str | None, batch: str | None, *more: str, as_json: bool
) -> None:
    command = [*job_command("replay"), "--use-case", use_case]
    command += ["--repo", str(repo), "--root", str(root)]
    command += ["--source", source] if source else []
    command += ["--batch", batch] if batch else []
    command += ["--json"] if as_json else []
    os.execv(command[0], [*command, *more])  # noqa: S606 - the job takes this process's place


def _rows(root: Path, source: str | None, batch: str | None, state: str, columns: list[str]) -> Any:
    known_root(root)
    lake = Lake(root.resolve(), "console")
    labels = {entry.table for entry in ledger.entries(lake.root) if entry.table.startswith(f"{QUARANTINE}.")}
    names = sorted(label.partition(".")[2] for label in labels)
    if source is not None and source not in names:
        raise TidemillError(
            "E_NO_SOURCE",
            f"nothing of a source {source!r} was ever ingested",
            where=f"--source {source}",
            next_step=nearest(source, names),
            exit_code=Exit.USAGE,
        )
    where = None if state == _ALL else ds.field("state") == state
    if batch is not None:
        chosen = ds.field("batch_id") == batch
        where = chosen if where is None else where & chosen
    for name in names if source is None else [source]:
        for row in read_arrow(lake, Table(QUARANTINE, name, ()), columns, where).to_pylist():
            yield name, row


def _printable(raw: bytes) -> str:
    text = raw.decode("utf-8", "backslashreplace").rstrip("\r\n")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
