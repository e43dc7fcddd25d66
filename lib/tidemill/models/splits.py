"""Which as-of times train, select and decide: pure arithmetic on instants.

An evaluation at e may be trained on t only where `t + horizon + delay <= e` (the embargo), so that nothing a model has
learned from was still unknown when it is judged.
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
    """One selection: times to train on, and the times it is judged at."""

    train: tuple[datetime, ...]
    evaluate: tuple[datetime, ...]


@dataclass(frozen=True)
class Plan:
    """The division of the matured times of one training.

    Args:
        folds: selections, newest first; all strictly before the gate.
        gate_train: what the gate fit learns from.
        gate: the times that decide promotion.
        final: what the registered fit learns from: all matured times.
    """

    folds: tuple[Fold, ...]
    gate_train: tuple[datetime, ...]
    gate: tuple[datetime, ...]
    final: tuple[datetime, ...]


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
    """Divides matured times into folds, gate and final fit.

    Raises:
        TidemillError: E_NO_SPLIT (no input) where there is no embargoed pair of times; names the first time that would
            do.
    """
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
        raise TidemillError(
            "E_NO_SPLIT",
            f"{len(times)} as-of time(s) have mature labels, too few for an embargoed fold and gate",
            where="matured as-of times: " + (", ".join(format_time(t) for t in times) or "none"),
            next_step=later,
            exit_code=Exit.NO_INPUT,
        )
    return Plan(tuple(folds), gate_train, gate, tuple(times))


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
