"""What the accounts of the demo world would do if none of them ever left: sign-ups, plans, activity, support, spending.

Moments are seconds since the world's start. Rows are columns of equal length, one of them `account`, counted from 0
within the block.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Floats = NDArray[np.float64]
    Rows = dict[str, NDArray[np.int64]]

DAY = 86_400
PERIOD = 30 * DAY
PLANS = ("free", "basic", "pro", "enterprise")
COUNTRIES = ("US", "GB", "DE", "FR", "NL", "IN", "BR", "AU", "CA", "JP")
KINDS = ("login", "feature_use", "view", "export", "invite")
CHANNELS = ("call", "ticket")
CALL, TICKET = 0, 1
LOGIN = 0

_LIST_PRICE = np.array([0, 2900, 9900, 39900])  # cents a month
_PLAN_SHARE = (0.25, 0.35, 0.28, 0.12)
_PLAN_CHANGES = 0.025  # a period
_ARRIVALS = 0.08  # new accounts a period, as a share of those there at the start: about as many as leave
_MEAN_AGE = 400 * DAY  # of the accounts that are there at the start
_OLDEST = 1400 * DAY
_LAST_HOUR = 3600
_COUNTRY_SHARE = (0.34, 0.14, 0.12, 0.08, 0.06, 0.08, 0.06, 0.05, 0.04, 0.03)
_KIND_SHARE = (0.60, 0.26, 0.10, 0.04)  # of what is not a login
_WITH_A_LOGIN = 0.9  # other events
_LONGEST_VISIT = 3600
_TYPICAL_SECONDS = (900.0, 240.0, 45.0, 90.0, 30.0)  # by kind


def start_times(rng: np.random.Generator, accounts: int, months: int) -> Ints:
    """When each account signs up: before the world begins, or at any moment of it.

    The last account of every block comes in the world's last hour, so that each source covers the last day however
    small the world is.
    """
    end = months * PERIOD
    old = rng.random(accounts) < 1 / (1 + months * _ARRIVALS)
    age = rng.exponential(_MEAN_AGE, accounts) % _OLDEST
    started = np.where(old, -1 - age.astype(np.int64), rng.integers(0, end - _LAST_HOUR, accounts))
    started[-1] = end - _LAST_HOUR
    return started


def countries(rng: np.random.Generator, accounts: int) -> Ints:
    """Each account's country; it changes nothing else."""
    return rng.choice(np.arange(len(COUNTRIES)), accounts, p=_COUNTRY_SHARE)


def plan_changes(rng: np.random.Generator, started: Ints, months: int) -> tuple[Rows, Ints, Ints]:
    """Sign-ups and plan changes, as the account's state from then on.

    Returns:
        Rows with `plan` and `price` (cents a month), and the same by account and period: the state at the period's
        start, with one more column for the world's end.
    """
    accounts = len(started)
    discount = rng.choice([1.0, 0.9, 0.8, 1.15], accounts, p=[0.6, 0.2, 0.1, 0.1])
    plan = np.empty((accounts, months + 1), dtype=np.int64)
    plan[:, 0] = rng.choice(len(PLANS), accounts, p=_PLAN_SHARE)
    plan[-1, 0] = PLANS.index("basic")  # the last account is to have an invoice
    at = period_starts(months)[:-1] + rng.integers(0, PERIOD, (accounts, months))
    step = rng.choice([-1, 1], (accounts, months), p=[0.4, 0.6])
    changes = (rng.random((accounts, months)) < _PLAN_CHANGES) & (at > started[:, None])
    for k in range(months):
        moved = np.clip(plan[:, k] + step[:, k], 0, len(PLANS) - 1)
        changes[:, k] &= moved != plan[:, k]
        plan[:, k + 1] = np.where(changes[:, k], moved, plan[:, k])
    price = np.rint(_LIST_PRICE[plan] * discount[:, None]).astype(np.int64)
    account, period = np.nonzero(changes)
    rows = {
        "account": np.concatenate([np.arange(accounts), account]),
        "at": np.concatenate([started, at[account, period]]),
        "plan": np.concatenate([plan[:, 0], plan[account, period + 1]]),
        "price": np.concatenate([price[:, 0], price[account, period + 1]]),
    }
    return rows, plan, price


def activity(rng: np.random.Generator, started: Ints, months: int) -> Rows:
    """Logins and what is done with them: rows with `kind` and `duration`, seconds, below zero where it is not known.

    Each account has a rate of its own, times a swing that fades from one period to the next.
    """
    accounts = len(started)
    own = np.clip(rng.lognormal(np.log(5.0), 0.6, accounts), 1.5, 30.0)  # logins a period
    rate = own[:, None] * np.exp(_swings(rng, accounts, months, fade=0.6, size=0.55))
    account, at = _arrivals(rng, rate, started, months)
    signed_up = np.flatnonzero(started >= 0)
    account, at = np.concatenate([account, signed_up]), np.concatenate([at, started[signed_up]])
    others = rng.poisson(_WITH_A_LOGIN, len(account))
    after = rng.integers(1, _LONGEST_VISIT, int(others.sum()))
    other = 1 + rng.choice(len(KINDS) - 1, len(after), p=_KIND_SHARE)
    kind = np.concatenate([np.full(len(account), LOGIN), other])
    at = np.concatenate([at, np.repeat(at, others) + after])
    typical = np.array(_TYPICAL_SECONDS)[kind]
    duration = 1 + (typical * rng.lognormal(0.0, 0.7, len(kind))).astype(np.int64)
    return {
        "account": np.concatenate([account, np.repeat(account, others)]),
        "at": at,
        "kind": kind,
        "duration": duration,
    }


def support(rng: np.random.Generator, started: Ints, months: int) -> Rows:
    """Calls and tickets: rows with `channel` and `severity`, 1 (worst) to 4."""
    accounts = len(started)
    own = rng.gamma(1.2, 0.35, accounts)  # a period
    rate = own[:, None] * np.exp(_swings(rng, accounts, months, fade=0.3, size=0.6))
    account, at = _arrivals(rng, rate, started, months)
    channel = rng.choice([CALL, TICKET], len(account), p=[0.55, 0.45])
    rows = {
        "account": np.append(account, accounts - 1),
        "at": np.append(at, started[-1] + _LAST_HOUR // 2),  # the last account of a block asks for help at once
        "channel": np.append(channel, TICKET),
    }
    return rows | {"severity": 1 + rng.choice(4, len(account) + 1, p=[0.08, 0.22, 0.4, 0.3])}


def spending(rng: np.random.Generator, started: Ints, plans: Rows, price: Ints) -> Rows:
    """Invoices: rows with `cents`; the plan's price times the month's use, every 30 days from sign-up on.

    Args:
        rng: the block's random stream.
        started: when each account signed up.
        plans: sign-ups and plan changes, at most one change a period.
        price: by account and period, at its start, with one more column.
    """
    accounts, months = len(started), price.shape[1] - 1
    starts = period_starts(months)[:-1]
    at = starts + (started % PERIOD)[:, None]
    changed = np.full((accounts, months), np.iinfo(np.int64).max)
    later = plans["at"] >= 0
    changed[plans["account"][later], plans["at"][later] // PERIOD] = plans["at"][later]
    due = np.where(changed <= at, price[:, 1:], price[:, :-1])
    use = np.exp(_swings(rng, accounts, months, fade=0.5, size=0.32))
    account, k = np.nonzero((at >= started[:, None]) & (due > 0))
    extra = rng.random((accounts, months)) < 0.08
    extra_at = starts + rng.integers(0, PERIOD, (accounts, months))
    share = rng.uniform(0.1, 0.9, (accounts, months))
    bought, j = np.nonzero(extra & (extra_at >= started[:, None]) & (due > 0))
    return {
        "account": np.concatenate([account, bought]),
        "at": np.concatenate([at[account, k], extra_at[bought, j]]),
        "cents": np.rint(np.concatenate([due[account, k] * use[account, k], due[bought, j] * share[bought, j]])).astype(
            np.int64
        ),
    }


def period_starts(months: int) -> Ints:
    """The start of every period, and the world's end."""
    return np.arange(months + 1, dtype=np.int64) * PERIOD


def _swings(rng: np.random.Generator, accounts: int, months: int, *, fade: float, size: float) -> Floats:
    """Fluctuations by account and period: autoregressive of order one, stationary, of the given deviation."""
    found = rng.normal(0.0, size, (accounts, months))
    for k in range(1, months):
        found[:, k] = fade * found[:, k - 1] + np.sqrt(1 - fade**2) * found[:, k]
    return found


def _arrivals(rng: np.random.Generator, rate: Floats, started: Ints, months: int) -> tuple[Ints, Ints]:
    """Events of a Poisson process whose rate (events a period) is constant in each period, from sign-up on."""
    ends = period_starts(months)[1:]
    begin = np.maximum(ends - PERIOD, started[:, None])
    length = np.maximum(ends - begin, 0)
    count = rng.poisson(rate * length / PERIOD)
    account, k = np.divmod(np.repeat(np.arange(count.size), count.ravel()), months)
    at = begin[account, k] + (rng.random(len(account)) * length[account, k]).astype(np.int64)
    return account, at
