"""What is declared to be searched, what the configuration makes of it, and the order of what was found."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tidemill.core.config import load_config
from tidemill.core.errors import TidemillError
from tidemill.core.frozen import freeze, thaw
from tidemill.declare import (
    ActiveWithin,
    Aggregate,
    Entity,
    FeatureView,
    GradientBoosting,
    Grid,
    Label,
    LogisticRegression,
    NoEventIn,
    Preparation,
    Recency,
    SearchBy,
    Source,
    Uniform,
    UseCase,
    Whole,
    days,
)
from tidemill.models.automl import SPACES, asked_for, automl_space, is_automl
from tidemill.models.candidates import (
    Candidate,
    best_of_families,
    leaderboard,
    leaderboard_lines,
    list_candidates,
    recipe_of,
)
from tidemill.models.fits import seen_features
from tidemill.models.pipelines import families_of
from tidemill.models.specs import FAMILIES, TASKS

if TYPE_CHECKING:
    from tidemill.core.train_config import Train

CONF = Path(__file__).resolve().parents[2] / "conf"
CUSTOMER = Entity("customer")
ORDERS = Source("orders", contract="orders.yaml", entity=CUSTOMER, event_time="at")
CALLS = Source("calls", contract="calls.yaml", entity=CUSTOMER, event_time="at")


def view(name: str, source: Source, *features: Any) -> FeatureView:
    return FeatureView(name, 1, CUSTOMER, source, features, cadence=days(1), ttl=days(2))


def use_case(**changed: Any) -> UseCase:
    declared = {
        "views": (view("calls", CALLS, Aggregate("count", windows=(days(10),))), view("orders", ORDERS, Recency())),
        "label": Label("gone", days(10), ActiveWithin(ORDERS, days(20)), NoEventIn(ORDERS)),
        "task": "binary",
        "models": (LogisticRegression(regParam=0.1),),
        "grid": Grid("2024-01-01", every=days(10)),
        "baseline": "recency_days",
    }
    return UseCase("shop", **{**declared, **changed})


def settings(*overrides: str) -> Train:
    return load_config(CONF, "local", overrides).train


RANGED = (
    LogisticRegression(grid={"regParam": Uniform(0.01, 1, log=True)}),
    GradientBoosting(grid={"maxDepth": (2, 3)}),
)


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda: SearchBy("rnadom", trials=3), "there is no strategy 'rnadom'"),
        (lambda: SearchBy("random"), "the search has no end"),
        (lambda: SearchBy("bayesian", trials=0), "the budget is empty"),
        (lambda: SearchBy(trials=3), "a grid is tried whole"),
        (lambda: Uniform(2, 1), "a range has a low end and a high one"),
        (lambda: Uniform(0, 1, log=True), "above 0 where it is logarithmic"),
        (lambda: Uniform(0, float("inf")), "both finite"),
        (lambda: Whole(1, 2.5), "the ends of Whole are whole numbers"),  # type: ignore[arg-type]
        (lambda: use_case(models=RANGED), "a grid has no ranges, and that of 'logistic_regression' has some"),
    ],
)
def test_a_search_that_cannot_be_is_refused_when_it_is_declared(make: Any, what: str) -> None:
    with pytest.raises(TidemillError) as caught:
        make()
    assert (caught.value.code, caught.value.exit_code) == ("E_SEARCH", 78)
    assert what in caught.value.what


def test_a_search_is_part_of_the_declaration_where_there_is_one() -> None:
    searched = use_case(models=RANGED, search=SearchBy("bayesian", trials=30))
    assert thaw(freeze(searched)) == searched
    assert "search" not in freeze(use_case())  # what was declared before keeps its digest
    assert searched.digest != replace(searched, search=SearchBy("bayesian", trials=31)).digest


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ((), SearchBy("random", trials=8)),
        (("train.search.minutes=2.5",), SearchBy("random", trials=8, minutes=2.5)),
        (("train.search.strategy=bayesian", "train.search.trials=3"), SearchBy("bayesian", trials=3)),
        (("train.search.strategy=grid",), SearchBy()),
        (("train.automl.minutes=5",), SearchBy("bayesian", minutes=5)),
        (("train.automl.trials=7", "train.search.strategy=grid"), SearchBy("bayesian", trials=7)),
        (("train.automl.trials=7", "train.only.gbt.maxIter=3"), SearchBy()),
    ],
)
def test_the_configuration_changes_the_search(overrides: tuple[str, ...], expected: SearchBy) -> None:
    asked = use_case(search=SearchBy("random", trials=8))
    assert asked_for(asked, settings(*overrides)) == expected
    assert is_automl(settings(*overrides)) == any("automl" in text for text in overrides)


def test_a_strategy_without_a_budget_is_refused() -> None:
    with pytest.raises(TidemillError, match="the search has no end"):
        asked_for(use_case(), settings("train.search.strategy=random"))
    with pytest.raises(TidemillError, match="there is no configuration key") as caught:
        settings("train.automl.minuts=5")
    assert "did you mean 'train.automl.minutes'" in caught.value.next_step


def test_a_search_of_everything_knows_every_family_of_a_task() -> None:
    assert set(SPACES) == set(FAMILIES)
    for task in TASKS:
        families = families_of(task)
        space = automl_space(use_case(), families)
        assert [spec.family for spec in space.specs] == families
        assert all(spec.grid for spec in space.specs)
    assert set(families_of("binary")) | set(families_of("regression")) == set(FAMILIES)
    assert "perceptron" not in families_of("binary", Preparation(class_weights="balanced"))


def test_views_are_left_out_but_for_that_of_the_baseline() -> None:
    asked = use_case()
    assert automl_space(asked, ["gbt"]).optional == ("calls",)
    assert automl_space(use_case(baseline="events_count_10d"), ["gbt"]).optional == ("orders",)
    assert [f.name for f in seen_features(asked, asked.features, ("calls",))] == ["recency_days"]
    assert seen_features(asked, asked.features, ()) == list(asked.features)


FOUND = (
    Candidate("gbt-0", "gbt", {"maxDepth": 2}, (0.7, 0.7)),
    Candidate("gbt-1", "gbt", {"maxDepth": 3}, (0.9,), stopped=True),
    Candidate("logistic_regression-2", "logistic_regression", {"regParam": 0.123456}, (0.8, 0.7), without=("calls",)),
    Candidate("gbt-3", "gbt", {"maxDepth": 4}, (0.7, 0.7)),
    Candidate("xgboost-4", "xgboost", {}, (0.5, 0.5), stopped=True),
)


def test_the_leaderboard_has_the_best_first_and_the_stopped_last() -> None:
    names = [c.name for c in leaderboard(FOUND, "roc_auc")]
    assert names == ["logistic_regression-2", "gbt-0", "gbt-3", "xgboost-4", "gbt-1"]
    assert [c.name for c in leaderboard(FOUND, "rmse")] == [
        "gbt-0",
        "gbt-3",
        "logistic_regression-2",
        "xgboost-4",
        "gbt-1",
    ]
    assert leaderboard_lines(FOUND, "roc_auc", 2) == (
        "1. roc_auc 0.7500 logistic_regression-2 (regParam 0.1235, without calls)",
        "2. roc_auc 0.7000 gbt-0 (maxDepth 2)",
    )
    assert leaderboard_lines(FOUND, "roc_auc")[-1] == "5. roc_auc 0.9000 gbt-1 (maxDepth 3, stopped after 1 fold(s))"


def test_a_candidate_that_was_stopped_is_never_chosen() -> None:
    assert [c.name for c in best_of_families(FOUND, "roc_auc")] == ["logistic_regression-2", "gbt-0"]
    assert [c.name for c in best_of_families(FOUND, "rmse")] == ["gbt-0", "logistic_regression-2"]


def test_a_card_gives_the_recipe_back() -> None:
    card = {"family": "gbt", "parameters": {"maxDepth": 2}}
    assert recipe_of(card, "again") == Candidate("again", "gbt", {"maxDepth": 2})
    assert recipe_of({**card, "without": ["calls"]}, "again").without == ("calls",)


def test_families_that_are_asked_for_take_the_place_of_those_declared() -> None:
    assert [c.name for c in list_candidates(use_case(), {})] == ["logistic_regression-0"]
    (only,) = list_candidates(use_case(), {"gbt": {"maxIter": 3}})
    assert (only.family, only.parameters) == ("gbt", {"maxIter": 3})
    with pytest.raises(TidemillError, match="no model family 'gtb'"):
        list_candidates(use_case(), {"gtb": {}})
