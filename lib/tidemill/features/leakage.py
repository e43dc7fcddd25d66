"""Whether features know what they cannot: each is computed again from what was known, and from other futures.

Of some entities the whole history is taken, and of it one variant for each as-of time T and each way in which a row may
have come too early; so is that of the entities whose views are joined. A feature at T that differs between two variants
has seen what it should not have. All variants go through the features' own functions together: each is a world of its
own to them.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING

from pyspark.sql import Window
from pyspark.sql import functions as F

from tidemill.features.compute import build_view
from tidemill.features.pairs import AS_OF, with_validity

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from pyspark.sql import Column, DataFrame

    from tidemill.data.sources import Source
    from tidemill.features.declarations import Feature
    from tidemill.features.specs import FeatureView

FUTURE, GOLD, TIMES, REWRITTEN = "future", "gold", "times", "rewritten"
CHECKS = (FUTURE, GOLD, TIMES, REWRITTEN)
_KNOWN, _WHOLE, _CHANGED = "known", "whole", "changed"
_VARIANT = "_variant"
_TOLERANCE = 1e-9  # sums may be added up in another order
_DAYS = "interval 3 days"


@dataclass(frozen=True)
class Doubts:
    """Why rows of a source may have been written later than their times say.

    Args:
        times: its other columns of times and dates: a row that holds one at or after T was not written before T.
        batches: its silver batches in the order of their commits, where rows of it were written anew; else none. A
            version that came later and claims the same known time was not what could be seen before.
    """

    times: tuple[str, ...] = ()
    batches: tuple[str, ...] = ()


@dataclass(frozen=True)
class Moved:
    """One check of one feature.

    Args:
        feature: its name.
        check: one of `CHECKS`.
        compared: entities and as-of times.
        moved: those of them at which the feature differs.
        by: for `times` the column that tells, after the name of its source where that is joined; for `rewritten` the
            name of a joined source; else empty.
    """

    feature: str
    check: str
    compared: int
    moved: int
    by: str = ""


def build_variants(
    silver: Mapping[str, DataFrame],
    view: FeatureView,
    as_ofs: Sequence[datetime],
    doubts: Mapping[str, Doubts],
    corrected: Collection[str],
) -> DataFrame:
    """The view's features at each as-of time T, from each variant of the events of all its sources.

    Variants: `known` has only what was known before T; `whole` all; in `changed` all that was not yet known before T
    has other values and times; for each source, `times` of a column and `rewritten` are `known` without those of its
    rows that the doubt is about.

    Args:
        silver: by the source's name the versions of each of the view's sources, of whole histories, without
            `superseded_time`.
        view: what to compute.
        as_ofs: the stamps T.
        doubts: about each source, by its name.
        corrected: the sources any of whose rows has more than one version.

    Returns:
        Grain: variant, entity (`key`, a string) and `event_timestamp`; the view's features.
    """
    names = dict.fromkeys((_KNOWN, *(side for c in _comparisons(view, doubts) for side in c.sides if side != GOLD)))
    variants = F.array(*[F.struct(F.lit(n).alias("name"), F.lit(t).alias("cut")) for n in names for t in as_ofs])
    events = {
        source.name: with_validity(
            _varied(silver[source.name], source, doubts[source.name], variants), versions=source.name in corrected
        )
        for source in view.sources
    }
    built = build_view(events[view.source.name], view, as_ofs, events, (_VARIANT,))
    return built.where(F.col(f"{_VARIANT}.cut") == F.col(AS_OF)).select(
        F.col(f"{_VARIANT}.name").alias("variant"),
        F.col(view.entity.key).cast("string").alias("key"),
        AS_OF,
        *[f.name for f in view.columns],
    )


def _varied(silver: DataFrame, source: Source, doubts: Doubts, variants: Column) -> DataFrame:
    """Of a source's rows those that each variant has, as it has them."""
    later = F.lit(False)
    if doubts.batches:
        landed = F.array_position(F.array(*map(F.lit, doubts.batches)), F.col("batch_id"))
        later = landed > F.min(landed).over(Window.partitionBy("row_id", "known_time"))
    rows = silver.withColumn("_later", later).withColumn(_VARIANT, F.explode(variants))
    name, cut = F.col(f"{_VARIANT}.name"), F.col(f"{_VARIANT}.cut")
    unknown = (F.col("event_time") >= cut) | (F.col("known_time") >= cut)
    gone = unknown & ~name.isin(_WHOLE, _CHANGED) | F.col("_later") & (name == _rewritten_of(source))
    for column in doubts.times:
        after = F.coalesce(F.col(f"`{column}`").cast("timestamp") >= cut, F.lit(False))
        gone = gone | after & (name == _times_of(source, column))
    changed = (name == _CHANGED) & unknown
    fixed = {source.entity.key, "seq", "content", "op", "row_id", "batch_id", "period", "bucket", "_later", _VARIANT}
    values = {
        column: F.when(changed, _other(F.col(f"`{column}`"), kind)).otherwise(F.col(f"`{column}`"))
        for column, kind in rows.dtypes
        if column not in fixed
    }
    # A row of one world is no version of the same row in another.
    identity = F.concat_ws("\x1f", name, cut.cast("string"), "row_id")
    return rows.where(~gone).withColumns({**values, "row_id": identity}).drop("_later")


def as_gold_variant(gold: DataFrame, view: FeatureView) -> DataFrame:
    """Gold rows of the same entities as a variant of their own: they must equal what was known."""
    names = [f.name for f in view.columns]
    return gold.select(F.lit(GOLD).alias("variant"), F.col(view.entity.key).cast("string").alias("key"), AS_OF, *names)


def count_moved(
    variants: DataFrame, view: FeatureView, doubts: Mapping[str, Doubts], current: Sequence[datetime]
) -> DataFrame:
    """How often each feature differs between two variants: one row, read by `read_moved`.

    Args:
        variants: as `build_variants` makes them, with gold rows beside them.
        view: whose features these are.
        doubts: about each of its sources.
        current: the stamps whose gold rows are up to date; others are not compared.
    """
    values = F.struct(*[F.col(f"`{f.name}`") for f in view.columns])
    comparisons = _comparisons(view, doubts)
    sides = dict.fromkeys((_KNOWN, *(side for c in comparisons for side in c.sides)))
    wide = variants.groupBy("key", AS_OF).agg(*[F.max(F.when(F.col("variant") == s, values)).alias(s) for s in sides])
    counted = []
    for number, comparison in enumerate(comparisons):
        asked = F.col(AS_OF).isin(list(current)) if comparison.check == GOLD else F.lit(True)
        there = _any([F.col(f"`{side}`").isNotNull() for side in (_KNOWN, *comparison.sides)])
        counted.append(F.count_if(asked & there).alias(f"{number}"))
        for place, feature in enumerate(view.columns):
            moved = _any([_differs(side, feature) for side in comparison.sides])
            counted.append(F.count_if(asked & moved).alias(f"{number}_{place}"))
    return wide.agg(*counted)


def read_moved(counts: Mapping[str, int], view: FeatureView, doubts: Mapping[str, Doubts]) -> list[Moved]:
    """The checks of every feature from the one row of `count_moved`."""
    return [
        Moved(feature.name, comparison.check, counts[f"{number}"], counts[f"{number}_{place}"], comparison.by)
        for place, feature in enumerate(view.columns)
        for number, comparison in enumerate(_comparisons(view, doubts))
    ]


@dataclass(frozen=True)
class _Comparison:
    """A check, what it is told by, and the variants that are compared with what was known."""

    check: str
    by: str
    sides: tuple[str, ...]


def _comparisons(view: FeatureView, doubts: Mapping[str, Doubts]) -> list[_Comparison]:
    found = [_Comparison(FUTURE, "", (_WHOLE, _CHANGED)), _Comparison(GOLD, "", (GOLD,))]
    for source in view.sources:
        joined = "" if source == view.source else source.name
        for column in doubts[source.name].times:
            by = f"{joined}.{column}" if joined else column
            found.append(_Comparison(TIMES, by, (_times_of(source, column),)))
        if doubts[source.name].batches:
            found.append(_Comparison(REWRITTEN, joined, (_rewritten_of(source),)))
    return found


def _times_of(source: Source, column: str) -> str:
    return f"{TIMES}:{source.name}:{column}"


def _rewritten_of(source: Source) -> str:
    return f"{REWRITTEN}:{source.name}"


def _any(conditions: Sequence[Column]) -> Column:
    return reduce(operator.or_, conditions)


def _differs(side: str, feature: Feature) -> Column:
    one, known = (F.col(f"`{of}`.`{feature.name}`") for of in (side, _KNOWN))
    same = one.eqNullSafe(known)
    if feature.type == "double":
        close = F.abs(one - known) <= _TOLERANCE * F.greatest(F.abs(one), F.abs(known), F.lit(1.0))
        same = same | F.coalesce(close, F.lit(False))
    return ~same


def _other(value: Column, kind: str) -> Column:
    """Another value of the same type, for every value but null; times move on, so that the unknown stays unknown."""
    if kind in {"timestamp", "date"}:
        return (value + F.expr(_DAYS)).cast(kind)
    if kind == "string":
        return F.concat(value, F.lit("~"))
    if kind == "boolean":
        return ~value
    if kind in {"double", "bigint", "int"} or kind.startswith("decimal"):
        turned = F.when(value == 0, F.lit(7)).otherwise(F.try_subtract(F.lit(0), value))
        return turned.try_cast(kind)
    return value
