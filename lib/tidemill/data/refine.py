"""Bronze rows made valid, typed silver versions, or rejected rows with every reason.

Functions on frames. A reason reads `RULE:column`: NULL, TYPE, RANGE, PATTERN, ALLOWED, FUTURE. Equal rows that were
delivered twice are neither: they are counted as duplicates.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from pyspark.sql import Window
from pyspark.sql import functions as F

from tidemill.core.errors import Exit, TidemillError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from pyspark.sql import Column, DataFrame

    from tidemill.data.contract import Column as ContractColumn
    from tidemill.data.contract import Contract
    from tidemill.data.sources import Source

REASONS = "_reasons"
_DIGEST = "_digest"
_RAW = "_raw"
_PLACE = ("source_file", "position", "batch_id")


def with_types(bronze: DataFrame, contract: Contract, latest: datetime) -> DataFrame:
    """Types every column and lists what is wrong with each row.

    Args:
        bronze: landed rows, all strings.
        contract: columns and rules.
        latest: the wall clock plus a day; a time at or after it is a fault of the source.

    Returns:
        The contract's columns, the row's place, `_reasons`, `_raw` (the landed row as JSON) and `_digest` (its MD5).
    """
    landed = [c for c in contract.columns if c.physical is not None]
    raw = F.to_json(F.struct(*[F.col(f"`{c.physical}`") for c in landed]), {"ignoreNullFields": "false"})
    text = bronze.select(
        *[_clean(c).alias(str(c.physical)) for c in landed], *_PLACE, raw.alias(_RAW), F.md5(raw).alias(_DIGEST)
    )
    typed = text.select(*[_typed(c, contract).alias(c.name) for c in landed], *_present(landed), *_PLACE, _RAW, _DIGEST)
    for c in contract.columns:
        if c.physical is None:
            value = F.expr(str(c.logic))
            typed = typed.withColumns({c.name: value.try_cast(c.type), f"_has_{c.name}": value.isNotNull()})
    reasons = [reason for c in contract.columns for reason in _reasons(c, latest)]
    found = F.array_compact(F.array(*reasons)) if reasons else F.array().cast("array<string>")
    return typed.withColumn(REASONS, found).drop(*[f"_has_{c.name}" for c in contract.columns])


def build_silver(valid: DataFrame, source: Source) -> DataFrame:
    """The versions that valid rows make, with `_rank`: 1 for the row that counts, more for its duplicates.

    A row of a keyed source is the same version where key and sequence are the same; of a source without a key, where
    its landed text and its occurrence within its file are.
    """
    frame = _with_identity(valid, source)
    same = [_DIGEST, "_occurrence"] if not source.key else ["row_id", "seq"]
    first = Window.partitionBy(*same).orderBy("batch_id", "source_file", "position")
    frame = frame.withColumn("_rank", F.row_number().over(first))
    times = {"event_time": F.col(source.event_time), "known_time": F.col("_known"), "op": F.lit("upsert")}
    gone = {source.event_time, source.known_time} - {"event_time", "known_time", None}
    return frame.withColumns(times).drop("_known", "_occurrence", *[name for name in gone if name])


def _with_identity(valid: DataFrame, source: Source) -> DataFrame:
    """Adds `_known`, `row_id` and `seq`, and for a source without a key `_occurrence`."""
    frame = valid.withColumn("_known", _known(source))
    if source.key:
        identity = F.concat_ws("\x1f", *[F.col(k).cast("string") for k in source.key])
    else:
        frame = frame.repartition(_DIGEST)  # this window and the next are within one digest: one exchange serves both
        equal = Window.partitionBy("source_file", _DIGEST).orderBy("position")
        frame = frame.withColumn("_occurrence", F.row_number().over(equal))
        identity = F.concat_ws("-", _DIGEST, "_occurrence")
    sequence = F.col(source.sequence).cast("bigint") if source.sequence else F.unix_micros("_known")
    return frame.withColumns({"row_id": identity, "seq": sequence})


def _known(source: Source) -> Column:
    if source.known_time:
        return F.col(source.known_time)
    return F.col(source.event_time) + F.make_dt_interval(secs=F.lit(source.delay.total_seconds()))


def keep_unknown(silver: DataFrame, known: DataFrame) -> DataFrame:
    """The versions that silver does not hold yet."""
    return silver.join(known.select("row_id", "seq"), ["row_id", "seq"], "left_anti")


def revised_rows(valid: DataFrame, source: Source, known: DataFrame | None) -> int:
    """How many identities of a keyed source have more than one version, among valid and known rows: corrections."""
    if not source.key:
        return 0
    versions = _with_identity(valid, source).select("row_id", "seq")
    if known is not None:
        versions = versions.union(known.select("row_id", "seq"))
    return versions.distinct().groupBy("row_id").count().where("count > 1").count()


def first_known(valid: DataFrame, source: Source) -> int:
    """When the first of the rows was known, in microseconds since the epoch; zero of no row."""
    moment = F.greatest(F.unix_micros(source.event_time), F.unix_micros(_known(source)))
    row = valid.agg(F.min(moment).alias("at")).first()
    return int(row["at"] or 0) if row is not None else 0


def build_reason_counts(typed: DataFrame) -> DataFrame:
    """How many rows there are for each set of reasons, the empty one included: `reasons` (an array) and `count`."""
    return typed.groupBy(F.col(REASONS).alias("reasons")).count()


def count_reasons(kinds: Sequence[tuple[tuple[str, ...], int]]) -> tuple[int, int, dict[str, int]]:
    """All rows, the rejected ones, and how many there are for each reason; a row counts for each of its reasons."""
    names = sorted({name for reasons, _ in kinds for name in reasons})
    rows = sum(n for _, n in kinds)
    rejected = sum(n for reasons, n in kinds if reasons)
    return rows, rejected, {name: sum(n for reasons, n in kinds if name in reasons) for name in names}


def build_rejected(typed: DataFrame, step: str) -> DataFrame:
    """The rejected rows in the form of the quarantine table, without `batch_id`."""
    return typed.where(F.size(REASONS) > 0).select(
        F.col(REASONS).alias("reasons"),
        F.col(_RAW).alias("raw"),
        F.col(_DIGEST).alias("digest"),
        "source_file",
        "position",
        F.lit(step).alias("step"),
        F.col("batch_id").alias("bronze_batch_id"),
    )


def enforce_null_shares(contract: Contract, rows: int, reasons: Mapping[str, int], where: str) -> None:
    """Refuses a batch with more nulls than its contract declares.

    Raises:
        TidemillError: E_NULL_SHARE (data).
    """
    for column in contract.columns:
        found = reasons.get(f"NULL:{column.name}", 0)
        if column.null_share is not None and rows and found / rows > column.null_share:
            raise TidemillError(
                "E_NULL_SHARE",
                f"{found} of {rows} rows have no {column.name!r}, more than the declared {column.null_share:.1%}",
                where=where,
                next_step="ask for a complete delivery, or declare the new share in the contract",
                exit_code=Exit.DATA,
            )


def _clean(column: ContractColumn) -> Column:
    text = F.trim(F.col(f"`{column.physical}`"))
    empty = functools.reduce(lambda a, b: a | b, [text == token for token in ("", *column.null_tokens)])
    return F.when(~empty, text)


def _typed(column: ContractColumn, contract: Contract) -> Column:
    text = F.expr(column.logic) if column.logic else F.col(f"`{column.physical}`")
    if column.type == "string":
        return text
    if column.type != "timestamp":
        return text.try_cast(column.type)
    value = F.try_to_timestamp(text, F.lit(column.format)) if column.format else text.try_cast("timestamp")
    return value if contract.timezone == "UTC" else F.to_utc_timestamp(value, contract.timezone)


def _present(landed: list[ContractColumn]) -> list[Column]:
    """Whether the landed text said anything, to tell a null from what is of the wrong type."""
    return [F.col(f"`{c.physical}`").isNotNull().alias(f"_has_{c.name}") for c in landed]


def _reasons(column: ContractColumn, latest: datetime) -> list[Column]:
    value = F.col(column.name)

    def reason(rule: str, failed: Column) -> Column:
        return F.when(failed, F.lit(f"{rule}:{column.name}"))

    found = [reason("TYPE", value.isNull() & F.col(f"_has_{column.name}"))]
    if column.required:
        found.append(reason("NULL", ~F.col(f"_has_{column.name}")))
    if column.minimum is not None:
        found.append(reason("RANGE", value < F.expr(column.minimum)))
    if column.maximum is not None:
        found.append(reason("RANGE", value > F.expr(column.maximum)))
    if column.pattern is not None:
        found.append(reason("PATTERN", ~value.rlike(rf"\A(?:{column.pattern})\z")))
    if column.allowed:
        found.append(reason("ALLOWED", ~value.isin(*column.allowed)))
    if column.type == "timestamp":
        found.append(reason("FUTURE", value >= F.lit(latest)))
    return found
