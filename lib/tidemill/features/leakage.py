"""Whether features know what they cannot: each is computed again from what was known, and from other futures.

Of some entities the whole history is taken, and of it one variant for each as-of time T and each way in which a row may
have come too early. A feature at T that differs between two variants has seen what it should not have. All variants of
a source go through the features' own functions together: an entity of a variant is an entity of its own to them.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass, replace
from functools import reduce
from typing import TYPE_CHECKING

from pyspark.sql import Window
from pyspark.sql import functions as F

from tidemill.data.sources import Entity
from tidemill.features.compute import build_view
from tidemill.features.pairs import AS_OF, with_validity

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from pyspark.sql import Column, DataFrame

    from tidemill.features.declarations import Feature
    from tidemill.features.specs import FeatureView

FUTURE, GOLD, TIMES, REWRITTEN = "future", "gold", "times", "rewritten"
CHECKS = (FUTURE, GOLD, TIMES, REWRITTEN)
_KNOWN, _WHOLE, _CHANGED = "known", "whole", "changed"
_OF = "_of"
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
        by: for `times`, the column that tells; else empty.
    """

    feature: str
    check: str
    compared: int
    moved: int
    by: str = ""


def build_variants(
    silver: DataFrame,
    view: FeatureView,
    as_ofs: Sequence[datetime],
    doubts: Doubts,
    *,
    versions: bool,
    others: Mapping[str, DataFrame] | None = None,
) -> DataFrame:
    """The view's features at each as-of time T, from each variant of the events.

    Variants: `known` has only what was known before T; `whole` all; in `changed` all that was not yet known before T
    has other values and times; `times:COLUMN` and `rewritten` are `known` without the rows that the doubt is about.

    Args:
        silver: versions of the view's source, of whole histories, without `superseded_time`.
        view: what to compute.
        as_ofs: the stamps T.
        doubts: about the source.
        versions: whether any row has more than one version.
        others: the events of views that it joins, by the names of their sources; they are the same in all variants.

    Returns:
        Grain: variant, entity (`key`, a string) and `event_timestamp`; the view's features.
    """
    later = F.lit(False)
    if doubts.batches:
        landed = F.array_position(F.array(*map(F.lit, doubts.batches)), F.col("batch_id"))
        later = landed > F.min(landed).over(Window.partitionBy("row_id", "known_time"))
    marked = silver.withColumn("_later", later)
    cut = F.col("_variant.cut")
    unknown = (F.col("event_time") >= cut) | (F.col("known_time") >= cut)
    gone = {_KNOWN: unknown, REWRITTEN: unknown | F.col("_later")}
    for column in doubts.times:
        after = F.col(f"`{column}`").cast("timestamp") >= cut
        gone[f"{TIMES}:{column}"] = unknown | F.coalesce(after, F.lit(False))
    names = dict.fromkeys((_KNOWN, *(side for _, _, of in _comparisons(doubts) for side in of if side != GOLD)))
    variants = F.array(*[F.struct(F.lit(n).alias("name"), F.lit(t).alias("cut")) for n in names for t in as_ofs])
    rows = marked.withColumn("_variant", F.explode(variants))
    dropped = _any([(F.col("_variant.name") == name) & condition for name, condition in gone.items()])
    rows = rows.where(~dropped)
    changed = (F.col("_variant.name") == _CHANGED) & unknown
    fixed = {view.entity.key, "seq", "content", "op", "row_id", "batch_id", "period", "bucket", "_later", "_variant"}
    rows = rows.withColumns(
        {
            name: F.when(changed, _other(F.col(f"`{name}`"), kind)).otherwise(F.col(f"`{name}`"))
            for name, kind in silver.dtypes
            if name not in fixed
        }
    )
    own = F.struct("_variant.name", "_variant.cut", F.col(view.entity.key).cast("string").alias("key"))
    rows = rows.withColumns({_OF: own, "row_id": F.concat_ws("\x1f", "_variant.name", cut.cast("string"), "row_id")})
    whole = replace(view, entity=Entity(_OF), source=replace(view.source, entity=Entity(_OF)))
    built = build_view(with_validity(rows.drop("_variant", "_later"), versions=versions), whole, as_ofs, others)
    return built.where(F.col(f"{_OF}.cut") == F.col(AS_OF)).select(
        F.col(f"{_OF}.name").alias("variant"),
        F.col(f"{_OF}.key").alias("key"),
        AS_OF,
        *[f.name for f in view.columns],
    )


def as_gold_variant(gold: DataFrame, view: FeatureView) -> DataFrame:
    """Gold rows of the same entities as a variant of their own: they must equal what was known."""
    names = [f.name for f in view.columns]
    return gold.select(F.lit(GOLD).alias("variant"), F.col(view.entity.key).cast("string").alias("key"), AS_OF, *names)


def count_moved(
    variants: DataFrame, features: Sequence[Feature], doubts: Doubts, current: Sequence[datetime]
) -> DataFrame:
    """How often each feature differs between two variants: one row, read by `read_moved`.

    Args:
        variants: as `build_variants` makes them, with gold rows beside them.
        features: of the view.
        doubts: about its source.
        current: the stamps whose gold rows are up to date; others are not compared.
    """
    values = F.struct(*[F.col(f"`{f.name}`") for f in features])
    comparisons = _comparisons(doubts)
    sides = dict.fromkeys((_KNOWN, *(side for _, _, of in comparisons for side in of)))
    wide = variants.groupBy("key", AS_OF).agg(*[F.max(F.when(F.col("variant") == s, values)).alias(s) for s in sides])
    counted = []
    for number, (check, _, of) in enumerate(comparisons):
        asked = F.col(AS_OF).isin(list(current)) if check == GOLD else F.lit(True)
        there = _any([F.col(f"`{side}`").isNotNull() for side in (_KNOWN, *of)])
        counted.append(F.count_if(asked & there).alias(f"{number}"))
        for place, feature in enumerate(features):
            moved = _any([_differs(side, feature) for side in of])
            counted.append(F.count_if(asked & moved).alias(f"{number}_{place}"))
    return wide.agg(*counted)


def read_moved(counts: Mapping[str, int], features: Sequence[Feature], doubts: Doubts) -> list[Moved]:
    """The checks of every feature from the one row of `count_moved`."""
    return [
        Moved(feature.name, check, counts[f"{number}"], counts[f"{number}_{place}"], by)
        for place, feature in enumerate(features)
        for number, (check, by, _) in enumerate(_comparisons(doubts))
    ]


def _comparisons(doubts: Doubts) -> list[tuple[str, str, tuple[str, ...]]]:
    """Check, the column that tells, and the variants that are compared with what was known."""
    found: list[tuple[str, str, tuple[str, ...]]] = [(FUTURE, "", (_WHOLE, _CHANGED)), (GOLD, "", (GOLD,))]
    found += [(TIMES, column, (f"{TIMES}:{column}",)) for column in doubts.times]
    return [*found, (REWRITTEN, "", (REWRITTEN,))] if doubts.batches else found


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
