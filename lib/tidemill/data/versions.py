"""Valid rows as versions of what they identify: an update is a new version, a delete is one, too.

Which versions there are depends on the rows alone, not on the order in which they arrived.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import Window
from pyspark.sql import functions as F

from tidemill.data.kinds.kind import FILE, POSITION

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from tidemill.data.contract import Contract
    from tidemill.data.sources import Source

UPSERT, DELETE = "upsert", "delete"
VERSION = ("row_id", "seq", "content")
DIGEST = "_digest"


def operation_of(contract: Contract, source: Source | None) -> Column:
    """What a change record does, or null where its text says nothing that is known."""
    if source is None or source.operation is None:
        return F.lit(UPSERT)
    text, found = F.lower(F.col(f"`{source.operation}`")), F.lit(None).cast("string")
    for name, operation in contract.operations:
        found = F.when(text == name.lower(), F.lit(operation)).otherwise(found)
    return found


def build_silver(valid: DataFrame, source: Source, contract: Contract) -> DataFrame:
    """The versions that valid rows make, with `_rank`: 1 for the row that counts, more for its duplicates.

    Rows are the same version where identity, sequence and content are the same: which of them arrived first makes no
    difference to what silver holds.
    """
    frame = _with_version(valid, source, contract)
    first = Window.partitionBy(*VERSION).orderBy("batch_id", FILE, POSITION)
    frame = frame.withColumn("_rank", F.row_number().over(first))
    times = {
        "event_time": F.col(source.event_time),
        "known_time": F.col("_known"),
        "op": operation_of(contract, source),
    }
    gone = {source.event_time, source.known_time, source.operation} - {"event_time", "known_time", "op", None}
    return frame.withColumns(times).drop("_known", "_occurrence", *[name for name in gone if name])


def _with_version(valid: DataFrame, source: Source, contract: Contract) -> DataFrame:
    """Adds `_known`, `row_id`, `seq` and `content`, and for a source without a key `_occurrence`."""
    frame = valid.withColumn("_known", known_at(source))
    identity = row_identity(source)
    if not source.key:
        frame = frame.repartition(DIGEST)  # this window and the next are within one digest: one exchange serves both
        equal = Window.partitionBy(FILE, DIGEST).orderBy(POSITION)
        frame = frame.withColumn("_occurrence", F.row_number().over(equal))
        identity = F.concat_ws("-", identity, "_occurrence")
    sequence = F.col(source.sequence).cast("bigint") if source.sequence else F.unix_micros("_known")
    content = F.xxhash64(*[F.col(f"`{c.name}`") for c in contract.columns])
    return frame.withColumns({"row_id": identity, "seq": sequence, "content": content})


def row_identity(source: Source) -> Column:
    """What a row is known by across corrections: its key, or its digest, which equal rows of a file share."""
    return F.concat_ws("\x1f", *[F.col(k).cast("string") for k in source.key]) if source.key else F.col(DIGEST)


def known_at(source: Source) -> Column:
    """When a row was known: its arrival, or its event and the source's delay."""
    if source.known_time:
        return F.col(source.known_time)
    return F.col(source.event_time) + F.make_dt_interval(secs=F.lit(source.delay.total_seconds()))


def keep_unknown(silver: DataFrame, known: DataFrame) -> DataFrame:
    """The versions that silver does not hold yet."""
    return silver.join(known.select(*VERSION), list(VERSION), "left_anti")


def build_current(silver: DataFrame) -> DataFrame:
    """The newest version of every row that is not deleted: what a table that is overwritten would hold."""
    newest = Window.partitionBy("row_id").orderBy(*[F.col(name).desc() for name in ("seq", "known_time", "content")])
    ranked = silver.withColumn("_newest", F.row_number().over(newest))
    return ranked.where((F.col("_newest") == 1) & (F.col("op") != DELETE)).drop("_newest")


def revised_rows(valid: DataFrame, source: Source, contract: Contract, known: DataFrame | None) -> int:
    """How many identities of a keyed source have more than one version, among valid and known rows: corrections."""
    if not source.key:
        return 0
    versions = _with_version(valid, source, contract).select(*VERSION)
    if known is not None:
        versions = versions.union(known.select(*VERSION))
    return versions.distinct().groupBy("row_id").count().where("count > 1").count()
