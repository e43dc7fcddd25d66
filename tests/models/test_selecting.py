"""From a declaration and the configuration to candidates with their folds, on folds that only compute."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from models.test_candidates import settings, use_case
from tidemill.declare import LogisticRegression, SearchBy, Uniform
from tidemill.models.search import Selected, _select
from tidemill.models.specs import FAMILIES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tidemill.models.candidates import Candidate


class Folds:
    """Two folds on which weak penalties are best."""

    def __len__(self) -> int:
        return 2

    def judge(self, number: int, candidates: Sequence[Candidate]) -> dict[str, float]:
        return {c.name: 0.9 - c.parameters.get("regParam", 0.5) + number for c in candidates}

    def baselines(self) -> tuple[float, ...]:
        return (0.5, 0.6)


class Rows:
    def __init__(self, number: int) -> None:
        self.number = number

    def count(self) -> int:
        return self.number


def select(path: Path, *overrides: str, rows: int = 10, **changed: Any) -> Selected:
    folds: Any = Folds()
    frame: Any = Rows(rows)
    told: list[str] = []
    return _select(frame, use_case(**changed), folds, settings(*overrides), path / "shop.db", "set", told.append)


def test_a_grid_is_tried_whole_on_every_fold(tmp_path: Path) -> None:
    found = select(tmp_path, models=(LogisticRegression(grid={"regParam": (0.1, 0.2)}),))
    assert [c.name for c in found.candidates] == ["logistic_regression-0", "logistic_regression-1"]
    assert [c.folds for c in found.candidates] == [(0.9 - 0.1, 0.9 - 0.1 + 1), (0.9 - 0.2, 0.9 - 0.2 + 1)]
    assert (found.baseline, found.said, found.leaderboard) == ((0.5, 0.6), "2 candidates, all that are declared", ())
    assert list(tmp_path.iterdir()) == []


def test_a_declared_search_draws_from_what_is_declared(tmp_path: Path) -> None:
    models = (LogisticRegression(grid={"regParam": Uniform(0.1, 0.4)}),)
    found = select(tmp_path, models=models, search=SearchBy("random", trials=3))
    assert [c.family for c in found.candidates] == ["logistic_regression"] * 3
    best = min(found.candidates, key=lambda c: c.parameters["regParam"])
    assert found.leaderboard[0].startswith(f"1. roc_auc {best.mean:.4f} {best.name} (regParam ")
    assert found.said == "random search: 3 trials, 3 candidates, 0 stopped early"


@pytest.mark.parametrize(("rows", "scikit"), [(100_000, True), (100_001, False)])
def test_a_search_of_everything_tries_families_and_views(tmp_path: Path, rows: int, *, scikit: bool) -> None:
    found = select(tmp_path, "train.automl.trials=24", "train.parallel_fits=12", rows=rows)
    families = {c.family for c in found.candidates}
    assert ("scikit_logistic" in families) == scikit
    assert families <= set(FAMILIES) - {"linear_regression"}
    assert len(families) >= 4
    assert {c.without for c in found.candidates} == {(), ("calls",)}
    assert len(found.leaderboard) == 10
