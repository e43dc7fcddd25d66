"""What new silver rows touch: the entities whose gold rows at one as-of time they may have changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from tidemill.core.digest import digest_of

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from pyspark.sql import DataFrame

# More than so many are no exception to what is there: all rows of the as-of time are then made again.
_MOST = 2_000


@dataclass(frozen=True)
class Touched:
    """Entities of one view.

    Args:
        key: the entity's key column.
        entities: their keys, ordered.
        buckets: of silver, which hold all their events.
    """

    key: str
    entities: tuple[str, ...]
    buckets: frozenset[int]

    @property
    def predicate(self) -> str:
        """An SQL condition that holds for the rows of exactly these entities."""
        escaped = (entity.replace("\\", "\\\\").replace("'", "\\'") for entity in self.entities)
        quoted = ", ".join(f"'{entity}'" for entity in escaped)
        return f"`{self.key}` in ({quoted})"

    @property
    def digest(self) -> str:
        """What tells these entities from others."""
        return digest_of(list(self.entities))

    def of(self, rows: DataFrame) -> DataFrame:
        """Those of the rows that belong to these entities."""
        return rows.where(self.predicate)


def touched_entities(silver: DataFrame, key: str, batches: Collection[str], before: datetime) -> Touched | None:
    """The entities of which silver batches hold a row known before a moment; None where they are too many, or none.

    Args:
        silver: the versions, with `bucket`.
        key: the entity's key column, by which silver has its buckets.
        batches: the new batches.
        before: an as-of time.
    """
    new = silver.where(F.col("batch_id").isin(list(batches)) & (F.col("known_time") < F.lit(before)))
    some = new.select(F.col(key).cast("string").alias("entity"), "bucket").distinct().limit(_MOST + 1)
    found = list(some.toLocalIterator())
    if not 0 < len(found) <= _MOST:
        return None
    return Touched(key, tuple(sorted(row["entity"] for row in found)), frozenset(row["bucket"] for row in found))
