"""Views are checked as a whole when they are made, and say what was probably meant."""

from typing import Any

import pytest
from tidemill.core.errors import TidemillError
from tidemill.declare import (
    Aggregate,
    Calendar,
    Difference,
    Entity,
    FeatureView,
    Log1p,
    Ratio,
    Recency,
    Source,
    Tenure,
    days,
    hours,
)
from tidemill.features.tables import view_table

CUSTOMER = Entity("customer")
EVENTS = Source("events", "events.yaml", CUSTOMER)


def view_of(*features: Any, **others: Any) -> FeatureView:
    facts = {"entity": CUSTOMER, "source": EVENTS, "cadence": days(1), "ttl": days(2), "version": 1, **others}
    return FeatureView("v", features=features, **facts)


def refused(code: str, make: Any) -> str:
    """The next step of the refusal."""
    with pytest.raises(TidemillError) as caught:
        make()
    assert (caught.value.code, caught.value.exit_code) == (code, 78)
    return caught.value.next_step


def test_names_are_derived() -> None:
    view = view_of(
        Aggregate("sum", "amount", windows=(days(7), days(30), hours(36))),
        Aggregate("count", windows=(days(1),)),
        Aggregate("count"),
        Aggregate("count", where="kind = 'x'", name="x", windows=(hours(1),)),
        Recency(),
        Recency(where="kind = 'x'", name="x"),
        Tenure(),
        Ratio("amount_sum_7d", "amount_sum_30d"),
        Ratio("amount_sum_7d", "tenure_days", name="pace"),
        Difference("amount_sum_30d", "amount_sum_7d"),
        Log1p("pace"),
        Calendar(("weekday",)),
    )
    assert [f.name for f in view.columns] == [
        "amount_sum_7d",
        "amount_sum_30d",
        "amount_sum_36h",
        "events_count_1d",
        "events_count",
        "x_count_1h",
        "recency_days",
        "x_recency_days",
        "tenure_days",
        "amount_sum_7d_per_amount_sum_30d",
        "pace",
        "amount_sum_30d_minus_amount_sum_7d",
        "pace_log",
        "as_of_weekday",
    ]
    assert view_table(view).label == "gold.v_v1"
    assert view_table(view).names[:4] == ("customer", "event_timestamp", "amount_sum_7d", "amount_sum_30d")
    assert view_table(view).declaration == view.digest


def test_what_is_unknown_is_said_with_the_nearest_name() -> None:
    assert "did you mean 'count_distinct'?" in refused("E_AGGREGATE", lambda: Aggregate("count_distnct", "a"))
    assert "name the column" in refused("E_AGGREGATE", lambda: Aggregate("sum"))
    assert "name=" in refused("E_AGGREGATE", lambda: Aggregate("sum", "a", where="b"))
    assert "did you mean 'weekday'?" in refused("E_FEATURE", lambda: Calendar(("week_day",)))
    total = Aggregate("sum", "amount", windows=(days(7),))
    wrong = refused("E_FEATURE", lambda: view_of(total, Ratio("amount_sum_7d", "amount_sum_70d")))
    assert "did you mean 'amount_sum_7d'?" in wrong
    assert "known: none" in refused("E_FEATURE", lambda: view_of(Log1p("amount_sum_7d"), total))
    assert "give one of them a name" in refused("E_FEATURE", lambda: view_of(total, total))
    others = Entity("account")
    assert refused("E_VIEW", lambda: view_of(total, entity=others)) == "use the source's entity"


@pytest.mark.parametrize(
    ("features", "expected"),
    [
        ((Aggregate("count", windows=(days(1), days(30))), Aggregate("sum", "a", windows=(days(7),))), days(30)),
        ((Aggregate("count", windows=(days(1),)), Aggregate("count")), None),
        ((Aggregate("count", windows=(days(1),)), Recency()), None),
        ((Tenure(),), None),
    ],
)
def test_the_lookback_is_the_longest_window(features: tuple[Any, ...], expected: Any) -> None:
    assert view_of(*features).lookback == expected


def test_the_digest_is_what_the_rows_are_and_not_what_is_said_of_them() -> None:
    total = Aggregate("sum", "amount", windows=(days(7),))
    same = view_of(total)
    assert view_of(total, description="words", ttl=days(9), cadence=days(3)).digest == same.digest
    assert view_of(total, version=2).digest != same.digest
    assert view_of(Aggregate("sum", "amount", windows=(days(8),))).digest != same.digest
    assert view_of(total, delay=hours(1)).digest != same.digest
