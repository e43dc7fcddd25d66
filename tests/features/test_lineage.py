"""What features mean and which landed columns they come from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tidemill.data.contract_file import read_contract_file
from tidemill.declare import (
    ActiveWithin,
    Aggregate,
    Calendar,
    Difference,
    Entity,
    FeatureView,
    Label,
    Log1p,
    NoEventIn,
    Ratio,
    Recency,
    Source,
    StateIs,
    Tenure,
    ValueAt,
    days,
    hours,
)
from tidemill.features.lineage import Origin, origin_of, origins, words

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
    assert origins(view, contract) == {
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
    ],
)
def test_a_label_has_one_too(contract: Contract, label: Label, origin: Origin) -> None:
    assert origin_of(label, {"orders": contract}) == origin


def test_what_stands_in_quotes_is_no_column() -> None:
    assert words("kind = 'login' and a.b > 0") == ("kind", "and", "a", "b")
    assert words(None) == ()


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
