"""Labels and populations against nested loops, at the edges of the horizon, and frozen at maturity."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import naive_twin as naive
import pytest
from naive_twin import AS_OFS, DAY, MICRO, Event
from pyspark.sql import SparkSession
from tidemill.core.errors import TidemillError
from tidemill.declare import (
    ActiveWithin,
    AnyEventIn,
    ClassIn,
    Entity,
    Label,
    NoEventIn,
    Source,
    StateIs,
    ValueAt,
    days,
)
from tidemill.features.labels import build_labels, build_population
from tidemill.features.pairs import with_validity

CUSTOMER = Entity("customer")
EVENTS = Source("events", "events.yaml", CUSTOMER)
HORIZON, DELAY = days(7), days(1)
Labels = dict[tuple[str, datetime], float]


def in_horizon(world: list[Event], at: datetime, *, kind: str | None = None) -> list[Event]:
    """What the label at a moment has seen when it matured."""
    mature = at + HORIZON + DELAY
    inside = [e for e in world if at <= e.event_time < at + HORIZON and naive.counts_at(e, world, mature)]
    return [e for e in inside if kind is None or e.kind == kind]


def active(world: list[Event], at: datetime) -> bool:
    return any(e.event_time >= at - 30 * DAY for e in naive.seen(world, at))


def active_b(world: list[Event], at: datetime) -> bool:
    return any(e.event_time >= at - 7 * DAY and e.kind == "b" for e in naive.seen(world, at))


def holds(world: list[Event], at: datetime) -> bool:
    seen = naive.seen(world, at)
    return bool(seen) and seen[-1].active is True


def value_at(world: list[Event], at: datetime) -> float | None:
    exact = sorted((e for e in in_horizon(world, at) if e.event_time == at + 1 * DAY), key=lambda e: e.order)
    return exact[-1].amount if exact else None


def commonest(world: list[Event], at: datetime, *, below: float | None = None) -> float | None:
    """The number of the commonest of two kinds, of equally common ones of the first declared."""
    counted = [e for e in in_horizon(world, at) if below is None or (e.amount is not None and e.amount < below)]
    inside = [e.kind for e in counted]
    counts = [inside.count(kind) for kind in ("b", "a")]
    return float(counts.index(max(counts))) if any(counts) else None


KINDS: list[
    tuple[Any, Callable[[list[Event], datetime], bool], Any, Callable[[list[Event], datetime], float | None]]
] = [
    (ActiveWithin(EVENTS, days(30)), active, NoEventIn(EVENTS), lambda w, t: float(not in_horizon(w, t))),
    (StateIs(EVENTS, "active"), holds, AnyEventIn(EVENTS), lambda w, t: float(bool(in_horizon(w, t)))),
    (
        ActiveWithin(EVENTS, days(7), where="kind = 'b'"),
        active_b,
        NoEventIn(EVENTS, where="kind = 'b'"),
        lambda w, t: float(not in_horizon(w, t, kind="b")),
    ),
    (
        ActiveWithin(EVENTS, days(30)),
        active,
        AnyEventIn(EVENTS, where="kind = 'b'"),
        lambda w, t: float(bool(in_horizon(w, t, kind="b"))),
    ),
    (ActiveWithin(EVENTS, days(30)), active, ValueAt(EVENTS, "amount", days(1)), value_at),
    (ActiveWithin(EVENTS, days(30)), active, ClassIn(EVENTS, "kind", ("b", "a")), commonest),
    (
        ActiveWithin(EVENTS, days(30)),
        active,
        ClassIn(EVENTS, "kind", ("b", "a"), where="amount < 0"),
        partial(commonest, below=0),
    ),
]


def labels_of(spark: SparkSession, worlds: list[list[Event]], label: Label, times: Any) -> Labels:
    rows = [event.as_row() for world in worlds for event in world]
    events = with_validity(spark.createDataFrame(rows, naive.SCHEMA), versions=True)
    frame = build_labels(build_population(events, label, times), events, label, times)
    found: Labels = {}
    for row in frame.toLocalIterator():
        identity = (row["customer"], row["event_timestamp"].replace(tzinfo=UTC))
        assert identity not in found, "one label per entity and as-of time"
        found[identity] = row["label"]
    return found


@pytest.mark.parametrize("corrections", [False, True], ids=["events", "corrections"])
@pytest.mark.parametrize(
    "kind", KINDS, ids=["gone", "state", "gone_where", "any_where", "value", "class", "class_where"]
)
def test_labels_equal_their_naive_twins(spark: SparkSession, kind: Any, corrections: bool) -> None:
    population, belongs, outcome, value = kind
    label = Label("l", HORIZON, population, outcome, delay=DELAY)
    worlds = {f"c{n}": naive.random_world(n, f"c{n}", corrections=corrections) for n in range(150)}
    expected = {
        (name, at): value(world, at)
        for name, world in worlds.items()
        for at in AS_OFS
        if belongs(world, at) and value(world, at) is not None
    }
    found = labels_of(spark, list(worlds.values()), label, AS_OFS)
    assert len(expected) > 5
    assert {k: repr(v) for k, v in found.items()} == {k: repr(v) for k, v in expected.items()}


def event(customer: str, at: datetime, **others: Any) -> Event:
    facts: dict[str, Any] = {"known_time": at, "seq": 0, "content": 0, "op": "upsert", "row_id": f"{customer} {at}"}
    facts |= {"amount": 1.0, "price": None, "kind": None, "active": True, **others}
    return Event(customer, at, **facts)


AT = datetime(2024, 3, 1, tzinfo=UTC)
END = AT + HORIZON


def test_the_horizon_is_half_open(spark: SparkSession) -> None:
    outcomes = {
        "before": AT - MICRO,
        "first": AT,
        "last": END - MICRO,
        "end": END,
    }
    worlds = [[event(name, AT - DAY), event(name, at)] for name, at in outcomes.items()]
    label = Label("l", HORIZON, ActiveWithin(EVENTS, days(30)), AnyEventIn(EVENTS))
    found = {name: value for (name, _), value in labels_of(spark, worlds, label, [AT]).items()}
    assert found == {"before": 0.0, "first": 1.0, "last": 1.0, "end": 0.0}


def test_the_window_of_the_population_is_half_open(spark: SparkSession) -> None:
    moments = {"too_old": AT - 30 * DAY - MICRO, "oldest": AT - 30 * DAY, "newest": AT - MICRO, "now": AT}
    worlds = [[event(name, at)] for name, at in moments.items()]
    label = Label("l", HORIZON, ActiveWithin(EVENTS, days(30)), NoEventIn(EVENTS))
    assert {name for name, _ in labels_of(spark, worlds, label, [AT])} == {"oldest", "newest"}


def test_a_label_is_frozen_when_it_matures(spark: SparkSession) -> None:
    inside, mature = AT + DAY, END + DELAY
    gone = {"seq": 1, "op": "delete", "row_id": "x"}
    worlds = [
        [event("in_time", AT - DAY), event("in_time", inside, known_time=mature - MICRO)],
        [event("late", AT - DAY), event("late", inside, known_time=mature)],
        [
            event("deleted", AT - DAY),
            event("deleted", inside, row_id="x"),
            event("deleted", inside, **gone, known_time=mature - MICRO),
        ],
        [
            event("deleted_late", AT - DAY),
            event("deleted_late", inside, row_id="y"),
            event("deleted_late", inside, **{**gone, "row_id": "y"}, known_time=mature),
        ],
    ]
    label = Label("l", HORIZON, ActiveWithin(EVENTS, days(30)), AnyEventIn(EVENTS), delay=DELAY)
    found = {name: value for (name, _), value in labels_of(spark, worlds, label, [AT]).items()}
    assert found == {"in_time": 1.0, "late": 0.0, "deleted": 0.0, "deleted_late": 1.0}


def test_the_newest_of_equal_instants_is_the_value(spark: SparkSession) -> None:
    at = AT + timedelta(hours=6)
    world = [
        event("a", AT - DAY),
        event("a", at, amount=1.0, seq=2, row_id="p"),
        event("a", at, amount=2.0, seq=1, row_id="q"),
        event("a", at + MICRO, amount=3.0, row_id="r"),
    ]
    nothing = [event("b", AT - DAY), event("b", at - MICRO)]
    label = Label("l", HORIZON, ActiveWithin(EVENTS, days(30)), ValueAt(EVENTS, "amount", timedelta(hours=6)))
    assert labels_of(spark, [world, nothing], label, [AT]) == {("a", AT): 1.0}


def test_a_class_is_the_commonest_declared_one(spark: SparkSession) -> None:
    def world(name: str, *kinds: str | None) -> list[Event]:
        return [event(name, AT - DAY), *(event(name, AT + (n + 1) * MICRO, kind=k) for n, k in enumerate(kinds))]

    worlds = [
        world("most", "a", "c", "c"),
        world("tied", "c", "b", "c", "b", "a"),
        world("others", "z", "z", "z", None, "c"),  # what is none of the classes is left out
        world("exact", "A", " b", "c"),
        world("unknown", "z", None),
        world("nothing"),
        [event("late", AT - DAY), event("late", END, kind="a")],
    ]
    label = Label("l", HORIZON, ActiveWithin(EVENTS, days(30)), ClassIn(EVENTS, "kind", ("a", "b", "c")))
    found = {name: value for (name, _), value in labels_of(spark, worlds, label, [AT]).items()}
    assert found == {"most": 2.0, "tied": 1.0, "others": 2.0, "exact": 2.0}
    # A column that holds no text is compared as text.
    yes = Label("l", HORIZON, ActiveWithin(EVENTS, days(30)), ClassIn(EVENTS, "active", ("false", "true")))
    assert {name: value for (name, _), value in labels_of(spark, worlds[:1], yes, [AT]).items()} == {"most": 1.0}


@pytest.mark.parametrize(
    ("classes", "what"),
    [
        (("a",), "two classes or more"),
        (("a", ""), "each a text"),
        ((1, 2), "each a text"),
        ("abc", "each a text"),
        (("a", "b", "a"), "the same"),
    ],
)
def test_classes_are_two_texts_or_more(classes: Any, what: str) -> None:
    with pytest.raises(TidemillError, match=what) as caught:
        ClassIn(EVENTS, "kind", classes)
    assert (caught.value.code, caught.value.exit_code) == ("E_LABEL", 78)


def test_a_label_says_what_is_wrong_with_it() -> None:
    with pytest.raises(TidemillError) as caught:
        Label("late", HORIZON, ActiveWithin(EVENTS, days(1)), ValueAt(EVENTS, "amount", HORIZON))
    assert (caught.value.code, caught.value.exit_code) == ("E_LABEL", 78)
    others = Source("others", "others.yaml", Entity("account"))
    with pytest.raises(TidemillError, match="different entities"):
        Label("mixed", HORIZON, ActiveWithin(EVENTS, days(1)), NoEventIn(others))


def test_a_label_matures_after_horizon_and_the_largest_delay() -> None:
    slow = Source("slow", "slow.yaml", CUSTOMER, delay=days(3))
    label = Label("l", HORIZON, ActiveWithin(EVENTS, days(1)), NoEventIn(slow))
    assert label.matures_after == days(10)
    assert label.sources == (EVENTS, slow)
    assert Label("l", HORIZON, ActiveWithin(EVENTS, days(1)), NoEventIn(slow), delay=days(1)).matures_after == days(8)
