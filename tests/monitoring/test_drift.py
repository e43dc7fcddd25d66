"""Verdicts: quiet on lively data, awake to a small shift that stays, and each fault called by its name."""

import math
from collections.abc import Callable, Sequence
from statistics import NormalDist

import numpy as np
import pytest
from tidemill.core.config_monitor import Least, Monitor
from tidemill.monitoring import drift
from tidemill.monitoring.calibration import learn, oddest
from tidemill.monitoring.drift import Drift, Verdict, Watched, compare, decide
from tidemill.monitoring.estimation import effect_of
from tidemill.monitoring.figures import Day
from tidemill.stats.bins import NUMBER, TEXT, Bins
from tidemill.stats.expected import Estimate
from tidemill.stats.intervals import Interval
from tidemill.stats.sketch import Sketch
from tidemill.stats.tails import discoveries

NORMAL = NormalDist()
NUMBERS = Bins("x", NUMBER, tuple(NORMAL.inv_cdf(i / 10) for i in range(1, 10)))
TEXTS = Bins("plan", TEXT, values=("basic", "plus"))
LIMITS = Monitor(
    bins=10, warn=0.1, alert=0.25, alert_share=0.1, minimum_rows=100, quiet_days=14, season_days=7,
    false_discoveries=0.05, persistence=3, least=Least(), events=(),
)  # fmt: skip
QUIET = 28


def shares(mean: float, deviation: float = 1.0) -> list[float]:
    ends = [0.0, *(NORMAL.cdf((e - mean) / deviation) for e in NUMBERS.edges), 1.0]
    return np.diff(ends).tolist()


class World:
    """Columns with a weekly season of 0.05 sd and days that differ by 0.02 sd, as facts about lively data have it."""

    def __init__(self, rows: int, columns: int, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.rows, self.phases = rows, self.random.uniform(0, 2 * math.pi, columns)

    def day(self, column: int, place: int, shift: float = 0.0, rows: int | None = None) -> Day:
        mean = 0.05 * math.sin(2 * math.pi * place / 7 + self.phases[column]) + 0.02 * self.random.standard_normal()
        counts = self.random.multinomial(rows or self.rows, shares(mean + shift))
        return Day(place, tuple(counts.tolist()), 0)


def simulate(rows: int, columns: int, seed: int, quiet: int = 28) -> tuple[float, float]:
    """The share of quiet feature-days that are reported, and of features whose shift is, within three days."""
    world = World(rows, columns, seed)
    days = [[world.day(c, place) for place in range(QUIET)] for c in range(columns)]
    usual = [learn(NUMBERS, known, 7) for known in days]
    false, found = 0, np.zeros(columns, np.bool_)
    later: list[list[Day]] = [[] for _ in range(columns)]
    for place in range(QUIET, QUIET + quiet + 3):
        shift = 0.1 if place >= QUIET + quiet else 0.0
        tails = []
        for c in range(columns):
            later[c].append(world.day(c, place, shift))
            known = usual[c]
            assert known is not None
            tails.append(oddest(known, later[c], LIMITS.least).tail)
        believed = np.array(discoveries(tails, LIMITS.false_discoveries))
        if shift:
            found |= believed
        else:
            false += int(believed.sum())
    return false / (quiet * columns), float(found.mean())


@pytest.mark.parametrize("rows", [1_000, 10_000, 1_000_000])
def test_lively_data_are_quiet_and_a_small_shift_that_stays_is_seen(rows: int) -> None:
    false, found = simulate(rows, columns=20, seed=rows, quiet=10)
    assert false <= 0.01
    assert found >= (0.9 if rows >= 10_000 else 0.5)


@pytest.mark.soak
@pytest.mark.parametrize("rows", [1_000, 10_000, 100_000, 1_000_000])
def test_the_whole_simulation(rows: int) -> None:
    results = [simulate(rows, columns=40, seed=seed) for seed in range(10)]
    false, found = np.mean(results, axis=0)
    assert false <= 0.01
    assert found >= (0.9 if rows >= 10_000 else 0.6)


def watched(bins: Bins, quiet: Sequence[Day], newest: Sequence[Day], reported: int = 0, event: str = "") -> Watched:
    sums = np.sum([d.counts for d in quiet], axis=0)
    nulls = sum(d.nulls for d in quiet)
    reference = Sketch(int(sums.sum()) + nulls, nulls, counts=sums)
    current = Sketch(newest[-1].rows, newest[-1].nulls, counts=np.array(newest[-1].counts))
    return Watched(bins, reference, current, tuple(quiet), tuple(newest), reported, event)


def quiet_numbers(seed: int = 3, rows: int = 5_000) -> tuple[World, list[Day]]:
    world = World(rows, 1, seed)
    return world, [world.day(0, place) for place in range(QUIET)]


def judged(newest: Callable[[World], list[Day]], **more: int | str) -> Drift:
    world, quiet = quiet_numbers()
    return compare([watched(NUMBERS, quiet, newest(world), **more)], 7, LIMITS)[0]  # type: ignore[arg-type]


def test_a_usual_day_is_ok_and_says_by_what() -> None:
    found = judged(lambda w: [w.day(0, QUIET)])
    assert found.verdict == "ok"
    assert found.reason == "within what 28 quiet days show"


def test_a_shift_warns_at_first_and_alerts_on_the_third_day() -> None:
    found = judged(lambda w: [w.day(0, QUIET + i, 0.25) for i in range(2)])
    assert found.verdict == "warn"
    assert "its level is 0." in found.reason
    assert "above the usual" in found.reason
    lasting = judged(lambda w: [w.day(0, QUIET + i, 0.25) for i in range(3)], reported=2)
    assert lasting.verdict == "alert"
    assert "the 3. day in a row" in lasting.reason


def test_a_broken_unit_alerts_at_once() -> None:
    found = judged(lambda _: [Day(QUIET, (0, 0, 0, 0, 0, 0, 0, 0, 0, 5_000), 0)])
    assert found.verdict == "alert"
    assert "too far to wait" in found.reason
    assert found.psi is not None
    assert found.psi > 1


def test_one_odd_day_is_not_told_again_by_the_means_of_the_days_after_it() -> None:
    broken = Day(QUIET, (0, 0, 0, 0, 0, 0, 0, 0, 0, 5_000), 0)
    assert judged(lambda w: [broken, *(w.day(0, QUIET + n) for n in (1, 2))]).verdict == "ok"
    assert judged(lambda w: [broken, *(w.day(0, QUIET + n, 0.25) for n in (1, 2))], reported=2).verdict == "alert"


def test_missing_values_are_called_so() -> None:
    def empty(world: World) -> list[Day]:
        day = world.day(0, QUIET)
        return [Day(QUIET, tuple(int(n * 0.85) for n in day.counts), 750)]

    found = judged(empty)
    assert found.verdict == "alert"
    assert "missing values: 15." in found.reason
    assert "usually 0.0%" in found.reason


def test_a_new_value_is_called_so() -> None:
    quiet = [Day(p, (3_000 + 7 * (p % 5), 2_000 - 9 * (p % 3), 0), 0) for p in range(QUIET)]
    found = compare([watched(TEXTS, quiet, [Day(QUIET, (2_900, 1_950, 150), 0)])], 7, LIMITS)[0]
    assert found.verdict in {"warn", "alert"}
    assert found.reason.startswith("values that were rare or unknown: 3.0% of rows, usually 0.0%")


def test_fewer_rows_alone_are_no_drift() -> None:
    assert judged(lambda w: [w.day(0, QUIET, rows=200)]).verdict == "ok"


def test_a_known_event_is_not_judged() -> None:
    found = judged(lambda w: [w.day(0, QUIET, 3.0)], event="price list of the year")
    assert (found.verdict, found.reason) == ("ok", "not judged on a day of a known event: price list of the year")


def test_without_a_quiet_period_stated_limits_decide_and_are_said() -> None:
    _, quiet = quiet_numbers()
    for shift, verdict in ((0.0, "ok"), (0.4, "warn"), (1.0, "alert")):
        counts = tuple(int(10_000 * share) for share in shares(shift))
        found = compare([watched(NUMBERS, quiet[:5], [Day(QUIET, counts, 0)])], 7, LIMITS)[0]
        assert found.verdict == verdict
        assert found.reason.endswith("5 quiet days are fewer than 14, so that stated limits decide")
        assert found.tail is None


def test_quiet_days_without_a_value_are_not_called_few() -> None:
    nulls = [Day(place, (0,) * 10, 500) for place in range(30)]
    found = compare([watched(NUMBERS, nulls, [Day(30, (0,) * 10, 500)])], 7, LIMITS)[0]
    assert found.verdict == "ok"
    assert found.reason.endswith("; no quiet day has a value, so that stated limits decide")


def test_few_rows_are_no_verdict() -> None:
    found = judged(lambda w: [w.day(0, QUIET, rows=99)])
    assert (found.verdict, found.psi) == ("insufficient", None)
    assert decide([found], LIMITS).verdict == "insufficient"


def made(name: str, verdict: drift.VerdictName) -> Drift:
    return Drift(Bins(name, NUMBER), Sketch(1, 0), Sketch(1, 0), 0.0, None, verdict, "")


def test_one_verdict_over_all_by_importance() -> None:
    found = [made("a", "alert"), made("b", "warn"), *(made(f"c{i}", "ok") for i in range(18))]
    assert decide(found, LIMITS) == Verdict("warn", "2 of 20 features have moved: a, b")
    relied = decide(found, LIMITS, {"a": 0.5, "c1": 0.5})
    assert relied == Verdict("alert", "1 of 20 features have moved far, 50% of the model's importance: a")
    assert decide(found, LIMITS, {"c1": 1.0}).verdict == "warn"
    assert decide(found[2:], LIMITS).verdict == "ok"
    assert decide([made("a", "alert")] * 2, LIMITS).verdict == "alert"


@pytest.mark.parametrize(
    ("metric", "expected", "words"),
    [
        ("roc_auc", 0.71, "the expected roc_auc of 0.71 is 0.03 worse than the 0.74 that the gate promised"),
        ("roc_auc", 0.75, "the expected roc_auc of 0.75 is no worse than the 0.74 that the gate promised"),
        ("rmse", 0.8, "the expected rmse of 0.8 is 0.06 worse than the 0.74 that the gate promised"),
    ],
)
def test_a_verdict_says_what_is_expected_of_the_metric(metric: str, expected: float, words: str) -> None:
    estimate = Estimate(Interval(expected, expected - 0.01, expected + 0.01), "")
    found = decide([made("a", "ok")], LIMITS, effect=effect_of(metric, 0.74, estimate))
    assert found == Verdict("ok", f"none of 1 features has moved beyond what is usual; {words}")
    assert effect_of(metric, 0.74, Estimate(None, "refused")) == ""
    assert decide([made("a", "ok")], LIMITS).reason == "none of 1 features has moved beyond what is usual"


def test_missing_and_new_values_are_findings_of_their_own_kind() -> None:
    quiet = [Day(place, (500 + place % 3, 480, 0), 20) for place in range(QUIET)]
    found = {
        name: compare([watched(TEXTS, quiet, [day])], 7, LIMITS)[0]
        for name, day in (
            ("missing", Day(QUIET, (400, 400, 0), 200)),
            ("new", Day(QUIET, (420, 400, 160), 20)),
            ("moved", Day(QUIET, (700, 280, 0), 20)),
        )
    }
    assert {name: (d.kind, d.verdict) for name, d in found.items()} == {
        "missing": ("missing_values", "alert"),
        "new": ("new_values", "alert"),
        "moved": ("drift", "alert"),
    }
    few = {
        name: compare([watched(TEXTS, quiet[:3], [day])], 7, LIMITS)[0].kind
        for name, day in (
            ("missing", Day(3, (400, 400, 0), 200)),
            ("new", Day(3, (420, 400, 160), 20)),
            ("moved", Day(3, (800, 180, 0), 20)),
        )
    }
    assert few == {"missing": "missing_values", "new": "new_values", "moved": "drift"}


def test_what_so_few_rows_make_is_not_held_against_a_column() -> None:
    world = np.random.default_rng(5)
    quiet = [Day(0, tuple(world.multinomial(150, [0.1] * 10).tolist()), 0)]
    days = [Day(1, tuple(world.multinomial(120, [0.1] * 10).tolist()), 0) for _ in range(200)]
    verdicts = [compare([watched(NUMBERS, quiet, [day])], 7, LIMITS)[0] for day in days]
    assert np.mean([d.psi or 0.0 for d in verdicts]) > LIMITS.warn  # by chance alone
    assert sum(d.verdict != "ok" for d in verdicts) <= 10
    moved = compare([watched(NUMBERS, quiet, [Day(1, (0, 0, 0, 0, 0, 0, 0, 20, 40, 60), 0)])], 7, LIMITS)[0]
    assert moved.verdict == "alert"
    assert "beyond the 0.135 that so few rows make" in moved.reason
