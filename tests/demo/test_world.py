from __future__ import annotations

import math
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from tidemill.demo.behaviour import CALL, DAY, LOGIN, PERIOD
from tidemill.demo.tables import TABLES, landed_tables
from tidemill.demo.truth import probability_counts
from tidemill.demo.world import NEVER, Block, Hazard, World, simulate

if TYPE_CHECKING:
    from tidemill.demo.behaviour import Rows

SEED = 20260101
TABLE_NAMES = ("changes", "events", "tickets", "invoices")


@pytest.fixture(scope="module")
def world() -> World:
    return World(accounts=3000, months=14, seed=SEED)


@pytest.fixture(scope="module")
def blocks(world: World) -> list[Block]:
    return [simulate(world, b) for b in range(world.blocks)]


def same(one: Block, other: Block) -> bool:
    tables = all(np.array_equal(getattr(one, t)[c], getattr(other, t)[c]) for t in TABLE_NAMES for c in getattr(one, t))
    return tables and np.array_equal(one.probability, other.probability, equal_nan=True)


def outcomes(blocks: list[Block], k: int) -> tuple[Any, Any]:
    p = np.concatenate([b.probability[:, k] for b in blocks])
    y = np.concatenate([b.churned[:, k] for b in blocks])
    return p[~np.isnan(p)], y[~np.isnan(p)]


def test_sizes() -> None:
    world = World(accounts=2500, months=6, seed=1)
    assert world.blocks == 3
    assert [world.size(b) for b in range(3)] == [1000, 1000, 500]


def test_a_block_is_what_seed_and_number_say(world: World, blocks: list[Block]) -> None:
    assert same(simulate(world, 1), blocks[1])
    assert same(simulate(World(2000, 14, SEED), 1), blocks[1])  # whatever else the world holds
    assert not same(simulate(World(3000, 14, SEED + 1), 1), blocks[1])
    assert not same(blocks[0], blocks[1])


def test_the_world_of_the_default_seed_stays_what_it_is(blocks: list[Block]) -> None:
    rows = [len(getattr(blocks[0], t)["at"]) for t in TABLE_NAMES]
    assert rows == [1689, 96962, 2961, 5913]
    assert [int((b.cancelled != NEVER).sum()) for b in blocks] == [557, 532, 532]


def test_nothing_happens_before_sign_up_or_from_cancellation_on(blocks: list[Block]) -> None:
    for block in blocks:
        for table in (block.events, block.tickets, block.invoices):
            assert (table["at"] >= np.maximum(block.started[table["account"]], 0)).all()
            assert (table["at"] < block.cancelled[table["account"]]).all()
            assert (table["at"] < 14 * PERIOD).all()
            assert (np.diff(table["at"]) >= 0).all()


def test_the_change_log_begins_with_the_sign_up_and_ends_with_the_cancellation(blocks: list[Block]) -> None:
    block = blocks[0]
    for account in range(200):
        mine = block.changes["account"] == account
        at, active = block.changes["at"][mine], block.changes["active"][mine]
        assert at[0] == block.started[account]
        assert len(set(at)) == len(at)  # account and moment are the source's key
        assert active[:-1].all()
        assert active[-1] == (block.cancelled[account] == NEVER)
        if not active[-1]:
            assert at[-1] == block.cancelled[account]


def test_who_cancels_in_a_period_was_active_at_its_start(blocks: list[Block]) -> None:
    for block in blocks:
        account, k = np.nonzero(block.churned)
        assert (block.cancelled[account] // PERIOD == k).all()
        assert len(set(account)) == len(account) == (block.cancelled != NEVER).sum()
        starts = np.arange(14) * PERIOD
        active = (block.started[:, None] < starts) & (block.cancelled[:, None] >= starts)
        assert (np.isnan(block.probability) == ~active).all()


def logit_from_what_was_delivered(block: Block, account: int, k: int) -> float:
    """The hazard as its documentation has it, from the rows before T of one account."""
    h, now = Hazard(), k * PERIOD

    def times(table: Rows, where: Any = None) -> Any:
        mine = (table["account"] == account) & (table["at"] < now)
        return table["at"][mine if where is None else mine & where]

    def within(at: Any, days: int) -> int:
        return int((at >= now - days * DAY).sum())

    def spent(days: int) -> float:
        rows = block.invoices
        mine = (rows["account"] == account) & (rows["at"] < now) & (rows["at"] >= now - days * DAY)
        return int(rows["cents"][mine].sum()) / 100

    state = np.flatnonzero((block.changes["account"] == account) & (block.changes["at"] < now))[-1]
    tenure = (now - int(block.started[account])) / DAY
    seen = max(30.0, min(tenure, now / DAY, 90.0))
    logins = times(block.events, block.events["kind"] == LOGIN)
    calls = times(block.tickets, block.tickets["channel"] == CALL)
    recency = (now - logins.max()) / DAY if len(logins) else 5.0
    return float(
        h.base
        + h.plan[block.changes["plan"][state]]
        + h.price * math.log(1 + block.changes["price"][state] / 100)
        + h.tenure * math.log(1 + tenure / 30)
        + h.recency * math.log(1 + recency)
        + h.logins * math.log((within(logins, 30) + 1) / (within(logins, 90) * 30 / seen + 1))
        + h.calls_30d * min(within(calls, 30), 3)
        + h.calls_90d * min(within(calls, 90), 5)
        + h.spending * math.log((spent(30) + 5) / (spent(90) * 30 / seen + 5))
    )


def test_the_true_probability_follows_from_rows_before_the_period_alone(blocks: list[Block]) -> None:
    block, checked = blocks[0], 0
    for account in range(0, 1000, 50):
        for k in range(14):
            if not np.isnan(block.probability[account, k]):
                expected = 1 / (1 + math.exp(-logit_from_what_was_delivered(block, account, k)))
                assert block.probability[account, k] == pytest.approx(expected, rel=1e-9)
                checked += 1
    assert checked > 80


def test_without_effects_everybody_has_the_same_probability(world: World) -> None:
    hazard = Hazard(-2.0, (0.0,) * 4, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    found = simulate(world, 0, hazard).probability
    assert np.unique(found[~np.isnan(found)]) == pytest.approx([0.11920292202211755])


def test_accounts_leave_as_often_as_their_probabilities_say(blocks: list[Block]) -> None:
    for k in range(14):
        p, y = outcomes(blocks, k)
        assert abs(y.sum() - p.sum()) < 4 * math.sqrt((p * (1 - p)).sum())
    p, y = (np.concatenate(parts) for parts in zip(*(outcomes(blocks, k) for k in range(3, 14)), strict=True))
    assert 0.06 < y.mean() < 0.10
    for low, high in ((0, 0.05), (0.05, 0.15), (0.15, 0.4), (0.4, 1)):
        part = (p >= low) & (p < high)
        spread = math.sqrt((p[part] * (1 - p[part])).sum())
        assert abs(y[part].sum() - p[part].sum()) < 4 * spread


def auc_of_counts(counts: list[tuple[str, int, int, int]], name: str) -> float:
    """Pairs of one that churned and one that stayed, equal bins counting half."""
    bins, rows, churned = np.array(sorted(c[1:] for c in counts if c[0] == name)).T
    merged = {b: (rows[bins == b].sum(), churned[bins == b].sum()) for b in np.unique(bins)}
    below = won = 0
    for total, gone in merged.values():
        won += gone * (below + (total - gone) / 2)
        below += total - gone
    return float(won / (below * churned.sum()))


def test_the_true_auc_is_as_wanted_and_counted_exactly(blocks: list[Block]) -> None:
    counts = [c for block in blocks for c in probability_counts(block)]
    for k in (5, 9, 13):
        p, y = outcomes(blocks, k)
        assert auc_of_counts(counts, f"period {k}") == pytest.approx(roc_auc_score(y, p), abs=1e-5)
    p, y = (np.concatenate(parts) for parts in zip(*(outcomes(blocks, k) for k in range(3, 14)), strict=True))
    assert 0.80 < roc_auc_score(y, p) < 0.86


def test_the_population_stays_about_the_same(blocks: list[Block]) -> None:
    population = [len(outcomes(blocks, k)[0]) for k in range(14)]
    assert min(population) > 0.85 * max(population)
    assert 0.4 < population[0] / 3000 < 0.55


def test_the_default_world_has_more_than_a_million_rows(blocks: list[Block]) -> None:
    rows = sum(len(getattr(b, t)["at"]) for b in blocks for t in TABLE_NAMES)
    assert 1_000_000 < rows * 12_000 / 3_000 < 1_300_000


@pytest.mark.parametrize("accounts", [1, 5, 1001])
def test_every_table_covers_the_last_day_of_the_smallest_world(accounts: int) -> None:
    world = World(accounts, 6, 3)
    block = simulate(world, world.blocks - 1)
    for table in TABLE_NAMES:
        assert getattr(block, table)["at"][-1] >= 6 * PERIOD - DAY


def test_landed_tables_hold_the_blocks_rows(world: World, blocks: list[Block]) -> None:
    block = blocks[1]
    tables = landed_tables(world, 1, block)
    assert tuple(tables) == TABLES
    assert [len(tables[t]) for t in ("accounts", "activity", "support")] == [
        len(block.changes["at"]),
        len(block.events["at"]),
        len(block.tickets["at"]),
    ]
    for name, key in (("activity", "event_id"), ("support", "ticket_id")):
        ids = tables[name][key].to_numpy()
        assert ids[0] == 10_000_001
        assert len(np.unique(ids)) == len(ids)
    first = tables["invoices"].slice(0, 1).to_pylist()[0]
    assert first == {
        "invoice_id": 10_000_001,
        "account_id": "A0001146",
        "invoiced_at": datetime(2025, 1, 1, 0, 8, 46),  # noqa: DTZ001 (the file states no zone)
        "amount": "28.00",
    }


def test_faults_are_few_and_spare_what_makes_accounts_leave(world: World, blocks: list[Block]) -> None:
    tables = landed_tables(world, 0, blocks[0])
    activity, accounts, invoices = (tables[t] for t in ("activity", "accounts", "invoices"))
    strangers = activity.filter(activity["account_id"].is_null())
    assert set(strangers["kind"].to_pylist()) == {"view"}
    assert 5 < len(strangers) < 80
    unknown = activity["duration"].to_pylist().count("N/A")
    assert 0.001 < unknown / len(activity) < 0.003
    plans = set(accounts["plan"].to_pylist())
    assert plans > {"free", "basic", "pro", "enterprise"}
    assert {p.strip().lower() for p in plans} == {"free", "basic", "pro", "enterprise"}
    twice = len(invoices) - len(set(invoices["invoice_id"].to_pylist()))
    assert 0 < twice < 30
    assert len(set(map(str, invoices.to_pylist()))) == len(invoices) - twice  # delivered twice, but the same
    cents = sum(
        round(float(row["amount"]) * 100) for row in {r["invoice_id"]: r for r in invoices.to_pylist()}.values()
    )
    assert cents == blocks[0].invoices["cents"].sum()
