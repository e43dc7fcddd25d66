"""Parity: what the online store answers, compared with the newest gold rows, feature by feature."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from tidemill.core.time import to_micros
from tidemill.data.read import read
from tidemill.features.online.newest import newest_rows
from tidemill.features.online.view import Column, OnlineView, Window
from tidemill.features.pairs import AS_OF
from tidemill.features.tables import view_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from pyspark.sql import DataFrame, SparkSession

    from tidemill.data.tables import Lake
    from tidemill.features.specs import FeatureView

_ENTITIES_OF_A_LOOK = 500
_SECOND = 1_000_000


@dataclass(frozen=True)
class Parity:
    """The comparison of one feature; every entity is counted as one of the last four.

    Args:
        feature: its name.
        compared: entities looked at.
        equal: the same value to the last bit, or null in both, or NaN in both.
        different: another value.
        missing: null online where gold has a value.
        stale: a value that speaks for an earlier time than the newest gold row, whatever it is.
    """

    feature: str
    compared: int = 0
    equal: int = 0
    different: int = 0
    missing: int = 0
    stale: int = 0

    @property
    def share(self) -> float:
        """The share of the entities that are equal; 1 where there are none."""
        return self.equal / self.compared if self.compared else 1.0


def newest_gold(
    spark: SparkSession, lake: Lake, view: FeatureView, at: datetime, sample: int | None = None
) -> DataFrame:
    """The gold row that each entity is served with at a moment: the newest stamped in `[at - delay - ttl, at - delay]`.

    Args:
        spark: the session.
        lake: the tables.
        view: whose rows.
        at: the moment.
        sample: only of so many entities, always the same ones of a population; or None for all.
    """
    key, until = view.entity.key, at - view.delay
    rows = read(spark, lake, view_table(view))
    window = Window(until - view.ttl, until)
    if sample is not None:
        since, last = (F.timestamp_micros(F.lit(end)) for end in window.micros)
        hashes = rows.where((F.col(AS_OF) >= since) & (F.col(AS_OF) <= last)).select(F.xxhash64(key).alias("_hash"))
        chosen = hashes.distinct().orderBy("_hash").limit(sample)
        rows = rows.join(F.broadcast(chosen), F.xxhash64(key) == F.col("_hash"), "left_semi")
    features = tuple(Column(f.name, f.name, f.type) for f in view.columns)
    online = OnlineView("", view.table_name, (Column(key, key, "string"),), features, AS_OF, "created_timestamp")
    return newest_rows(rows, online, window)


def compare_all(
    gold: Iterator[dict[str, Any]],
    online: Callable[[list[dict[str, Any]]], Sequence[dict[str, Any]]],
    names: Sequence[str],
) -> list[Parity]:
    """Compares rows some hundred at a time, so that memory does not grow with them.

    Args:
        gold: the rows, with `event_timestamp`.
        online: answers the online rows of gold rows, in their order; each feature with its `<feature>__ts`.
        names: the features.
    """
    found = [Parity(name) for name in names]
    while batch := list(itertools.islice(gold, _ENTITIES_OF_A_LOOK)):
        found = [_sum(a, b) for a, b in zip(found, compare(batch, online(batch), names), strict=True)]
    return found


def compare(gold: Sequence[dict[str, Any]], online: Sequence[dict[str, Any]], names: Sequence[str]) -> list[Parity]:
    """Compares rows of the same entities in the same order."""
    found = []
    for name in names:
        kinds = [_judge(g[name], o[name], g[AS_OF], o[f"{name}__ts"]) for g, o in zip(gold, online, strict=True)]
        counts = {kind: kinds.count(kind) for kind in ("equal", "different", "missing", "stale")}
        found.append(Parity(name, len(kinds), **counts))
    return found


def _judge(gold: Any, online: Any, at: datetime, online_second: int) -> str:
    # Spark hands out times without a zone, in this machine's own; online times are whole seconds.
    second = to_micros(at.astimezone(UTC)) // _SECOND
    if online is not None and online_second < second:
        return "stale"
    if gold == online or (gold != gold and online is not None and online != online):  # noqa: PLR0124 - NaN
        return "equal"
    return "missing" if online is None else "different"


def _sum(one: Parity, other: Parity) -> Parity:
    return Parity(
        one.feature,
        one.compared + other.compared,
        one.equal + other.equal,
        one.different + other.different,
        one.missing + other.missing,
        one.stale + other.stale,
    )
