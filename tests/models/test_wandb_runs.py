"""The copy that Weights & Biases gets of what a training has logged, by its own library."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

import pytest
import wandb
from tidemill.core.errors import TidemillError
from tidemill.models.registry_runs import Tried
from tidemill.models.wandb_runs import check_wandb, copy_runs
from wandb_files import Kept, kept_runs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RUNS = (
    Tried("a1", "logistic_regression-0", {"family": "logistic_regression", "regParam": "0.1"}, {"folds_roc_auc": 0.7}),
    Tried("b2", "xgboost-0", {"family": "xgboost"}, {"folds_roc_auc": 0.8, "gate_roc_auc": 0.75}),
)


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    """The library reads its variables once a process."""
    wandb.teardown()
    yield
    wandb.teardown()


def test_candidates_are_kept_under_the_names_of_their_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    for _ in range(2):  # the second time a training finishes what it had begun
        assert copy_runs("churning", "shop", "set-1", RUNS, tmp_path) == ""
    place = ("churning", "set-1", ("shop",))
    assert kept_runs(tmp_path) == [Kept(r.run, r.name, place, dict(r.parameters), dict(r.metrics)) for r in RUNS]


def test_who_is_not_let_in_is_told_why_and_nothing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WANDB_MODE", "WANDB_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    said = copy_runs("churning", "shop", "set-1", RUNS, tmp_path)
    assert said.startswith("not logged to Weights & Biases: ")
    assert "API key" in said
    assert kept_runs(tmp_path) == []


def test_a_project_without_the_library_is_refused_beforehand(monkeypatch: pytest.MonkeyPatch) -> None:
    check_wandb("churning")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    check_wandb("")
    with pytest.raises(TidemillError) as caught:
        check_wandb("churning")
    assert (caught.value.code, caught.value.exit_code) == ("E_WANDB", 78)
    assert "pip install wandb" in caught.value.next_step
