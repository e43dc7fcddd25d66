"""A view's aggregates as workers need them: the columns they read, the conditions they judge, what they hand back."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import pyarrow as pa

from tidemill.core.time import length_micros
from tidemill.data.schema import arrow_type, delta_schema
from tidemill.data.tables import SILVER_OWN
from tidemill.features.compute import aggregates_of, over_events
from tidemill.features.conditions import Condition, NotArrowError, arrow_condition
from tidemill.features.declarations import Aggregate, Recency, Tenure, aggregate_kind
from tidemill.features.derived import Joined
from tidemill.features.pairs import AS_OF
from tidemill.features.said import says
from tidemill.features.silver_events import EVENT_TIME

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tidemill.data.tables import Table
    from tidemill.features.algebra import Algebra
    from tidemill.features.derived import OverEvents
    from tidemill.features.specs import FeatureView

PIECE_ROWS = 1 << 20  # of which a worker holds about 200 bytes each while it works
_DIGITS = 18  # a decimal of so many fits into 64 bits
_NUMBERS = frozenset({"int", "bigint", "double"})


@dataclass(frozen=True)
class Windowed:
    """One declaration as a worker needs it.

    Args:
        algebra: how it aggregates.
        column: what it aggregates; None for the events themselves.
        windows: their lengths in microseconds; none for everything known.
        condition: which events count, or None for all.
        truth: what is aggregated in the place of the column's values where they are there: whether this holds.
        days: whether its value is an instant, and the feature the days between it and the as-of time.
    """

    algebra: Algebra
    column: str | None
    windows: tuple[int, ...]
    condition: Condition | None = None
    truth: Condition | None = None
    days: bool = False

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """All that has to be judged of each event."""
        return tuple(c for c in (self.condition, self.truth) if c is not None)


@dataclass(frozen=True)
class Plan:
    """What workers compute of every bucket.

    Args:
        key: the entity's column.
        schema: the columns that are read, as Arrow types.
        columns: those that are handed back, with their Spark SQL types: entity, as-of time, the items' features.
        items: the aggregates, those of a pivot one a value.
        as_ofs: microseconds, ascending.
        lookback: the longest window in microseconds, or None where everything known counts.
        versions: whether any row has more than one version.
        piece_rows: how many rows a worker holds at a time, about.
    """

    key: str
    schema: pa.Schema
    columns: tuple[tuple[str, str], ...]
    items: tuple[Windowed, ...]
    as_ofs: tuple[int, ...]
    lookback: int | None
    versions: bool
    piece_rows: int = PIECE_ROWS

    @cached_property
    def result(self) -> pa.Schema:
        """What is handed back, as Arrow types."""
        return delta_schema(self.columns)

    @property
    def result_sql(self) -> str:
        """What is handed back, as Spark SQL writes it."""
        return ", ".join(f"`{name}` {kind}" for name, kind in self.columns)


def plan_of(silver: Table, view: FeatureView, *, versions: bool) -> Plan:
    """What workers do with the buckets of a silver table, for no as-of time yet.

    Raises:
        NotArrowError: where the view asks for anything that only Spark computes.
    """
    joined = [item.view.name for item in view.features if isinstance(item, Joined)]
    if joined:
        raise NotArrowError(f"it joins the view {joined[0]}")
    foreign = {*SILVER_OWN, silver.entity}
    declared = {name: kind for name, kind in silver.columns if name not in foreign}
    items = tuple(windowed for item in aggregates_of(view) for windowed in _windowed(over_events(item), declared))
    types = {name: arrow_type(kind) for name, kind in silver.columns}
    wanted = {view.entity.key, EVENT_TIME, "known_time", "op"}
    wanted |= {item.column for item in items if item.column is not None}
    wanted |= {name for item in items for condition in item.conditions for name in condition.columns}
    if versions or any(item.algebra.ordered for item in items):
        wanted |= {"seq", "row_id"}
    if versions:
        wanted.add("content")
    features = [(f.name, f.type) for item in aggregates_of(view) for f in item.features()]
    result = [(view.entity.key, dict(silver.columns)[view.entity.key]), (AS_OF, "timestamp"), *features]
    lookback = None if view.lookback is None else length_micros(view.lookback)
    schema = pa.schema([(name, types[name]) for name, _ in silver.columns if name in wanted])
    return Plan(view.entity.key, schema, tuple(result), items, (), lookback, versions)


def _windowed(item: OverEvents | None, types: Mapping[str, str]) -> list[Windowed]:
    if isinstance(item, Recency | Tenure):
        where, edge = (item.where, "max") if isinstance(item, Recency) else (None, "min")
        algebra = aggregate_kind(edge).arrow
        if algebra is None:
            raise TypeError(f"{edge} has no Arrow form")
        return [Windowed(algebra, EVENT_TIME, (), _condition(where, types), days=True)]
    if not isinstance(item, Aggregate):
        raise NotArrowError(f"{type(item).__name__} has no Arrow form")
    algebra = aggregate_kind(item.function).arrow
    if algebra is None:
        raise NotArrowError(f"{item.function} has no Arrow form")
    if item.column is not None:
        kind = types.get(item.column)
        if kind is None:
            raise NotArrowError(f"{item.column!r} is none of the contract's columns")
        if not _taken(algebra.takes, kind):
            raise NotArrowError(f"{item.function} of {item.column}, which is of type {kind}")
    truth = _said(item.column, item.value, types)
    windows, counts = tuple(length_micros(w) for w in item.windows), _condition(item.where, types)
    conditions = [_and(counts, _said(item.by, value, types)) for value in item.values or (None,)]
    return [Windowed(algebra, item.column, windows, condition, truth) for condition in conditions]


def _taken(takes: str, kind: str) -> bool:
    if takes == "texts":
        return kind == "string"
    decimal = re.fullmatch(r"decimal\((\d+),\s*\d+\)", kind)
    return (
        takes in {"events", "truths"} or kind in _NUMBERS or (decimal is not None and int(decimal.group(1)) <= _DIGITS)
    )


def _condition(where: str | None, types: Mapping[str, str]) -> Condition | None:
    if where is None:
        return None
    try:
        return arrow_condition(where, types)
    except NotArrowError as unlike:
        raise NotArrowError(f"the condition {where!r}: {unlike}") from unlike


def _said(column: str | None, value: str | None, types: Mapping[str, str]) -> Condition | None:
    """Whether a column has the value, as a text; None where nothing of that kind is asked for."""
    return None if column is None or value is None else says(column, value, types)


def _and(one: Condition | None, other: Condition | None) -> Condition | None:
    return one & other if one is not None and other is not None else one or other
