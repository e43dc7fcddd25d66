"""Which as-of times are missing or outdated, and the SQL that names exactly these instants."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession
from tidemill.core.time import from_micros, to_micros
from tidemill.data.ledger import Entry
from tidemill.data.slices import Built, built, missing, slice_inputs, times_predicate, visible, wanted

JAN = [datetime(2024, 1, day, tzinfo=UTC) for day in range(1, 32)]
MICRO = timedelta(microseconds=1)


def silver(batch: str, known: datetime, *, rows: int = 1, cause: str = "new") -> Entry:
    counts = {} if cause == "compact" else {"first_known": to_micros(known)}
    return Entry("silver.s", batch, "d", cause, 1, rows, "r", 0, counts, {})


def gold(batch: str, inputs: dict[str, Any]) -> Entry:
    return Entry("gold.g", batch, "d", "new", 1, 1, "r", 0, {}, inputs)


def test_a_batch_is_visible_from_when_its_first_row_was_known() -> None:
    entries = [silver("b", JAN[5]), silver("a", JAN[2]), silver("empty", JAN[0], rows=0)]
    assert visible(entries, JAN[2]) == ()
    assert visible(entries, JAN[2] + MICRO) == ("a",)
    assert visible(entries, JAN[6]) == ("a", "b")


def test_a_rebuild_takes_the_place_of_all_before_it_and_a_compaction_changes_nothing() -> None:
    entries = [silver("a", JAN[1]), silver("x", JAN[1], cause="compact"), silver("b", JAN[2])]
    assert visible(entries, JAN[9]) == ("a", "b")
    assert visible([*entries, silver("c", JAN[1], cause="rebuild")], JAN[9]) == ("c",)
    assert visible([*entries, silver("c", JAN[1], cause="rebuild"), silver("d", JAN[3])], JAN[9]) == ("c", "d")


def test_only_times_that_see_a_new_batch_are_built_again() -> None:
    first = [silver("a", JAN[0])]
    asked = wanted(JAN[1:11], [first], timedelta(0))
    assert missing(asked, {}) == JAN[1:11]
    there = built([gold("g1", slice_inputs(asked, JAN[1:11]))])
    assert there[JAN[4]] == Built("g1", ("a",))
    assert missing(asked, there) == []
    late = [*first, silver("late", JAN[7])]  # delivered after all of these were built
    asked = wanted(JAN[1:13], [late], timedelta(0))
    todo = missing(asked, there)
    assert todo == JAN[8:13]
    there = built(
        [
            gold("g1", slice_inputs(wanted(JAN[1:11], [first], timedelta(0)), JAN[1:11])),
            gold("g2", slice_inputs(asked, todo)),
        ]
    )
    assert (there[JAN[7]].batch_id, there[JAN[8]].batch_id) == ("g1", "g2")
    assert missing(asked, there) == []


def test_labels_see_as_far_as_their_maturity_and_every_source() -> None:
    asked = wanted([JAN[0], JAN[4]], [[silver("a", JAN[2])], [silver("b", JAN[6])]], timedelta(days=3))
    assert asked == {JAN[0]: ("a",), JAN[4]: ("a", "b")}
    assert wanted([JAN[0]], [[silver("a", JAN[3])]], timedelta(days=3)) == {JAN[0]: ()}


def test_equal_upstream_batches_are_written_once() -> None:
    inputs = slice_inputs({JAN[0]: ("a",), JAN[1]: ("a", "b"), JAN[2]: ("a",)}, JAN[:3])
    assert [part["upstream"] for part in inputs["slices"]] == [["a"], ["a", "b"]]
    assert {t: b.upstream for t, b in built([gold("g", inputs)]).items()} == {
        JAN[0]: ("a",),
        JAN[1]: ("a", "b"),
        JAN[2]: ("a",),
    }


def test_a_ledger_row_without_slices_builds_nothing() -> None:
    assert built([gold("c", {"files": ["x"]})]) == {}


moments = st.lists(st.integers(-40, 40), min_size=1, max_size=12, unique=True)
steps = st.sampled_from([1, 7, 3_600_000_000, 86_400_000_000])


@settings(max_examples=6, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(moments, steps), min_size=8, max_size=8))
def test_the_predicate_holds_for_exactly_these_instants(
    spark: SparkSession, cases: list[tuple[list[int], int]]
) -> None:
    sets = [[from_micros(1_330_473_600_000_000 + n * step) for n in numbers] for numbers, step in cases]
    every = sorted({t + shift for times in sets for t in times for shift in (-MICRO, timedelta(0), MICRO)})
    frame = spark.createDataFrame([(t,) for t in every], "at timestamp")
    holds = frame.selectExpr(
        "unix_micros(at) as at", *[f"({times_predicate('at', times)}) as c{n}" for n, times in enumerate(sets)]
    )
    found = {row["at"]: tuple(row)[1:] for row in holds.toLocalIterator()}
    assert found == {to_micros(t): tuple(t in times for times in sets) for t in every}


def test_a_regular_grid_is_one_short_condition() -> None:
    hourly = [JAN[0] + timedelta(hours=n) for n in range(10_000)]
    assert times_predicate("at", hourly) == (
        "(at >= timestamp'2024-01-01T00:00:00Z' and at <= timestamp'2025-02-20T15:00:00Z'"
        " and pmod(unix_micros(at) - 1704067200000000, 3600000000) = 0)"
    )
    assert times_predicate("at", JAN[:1]) == "at = timestamp'2024-01-01T00:00:00Z'"
