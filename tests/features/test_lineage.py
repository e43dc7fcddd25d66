"""What features mean and which landed columns they come from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tidemill.data.contract_file import read_contract_file
from tidemill.declare import (
    ActiveWithin,
    Aggregate,
    Attribute,
    Calendar,
    ClassIn,
    Difference,
    Entity,
    Expression,
    FeatureView,
    Gaps,
    Joined,
    Label,
    Log1p,
    NoEventIn,
    Ratio,
    Recency,
    Request,
    Source,
    StateIs,
    Streak,
    Tenure,
    ValueAt,
    days,
    hours,
)
from tidemill.features.lineage import Origin, origin_of, origins

if TYPE_CHECKING:
    from pathlib import Path

    from tidemill.data.contract import Contract

CONTRACT = """\
apiVersion: v3.0.2
kind: DataContract
id: o
name: orders
version: 1.0.0
status: active
team: [{username: ann, role: steward}, {username: bob, role: Data Owner}]
servers: [{server: landing, type: local, path: x, format: csv}]
schema:
  - name: orders
    properties:
      - {name: customer, physicalName: Customer, logicalType: string, required: true}
      - {name: at, physicalName: At, logicalType: timestamp, required: true}
      - name: price
        physicalName: Price
        logicalType: number
        customProperties: [{property: unit, value: GBP}]
      - {name: pieces, physicalName: Pieces, logicalType: integer}
      - {name: amount, logicalType: number, transformLogic: price * pieces}
      - {name: tax, logicalType: number, transformLogic: amount * 0.2}
      - name: due
        physicalName: Due
        logicalType: date
        customProperties: [{property: planned, value: true}]
"""
CUSTOMER = Entity("customer")
ORDERS = Source("orders", "o.yaml", CUSTOMER, event_time="at")


@pytest.fixture
def contract(tmp_path: Path) -> Contract:
    path = tmp_path / "o.yaml"
    path.write_text(CONTRACT, encoding="utf-8")
    return read_contract_file(path)


def test_every_feature_has_a_meaning_and_an_origin(contract: Contract) -> None:
    view = FeatureView(
        "v",
        1,
        CUSTOMER,
        ORDERS,
        (
            Aggregate("sum", "tax", windows=(days(7), hours(6))),
            Aggregate("count", where="pieces > 1 and customer <> 'price'", name="large"),
            Recency(),
            Tenure(),
            Ratio("tax_sum_7d", "large_count"),
            Difference("tax_sum_7d", "tax_sum_6h"),
            Log1p("recency_days"),
            Calendar(("hour",)),
        ),
        cadence=days(1),
        ttl=days(1),
    )
    taxed = ("orders.At", "orders.Pieces", "orders.Price")
    large = ("orders.At", "orders.Customer", "orders.Pieces")
    assert origins(view, {"orders": contract}) == {
        "tax_sum_7d": Origin("sum of tax in the 7d before", taxed),
        "tax_sum_6h": Origin("sum of tax in the 6h before", taxed),
        "large_count": Origin("number of events of all that is known, where pieces > 1 and customer <> 'price'", large),
        "recency_days": Origin("days since the newest event", ("orders.At",)),
        "tenure_days": Origin("days since the oldest event", ("orders.At",)),
        "tax_sum_7d_per_large_count": Origin(
            "tax_sum_7d divided by large_count", ("orders.At", "orders.Customer", "orders.Pieces", "orders.Price")
        ),
        "tax_sum_7d_minus_tax_sum_6h": Origin("tax_sum_7d minus tax_sum_6h", taxed),
        "recency_days_log": Origin("logarithm of 1 + recency_days", ("orders.At",)),
        "as_of_hour": Origin("hour of the as-of time, UTC", ()),
    }


def test_histories_joins_and_requests_have_one(contract: Contract) -> None:
    shop = Entity("shop")
    sales = Source("sales", "o.yaml", shop, event_time="at")
    of_shop = FeatureView("s", 1, shop, sales, (Aggregate("sum", "price"),), cadence=days(1), ttl=days(1))
    view = FeatureView(
        "v",
        1,
        CUSTOMER,
        ORDERS,
        (
            Aggregate("count", by="pieces", values=("1",), windows=(days(7),)),
            Gaps(("max",), (days(30),)),
            Streak(days(1), days(7), ("current",)),
            Attribute("customer", name="home"),
            Joined(of_shop, via="home", take=("price_sum",)),
            Expression("gap_max_days_30d + 1", name="wait", description="how long we wait"),
            Request("basket", "double", history="wait * 2"),
        ),
        cadence=days(1),
        ttl=days(1),
    )
    found = origins(view, {"orders": contract, "sales": contract})
    assert list(found.values()) == [
        Origin("number of events in the 7d before, where pieces is 1", ("orders.At", "orders.Pieces")),
        Origin("max of the days between events in the 30d before", ("orders.At",)),
        Origin("number of consecutive periods of 1d with an event in the 7d before: current", ("orders.At",)),
        Origin("customer in the newest event", ("orders.At", "orders.Customer")),
        Origin("price_sum of the shop that home names", ("orders.At", "orders.Customer", "sales.At", "sales.Price")),
        Origin("how long we wait", ("orders.At",)),
        Origin(
            "what the caller of the service says; in training and in batch a stand-in from the history", ("orders.At",)
        ),
    ]


@pytest.mark.parametrize(
    ("label", "origin"),
    [
        (
            Label("gone", days(30), ActiveWithin(ORDERS, days(90)), NoEventIn(ORDERS, where="pieces > 0")),
            Origin(
                "1 where no event of orders, where pieces > 0 falls in the 30d after; for those with an event of orders"
                " in the 90d before",
                ("orders.At", "orders.Pieces"),
            ),
        ),
        (
            Label("worth", days(1), StateIs(ORDERS, "pieces > 2"), ValueAt(ORDERS, "price", hours(6))),
            Origin(
                "price of orders, 6h after; for those whose newest event of orders has pieces > 2",
                ("orders.At", "orders.Pieces", "orders.Price"),
            ),
        ),
        (
            Label(
                "next", days(7), StateIs(ORDERS, "price > 2"), ClassIn(ORDERS, "pieces", ("1", "2", "3"), "price > 1")
            ),
            Origin(
                "the commonest pieces of orders, where price > 1 in the 7d after (0 = 1, 1 = 2, 2 = 3); for those whose"
                " newest event of orders has price > 2",
                ("orders.At", "orders.Pieces", "orders.Price"),
            ),
        ),
    ],
)
def test_a_label_has_one_too(contract: Contract, label: Label, origin: Origin) -> None:
    assert origin_of(label, {"orders": contract}) == origin


def test_a_contract_says_who_owns_it_and_what_its_columns_are(contract: Contract, tmp_path: Path) -> None:
    assert contract.owner == "bob"
    assert contract.column("price").unit == "GBP"
    assert [c.name for c in contract.columns if c.planned] == ["due"]
    path = tmp_path / "plain.yaml"
    plain = CONTRACT
    for part in (
        "team: [{username: ann, role: steward}, {username: bob, role: Data Owner}]\n",
        "        customProperties: [{property: unit, value: GBP}]\n",
        "        customProperties: [{property: planned, value: true}]\n",
    ):
        assert part in plain
        plain = plain.replace(part, "")
    path.write_text(plain, encoding="utf-8")
    same = read_contract_file(path)
    assert same.owner == ""
    assert same.digest == contract.digest  # none of it changes a row
