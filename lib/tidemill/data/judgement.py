"""What a batch is worth: its rows counted by reason, and whether the batch itself is refused."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from tidemill.core.errors import Exit, TidemillError
from tidemill.data.contract import FAIL_BATCH, FAIL_RUN, QUARANTINE_ROW, WARN
from tidemill.data.kinds.kind import REASONS
from tidemill.data.refine import WARNINGS
from tidemill.data.versions import known_at

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pyspark.sql import DataFrame

    from tidemill.data.contract import Contract
    from tidemill.data.sources import Source


def build_kinds(typed: DataFrame, source: Source) -> DataFrame:
    """How rows were judged: for each set of reasons and warnings, empty ones included, how many rows there are.

    Returns:
        `reasons`, `warnings`, `rows`, and `first_known`: when the first of the rows was known, in microseconds.
    """
    moment = F.greatest(F.unix_micros(source.event_time), F.unix_micros(known_at(source)))
    kinds = typed.groupBy(F.col(REASONS).alias("reasons"), F.col(WARNINGS).alias("warnings"))
    return kinds.agg(F.count(F.lit(1)).alias("rows"), F.min(moment).alias("first_known"))


@dataclass(frozen=True)
class Judgement:
    """How the rows of a batch were judged.

    Args:
        rows: all of them.
        rejected: those with a reason.
        reasons, warnings: rows by reason; a row counts for each of its reasons.
        first_known: when the first valid row was known, in microseconds since the epoch; zero of no row.
    """

    rows: int
    rejected: int
    reasons: Mapping[str, int]
    warnings: Mapping[str, int]
    first_known: int


def judge(kinds: Iterable[Mapping[str, Any]]) -> Judgement:
    """The sum of the rows of `build_kinds`."""
    rows = rejected = 0
    reasons: Counter[str] = Counter()
    warnings: Counter[str] = Counter()
    firsts = []
    for kind in kinds:
        count = int(kind["rows"])
        rows += count
        reasons.update(dict.fromkeys(kind["reasons"], count))
        warnings.update(dict.fromkeys(kind["warnings"], count))
        if kind["reasons"]:
            rejected += count
        elif kind["first_known"] is not None:
            firsts.append(int(kind["first_known"]))
    return Judgement(
        rows, rejected, dict(sorted(reasons.items())), dict(sorted(warnings.items())), min(firsts, default=0)
    )


def enforce_run(contract: Contract, judged: Judgement, where: str) -> None:
    """Ends the run where a rule says so.

    Raises:
        TidemillError: E_RULE (data).
    """
    for action, what in _broken(contract, judged):
        if action == FAIL_RUN:
            raise TidemillError(
                "E_RULE",
                f"{what}, which the contract {contract.name!r} lets no run survive",
                where=where,
                next_step="ask for a correct delivery, or change the rule's action in the contract",
                exit_code=Exit.DATA,
            )


def batch_fault(contract: Contract, judged: Judgement) -> str | None:
    """Why the whole batch is rejected, in words, or None."""
    return next((what for action, what in _broken(contract, judged) if action == FAIL_BATCH), None)


def volume_warning(contract: Contract, judged: Judgement) -> str | None:
    """What is worth knowing of the size of a batch that is accepted, or None."""
    volume = contract.volume
    return _volume_fault(contract, judged) if volume is not None and volume.action == WARN else None


def _broken(contract: Contract, judged: Judgement) -> Iterator[tuple[str, str]]:
    """The rules that were broken, in words, with what follows for more than the row."""
    for reason, rows in judged.reasons.items():
        yield contract.action(reason), f"{rows} of {judged.rows} rows break the rule {reason}"
    fault = _volume_fault(contract, judged)
    if fault is not None and contract.volume is not None:
        action = contract.volume.action
        yield FAIL_BATCH if action == QUARANTINE_ROW else action, fault


def _volume_fault(contract: Contract, judged: Judgement) -> str | None:
    volume = contract.volume
    if volume is not None and volume.least is not None and judged.rows < volume.least:
        return f"{judged.rows} rows are fewer than the declared {volume.least}"
    if volume is not None and volume.most is not None and judged.rows > volume.most:
        return f"{judged.rows} rows are more than the declared {volume.most}"
    return None


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
