"""The command that shows the catalogue: as a table, as JSON, or as one page. No Spark."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tidemill.cli.catalog_entries import catalog_entries
from tidemill.cli.shown import REPO, ROOT, Json, Repo, Root, known_root, show_rows
from tidemill.core.runs import write_text
from tidemill.core.time import format_time
from tidemill.data.tables import Lake
from tidemill.models.use_case import load_use_case, use_case_names
from tidemill.pages.catalog import Item, render_catalog

if TYPE_CHECKING:
    from tidemill.pages.catalog import Entry

PAGE = "catalog.html"
_COLUMNS = ("use_case", "kind", "of", "name", "type", "unit", "null_share", "meaning", "origin", "models")
_JSON_ONLY = ("facts", "rows", "low", "high", "labels", "counts")
Html = Annotated[Path | None, typer.Option("--html", help="Write the page to this file.")]
Page = Annotated[bool, typer.Option("--page", help=f"Write the page to {PAGE} in the root.")]
Name = Annotated[str | None, typer.Argument(help="One use case; by default all of the repository.")]


def catalog(
    use_case: Name = None,
    root: Root = ROOT,
    repo: Repo = REPO,
    html: Html = None,
    page: Page = False,
    as_json: Json = False,
) -> None:
    """Shows what every source, view, feature, label and model is, where it comes from and who uses it."""
    known_root(root)
    names = [use_case] if use_case is not None else use_case_names(repo)
    cases = [load_use_case(repo, name) for name in names]
    entries = catalog_entries(Lake(root.resolve(), "console"), repo, cases)
    generated = format_time(datetime.now(UTC).replace(microsecond=0))
    for path in ([html] if html is not None else []) + ([root / PAGE] if page else []):
        write_text(path.resolve(), render_catalog(entries, generated=generated))
        if not as_json:
            print(path.resolve())
    if as_json or (html is None and not page):
        columns = (*_COLUMNS, *_JSON_ONLY) if as_json else _COLUMNS
        rows = [row for entry in entries for row in _rows(entry)]
        show_rows([{c: _shown(row[c], as_json=as_json) for c in columns} for row in rows], columns, as_json=as_json)


def _rows(entry: Entry) -> list[dict[str, Any]]:
    groups = [("source", "column", g) for g in entry.sources] + [("view", "feature", g) for g in entry.views]
    found = [_row(entry, "use case", "", Item(name=entry.name, type="", meaning=entry.meaning), entry.facts)]
    for kind, inner, group in groups:
        found.append(_row(entry, kind, "", Item(name=group.name, type="", meaning=group.meaning), group.facts))
        found += [_row(entry, inner, group.name, item) for item in group.items]
    found.append(_row(entry, "label", "", entry.label))
    for model in entry.models:
        meaning = f"{model.alias or 'no alias'}, {model.metric} {model.value:.4f}, trained as of {model.as_of}"
        item = Item(name=f"{entry.name} {model.version}", type=model.family, meaning=meaning)
        found.append(_row(entry, "model", "", item, (("training set", model.training_set),)))
    return found


def _row(entry: Entry, kind: str, of: str, item: Item, facts: tuple[tuple[str, str], ...] = ()) -> dict[str, Any]:
    return {"use_case": entry.name, "kind": kind, "of": of, "facts": dict(facts), **asdict(item)}


def _shown(value: Any, *, as_json: bool) -> Any:
    if as_json:
        return list(value) if isinstance(value, tuple) else value
    if isinstance(value, tuple):
        return ", ".join(value)
    return f"{value:.1%}" if isinstance(value, float) else value
