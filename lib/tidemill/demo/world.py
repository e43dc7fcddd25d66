"""A small software-as-a-service company whose customers leave for reasons that can be seen: values and NumPy only.

Time passes in periods of 30 days. At the start T of each period every active account has a probability of cancelling
within the period, a logistic function (`Hazard`) of what features at T can see: plan, price, tenure, days since the
last login, and how logins, support calls and spending went in the last 30 and 90 days. Chance decides with that
probability, and the moment is uniform in the period. So the true probability of the label is known exactly, and on
average no model can rank better than it does. Nothing else tells the leavers from the others: what an account does is
drawn before it is decided whether it leaves, and cut off where it does.

The first three periods see less: what was done before the world's start is not known to anyone.

Accounts are simulated in blocks of 1000, each from a random stream of its own, named by seed and block. A block is the
same whatever else is simulated, on however many machines. NumPy promises that for one of its versions only.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from tidemill.demo.behaviour import (
    CALL,
    DAY,
    LOGIN,
    PERIOD,
    activity,
    countries,
    period_starts,
    plan_changes,
    spending,
    start_times,
    support,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tidemill.demo.behaviour import Floats, Ints, Rows

    Mask = NDArray[np.bool_]

START = datetime(2025, 1, 1, tzinfo=UTC)
BLOCK = 1000
NEVER = int(np.iinfo(np.int64).max)
_NO_LOGIN = 5.0  # days; stands for the recency of an account that has none in the world yet
_CENTS = 100


@dataclass(frozen=True)
class Hazard:
    """The logit of the probability that an account which is active at T cancels in `[T, T + 30 d)`.

    "as 30 d" means: divided by the days of the 90 that account and world have seen (at least 30), times 30.

    Args:
        base: the constant.
        plan: by plan, in the order of `PLANS`.
        price: times `ln(1 + monthly price)`.
        tenure: times `ln(1 + months since sign-up)`.
        recency: times `ln(1 + days since the last login)`.
        logins: times `ln((logins in 30 d + 1) / (logins in 90 d as 30 d + 1))`.
        calls_30d: times support calls in 30 d, at most 3.
        calls_90d: times support calls in 90 d, at most 5.
        spending: times `ln((spent in 30 d + 5) / (spent in 90 d as 30 d + 5))`.
    """

    base: float = -3.75
    plan: tuple[float, ...] = (0.7, 0.3, -0.4, -1.4)
    price: float = 0.12
    tenure: float = -0.55
    recency: float = 0.65
    logins: float = -1.4
    calls_30d: float = 0.7
    calls_90d: float = 0.35
    spending: float = -1.4


@dataclass(frozen=True)
class World:
    """What is simulated.

    Args:
        accounts: how many there ever are; in 14 months about half of them are active at any moment.
        months: length, in periods of 30 days from `START`.
        seed: of every random stream.
    """

    accounts: int
    months: int
    seed: int

    @property
    def blocks(self) -> int:
        """The number of blocks."""
        return -(-self.accounts // BLOCK)

    def size(self, block: int) -> int:
        """The number of accounts of a block; all but the last are full."""
        return min(BLOCK, self.accounts - block * BLOCK)


@dataclass(frozen=True)
class Block:
    """What happened to the accounts of one block; tables are as in `behaviour`, in the order of time.

    Args:
        changes: sign-ups, plan changes and cancellations: `plan`, `price`, `active` (0 or 1), the state from then on.
        events: activity: `kind`, `duration`.
        tickets: support: `channel`, `severity`.
        invoices: spending: `cents`.
        country: of each account.
        started: of each account.
        cancelled: of each account, `NEVER` where it did not.
        probability: account by period, the true probability at its start; not a number where the account is not active.
        churned: account by period, whether it cancelled in it.
    """

    changes: Rows
    events: Rows
    tickets: Rows
    invoices: Rows
    country: Ints
    started: Ints
    cancelled: Ints
    probability: Floats
    churned: Mask


def simulate(world: World, block: int, hazard: Hazard | None = None) -> Block:
    """Simulates one block.

    Args:
        world: size and seed.
        block: from 0.
        hazard: why accounts leave; by default as `Hazard` has it.
    """
    rng = np.random.Generator(np.random.Philox(np.random.SeedSequence([world.seed, block])))
    months = world.months
    started = start_times(rng, world.size(block), months)
    country = countries(rng, len(started))
    changes, plan, price = plan_changes(rng, started, months)
    events = activity(rng, started, months)
    tickets = support(rng, started, months)
    invoices = spending(rng, started, changes, price)
    logits = _logits(hazard or Hazard(), started, (plan, price), (events, tickets, invoices))
    probability, churned, cancelled = _leave(rng, logits, started)
    events, tickets, invoices, changes = (
        _until(rows, np.minimum(cancelled, months * PERIOD)) for rows in (events, tickets, invoices, changes)
    )
    changes = _in_order(_with_cancellations(changes, cancelled))
    return Block(changes, events, tickets, invoices, country, started, cancelled, probability, churned)


def _logits(hazard: Hazard, started: Ints, state: tuple[Ints, Ints], tables: tuple[Rows, Rows, Rows]) -> Floats:
    """The hazard's logit by account and period, as far as the account exists; each from what lies before the period."""
    (plan, price), (events, tickets, invoices) = state, tables
    shape = (len(started), plan.shape[1] - 1)
    starts = period_starts(shape[1])[:-1]
    tenure = np.maximum(starts - started[:, None], 0) / DAY
    seen = np.clip(np.minimum(tenure, starts / DAY), 30.0, 90.0)
    logins = {name: column[events["kind"] == LOGIN] for name, column in events.items()}
    calls = {name: column[tickets["channel"] == CALL] for name, column in tickets.items()}
    logins_30d, logins_90d = _before(_per_period(logins, shape))
    calls_30d, calls_90d = _before(_per_period(calls, shape))
    spent_30d, spent_90d = (cents / _CENTS for cents in _before(_per_period(invoices, shape, "cents")))
    return (
        hazard.base
        + np.array(hazard.plan)[plan[:, :-1]]
        + hazard.price * np.log1p(price[:, :-1] / _CENTS)
        + hazard.tenure * np.log1p(tenure / 30)
        + hazard.recency * np.log1p(_recency(logins, shape))
        + hazard.logins * np.log((logins_30d + 1) / (logins_90d * 30 / seen + 1))
        + hazard.calls_30d * np.minimum(calls_30d, 3)
        + hazard.calls_90d * np.minimum(calls_90d, 5)
        + hazard.spending * np.log((spent_30d + 5) / (spent_90d * 30 / seen + 5))
    )


def _leave(rng: np.random.Generator, logits: Floats, started: Ints) -> tuple[Floats, Mask, Ints]:
    """Who leaves when: probability and outcome by account and period, and the moment."""
    chance, moment = rng.random(logits.shape), rng.integers(0, PERIOD, logits.shape)
    starts = period_starts(logits.shape[1])[:-1]
    probability = 1 / (1 + np.exp(-logits))
    there = started[:, None] < starts
    would = there & (chance < probability)
    first = np.where(would.any(axis=1), would.argmax(axis=1), logits.shape[1])
    churned = would & (np.arange(logits.shape[1]) == first[:, None])
    active = there & (np.arange(logits.shape[1]) <= first[:, None])
    cancelled = np.where(churned, starts + moment, NEVER).min(axis=1)
    return np.where(active, probability, np.nan), churned, cancelled


def _with_cancellations(changes: Rows, cancelled: Ints) -> Rows:
    """The changes, which are in the order of time, and one row a cancellation, with the plan and price that end."""
    last = np.zeros(len(cancelled), dtype=np.int64)
    last[changes["account"]] = np.arange(len(changes["account"]))  # in the order of time: the newest one stays
    gone = np.flatnonzero(cancelled != NEVER)
    added = {"account": gone, "at": cancelled[gone], **{n: changes[n][last[gone]] for n in ("plan", "price")}}
    added["active"] = np.zeros(len(gone), dtype=np.int64)
    kept = changes | {"active": np.ones(len(changes["account"]), dtype=np.int64)}
    return {name: np.concatenate([kept[name], added[name]]) for name in kept}


def _per_period(rows: Rows, shape: tuple[int, int], weight: str | None = None) -> Floats:
    cell = rows["account"] * shape[1] + rows["at"] // PERIOD
    weights = None if weight is None else rows[weight]
    return np.bincount(cell, weights, shape[0] * shape[1]).reshape(shape).astype(np.float64)


def _before(per_period: Floats) -> tuple[Floats, Floats]:
    """The sums over the 30 and the 90 days before each period."""
    total = np.pad(np.cumsum(per_period, axis=1), ((0, 0), (4, 0)))[:, :-1]
    until = total[:, 3:]
    return until - total[:, 2:-1], until - total[:, :-3]


def _recency(logins: Rows, shape: tuple[int, int]) -> Floats:
    """Days from the last login before each period to the period's start."""
    last = np.full(shape[0] * shape[1], -1, dtype=np.int64)
    np.maximum.at(last, logins["account"] * shape[1] + logins["at"] // PERIOD, logins["at"])
    known = np.maximum.accumulate(np.pad(last.reshape(shape), ((0, 0), (1, 0)), constant_values=-1), axis=1)[:, :-1]
    return np.where(known < 0, _NO_LOGIN, (period_starts(shape[1])[:-1] - known) / DAY)


def _until(rows: Rows, end: Ints) -> Rows:
    kept = rows["at"] < end[rows["account"]]
    return _in_order({name: column[kept] for name, column in rows.items()})


def _in_order(rows: Rows) -> Rows:
    order = np.argsort(rows["at"], kind="stable")
    return {name: column[order] for name, column in rows.items()}
