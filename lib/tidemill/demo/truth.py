"""How well the demo world's true probabilities rank the accounts: counted by workers, ranked by Spark.

Nobody can rank better on average, so this is what a model's ROC AUC is to be compared with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pyspark.sql import Window
from pyspark.sql import functions as F

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from tidemill.demo.world import Block

COUNTS = "name STRING, bin INT, rows BIGINT, churned BIGINT"
_BINS = 100_000


def period_name(k: int) -> str:
    """What the counts of a period are kept under."""
    return f"period {k}"


def probability_counts(block: Block) -> list[tuple[str, int, int, int]]:
    """How many accounts had which probability in which period, and how many of them churned.

    Probabilities are counted in 100,000 equal bins, so that what blocks hand back does not grow with the world; the
    resulting AUC differs from that of the probabilities themselves by less than 1e-5.
    """
    found = []
    for k in range(block.probability.shape[1]):
        there = ~np.isnan(block.probability[:, k])
        bins = (block.probability[there, k] * _BINS).astype(np.int64)
        used, index = np.unique(bins, return_inverse=True)
        rows = np.bincount(index, minlength=len(used))
        churned = np.bincount(index, block.churned[there, k], minlength=len(used)).astype(np.int64)
        found += [
            (period_name(k), *values) for values in zip(used.tolist(), rows.tolist(), churned.tolist(), strict=True)
        ]
    return found


def build_ranking(counts: DataFrame) -> DataFrame:
    """Sums counts over blocks and ranks the churned against those who stayed.

    Args:
        counts: `name`, `bin` of the probability, `rows` and how many of them `churned`.

    Returns:
        Grain: name; `rows`, `churned` and `won`: over all pairs of one that churned and one that stayed, twice how
        often the first had the higher bin, equal bins counting once.
    """
    merged = counts.groupBy("name", "bin").agg(F.sum("rows").alias("rows"), F.sum("churned").alias("churned"))
    lower = Window.partitionBy("name").orderBy("bin").rowsBetween(Window.unboundedPreceding, -1)
    stayed = F.col("rows") - F.col("churned")
    below = F.coalesce(F.sum("stayed").over(lower), F.lit(0))
    won = F.col("churned") * (2 * F.col("below") + F.col("stayed"))
    ranked = merged.withColumn("stayed", stayed).withColumn("below", below)
    return ranked.groupBy("name").agg(
        F.sum("rows").alias("rows"), F.sum("churned").alias("churned"), F.sum(won).alias("won")
    )
