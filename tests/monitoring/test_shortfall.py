"""Realised performance against baseline, promise and expectation: nothing on noise, and a concept change is told."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from monitoring.test_drift import LIMITS
from numpy.typing import NDArray
from pages.test_report import EMPTY, section
from stats.test_expected import binned
from tidemill.demo.world import Hazard, World, simulate
from tidemill.models.metric_values import scalars
from tidemill.monitoring.shortfall import Shortfall, Turned, find_shortfalls, judged_against
from tidemill.pages.report import Expected, render_report
from tidemill.stats.binary import binary_of
from tidemill.stats.expected import estimate_roc_auc
from tidemill.stats.intervals import Interval

Floats = NDArray[np.float64]
FIRST = datetime(2026, 1, 1, tzinfo=UTC)
GATE = Interval(0.8, 0.78, 0.82)


def turned(day: int, low: float, value: float, high: float, rows: int = 4000, **against: Interval) -> Turned:
    return Turned(FIRST + timedelta(days=day), rows, Interval(value, low, high), against)  # type: ignore[arg-type]


def found(metric: str, *times: Turned) -> list[tuple[str, str, int]]:
    return [(one.against, one.severity, one.times) for one in find_shortfalls(metric, times, LIMITS)]


def test_what_surely_falls_short_is_told_with_its_figures() -> None:
    alone = Interval(0.65, 0.65, 0.65)
    expected = Interval(0.79, 0.77, 0.81)
    fell = turned(0, 0.70, 0.72, 0.74, baseline=alone, promised=GATE, expected=expected)
    promised, foretold = find_shortfalls("roc_auc", [fell], LIMITS)
    assert promised == Shortfall(
        "promised",
        1,
        "warn",
        "roc_auc 0.72 (0.7 to 0.74) on 4,000 labels of 2026-01-01; the gate had promised 0.8 (0.78 to 0.82)",
    )
    assert foretold.text == (
        "roc_auc 0.72 (0.7 to 0.74) on 4,000 labels of 2026-01-01; 0.79 (0.77 to 0.81) had been expected, so expected"
        " and realised part ways: the outcome no longer depends on the features as on the gate rows"
    )
    assert judged_against([fell], LIMITS) == ("baseline", "promised", "expected")


def test_what_lasts_is_an_alert_and_so_is_a_model_behind_its_baseline() -> None:
    fell, fine = (turned(0, v - 0.02, v, v + 0.02, promised=GATE) for v in (0.72, 0.79))
    assert found("roc_auc", fell, fell) == [("promised", "warn", 2)]
    assert found("roc_auc", fell, fell, fell) == [("promised", "alert", 3)]
    assert found("roc_auc", fell, fell, fine, fell) == [("promised", "warn", 1)]
    assert found("roc_auc", fell, fell, fell, fine) == []
    assert found("roc_auc", turned(0, 0.58, 0.6, 0.62, baseline=Interval(0.7, 0.7, 0.7))) == [("baseline", "alert", 1)]
    assert ", 3 times in a row" in find_shortfalls("roc_auc", [fell] * 3, LIMITS)[0].text


@pytest.mark.parametrize(
    "one",
    [
        turned(0, 0.70, 0.74, 0.785, promised=GATE),  # the intervals meet
        turned(0, 0.775, 0.777, 0.779, promised=GATE),  # sure, and too little to matter
        turned(0, 0.60, 0.62, 0.64, rows=99, promised=GATE),
        turned(0, 0.66, 0.68, 0.70, baseline=Interval(0.69, 0.69, 0.69)),
        turned(0, 0.84, 0.86, 0.88, promised=GATE, expected=GATE),  # better than anybody hoped
        turned(0, 0.60, 0.62, 0.64),
    ],
)
def test_noise_trifles_and_good_news_are_none(one: Turned) -> None:
    assert found("roc_auc", one) == []


@pytest.mark.parametrize("metric", ["rmse", "log_loss"])
def test_an_error_falls_short_where_it_is_greater(metric: str) -> None:
    gate = Interval(10.0, 9.5, 10.5)
    assert found(metric, turned(0, 11.5, 12.0, 12.5, promised=gate)) == [("promised", "warn", 1)]
    assert found(metric, turned(0, 8.5, 9.0, 9.4, promised=gate)) == []
    assert found(metric, turned(0, 10.4, 11.5, 12.5, promised=gate)) == []
    assert found(metric, turned(0, 11.5, 12.0, 12.5, baseline=Interval(11.0, 11.0, 11.0))) == [("baseline", "alert", 1)]


def interval(label: Floats, score: Floats) -> Interval:
    values = scalars(binary_of(label, score))
    return Interval(values["roc_auc"], values["roc_auc_low"], values["roc_auc_high"])


class Demo:
    """The demo world at the starts of its periods, scored by the true probabilities of an unchanged world."""

    def __init__(self, hazard: Hazard) -> None:
        world = World(accounts=8_000, months=9, seed=20260101)
        blocks = [(simulate(world, n), simulate(world, n, hazard)) for n in range(world.blocks)]
        self.known, self.now = (np.concatenate([b[side].probability for b in blocks]) for side in (0, 1))

    def rows(self, period: int, *, changed: bool) -> tuple[Floats, Floats]:
        """Scores of the accounts that are active at the start of a period, and who of them leaves in it."""
        both = np.column_stack([self.known[:, period], self.now[:, period]])
        score, now = both[~np.isnan(both).any(axis=1)].T
        chance = np.random.default_rng(period).random(len(score))
        return score, (chance < (now if changed else score)).astype(np.float64)

    def turned(self, *, changed: bool) -> list[Turned]:
        """Three periods after the gate's."""
        gate, label = self.rows(4, changed=False)
        promised, bins = interval(label, gate), binned(gate, label)
        times = []
        for period in (5, 6, 7):
            score, outcome = self.rows(period, changed=changed)
            now = binned(score, outcome)
            rows = [b.positives + b.negatives for b in now]
            means = [b.total / n for b, n in zip(now, rows, strict=True)]
            expected = estimate_roc_auc(bins, rows, means, promised.estimate).value
            assert expected is not None
            at = FIRST + timedelta(days=30 * period)
            against = {"promised": promised, "expected": expected}
            times.append(Turned(at, len(score), interval(outcome, score), against))  # type: ignore[arg-type]
        return times


@pytest.fixture(scope="module")
def demo() -> Demo:
    """A world in which calls and falling spending no longer drive anybody away, and long absences less."""
    return Demo(Hazard(base=-2.6, calls_30d=0.0, calls_90d=0.0, spending=0.0, recency=0.2, logins=-0.3))


def test_expected_and_realised_agree_on_the_demo_world_while_the_concept_holds(demo: Demo) -> None:
    times = demo.turned(changed=False)
    apart = [abs(one.realised.estimate - one.against["expected"].estimate) for one in times]
    assert max(apart) < 0.02
    assert find_shortfalls("roc_auc", times, LIMITS) == ()


def test_a_concept_change_is_told_on_the_page_and_as_what_it_is(demo: Demo) -> None:
    """The features, and so the scores, are those of the unchanged world: nothing else can see it."""
    times = demo.turned(changed=True)
    fallen = {one.against: one for one in find_shortfalls("roc_auc", times, LIMITS)}
    assert fallen["expected"].severity == "alert"
    now = Expected(0.8, 0.78, 0.82, "expected of the scores")
    report = replace(EMPTY, expected=now, fallen=tuple(one.text for one in fallen.values()), doubted=True)
    page = render_report(report)
    told = "expected and realised part ways: the outcome no longer depends on the features as on the gate rows"
    assert told in section(page, "track")
    assert "Earlier scores fell surely short of what was expected of them, so it is not to be relied on." in section(
        page, "performance"
    )
    assert "relied on" not in render_report(replace(report, doubted=False))
