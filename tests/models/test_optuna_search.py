"""Searches by trials, with folds that only compute: what is drawn, judged, stopped, and gone on with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from tidemill.models.automl import Space
from tidemill.models.optuna_search import Trials, run_trials
from tidemill.models.spaces import SearchBy, Uniform, Whole
from tidemill.models.specs import GradientBoosting, LogisticRegression

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tidemill.models.candidates import Candidate

TREES = GradientBoosting(subsamplingRate=0.7, grid={"maxDepth": Whole(1, 40), "stepSize": Uniform(0.01, 1, log=True)})
LINES = LogisticRegression(grid={"regParam": Uniform(0.0, 1.0)})
BOTH = Space((LINES, TREES), ("calls", "visits"))


class Killed(BaseException):
    pass


@dataclass
class Fake:
    """Folds on which deep trees, and all views, are best; it dies before it judges more than `life` candidates."""

    folds: int = 3
    life: int = 10_000
    judged: list[tuple[int, str]] = field(default_factory=list)
    together: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        return self.folds

    def judge(self, number: int, candidates: Sequence[Candidate]) -> dict[str, float]:
        if len(self.judged) + len(candidates) > self.life:
            raise Killed
        self.judged += [(number, c.recipe) for c in candidates]
        self.together.append(len(candidates))
        return {c.name: value_of(c) + 0.01 * number for c in candidates}


def value_of(candidate: Candidate) -> float:
    return float(candidate.parameters.get("maxDepth", 20)) / 100 - len(candidate.without) / 10


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One database for all: a study is told apart by its name."""
    return tmp_path_factory.mktemp("root") / "search" / "shop.db"


def run(path: Path, name: str, by: SearchBy, folds: Fake, **changed: Any) -> Trials:
    given: dict[str, Any] = {"metric": "roc_auc", "seed": 17, "width": 2, "say": lambda _: None, **changed}
    return run_trials(path, name, given.pop("space", BOTH), by, folds, **given)


def test_the_same_seed_draws_the_same_trials(path: Path) -> None:
    by = SearchBy("random", trials=8)
    first = run(path, "one", by, Fake(folds=1))
    assert run(path, "two", by, Fake(folds=1)).candidates == first.candidates
    assert run(path, "three", SearchBy("random", trials=2), Fake(folds=1), seed=18).candidates != first.candidates[:2]
    assert first.trials == 8
    assert {c.family for c in first.candidates} == {"logistic_regression", "gbt"}
    assert len({c.without for c in first.candidates}) > 1
    for c in first.candidates:
        if c.family == "gbt":
            assert set(c.parameters) == {"maxDepth", "stepSize", "subsamplingRate"}
            assert c.parameters["subsamplingRate"] == 0.7
            assert isinstance(c.parameters["maxDepth"], int)
            assert 1 <= c.parameters["maxDepth"] <= 40
            assert 0.01 <= c.parameters["stepSize"] <= 1
        else:
            assert set(c.parameters) == {"regParam"}


@pytest.mark.parametrize(("strategy", "trials", "life"), [("random", 5, 4), ("bayesian", 13, 23)])
def test_a_search_that_was_stopped_goes_on_where_it_was(path: Path, strategy: str, trials: int, life: int) -> None:
    by = SearchBy(strategy, trials=trials)
    whole = Fake(folds=2)
    expected = run(path, "undisturbed", by, whole)
    broken, rest = Fake(folds=2, life=life), Fake(folds=2)
    with pytest.raises(Killed):
        run(path, "broken", by, broken)
    assert broken.judged
    assert run(path, "broken", by, rest).candidates == expected.candidates
    assert rest.judged
    assert broken.judged + rest.judged == whole.judged  # nothing twice, nothing left out
    again = Fake(folds=2)
    finished = run(path, "broken", by, again)
    assert (finished.candidates, finished.before, again.judged) == (expected.candidates, trials, [])


def test_another_training_set_space_or_width_is_another_study(path: Path) -> None:
    by, name = SearchBy("random", trials=2), "first set"
    assert run(path, name, by, Fake(folds=1)).before == 0
    assert run(path, name, by, Fake(folds=1), space=Space((TREES,))).before == 0
    assert run(path, name, by, Fake(folds=1), width=1).before == 0
    assert run(path, "second set", by, Fake(folds=1)).before == 0
    assert run(path, name, by, Fake(folds=1)).before == 2
    assert run(path, name, SearchBy("random", trials=3), Fake(folds=1)).before == 2  # more of the same


def test_the_budget_of_trials_is_kept_in_rounds(path: Path) -> None:
    folds = Fake(folds=1)
    assert run(path, "rounds", SearchBy("random", trials=5), folds, width=3).trials == 5
    assert folds.together == [3, 2]


def test_no_round_begins_after_the_minutes_of_all_runs(path: Path) -> None:
    times = iter(range(0, 100_000, 40))  # the clock is read twice a round, so each takes 40 seconds
    by = SearchBy("random", trials=100, minutes=2)
    found = run(path, "minutes", by, Fake(folds=1), clock=lambda: next(times))
    assert (found.trials, found.seconds) == (6, 120)
    again = run(path, "minutes", by, Fake(folds=1), clock=lambda: next(times))
    assert (again.trials, again.before) == (6, 6)


@pytest.mark.parametrize(("metric", "best"), [("roc_auc", max), ("rmse", min)])
def test_a_trial_that_is_worse_than_the_median_ends_early(path: Path, metric: str, best: Any) -> None:
    folds = Fake()
    found = run(path, f"stopped by {metric}", SearchBy("random", trials=12), folds, metric=metric)
    stopped = [c for c in found.candidates if c.stopped]
    kept = [c for c in found.candidates if not c.stopped]
    assert stopped
    assert all(len(c.folds) < 3 for c in stopped)
    assert all(len(c.folds) == 3 for c in kept)
    assert not any(c.stopped for c in found.candidates[:5])  # five have to finish before any can be worse than they
    assert best(found.candidates, key=value_of) in kept
    assert len(folds.judged) == sum(len(c.folds) for c in found.candidates)
    assert found.said == f"12 trials, {len(found.candidates)} candidates, {len(stopped)} stopped early"


def test_bayesian_trials_go_where_those_before_did_well(path: Path) -> None:
    found = run(path, "near", SearchBy("bayesian", trials=20), Fake(folds=1), space=Space((TREES,)))
    later = [value_of(c) for c in found.candidates if int(c.name.partition("-")[2]) >= 12]
    assert sum(later) / len(later) > 0.28  # at random it is 0.205 on average


def test_a_space_with_nothing_new_ends_the_search(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidemill.models.optuna_search.REPEATS", 4)
    values = ((4,), (8, 4))
    folds = Fake(folds=1)
    space = Space((LogisticRegression(grid={"hidden": values}),))
    found = run(path, "small", SearchBy("random", minutes=60), folds, space=space)
    assert {c.parameters["hidden"] for c in found.candidates} == set(values)
    assert len(folds.judged) == 2  # each recipe once
    assert 6 <= found.trials <= 12
