"""How the console command shows what it finds: tables for people, one JSON object for programs."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tidemill.core.errors import Exit, TidemillError
from tidemill.core.home import HOME, STATE

Root = Annotated[Path, typer.Option(help="The folder of all local state.")]
Repo = Annotated[Path, typer.Option(help="The feature repository.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Env = Annotated[str, typer.Option(help="The configuration overlay.")]
ROOT, REPO = STATE, HOME / "feature_repo"


def known_root(root: Path) -> None:
    """Refuses a root that no job has written to; E_NO_ROOT (no input)."""
    if not (root / "lake").is_dir():
        raise TidemillError(
            "E_NO_ROOT",
            "no job has written anything there yet",
            where=f"--root {root}",
            next_step="run ./spark-submit.sh pipeline first, or name the root that it was given",
            exit_code=Exit.NO_INPUT,
        )


def show_rows(rows: list[dict[str, Any]], columns: tuple[str, ...], *, as_json: bool) -> None:
    """Prints rows as a table."""
    if as_json:
        print(json.dumps({"rows": [{c: plain(r[c]) for c in columns} for r in rows]}))
        return
    table = Table(*columns, box=None, pad_edge=False)
    for row in rows:
        # As text: what was rejected may hold anything, and is not to be taken for markup.
        table.add_row(*(Text("" if row[c] is None else str(plain(row[c]))) for c in columns))
    console = Console(highlight=False)
    if not console.is_terminal:  # a file or a pipe has no width to fit into: one row is one line
        console.width = max(console.width, console.measure(table).maximum)
    console.print(table)


def plain(value: Any) -> Any:
    """A value as JSON can hold it."""
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value
