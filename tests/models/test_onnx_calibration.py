"""Calibrations in a graph against a walk in plain Python and against `stats.calibration`, score by score."""

from __future__ import annotations

import math
from bisect import bisect_right
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stats.scored import Rows, scored
from tidemill.core.errors import TidemillError
from tidemill.models.calibrating import NONE, calibration_of, choose, form_of
from tidemill.models.decisions import THRESHOLD, ByCapacity, ByCost, ByFBeta
from tidemill.models.onnx_calibration import CALIBRATED, add_calibration
from tidemill.models.onnx_graph import NUMBER, Graph
from tidemill.models.saved_pipeline import Stage
from tidemill.stats.calibration import LEAST, Isotonic, Platt, fit_isotonic, fit_platt, grouped
from tidemill.stats.confusion import confusion_at
from tidemill.stats.counted import Counted, count, pooled, recounted

NAN = math.nan
ODD = [0.0, -0.0, 1.0, 0.5, 5e-324, 1e-300, 1e-17, LEAST, 1 - LEAST, 1 - 2**-53, -3.0, 2.0, NAN]
KNOTS = [
    Isotonic((0.3,), (0.25,)),
    Isotonic((0.1, 0.4), (0.2, 0.2)),  # a flat one
    Isotonic((0.0, 0.25, 0.5, 0.5000001, 1.0), (0.0, 0.1, 0.1, 0.9, 1.0)),
    Isotonic((0.1, math.nextafter(0.1, 1), 0.9), (0.1, 0.6, 0.7)),  # a step as steep as there is
]
SIGMOIDS = [Platt(1.0, 0.0), Platt(0.0, -1.5), Platt(0.3, 2.0), Platt(40.0, -3.0)]


def naive(known: Platt | Isotonic, score: float) -> float:
    """The calibrated score, by the definition."""
    if math.isnan(score):
        return NAN
    if isinstance(known, Platt):
        kept = min(max(score, LEAST), 1 - LEAST)
        z = known.slope * math.log(kept / (1 - kept)) + known.offset
        return 1 / (1 + math.exp(-z)) if z > 0 else math.exp(z) / (1 + math.exp(z))
    at = bisect_right(known.scores, score) - 1
    if at < 0 or at == len(known.scores) - 1:
        return known.values[max(at, 0)]
    (x, right), (y, above) = known.scores[at : at + 2], known.values[at : at + 2]
    return min(y + (above - y) / (right - x) * (score - x), known.values[-1])


def session_of(known: Platt | Isotonic) -> ort.InferenceSession:
    graph = Graph()
    score = graph.take(graph.read("x", NUMBER))
    tensor, steepest = add_calibration(Stage(CALIBRATED, {"calibration": form_of(known)}, Path("stage")), graph, score)
    assert steepest == known.steepest
    return ort.InferenceSession(graph.serialise(tensor))


def graphed(session: ort.InferenceSession, scores: list[float]) -> list[float]:
    found: list[float] = session.run(None, {"x": np.array(scores).reshape(-1, 1)})[0].ravel().tolist()
    return found


def near(scores: tuple[float, ...]) -> list[float]:
    return [value for s in scores for value in (s, math.nextafter(s, -1), math.nextafter(s, 2))]


@pytest.mark.parametrize("known", [*KNOTS, *SIGMOIDS], ids=repr)
def test_the_graph_is_the_function(known: Platt | Isotonic) -> None:
    dice = np.random.default_rng(3)
    asked = [*ODD, *(near(known.scores) if isinstance(known, Isotonic) else []), *dice.random(200).tolist()]
    session = session_of(known)
    found = graphed(session, asked)
    assert found == pytest.approx([naive(known, s) for s in asked], abs=1e-14, nan_ok=True)
    assert found == pytest.approx(known.apply(np.array(asked)).tolist(), abs=1e-14, nan_ok=True)
    alone = [graphed(session, [s])[0] for s in asked]
    assert alone == pytest.approx(found, rel=0.0, abs=0.0, nan_ok=True)  # whatever else is scored with it


@settings(max_examples=15)
@given(scored(), st.lists(st.floats(0, 1), max_size=20))
def test_whatever_was_fitted_is_graphed(rows: Rows, more: list[float]) -> None:
    label, score = rows
    counted = count(label, np.round(score, 9))  # no nearer to each other than a training tells scores apart
    for known in (fit_isotonic(counted), fit_isotonic(grouped(counted, 5)), fit_platt(counted)):
        asked = [*ODD, *counted.scores.tolist(), *more]
        found = graphed(session_of(known), asked)
        assert found == pytest.approx(known.apply(np.array(asked)).tolist(), abs=1e-14, nan_ok=True)
        assert calibration_of(form_of(known)) == known


def test_rows_on_a_plateau_have_its_very_value() -> None:
    """A threshold is such a value: were one row the last digit below it, it would be decided otherwise."""
    known = Isotonic((0.1, 0.3, 0.35, 0.8), (0.1 + 0.2, 0.1 + 0.2, 0.7, 0.7))
    asked = np.linspace(0.1, 0.3, 1001)
    assert set(known.apply(asked).tolist()) == {0.1 + 0.2}
    assert set(graphed(session_of(known), asked.tolist())) == {0.1 + 0.2}


@pytest.mark.parametrize("known", [*KNOTS[:3], *SIGMOIDS], ids=repr)
def test_no_error_of_a_score_is_multiplied_by_more_than_the_steepest_slope(known: Platt | Isotonic) -> None:
    scores = np.linspace(0, 1, 400_001)
    rises = np.diff(known.apply(scores)) / np.diff(scores)
    assert rises.max() <= known.steepest * (1 + 1e-3) + 1e-9


def drawn(rows: int, seed: int) -> list[Counted]:
    """Scores whose true probability is their square, in five parts."""
    dice = np.random.default_rng(seed)
    score = np.round(dice.random(rows), 4)
    label = (dice.random(rows) < score**2).astype(float)
    return [count(label[part::5], score[part::5]) for part in range(5)]


def test_the_best_is_chosen_on_rows_that_it_was_not_fitted_on() -> None:
    parts = drawn(5_000, 1)
    chosen = choose(parts, "best", None)
    said = chosen.description["calibration"]
    figures = said["validation"]
    assert (said["asked"], said["kind"], said["rows"]) == ("best", "platt", 5_000)
    assert set(figures) == {"none", "platt", "isotonic"}
    assert figures["platt"]["brier"] < figures["isotonic"]["brier"] < figures["none"]["brier"]
    everything = pooled(parts)
    assert chosen.calibration == fit_platt(everything) == calibration_of(said)
    assert chosen.threshold == THRESHOLD
    within = fit_isotonic(everything).apply(everything.scores)  # on its own rows isotonic regression always wins
    squares = everything.positives * (1 - within) ** 2 + everything.negatives * within**2
    assert squares.sum() / 5_000 < figures["platt"]["brier"]


def test_where_scores_are_right_nothing_is_the_best() -> None:
    dice = np.random.default_rng(0)
    score = dice.beta(2, 5, 400)
    label = (dice.random(400) < score).astype(float)
    chosen = choose([count(label[part::5], score[part::5]) for part in range(5)], "best", None)
    said = chosen.description["calibration"]
    assert said["kind"] == NONE == min(said["validation"], key=lambda n: said["validation"][n]["brier"])
    assert chosen.calibration is None
    assert calibration_of(said) is None
    assert calibration_of(None) is None


def test_what_is_declared_is_taken_whether_it_helps_or_not() -> None:
    parts = drawn(400, 3)
    isotonic = choose(parts, "isotonic", None)
    assert isinstance(isotonic.calibration, Isotonic)
    assert set(isotonic.description["calibration"]["validation"]) == {"none", "isotonic"}
    assert isinstance(choose(parts, "platt", None).calibration, Platt)
    assert choose(parts, None, ByFBeta()).description["calibration"] is None


@pytest.mark.parametrize("asked", [None, "platt", "isotonic"])
def test_a_threshold_is_the_best_of_all_of_calibrated_scores(asked: str | None) -> None:
    parts = drawn(500, 4)
    chosen = choose(parts, asked, ByCost(false_negative=7, true_positive=-1))
    counted = pooled(parts)
    if chosen.calibration is not None:
        counted = recounted(chosen.calibration.apply(counted.scores), counted.positives, counted.negatives)

    def cost(threshold: float) -> float:
        found = confusion_at(counted, threshold)
        return -found.true_positives + found.false_positives + 7 * found.false_negatives

    assert cost(chosen.threshold) == min(map(cost, [*counted.scores.tolist(), 2.0]))
    said = chosen.description["decision"]
    assert (said["by"], said["false_negative"], said["rows"]) == ("ByCost", 7, 500)
    assert said["reached"] == pytest.approx(cost(chosen.threshold) / 500)


def test_no_more_are_decided_positive_than_can_be_acted_on() -> None:
    chosen = choose(drawn(1_000, 5), "platt", ByCapacity(0.1))
    said = chosen.description["decision"]
    assert 0.09 < said["reached"] <= 0.1
    assert said["confusion"]["true_positives"] + said["confusion"]["false_positives"] == said["reached"] * 1_000


def test_where_nobody_is_worth_it_the_threshold_is_above_every_probability() -> None:
    surest = count(np.array([0.0]), np.array([1.0]))  # and it is wrong
    chosen = choose([*drawn(100, 6), surest], None, ByCost(false_positive=1e9))
    assert 1 < chosen.threshold < 1.001
    assert chosen.description["decision"]["reached"] > 0


def test_one_entity_is_too_few() -> None:
    empty = count(np.empty(0), np.empty(0))
    with pytest.raises(TidemillError, match="too few entities") as refused:
        choose([empty, count(np.array([0.0, 1.0]), np.array([0.1, 0.2])), empty], "platt", None)
    assert refused.value.code == "E_NO_ROWS"


def test_groups_keep_a_rare_class_apart() -> None:
    score = np.arange(100_000) / 100_000
    label = (score >= 0.999).astype(float)
    found = grouped(count(label, score), 200)
    assert 100 < len(found.scores) <= 201
    assert (found.scores >= 0.999).sum() >= 50  # of a hundred positives among 100,000
    assert (found.totals.positives, found.totals.rows) == (100, 100_000)


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        (lambda: ByCost(false_negative=math.nan), "in one unit"),
        (lambda: ByCost(false_positive=0), "true_negative"),
        (lambda: ByCost(false_negative=1, true_positive=2), "true_positive"),
        (lambda: ByCapacity(10), "0.1 for one in ten"),
        (lambda: ByCapacity(0), "0.1 for one in ten"),
        (lambda: ByFBeta(0), "above 0"),
        (lambda: ByFBeta(math.inf), "above 0"),
    ],
)
def test_a_decision_that_makes_no_sense_is_refused_when_it_is_declared(wrong: object, hint: str) -> None:
    with pytest.raises(TidemillError) as refused:
        wrong()  # type: ignore[operator]
    assert refused.value.code == "E_DECISION"
    assert hint in refused.value.next_step
