"""Silver that grows brings gold and the online store along: all entities at a tick, between ticks those it touches."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from deltalake import DeltaTable
from shopkeeping import as_csv, contents, orders
from tidemill.cli.console import app
from tidemill.cli.job import run_jobs
from tidemill.cli.refreshing import ALL, TOUCHED, Refreshed, Refresher
from tidemill.cli.result import OK, Result
from tidemill.core.failpoints import Crashed, armed

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Shop
    from tidemill.cli.context import Context

GOLD = "gold.orders_of_customer_v1"
TICK = datetime(2024, 2, 25, tzinfo=UTC)
LATE = as_csv([("c000", datetime(2024, 2, 24, 12), "1000.00"), ("it's", datetime(2024, 2, 24, 13), "7.00")])  # noqa: DTZ001


def refresh(shop: Shop, now: datetime) -> list[Refreshed]:
    """One round of a stream at a moment, after everything delivered is in silver."""
    assert shop.run("ingest refine")[0] == 0
    found: list[Refreshed] = []

    def job(context: Context) -> Result:
        context.now = now
        found.extend(Refresher(context).refresh())
        return Result(OK)

    arguments = ["--use-case", "shop", "--repo", str(shop.repo), "--root", str(shop.root), "--json"]
    assert run_jobs("ingest", lambda _: [("refresh", job)], arguments) == 0
    return found


def gold(shop: Shop) -> dict[tuple[str, datetime], dict[str, Any]]:
    rows = DeltaTable(str(shop.root / "lake" / "gold" / "orders_of_customer_v1")).to_pyarrow_table().to_pylist()
    return {(row["customer"], row["event_timestamp"]): row for row in rows}


def online(shop: Shop, capsys: pytest.CaptureFixture[str], customer: str) -> dict[str, Any]:
    command = ["lookup", "shop", customer, "--root", str(shop.root), "--repo", str(shop.repo), "--json"]
    app(command, standalone_mode=False)
    answer: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return answer


def test_a_tick_is_for_all_and_late_rows_for_their_own_entities(
    make_shop: Callable[[str], Shop], capsys: pytest.CaptureFixture[str], spark: object
) -> None:
    shop = make_shop("var")
    shop.deliver("orders.csv", as_csv(orders()))
    morning, noon = TICK.replace(hour=9), TICK.replace(hour=12)
    assert refresh(shop, morning) == [Refreshed("orders_of_customer_v1", TICK, ALL, 40)]
    assert refresh(shop, noon) == []
    before = gold(shop)
    shop.deliver("late.csv", LATE)
    assert refresh(shop, noon) == [Refreshed("orders_of_customer_v1", TICK, TOUCHED, 2)]
    after = gold(shop)
    assert {key[0] for key in after if after[key] != before.get(key)} == {"c000", "it's"}
    assert after["c000", TICK]["amount_sum_10d"] == before["c000", TICK]["amount_sum_10d"] + 1000

    answer = online(shop, capsys, "c000")
    names = ("recency_days", "events_count_10d", "amount_sum_10d")
    assert [answer[n] for n in names] == [after["c000", TICK][n] for n in names]
    since = (datetime.now(UTC) - TICK).total_seconds()
    assert answer["age_seconds"] == {n: pytest.approx(since, abs=60) for n in names}
    text = (shop.root / "metrics" / "online_shop_orders_of_customer_v1.prom").read_text("utf-8")
    left = {
        name: float(value)
        for name, value in re.findall(r"^tidemill_online_value_(\w+)_seconds\{.*\} (\S+)$", text, re.MULTILINE)
    }
    assert left == {"time": TICK.timestamp(), "allowed_age": 86400.0}  # a day between two runs, and nothing agreed

    other = make_shop("whole")  # where all had been there in time
    other.deliver("orders.csv", as_csv(orders()))
    other.deliver("late.csv", LATE)
    refresh(other, noon)
    assert contents(shop.root, GOLD) == contents(other.root, GOLD)
    # An older time than the stream has brought online changes nothing there.
    code, summary = shop.run("build_features materialize", "--as-of", "2024-02-24")
    assert (code, summary["steps"][-1]["status"]) == (0, "skipped")
    following = TICK.replace(day=26)
    assert refresh(shop, following) == [Refreshed("orders_of_customer_v1", following, ALL, 41)]
    assert online(shop, capsys, "c001")["age_seconds"]["recency_days"] < since - 3600 * 23


def test_what_was_built_and_not_loaded_is_loaded_next(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    shop.deliver("orders.csv", as_csv(orders()))
    refresh(shop, TICK)
    for number, place in enumerate(("refresh.built:orders_of_customer", "refresh.loaded:orders_of_customer"), start=1):
        at = TICK.replace(tzinfo=None) - timedelta(hours=number)
        shop.deliver(f"late-{number}.csv", as_csv([("new", at, f"{number}.00")]))
        with armed(place), pytest.raises(Crashed):
            refresh(shop, TICK)
        assert [r.entities for r in refresh(shop, TICK)] == [ALL]
        assert online(shop, capsys, "new")["events_count_10d"] == number
    assert refresh(shop, TICK) == []
