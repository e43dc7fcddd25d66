"""What the catalogue says of a use case: what is declared, what its tables hold, which models use it. No Spark."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from tidemill.core.time import format_time, length_name
from tidemill.data.column_stats import ColumnStats, column_stats
from tidemill.data.contract_file import read_contract
from tidemill.data.read import layout_of, read_arrow
from tidemill.data.tables import silver_table
from tidemill.data.watermark import watermark
from tidemill.features.lineage import Origin, origin_of, origins
from tidemill.features.tables import labels_table, view_table
from tidemill.pages.catalog import Entry, Group, Item, Model
from tidemill.stats.spread import Spread, spread_of_numbers, spread_of_texts

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tidemill.data.contract import Contract
    from tidemill.data.sources import Source
    from tidemill.data.tables import Lake, Table
    from tidemill.features.specs import FeatureView
    from tidemill.models.use_case import UseCase

_ROWS = 200_000  # about so many rows of the newest as-of time are looked at, in whole buckets


@dataclass(frozen=True)
class _Place:
    """Where a catalogue is made: the repository, the tables, and the models of each use case with what they use."""

    repo: Path
    lake: Lake
    models: Mapping[str, tuple[Model, ...]]
    used: Mapping[tuple[str, str], tuple[str, ...]]


def catalog_entries(lake: Lake, repo: Path, cases: list[UseCase], tracking: str = "") -> tuple[Entry, ...]:
    """The catalogue of use cases.

    Args:
        lake: their tables; what holds nothing yet is shown as declared.
        repo: the feature repository, for its contracts.
        cases: to show.
        tracking: the address of the server that keeps their models; empty where the registry lies below the root.
    """
    models, used = _models(lake, cases, tracking)
    place = _Place(repo, lake, models, used)
    return tuple(_entry(place, case) for case in cases)


def _entry(place: _Place, case: UseCase) -> Entry:
    contracts = {s.name: read_contract(place.repo, s.contract) for s in case.sources}
    facts = {
        "predicts": f"{case.label.name}, {case.task}",
        "for each": _entity(case.entity.key, case.entity.description),
        "at": f"every {case.grid.every if isinstance(case.grid.every, str) else length_name(case.grid.every)}"
        f" from {case.grid.start}",
    }
    label = _label(place, case, origin_of(case.label, contracts))
    return Entry(
        name=case.name,
        meaning=case.description,
        facts=tuple(facts.items()),
        sources=tuple(_source(place, s, contracts[s.name]) for s in case.sources),
        views=tuple(_view(place, case, v, contracts) for v in case.views),
        label=label,
        models=place.models.get(case.name, ()),
    )


def _source(place: _Place, source: Source, contract: Contract) -> Group:
    table = silver_table(source, contract)
    held = column_stats(place.lake, table)
    mark = watermark(place.lake, source, table)
    late = f", may lag {contract.freshness.total_seconds() / 3600:g} h" if contract.freshness is not None else ""
    facts = {
        "owner": contract.owner,
        "entity": source.entity.key,
        "known": source.known_time or (f"{length_name(source.delay)} after" if source.delay else "at once"),
        "complete until": (format_time(mark) if mark is not None else "nothing ingested yet") + late,
        "format": f"{contract.format}, {contract.path}",
        "rows": f"{next(iter(held.values())).rows:,}" if held else "",
    }
    own = {source.event_time: "event_time", source.known_time: "known_time"}
    items = tuple(
        Item(
            name=c.name,
            type=c.type,
            unit=c.unit,
            meaning=c.description,
            origin=(c.physical,) if c.physical is not None else (f"= {c.logic}",),
            **_edges(held.get(own.get(c.name, c.name))),
        )
        for c in contract.columns
    )
    return Group(name=source.name, meaning=contract.description, facts=_kept(facts), items=items)


def _view(place: _Place, case: UseCase, view: FeatureView, contracts: dict[str, Contract]) -> Group:
    table = view_table(view)
    newest, rows = _newest(place.lake, table)
    facts = {
        "entity": _entity(view.entity.key, view.entity.description),
        "owner": contracts[view.source.name].owner,
        "source": view.source.name,
        "built": f"every {length_name(view.cadence)}, usable for {length_name(view.ttl)}",
        "delay": length_name(view.delay) if view.delay else "",
        "newest": newest,
    }
    found = origins(view, contracts)
    items = tuple(
        Item(
            name=f.name,
            type=f.type,
            unit=f.unit,
            meaning=found[f.name].meaning,
            origin=found[f.name].columns,
            models=place.used.get((case.name, f.name), ()),
            **_spread(rows, f.name),
        )
        for f in view.columns
    )
    return Group(name=view.table_name, meaning=view.description, facts=_kept(facts), items=items)


def _label(place: _Place, case: UseCase, origin: Origin) -> Item:
    _, rows = _newest(place.lake, labels_table(case.name, case.label))
    return Item(
        name=case.label.name,
        type="double",
        meaning=origin.meaning,
        origin=origin.columns,
        models=tuple(f"{case.name} {m.version}" for m in place.models.get(case.name, ())),
        **_spread(rows, "label"),
    )


def _models(
    lake: Lake, cases: list[UseCase], tracking: str
) -> tuple[dict[str, tuple[Model, ...]], dict[tuple[str, str], tuple[str, ...]]]:
    """The registered versions of each use case, and by use case and feature the versions that were trained on it."""
    models: dict[str, tuple[Model, ...]] = {}
    used: dict[tuple[str, str], tuple[str, ...]] = {}
    if not tracking and not (lake.root / "mlflow" / "mlflow.db").exists():
        return models, used
    from tidemill.core.frozen import thaw
    from tidemill.models.card import CARD, DECLARATION
    from tidemill.models.promotion import CHALLENGER, CHAMPION, PREVIOUS
    from tidemill.models.registry import Registry

    registry = Registry(lake.root, tracking)
    for case in cases:
        aliases = {alias: registry.alias(case.name, alias) for alias in (CHAMPION, CHALLENGER, PREVIOUS)}
        for version in registry.versions(case.name):
            card = registry.document(version, CARD)
            features = [f.name for f in thaw(registry.document(version, DECLARATION)).features]
            names = [alias for alias, number in aliases.items() if number == version.version]
            models[case.name] = (*models.get(case.name, ()), _model(version.version, names, card, len(features)))
            for name in features:
                used[case.name, name] = (*used.get((case.name, name), ()), f"{case.name} {version.version}")
    return models, used


def _model(number: str, aliases: list[str], card: dict[str, Any], features: int) -> Model:
    settings = ", ".join(f"{name} {value}" for name, value in sorted(card["parameters"].items()))
    return Model(
        version=number,
        alias=", ".join(aliases),
        family=f"{card['family']}: {settings}",
        metric=card["metric"],
        value=card["gate_value"],
        as_of=card["as_of"],
        trained_until=card["trained_until"],
        training_set=card["training_set_id"],
        features=features,
    )


def _newest(lake: Lake, table: Table) -> tuple[str, pa.Table | None]:
    """The newest as-of time of a gold table, and its rows or some buckets of them."""
    held = column_stats(lake, table)
    newest = held["event_timestamp"].high if held else None
    if newest is None:
        return "", None
    where = pc.field("event_timestamp") == pa.scalar(newest, pa.timestamp("us", tz="UTC"))
    buckets, _ = layout_of(lake, table)
    rows = read_arrow(lake, table, ["bucket"], where).num_rows
    if rows > _ROWS:
        where = where & (pc.field("bucket") < max(1, buckets * _ROWS // rows))
    return format_time(newest), read_arrow(lake, table, where=where)


def _spread(rows: pa.Table | None, name: str) -> dict[str, Any]:
    if rows is None or not rows.num_rows:
        return {}
    column = rows[name].combine_chunks()
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        known = column.is_valid().to_numpy(zero_copy_only=False)
        found: Spread = spread_of_texts(column.to_numpy(zero_copy_only=False), known)
    else:
        found = spread_of_numbers(column.cast(pa.float64()).to_numpy(zero_copy_only=False))
    edges = {"low": _text(found.low), "high": _text(found.high)}
    return {"rows": found.rows, "null_share": found.nulls / found.rows, "labels": found.labels, **edges} | {
        "counts": found.counts
    }


def _edges(held: ColumnStats | None) -> dict[str, Any]:
    if held is None or not held.rows:
        return {}
    share = None if held.nulls is None else held.nulls / held.rows
    return {"rows": held.rows, "null_share": share, "low": _text(held.low), "high": _text(held.high)}


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return format_time(value)
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


def _entity(key: str, description: str) -> str:
    return f"{key}: {description}" if description else key


def _kept(facts: dict[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in facts.items() if value)
