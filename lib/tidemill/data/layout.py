"""How rows are cut into files: periods, entity buckets, and the order inside a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from tidemill.data.tables import Table

ALL = "all"


def with_layout(frame: DataFrame, table: Table, buckets: int, period: str) -> DataFrame:
    """Adds `period` and `bucket`, brings the rows of one bucket together and sorts them as the table asks.

    The key is hashed as a string: the hash of 5 as an int, as a bigint and as '5' differ.

    Args:
        frame: the rows, with the table's entity and time columns.
        table: says the entity, the time and the order.
        buckets: a power of two.
        period: `all`, or `month` of the time column in UTC.
    """
    if table.entity is None or table.time is None:
        return frame
    month = F.date_format(table.time, "yyyy-MM") if period != ALL else F.lit(ALL)
    bucket = F.pmod(F.xxhash64(F.col(table.entity).cast("string")), F.lit(buckets)).cast("int")
    placed = frame.withColumn("period", month).withColumn("bucket", bucket)
    if period == ALL:
        # A task writes one folder. Sorted by the folder first, all rows would be equal in what a sort looks at first.
        return placed.repartitionById(buckets, "bucket").sortWithinPartitions(*table.sort)
    return placed.repartition(buckets, "period", "bucket").sortWithinPartitions("period", "bucket", *table.sort)
