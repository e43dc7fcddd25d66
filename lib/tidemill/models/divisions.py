"""A plan's division of rows as SQL conditions: by as-of time, or by shares of entities or rows told apart by a hash."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidemill.data.slices import times_predicate
from tidemill.features.pairs import AS_OF

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidemill.models.splits import Fold, Plan

_SALT = "'split'"  # so that shares are no groups of the buckets that tables are laid out by


def gate_rows(plan: Plan, key: str) -> str:
    """The rows that decide promotion.

    Args:
        plan: the division.
        key: the entity's column.
    """
    return _both(times_predicate(AS_OF, plan.gate), _within(plan, key, plan.gate_shares))


def gate_fit_rows(plan: Plan, key: str) -> str:
    """The rows that the gate fit learns from."""
    return _both(times_predicate(AS_OF, plan.gate_train), _outside(plan, key, plan.gate_shares))


def fold_rows(plan: Plan, fold: Fold, key: str) -> str:
    """The rows that a fold is judged on."""
    return _both(times_predicate(AS_OF, fold.evaluate), _within(plan, key, fold.shares))


def fold_fit_rows(plan: Plan, fold: Fold, key: str) -> str:
    """The rows that a fold learns from: none of the gate's."""
    return _both(times_predicate(AS_OF, fold.train), _outside(plan, key, (*plan.gate_shares, *fold.shares)))


def _within(plan: Plan, key: str, shares: Sequence[int]) -> str:
    return "" if plan.by == "time" else f"{_share(plan, key)} in ({', '.join(map(str, shares))})"


def _outside(plan: Plan, key: str, shares: Sequence[int]) -> str:
    return "" if plan.by == "time" else f"{_share(plan, key)} not in ({', '.join(map(str, shares))})"


def _share(plan: Plan, key: str) -> str:
    """The share of a row: that of its entity at all times, or its own."""
    hashed = f"{_SALT}, `{key}`" if plan.by == "entity" else f"{_SALT}, `{key}`, {AS_OF}"
    return f"pmod(xxhash64({hashed}), {plan.shares})"


def _both(times: str, shares: str) -> str:
    return f"({times}) and {shares}" if shares else times
