"""Which as-of times a training may take: what the features and the population have begun to tell of."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from tidemill.cli import plan
from tidemill.declare import (
    ActiveWithin,
    Entity,
    FeatureView,
    Grid,
    Label,
    LogisticRegression,
    NoEventIn,
    Recency,
    Source,
    UseCase,
    ValueAt,
    days,
)

if TYPE_CHECKING:
    import pytest

FIRST = datetime(2024, 1, 10, tzinfo=UTC)
CUSTOMER = Entity("customer")
ORDERS = Source("orders", contract="shop/orders.yaml", entity=CUSTOMER, event_time="ordered_at")
USE_CASE = UseCase(
    "shop",
    views=(FeatureView("orders", 1, CUSTOMER, ORDERS, (Recency(),), cadence=days(1), ttl=days(2)),),
    label=Label("gone", horizon=days(10), population=ActiveWithin(ORDERS, days(20)), outcome=NoEventIn(ORDERS)),
    task="binary",
    models=(LogisticRegression(),),
    grid=Grid("2024-01-11", every=days(10)),
    baseline="recency_days",
)
OUTCOMES = Source("outcomes", contract="shop/outcomes.yaml", entity=CUSTOMER, event_time="told_at")


def times(monkeypatch: pytest.MonkeyPatch, use_case: Any, firsts: dict[str, datetime]) -> list[str]:
    monkeypatch.setattr(plan, "first_event", lambda _, name: firsts[name])
    end = datetime(2024, 2, 20, tzinfo=UTC)
    context: Any = SimpleNamespace(
        use_case=use_case, lake=None, silver=lambda s: s.name, as_of=end, watermark=lambda _, at: at
    )
    return [f"{t:%Y-%m-%d}" for t in plan.training_times(context)]


def test_a_source_of_outcomes_alone_may_begin_after_the_time_that_it_tells_of(monkeypatch: pytest.MonkeyPatch) -> None:
    told = ValueAt(OUTCOMES, "gone", after=days(0))
    use_case = replace(USE_CASE, label=replace(USE_CASE.label, outcome=told))
    every = ["2024-01-11", "2024-01-21", "2024-01-31", "2024-02-10"]
    assert times(monkeypatch, USE_CASE, {"orders": FIRST}) == every
    assert times(monkeypatch, use_case, {"orders": FIRST, "outcomes": FIRST + days(15)}) == every
    assert times(monkeypatch, use_case, {"orders": FIRST + days(1), "outcomes": FIRST}) == every[1:]
