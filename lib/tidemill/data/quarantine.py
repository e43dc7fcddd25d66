"""Quarantine rows: what was rejected, why, from where, and its bytes; whole files among them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from tidemill.data.kinds.kind import DETAIL, FILE, LINE, POSITION, RAW, RAW_LIMIT, REASONS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pyspark.sql import Column, DataFrame

    from tidemill.data.kinds.kind import Landed
    from tidemill.data.write import Batch

OPEN, REPLAYED, WAIVED = "open", "replayed", "waived"
INGEST, REFINE = "ingest", "refine"


def build_rejected(rows: DataFrame, step: str, bronze_batch: Column, batch_id: str) -> DataFrame:
    """Rejected rows in the form of the quarantine table.

    Args:
        rows: with `_reasons`, `_detail`, `_raw` and the place of each; the rows without a reason are left out.
        step: `ingest` or `refine`.
        bronze_batch: the batch that landed the row.
        batch_id: the quarantine's own batch.
    """
    rejected = rows.where(F.size(REASONS) > 0)
    return rejected.select(
        F.col(REASONS).alias("reasons"),
        F.col(DETAIL).alias("detail"),
        F.substring(RAW, 1, RAW_LIMIT).alias("raw"),
        F.octet_length(RAW).cast("bigint").alias("raw_length"),
        F.sha2(RAW, 256).alias("digest"),
        FILE,
        POSITION,
        LINE,
        F.lit(step).alias("step"),
        bronze_batch.alias("bronze_batch_id"),
        F.lit(OPEN).alias("state"),
        F.lit(batch_id).alias("batch_id"),
    )


def rejected_files(files: Iterable[Landed], batch: Batch) -> list[dict[str, Any]]:
    """One row for each file that is rejected as a whole: it has no position, and its bytes stay where they are."""
    return [
        {
            "reasons": [item.found.reason],
            "detail": item.found.detail,
            "raw": None,
            "raw_length": item.file.size,
            "digest": item.file.digest,
            FILE: item.file.name,
            POSITION: None,
            LINE: None,
            "step": INGEST,
            "bronze_batch_id": batch.batch_id,
            "state": OPEN,
            "batch_id": batch.batch_id,
        }
        for item in files
        if item.found.reason is not None
    ]
