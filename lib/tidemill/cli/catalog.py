"""The command that shows the catalogue: as an outline, as JSON, or as one page. No Spark."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tidemill.cli.catalog_entries import catalog_entries
from tidemill.cli.environment import tracking_of
from tidemill.cli.shown import REPO, ROOT, Env, Json, Repo, Root, known_root, show_rows
from tidemill.core.runs import write_text
from tidemill.core.time import format_time
from tidemill.data.tables import Lake
from tidemill.models.use_case import load_use_case, use_case_names
from tidemill.pages.catalog import Item, render_catalog

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidemill.pages.catalog import Entry

PAGE = "catalog.html"
_COLUMNS: tuple[str, ...] = ("use_case", "kind", "of", "name", "type", "unit", "null_share", "meaning", "origin")
_COLUMNS += ("models", "facts", "rows", "low", "high", "labels", "counts")
Html = Annotated[Path | None, typer.Option("--html", help="Write the page to this file.")]
Page = Annotated[bool, typer.Option("--page", help=f"Write the page to {PAGE} in the root.")]
Name = Annotated[str | None, typer.Argument(help="One use case; by default all of the repository.")]


def catalog(
    use_case: Name = None,
    root: Root = ROOT,
    repo: Repo = REPO,
    html: Html = None,
    page: Page = False,
    env: Env = "local",
    as_json: Json = False,
) -> None:
    """Shows what every source, view, feature, label and model is, where it comes from and who uses it."""
    known_root(root)
    names = [use_case] if use_case is not None else use_case_names(repo)
    cases = [load_use_case(repo, name) for name in names]
    entries = catalog_entries(Lake(root.resolve(), "console"), repo, cases, tracking_of(env))
    generated = format_time(datetime.now(UTC).replace(microsecond=0))
    for path in ([html] if html is not None else []) + ([root / PAGE] if page else []):
        write_text(path.resolve(), render_catalog(entries, generated=generated))
        if not as_json:
            print(path.resolve())
    if as_json:
        rows = [row for entry in entries for row in _rows(entry)]
        show_rows([{c: _plain(row[c]) for c in _COLUMNS} for row in rows], _COLUMNS, as_json=True)
    elif html is None and not page:
        print("\n\n".join("\n".join(_lines(entry)) for entry in entries))


def _lines(entry: Entry) -> Iterator[str]:
    """A use case as an outline: what each thing is called, what it is, and in brackets what else is known of it."""
    yield f"{entry.name}: {entry.meaning}"
    for group in (*entry.sources, *entry.views):
        kind = "source" if group in entry.sources else "view"
        facts = "; ".join(f"{name} {value}" for name, value in group.facts)
        yield f"\n  {kind} {group.name}: {group.meaning}"
        yield f"  {facts}"
        names, types = (max(len(getattr(i, field)) for i in group.items) for field in ("name", "type"))
        for item in group.items:
            yield f"    {item.name:{names}}  {item.type:{types}}  {_said(item)}"
    yield f"\n  label {entry.label.name}: {_said(entry.label)}"
    for model in entry.models:
        value = f"{model.metric} {model.value:.4f}, as of {model.as_of}"
        yield f"  model {model.version} ({model.alias or 'no alias'}): {model.family}, {value}"


def _said(item: Item) -> str:
    nulls = "" if item.null_share is None else f"{item.null_share:.1%} null"
    span = f"{item.low} to {item.high}" if item.low or item.high else ""
    origin = f"from {', '.join(item.origin)}" if item.origin else ""
    models = f"in version {', '.join(item.models)}" if item.models else ""
    more = "; ".join(part for part in (item.unit, nulls, span, origin, models) if part)
    return f"{item.meaning} [{more}]" if more else item.meaning


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


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
