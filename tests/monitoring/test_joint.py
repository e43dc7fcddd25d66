"""Joint drift: quiet on equal samples and on what is usual, awake where only combinations are new; equal each time."""

import numpy as np
import pyarrow as pa
from tidemill.core.config_monitor import Least
from tidemill.monitoring.joint import Joint, joint_of
from tidemill.stats.intervals import Interval

NAMES = ("a", "b", "plan")
ROWS = 400


def sample(seed: int, side: int, together: float, level: float = 0.0, rows: int = ROWS) -> pa.Table:
    """Two numbers with a correlation, each standard normal, and a text."""
    rng = np.random.default_rng(seed)
    a = rng.standard_normal(rows)
    b = together * a + np.sqrt(1 - together**2) * rng.standard_normal(rows)
    plan = np.array(["basic", "plus", None], dtype=object)[rng.integers(0, 3, rows)]
    return pa.table({"_side": [side] * rows, "a": a + level, "b": b, "plan": pa.array(plan.tolist(), pa.string())})


def judge(*samples: pa.Table) -> Joint:
    found = joint_of(pa.concat_tables(samples), NAMES)
    assert found is not None
    return found


def test_samples_of_one_distribution_are_not_told_apart() -> None:
    for seed in range(5):
        found = judge(*(sample(10 * seed + side, side, 0.9) for side in range(3)))
        assert not found.odd(Least())
        assert abs(found.found.estimate - 0.5) < 0.06


def test_new_combinations_of_usual_values_are_found() -> None:
    found = judge(sample(1, 0, 0.9), sample(2, 1, 0.9), sample(3, 2, -0.9))
    assert found.odd(Least())
    assert found.found.low > 0.8
    assert set(found.features[:2]) == {"a", "b"}
    assert found.usual is not None
    assert abs(found.usual.estimate - 0.5) < 0.06
    assert found.text.startswith(
        f"shallow trees tell scored rows from training rows with a ROC AUC of {found.found.estimate:.3f}"
    )


def test_what_changes_from_day_to_day_anyway_is_usual() -> None:
    found = judge(sample(1, 0, 0.5), sample(2, 1, 0.5, level=1.0), sample(3, 2, 0.5, level=1.0))
    assert found.usual is not None
    assert found.usual.estimate > 0.7
    assert found.found.estimate > 0.55
    assert not found.odd(Least())


def test_two_runs_are_equal_and_odd_values_are_taken() -> None:
    whole = pa.concat_tables([sample(1, 0, 0.5), sample(2, 1, 0.5), sample(3, 2, 0.2)])
    a = whole["a"].to_numpy().copy()
    a[::7], a[1::7], a[2::7] = np.nan, np.inf, -np.inf
    odd = whole.set_column(1, "a", pa.array(a))
    assert joint_of(odd, NAMES) == joint_of(odd, NAMES)


def test_few_rows_say_nothing() -> None:
    assert joint_of(pa.concat_tables([sample(1, 0, 0.5), sample(2, 2, 0.5, rows=49)]), NAMES) is None
    alone = joint_of(pa.concat_tables([sample(1, 1, 0.5), sample(2, 2, 0.5)]), NAMES)
    assert alone is not None
    assert alone.usual is None


def test_it_is_odd_beyond_both_intervals_and_by_as_much_as_matters() -> None:
    def odd(found: Interval, usual: Interval | None) -> bool:
        return Joint(100, found, usual, ("a",)).odd(Least())

    assert odd(Interval(0.7, 0.65, 0.75), Interval(0.55, 0.5, 0.6))
    assert not odd(Interval(0.7, 0.59, 0.8), Interval(0.55, 0.5, 0.6))
    assert not odd(Interval(0.64, 0.62, 0.66), Interval(0.55, 0.5, 0.6))
    assert odd(Interval(0.62, 0.58, 0.66), None)
