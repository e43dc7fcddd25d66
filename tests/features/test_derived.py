"""Names, types, digests and refusals of what was added to the declarations; joins and request-time features."""

import json
import math
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from pyspark.sql import SparkSession
from tidemill.core.errors import TidemillError
from tidemill.core.frozen import freeze, thaw
from tidemill.declare import (
    ActiveWithin,
    Aggregate,
    AnyEventIn,
    Attribute,
    Calendar,
    Difference,
    Entity,
    Expression,
    FeatureView,
    Gaps,
    Joined,
    Label,
    Log1p,
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
from tidemill.features.compute import build_view
from tidemill.features.requested import request_fields, with_request
from tidemill.features.source_columns import check_source_columns, columns_in
from worlds import event, frame_of, rows_of

CUSTOMER, KIND = Entity("customer"), Entity("kind")
EVENTS = Source("events", "events.yaml", CUSTOMER)
KINDS = Source("kinds", "kinds.yaml", KIND)
KIND_STATS = FeatureView(
    "kind_stats",
    1,
    KIND,
    KINDS,
    (Aggregate("count", windows=(days(7),)), Aggregate("mean", "amount", windows=(days(7),), unit="EUR")),
    cadence=days(1),
    ttl=days(2),
    delay=days(1),
)
TOTAL = Aggregate("sum", "amount", windows=(days(7),))
BASKET = (
    TOTAL,
    Aggregate("mean", "amount"),
    Request("basket", "double", history="amount_mean", unit="EUR"),
    Request("channel", "string", history=Aggregate("last_text", "kind")),
    Expression("basket / (amount_sum_7d + 1)", name="basket_share"),
    Log1p("basket_share"),
    Expression("'big' if basket_share > 0.5 else channel", name="size", type="string"),
    Ratio("amount_sum_7d", "amount_mean"),
)


def view_of(*features: Any, **others: Any) -> FeatureView:
    facts = {"entity": CUSTOMER, "source": EVENTS, "cadence": days(1), "ttl": days(2), "version": 1, **others}
    return FeatureView("v", features=features, **facts)


def refused(code: str, make: Any) -> TidemillError:
    with pytest.raises(TidemillError) as caught:
        make()
    assert (caught.value.code, caught.value.exit_code) == (code, 78)
    return caught.value


def test_names_types_and_units_are_derived() -> None:
    view = view_of(
        Aggregate("top", "channel", windows=(days(30),)),
        Aggregate("share", "channel", value="Gift Card!", windows=(days(30),)),
        Aggregate("quantile", "amount", q=0.995, windows=(hours(36),), unit="EUR", description="Nearly the most."),
        Aggregate("quantile", "amount", q=0.07),
        Aggregate("count", by="channel", values=("call", "ticket"), windows=(days(7), days(30))),
        Aggregate("slope", "amount", where="x", name="x"),
        Gaps(("mean", "stddev"), windows=(days(90),)),
        Gaps(where="x", name="x"),
        Streak(days(7), days(84), which=("longest",)),
        Attribute("plan"),
        Calendar(("is_weekend", "week")),
        Expression("amount_q7 > 1", name="much"),
        Joined(KIND_STATS, via="plan_now", take=("events_count_7d",)),
        Request("basket", "double", history="amount_q7", unit="EUR"),
    )
    assert [(f.name, f.type, f.missing, f.unit) for f in view.columns] == [
        ("channel_top_30d", "string", None, ""),
        ("channel_share_gift_card_30d", "double", None, ""),
        ("amount_q99_5_36h", "double", None, "EUR"),
        ("amount_q7", "double", None, ""),
        ("events_call_count_7d", "double", 0.0, ""),
        ("events_call_count_30d", "double", 0.0, ""),
        ("events_ticket_count_7d", "double", 0.0, ""),
        ("events_ticket_count_30d", "double", 0.0, ""),
        ("x_slope", "double", None, ""),
        ("gap_mean_days_90d", "double", None, "days"),
        ("gap_stddev_days_90d", "double", None, "days"),
        ("x_gap_mean_days", "double", None, "days"),
        ("streak_7d_longest_84d", "double", 0.0, "periods of 7d"),
        ("plan_now", "string", None, ""),
        ("as_of_is_weekend", "double", None, ""),
        ("as_of_week", "double", None, ""),
        ("much", "double", None, ""),
        ("kind_stats_events_count_7d", "double", None, ""),
        ("basket", "double", None, "EUR"),
    ]
    assert view.columns[2].description == "Nearly the most."
    assert view.sources == (EVENTS, KINDS)
    assert view.lookback is None
    assert view_of(Gaps(windows=(days(9),)), Streak(days(1), days(20)), Calendar(("day",))).lookback == days(20)
    assert view_of(Request("a", "double", history=Aggregate("last", "x", windows=(days(3),)))).lookback == days(3)


def test_what_came_later_stays_out_of_the_form_at_its_default() -> None:
    assert freeze(TOTAL) == {
        "$value": "Aggregate",
        "function": "sum",
        "column": "amount",
        "windows": [{"$length_us": 604_800_000_000}],
        "where": None,
        "name": None,
        "unit": "",
    }
    assert freeze(Aggregate("quantile", "amount", q=0.5))["q"] == 0.5
    told = Aggregate("sum", "amount", windows=(days(7),), description="words")
    assert freeze(told)["description"] == "words"
    assert view_of(told).digest == view_of(TOTAL).digest
    assert (
        view_of(Aggregate("quantile", "amount", q=0.5)).digest != view_of(Aggregate("quantile", "amount", q=0.6)).digest
    )
    text = Attribute("kind")
    stats = FeatureView("kind_stats", 1, KIND, KINDS, KIND_STATS.features, days(3), days(9), days(1), "words")
    one, same = (view_of(text, Joined(v, "kind_now", ("events_count_7d",))) for v in (KIND_STATS, stats))
    assert one.digest == same.digest
    other = FeatureView("kind_stats", 1, KIND, KINDS, KIND_STATS.features, days(3), days(9), days(2))
    assert view_of(text, Joined(other, "kind_now", ("events_count_7d",))).digest != one.digest


@pytest.mark.parametrize(
    ("make", "code", "hint"),
    [
        (lambda: Aggregate("quantile", "a"), "E_AGGREGATE", "add q=0.5"),
        (lambda: Aggregate("quantile", "a", q=95), "E_AGGREGATE", "did you mean q=0.95?"),
        (lambda: Aggregate("sum", "a", q=0.5), "E_AGGREGATE", "parameter of quantile"),
        (lambda: Aggregate("share", "a"), "E_AGGREGATE", "add value='...'"),
        (lambda: Aggregate("top", "a", value="x"), "E_AGGREGATE", "parameter of share"),
        (lambda: Aggregate("share", "a", value="—"), "E_AGGREGATE", "use where= and name="),
        (lambda: Aggregate("count", by="kind"), "E_AGGREGATE", "by='column', values="),
        (lambda: Aggregate("count", values=("a",)), "E_AGGREGATE", "by='column', values="),
        (lambda: Aggregate("count", by="kind", values=cast("Any", "ab")), "E_AGGREGATE", "write a tuple of texts"),
        (lambda: Aggregate("count", windows=cast("Any", days(7))), "E_AGGREGATE", "windows=(days(7), days(30))"),
        (lambda: Aggregate("count", windows=(days(0),)), "E_AGGREGATE", "write days(7)"),
        (lambda: Gaps(("average",)), "E_FEATURE", "known: max, mean, min, stddev"),
        (lambda: Gaps(cast("Any", "mean")), "E_FEATURE", "write ('mean',)"),
        (lambda: Gaps(where="a > 1"), "E_FEATURE", "add name='...'"),
        (lambda: Streak(days(7), days(30)), "E_FEATURE", "did you mean a window of 28d?"),
        (lambda: Attribute("a", "text"), "E_FEATURE", "known: double, string"),
        (lambda: Calendar(("weekdays",)), "E_FEATURE", "did you mean 'weekday'?"),
        (lambda: Expression("a + b)", name="x"), "E_EXPRESSION", "write it as one"),
        (lambda: Request("a", "number", history="b"), "E_FEATURE", "known: double, string"),
        (lambda: Request("a", "double", history=Aggregate("top", "b")), "E_FEATURE", "Request('a', 'string', ...)"),
        (lambda: Request("a", "double", history=Aggregate("count", by="b", values=("x", "y"))), "E_FEATURE", "one"),
        (lambda: Joined(KIND_STATS, "kind", ("events_count_8d",)), "E_FEATURE", "did you mean 'events_count_7d'?"),
        (lambda: view_of(TOTAL, Expression("amount_sum_70d", name="x")), "E_FEATURE", "did you mean 'amount_sum_7d'?"),
        (lambda: view_of(TOTAL, Expression("amount_sum_7d", name="x", type="string")), "E_EXPRESSION", "type='double'"),
        (lambda: view_of(TOTAL, Expression("amount_sum_7d == 'a'", name="x")), "E_EXPRESSION", "values of one type"),
        (lambda: view_of(Attribute("kind"), Log1p("kind_now")), "E_EXPRESSION", "texts can be compared"),
        (lambda: view_of(TOTAL, Joined(KIND_STATS, "amount_sum_7d", ("events_count_7d",))), "E_FEATURE", "known: none"),
        (
            lambda: view_of(*BASKET, Joined(KIND_STATS, "size", ("events_count_7d",))),
            "E_FEATURE",
            "join by what is known at T",
        ),
        (lambda: view_of(TOTAL, Expression("1 + 1", name="Amount_Sum_7d")), "E_FEATURE", "upper and lower case"),
        (lambda: view_of(TOTAL, Expression("1 + 1", name="customer")), "E_FEATURE", "a name of its own"),
        (lambda: view_of(Expression("1 + 1", name="a b")), "E_FEATURE", "use letters, digits and _"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_with_a_suggestion(make: Any, code: str, hint: str) -> None:
    assert hint in refused(code, make).next_step


def test_everything_that_is_wrong_with_a_view_is_said_at_once() -> None:
    error = refused(
        "E_FEATURE",
        lambda: view_of(
            TOTAL, Ratio("amount_sum_7d", "amount_sum_8d"), TOTAL, Expression("amount_sum_7d + 'a'", name="x")
        ),
    )
    assert error.what.startswith("3 things are wrong: ")
    for part in ("'amount_sum_8d' before its use", "'amount_sum_7d' is declared twice", "takes a number, not a text"):
        assert part in error.what
    for part in ("did you mean 'amount_sum_7d'?", "give one of them a name", "texts can be compared"):
        assert part in error.next_step


def test_columns_are_held_against_the_contracts() -> None:
    silver = {"events": ("customer", "event_time", "amount", "kind"), "kinds": ("kind", "event_time", "amount")}
    label = Label("l", days(3), ActiveWithin(EVENTS, days(9)), AnyEventIn(EVENTS, where="kind = 'x'"))

    def check(*features: Any, label: Label = label) -> None:
        check_source_columns([view_of(*features)], label, lambda source: silver[source.name])

    stats = FeatureView("k", 1, KIND, KINDS, (Aggregate("sum", "price"),), days(1), days(1))
    check(TOTAL, Recency(where="AMOUNT > 1", name="x"), Aggregate("count", by="kind", values=("a",)), Attribute("kind"))
    wrong: list[tuple[Any, str]] = [
        (Aggregate("sum", "amuont"), "did you mean 'amount'?"),
        (Aggregate("count", by="kinds", values=("a",)), "did you mean 'kind'?"),
        (Recency(where="kinda = 'b' and amount > 1", name="x"), "did you mean 'kind'?"),
        (Gaps(where="lower(knd) = 'b'", name="x"), "did you mean 'kind'?"),
        (Request("a", "double", history=Aggregate("sum", "amuont")), "did you mean 'amount'?"),
    ]
    for item, hint in wrong:
        assert hint in refused("E_COLUMN", lambda item=item: check(item)).next_step
    error = refused(
        "E_COLUMN", lambda: check(Attribute("kind"), Joined(stats, "kind_now", ("price_sum",)), Attribute("x"))
    )
    assert error.what.startswith("2 columns are not there: ")
    assert "the source 'kinds' has no column 'price'" in error.what
    for bad in (
        Label("l", days(3), StateIs(EVENTS, "state = 'x'"), AnyEventIn(EVENTS)),
        Label("l", days(3), ActiveWithin(EVENTS, days(9)), ValueAt(EVENTS, "amounts", hours(1))),
    ):
        assert refused("E_COLUMN", lambda bad=bad: check(TOTAL, label=bad)).where.startswith("label 'l'")


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("kind = 'it''s a \"b\"' AND amount > 1e3", ("kind", "amount")),
        (
            "cast(x as decimal(12,2)) > 1 and `odd name` is not null and lower(city) like 'a%'",
            ("x", "odd name", "city"),
        ),
        ("exists(tags, t -> t = 'x') or a.b between 1 and 2", ("tags", "a")),
        ("event_time < timestamp '2020-01-01' - interval 3 days -- y\n and not z", ("event_time", "z")),
        ("case when a in (1, 2) then true else b end", ("a", "b")),
    ],
)
def test_the_columns_of_a_condition(condition: str, expected: tuple[str, ...]) -> None:
    assert columns_in(condition) == expected


def test_another_entitys_features_are_those_of_its_row_for_t(spark: SparkSession) -> None:
    at = datetime(2024, 3, 8, tzinfo=UTC)
    customers = [
        event("one", "2024-03-01T00:00:00", kind="a"),
        event("one", "2024-03-08T12:00:00", kind="b"),
        event("two", "2024-03-02T00:00:00", kind="never seen"),
        event("three", "2024-03-02T00:00:00", kind=None),
    ]
    kinds = [
        event("x", "2024-03-06T23:59:59.999999", 4.0, kind="a"),
        event("x", "2024-03-07T00:00:00", 8.0, kind="a"),  # the view's delay: known for use a day later
        event("x", "2024-03-05T00:00:00", 6.0, kind="a", known_time=at),  # not known in time
        event("x", "2024-02-20T00:00:00", 5.0, kind="b"),
    ]
    view = view_of(
        Attribute("kind"),
        Joined(KIND_STATS, "kind_now", ("events_count_7d", "amount_mean_7d")),
        Joined(KIND_STATS, "kind_now", ("amount_mean_7d",), name="again"),
        Expression("kind_stats_events_count_7d + 1", name="more"),
    )
    times = [at, datetime(2024, 3, 9, tzinfo=UTC)]
    built = build_view(frame_of(spark, [customers]), view, times, {"kinds": frame_of(spark, [kinds])})
    found = {
        (name, when.day): (row["kind_stats_events_count_7d"], row["kind_stats_amount_mean_7d"], row["more"])
        for (name, when), row in rows_of(built).items()
    }
    assert found == {
        ("one", 8): (1.0, 4.0, 2.0),
        ("one", 9): (0.0, None, 1.0),
        ("two", 8): (0.0, None, 1.0),
        ("two", 9): (0.0, None, 1.0),
        ("three", 8): (None, None, None),
        ("three", 9): (None, None, None),
    }


def test_the_service_computes_from_the_request_what_gold_computes_from_the_stand_in(spark: SparkSession) -> None:
    at = datetime(2024, 3, 8, tzinfo=UTC)
    world = [event("a", "2024-03-01T00:00:00", 3.0, kind="shop"), event("a", "2024-03-05T00:00:00", 5.0, kind="web")]
    views = thaw(json.loads(json.dumps(freeze((view_of(*BASKET),)))))  # all that the service has
    assert views == (view_of(*BASKET),)
    built = build_view(frame_of(spark, [world]), views[0], [at])
    stored = {name: rows_of(built)[("a", at)][name] for name in (f.name for f in views[0].columns)}
    expected = {"amount_sum_7d": 8.0, "amount_mean": 4.0, "basket": 4.0, "channel": "web", "size": "web"}
    assert {name: stored[name] for name in expected} == expected
    assert stored["basket_share"] == 4 / 9
    assert with_request(views, stored, {}) == stored
    assert with_request(views, stored, {"basket": 4, "channel": "web"}) == stored  # the same values, the same features
    answer = with_request(views, stored, {"basket": 18})
    assert (answer["basket"], answer["basket_share"], answer["size"]) == (18.0, 2.0, "big")
    assert answer["basket_share_log"] == math.log1p(2.0)
    assert answer["amount_sum_7d_per_amount_mean"] == 2.0
    unknown = with_request(views, stored, {"basket": None, "channel": "phone"})
    assert (unknown["basket_share"], unknown["basket_share_log"], unknown["size"]) == (None, None, "phone")
    assert [item.name for item in request_fields(views)] == ["basket", "channel"]


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ({"baskets": 1.0}, "did you mean 'basket'?"),
        ({"amount_mean": 1.0}, "known: basket, channel"),
        ({"basket": "1"}, "give a number, or null"),
        ({"basket": True}, "give a number, or null"),
        ({"channel": 1}, "give a text, or null"),
    ],
)
def test_a_request_that_does_not_fit_is_refused(given: dict[str, Any], hint: str) -> None:
    with pytest.raises(TidemillError) as caught:
        with_request([view_of(*BASKET)], {}, given)
    assert (caught.value.code, caught.value.exit_code) == ("E_REQUEST", 64)
    assert hint in caught.value.next_step


def test_all_declarations_survive_their_json() -> None:
    view = view_of(
        *BASKET,
        Attribute("kind"),
        Joined(KIND_STATS, "kind_now", ("events_count_7d",)),
        Gaps(windows=(days(3),)),
        Streak(days(1), days(3)),
        Aggregate("share", "kind", value="a"),
        Aggregate("count", by="kind", values=("a", "b")),
        Difference("amount_mean", "basket"),
        Calendar(("day",)),
        Tenure(),
    )
    again = thaw(json.loads(json.dumps(freeze(view), allow_nan=False)))
    assert again == view
    assert again.digest == view.digest
    assert again.columns == view.columns
