"""Which as-of times train, select and decide: pure arithmetic on instants.

An evaluation at e may be trained on t only where `t + horizon + delay <= e` (the embargo), so that nothing a model has
learned from was still unknown when it is judged. Only where a declaration asks for it by name are rows divided by
shares of entities, or of rows, in place of times.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tidemill.core.errors import Exit, TidemillError
from tidemill.core.time import format_time, parse_time

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from tidemill.core.time import Grid
    from tidemill.models.specs import Splits


@dataclass(frozen=True)
class Fold:
    """One selection.

    Args:
        train: the times to train on.
        evaluate: the times it is judged at.
        shares: it is judged on these shares and trained on none of them nor of the gate's; none where time divides.
    """

    train: tuple[datetime, ...]
    evaluate: tuple[datetime, ...]
    shares: tuple[int, ...] = ()


@dataclass(frozen=True)
class Plan:
    """The division of the matured times of one training.

    Args:
        folds: selections, newest first; all strictly before the gate.
        gate_train: what the gate fit learns from.
        gate: the times that decide promotion.
        final: what the registered fit learns from: all matured times.
        by: `time`; or `entity` or `random`, where shares of entities or rows are told apart in place of times.
        gate_shares: the shares that decide promotion; the gate fit learns from the others.
        shares: how many there are.
    """

    folds: tuple[Fold, ...]
    gate_train: tuple[datetime, ...]
    gate: tuple[datetime, ...]
    final: tuple[datetime, ...]
    by: str = "time"
    gate_shares: tuple[int, ...] = ()
    shares: int = 1

    @property
    def said(self) -> str:
        """What the division is worth, for the card."""
        if self.by == "time":
            return "by time: every evaluation is embargoed from its training"
        units = {"entity": "entities", "random": "rows"}[self.by]
        return (
            f"by shares of {units}, as declared, and not by time: folds and gate are other {units} at the same times, "
            "so they do not say how the model does later than it was trained"
        )


def matured_times(
    grid: Grid, watermark: datetime, matures_after: timedelta, first: datetime, history: int | None
) -> tuple[datetime, ...]:
    """The grid times whose labels are mature at a watermark, oldest first.

    Args:
        grid: of the use case.
        watermark: of the label's sources.
        matures_after: horizon and delay.
        first: the first event; a time at or before it has seen nothing.
        history: at most so many of the newest, or None.
    """
    times = [t for t in grid.times(watermark) if t > first and t + matures_after <= watermark]
    return tuple(times[-history:] if history else times)


def plan_splits(times: Sequence[datetime], splits: Splits, matures_after: timedelta, grid: Grid) -> Plan:
    """Divides matured times, or at all of them shares of entities or rows, into folds, gate and final fit.

    Raises:
        TidemillError: E_NO_SPLIT (no input) where there is no embargoed pair of times; names the first time that would
            do.
    """
    if splits.by != "time":
        return _plan_shares(tuple(times), splits, matures_after, grid)
    gate = tuple(times[-splits.gate :])
    gate_train = _embargoed(times, gate, matures_after) if gate else ()
    before = [t for t in times if gate and t < gate[0]]
    folds = []
    for number in range(splits.folds):
        end = len(before) - number * splits.fold_size
        evaluate = tuple(before[max(end - splits.fold_size, 0) : max(end, 0)])
        train = _embargoed(times, evaluate, matures_after) if evaluate else ()
        if train:
            folds.append(Fold(train, evaluate))
    if not gate_train or not folds:
        soonest = format_time(_first_enough(splits, matures_after, grid))
        capped = splits.history is not None and len(times) >= splits.history
        later = f"raise the history of {splits.history} times" if capped else f"choose an as-of time from {soonest} on"
        raise _too_few(times, "too few for an embargoed fold and gate", later)
    return Plan(tuple(folds), gate_train, gate, tuple(times))


def _plan_shares(times: tuple[datetime, ...], splits: Splits, matures_after: timedelta, grid: Grid) -> Plan:
    if not times:
        soonest = format_time(parse_time(grid.start) + matures_after)
        raise _too_few(times, "none to learn from", f"choose an as-of time from {soonest} on")
    starts = [splits.gate + number * splits.fold_size for number in range(splits.folds)]
    folds = tuple(Fold(times, times, tuple(range(start, start + splits.fold_size))) for start in starts)
    shares = splits.gate + splits.folds * splits.fold_size
    return Plan(folds, times, times, times, splits.by, tuple(range(splits.gate)), shares)


def _too_few(times: Sequence[datetime], why: str, next_step: str) -> TidemillError:
    return TidemillError(
        "E_NO_SPLIT",
        f"{len(times)} as-of time(s) have mature labels, {why}",
        where="matured as-of times: " + (", ".join(format_time(t) for t in times) or "none"),
        next_step=next_step,
        exit_code=Exit.NO_INPUT,
    )


def _embargoed(
    times: Sequence[datetime], evaluate: Sequence[datetime], matures_after: timedelta
) -> tuple[datetime, ...]:
    return tuple(t for t in times if t + matures_after <= evaluate[0])


def _first_enough(splits: Splits, matures_after: timedelta, grid: Grid) -> datetime:
    """The first as-of time at which one training time, one fold and the gate are embargoed and mature.

    Counted from the grid's start; data that begin later, or late, put it off.
    """
    train = parse_time(grid.start)
    fold = train
    while fold < train + matures_after:
        fold = grid.next(fold)
    gate = fold
    for _ in range(splits.fold_size):
        gate = grid.next(gate)
    last = gate
    for _ in range(splits.gate - 1):
        last = grid.next(last)
    return last + matures_after
