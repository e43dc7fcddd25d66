"""Thresholds against a search through all of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stats.scored import PROBABILITY, Rows, scored
from tidemill.stats.confusion import confusion_at
from tidemill.stats.counted import Counted, count
from tidemill.stats.thresholds import Costs, by_capacity, by_cost, by_f_beta

COST = st.sampled_from([-2.0, -1.0, 0.0, 1.0, 5.0, 20.0])


def all_of(counted: Counted) -> list[float]:
    """Highest first: nobody is decided positive, then more and more."""
    return [float("inf"), *counted.scores[::-1].tolist()]


@given(scored(PROBABILITY), st.tuples(COST, COST, COST, COST))
def test_the_least_cost(rows: Rows, each: tuple[float, float, float, float]) -> None:
    counted, costs = count(*rows), Costs(*each)

    def cost(threshold: float) -> float:
        c = confusion_at(counted, threshold)
        parts = (c.true_positives, c.false_positives, c.false_negatives, c.true_negatives)
        return float(np.dot(parts, each)) / c.rows

    found = by_cost(counted, costs)
    assert found.reached == pytest.approx(min(map(cost, all_of(counted))), abs=1e-12)
    assert found.reached == pytest.approx(cost(found.value), abs=1e-12)
    best = [t for t in all_of(counted) if cost(t) == found.reached]
    assert found.confusion == confusion_at(counted, best[0])


@given(scored(PROBABILITY), st.floats(0, 1))
def test_a_capacity_is_never_exceeded(rows: Rows, share: float) -> None:
    counted = count(*rows)

    def decided(threshold: float) -> int:
        c = confusion_at(counted, threshold)
        return c.true_positives + c.false_positives

    found = by_capacity(counted, share)
    fitting = [t for t in all_of(counted) if decided(t) <= share * len(rows[0])]
    assert decided(found.value) == max(map(decided, fitting))
    assert found.reached == decided(found.value) / len(rows[0])


@given(scored(PROBABILITY), st.sampled_from([0.5, 1.0, 2.0]))
def test_the_highest_f_beta(rows: Rows, beta: float) -> None:
    counted = count(*rows)
    found = by_f_beta(counted, beta)
    assert found.reached == pytest.approx(
        max(confusion_at(counted, t).f_beta(beta) for t in all_of(counted)), abs=1e-12
    )
    assert found.confusion.f_beta(beta) == pytest.approx(found.reached, abs=1e-12)


def test_rare_positives_that_are_dear_to_miss_lower_the_threshold() -> None:
    counted = count(np.array([0, 0, 0, 1, 0, 1]), np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.9]))
    assert by_cost(counted, Costs()).value == 0.9
    assert by_cost(counted, Costs(false_negative=5.0)).value == 0.4
    assert by_cost(counted, Costs(false_negative=0.0)).value == float("inf")
    assert by_f_beta(counted).value == 0.4
    assert by_capacity(counted, 0.4).value == 0.5
    assert by_capacity(counted, 0.1).value == float("inf")


def test_no_row_has_no_threshold() -> None:
    for label, score in (([], []), ([0, 1], [0.5, np.inf])):
        with pytest.raises(ValueError, match="rows to be chosen on"):
            by_f_beta(count(np.array(label), np.array(score)))
