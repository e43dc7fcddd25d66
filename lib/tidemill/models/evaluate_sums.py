"""What lots of scored rows add to the metrics, as one Spark row each: made, sent and merged by workers."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from tidemill.core.errors import Exit, TidemillError
from tidemill.stats.binary import Binary, BinarySums, binary, merge_binary_sums
from tidemill.stats.classes import Classes, ClassSums, classes_of
from tidemill.stats.confusion import Confusion
from tidemill.stats.counted import Totals
from tidemill.stats.probabilities import ProbabilitySums
from tidemill.stats.ranking import RankSums
from tidemill.stats.residuals import Regression, ResidualSums, merge_residual_sums, regression

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

SUMS_SCHEMA = "sums string"

Metrics = Binary | Classes | Regression


@dataclass(frozen=True)
class RowSums:
    """What some rows add.

    Args:
        bad_labels, bad_scores: rows that cannot be judged, because a label or a score is null, not a number, for binary
            tasks a label that is neither 0 nor 1, for multiclass ones the number of no class, for regression anything
            infinite; they are in no other figure.
        total: rows of each class, for binary tasks.
        sums: what they add to the metrics, or None where there is none that can be judged.
        ranks: of each class against all others, for multiclass tasks: of all rows.
    """

    bad_labels: int
    bad_scores: int
    total: Totals
    sums: BinarySums | ClassSums | ResidualSums | None
    ranks: tuple[RankSums, ...] = ()

    @property
    def rows(self) -> int:
        """Rows that can be judged."""
        return self.sums.rows if isinstance(self.sums, ResidualSums | ClassSums) else self.total.rows


def merge_row_sums(parts: Sequence[RowSums]) -> RowSums:
    """What several lots of rows add together, of binary tasks and regressions, whose rows lie in files."""
    binaries = [p.sums for p in parts if isinstance(p.sums, BinarySums)]
    residuals = [p.sums for p in parts if isinstance(p.sums, ResidualSums)]
    sums = merge_binary_sums(binaries) if binaries else merge_residual_sums(residuals) if residuals else None
    return RowSums(
        sum(p.bad_labels for p in parts),
        sum(p.bad_scores for p in parts),
        Totals(sum(p.total.positives for p in parts), sum(p.total.negatives for p in parts)),
        sums,
    )


def metrics_of(found: RowSums, threshold: float, where: str) -> Metrics:
    """The metrics, from what all rows add.

    Args:
        found: of all rows.
        threshold: that was decided at.
        where: the rows are, for messages.

    Raises:
        TidemillError: as `refuse_bad_rows`, and E_NO_ROWS (no input) where there is no row.
    """
    refuse_bad_rows(found.bad_labels, found.bad_scores, where)
    if isinstance(found.sums, BinarySums):
        return binary(found.sums, found.total, threshold)
    metrics: Metrics | None = None
    if isinstance(found.sums, ClassSums):
        metrics = classes_of(found.sums, found.ranks)
    elif found.sums is not None:
        metrics = regression(found.sums)
    if metrics is None:
        raise TidemillError(
            "E_NO_ROWS",
            "there is no scored row to judge",
            where=where,
            next_step="score a population whose labels have matured",
            exit_code=Exit.NO_INPUT,
        )
    return metrics


def refuse_bad_rows(labels: int, scores: int, where: str) -> None:
    """Stops where rows cannot be judged: a metric of the others would be one of other rows.

    Raises:
        TidemillError: E_LABEL_VALUE (data) or E_SCORE_VALUE (data).
    """
    if labels:
        raise _refused("E_LABEL_VALUE", f"{labels} labels are not usable numbers", where, "correct the label")
    if scores:
        raise _refused(
            "E_SCORE_VALUE",
            f"{scores} scores are null or not numbers",
            where,
            "find out for which rows the model gives none, and score again",
        )


def to_batch(found: RowSums) -> pa.RecordBatch:
    """One row of `SUMS_SCHEMA`; every number survives as it is."""
    return pa.record_batch([pa.array([json.dumps(asdict(found))])], ["sums"])


def from_text(text: str) -> RowSums:
    """What `to_batch` wrote."""
    read = json.loads(text)
    return RowSums(read["bad_labels"], read["bad_scores"], Totals(**read["total"]), _sums(read["sums"]))


def merge_batches(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """One row of `SUMS_SCHEMA` from many."""
    yield to_batch(merge_row_sums([from_text(text) for batch in batches for text in batch.column(0).to_pylist()]))


def _sums(read: dict[str, Any] | None) -> BinarySums | ResidualSums | None:
    if read is None:
        return None
    if "rank" not in read:
        return ResidualSums(**read)
    probability: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in read["probability"].items()}
    return BinarySums(
        RankSums(**read["rank"]),
        ProbabilitySums(**probability),
        Confusion(**read["confusion"]),
        tuple(read["caught"]),
    )


def _refused(code: str, what: str, where: str, next_step: str) -> TidemillError:
    return TidemillError(code, what, where=where, next_step=next_step, exit_code=Exit.DATA)
