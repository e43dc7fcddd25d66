"""What nothing can be learned from is refused before any fit, and the refusal says which rows or declarations."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from tidemill.core.config import load_config
from tidemill.core.errors import TidemillError
from tidemill.core.frozen import freeze, thaw
from tidemill.core.home import HOME
from tidemill.core.time import Grid
from tidemill.declare import (
    ActiveWithin,
    Aggregate,
    ByFBeta,
    ClassIn,
    Entity,
    FeatureView,
    Label,
    LinearRegression,
    LogisticRegression,
    NoEventIn,
    Preparation,
    Source,
    Splits,
    UseCase,
    days,
)
from tidemill.models.backtest import replay
from tidemill.models.candidates import Candidate
from tidemill.models.checks import check_training_set
from tidemill.models.splits import plan_splits

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

GRID = Grid("2024-01-01", every=days(10))
TIMES = GRID.times(datetime(2024, 3, 1, tzinfo=UTC))  # six
CUSTOMER = Entity("customer")
ORDERS = Source("orders", contract="orders.yaml", entity=CUSTOMER, event_time="at")
TRAIN = load_config(HOME / "conf", "local").train
SCHEMA = "customer string, event_timestamp timestamp, amount_sum_10d double, label double, part string"


def use_case(values: int = 0, **changed: Any) -> UseCase:
    features: tuple[Any, ...] = (Aggregate("sum", "amount", windows=(days(10),)),)
    if values:
        features += (Aggregate("count", by="kind", values=tuple(f"v{n}" for n in range(values)), windows=(days(10),)),)
    view = FeatureView("orders", 1, CUSTOMER, ORDERS, features, cadence=days(1), ttl=days(2))
    declared = {
        "views": (view,),
        "label": Label("gone", days(10), ActiveWithin(ORDERS, days(20)), NoEventIn(ORDERS)),
        "task": "binary",
        "models": (LogisticRegression(regParam=0.1),),
        "grid": GRID,
        "baseline": "amount_sum_10d",
        "splits": Splits(gate=1, folds=2),
    }
    return UseCase("shop", **{**declared, **changed})


PLAN = plan_splits(TIMES, Splits(gate=1, folds=2), days(10), GRID)


def label_of(*classes: str) -> Label:
    outcome = ClassIn(ORDERS, "kind", classes) if classes else NoEventIn(ORDERS)
    return Label("next", days(10), ActiveWithin(ORDERS, days(20)), outcome)


def several(**changed: Any) -> UseCase:
    return use_case(**{"task": "multiclass", "label": label_of("a", "b", "c"), **changed})


def rows_of(spark: SparkSession, *, labels: dict[int, float | None] | None = None, **changed: Any) -> Any:
    """Four customers at six times, two of each class, where nothing else is asked for: labels of times, or cells."""
    made = []
    for place, time in enumerate(TIMES):
        part = "gate" if place == 5 else "train"
        for number in range(4):
            label = float(number % 2) if labels is None or place not in labels else labels[place]
            made.append((f"c{number}", time.replace(tzinfo=None), changed.get("amount", 1.0), label, part))
    return spark.createDataFrame(made, SCHEMA)


def refused(rows: Any, task: str = "binary") -> TidemillError:
    asked = {
        "binary": use_case,
        "multiclass": several,
        "regression": lambda: use_case(task=task, models=(LinearRegression(),)),
    }[task]()
    with pytest.raises(TidemillError) as caught:
        check_training_set(rows, asked, PLAN, "gold.shop_training_sets")
    return caught.value


def test_good_rows_pass(spark: SparkSession) -> None:
    check_training_set(rows_of(spark), use_case(), PLAN, "here")
    check_training_set(rows_of(spark, amount=float("nan")), use_case(), PLAN, "here")  # NaN is no value


@pytest.mark.parametrize(
    ("labels", "what"),
    [
        ({5: 1.0}, "all 4 gate rows have the same label"),
        ({4: 0.0}, "all 4 rows of fold 1 of 2 have the same label"),
        ({0: 1.0, 1: 1.0, 2: 1.0}, "all 12 rows to train on for fold 2 of 2 have the same label"),
        (dict.fromkeys(range(6), 1.0), "all 20 train rows have the same label"),
    ],
    ids=["gate", "fold", "before a fold", "everywhere"],
)
def test_one_class_is_refused_wherever_it_is(spark: SparkSession, labels: dict[int, float | None], what: str) -> None:
    error = refused(rows_of(spark, labels=labels))
    assert (error.code, error.what, error.exit_code) == ("E_ONE_CLASS", what, 65)


def test_a_single_row_is_no_training_set(spark: SparkSession) -> None:
    error = refused(rows_of(spark).where("part = 'gate'").limit(1))
    assert (error.code, error.what, error.exit_code) == ("E_NO_ROWS", "the training set has no train rows", 66)
    error = refused(rows_of(spark).where(f"event_timestamp <> timestamp'{TIMES[4]:%Y-%m-%d}'"))
    assert (error.code, error.what) == ("E_NO_ROWS", "the training set has no rows of fold 1 of 2")


@pytest.mark.parametrize(
    ("task", "wrong"),
    [
        ("binary", 2.0),
        ("binary", None),
        ("regression", float("inf")),
        ("multiclass", 3.0),
        ("multiclass", 0.5),
        ("multiclass", None),
        ("multiclass", float("nan")),
    ],
)
def test_a_label_that_is_none_is_refused(spark: SparkSession, task: str, wrong: float | None) -> None:
    error = refused(rows_of(spark, labels={2: wrong}), task)
    assert (error.code, error.what) == ("E_LABEL_VALUE", "4 labels are not usable numbers")


def test_an_infinite_feature_is_named(spark: SparkSession) -> None:
    error = refused(rows_of(spark, amount=float("-inf")))
    assert (error.code, error.exit_code) == ("E_FEATURE_VALUE", 65)
    assert error.what == "features are infinite: 'amount_sum_10d' in 24 training rows"


def test_a_backtest_leaves_out_what_teaches_nothing_and_refuses_what_train_refuses(spark: SparkSession) -> None:
    trainings = {TIMES[place]: tuple(TIMES[:place]) for place in (1, 2)}
    rows = rows_of(spark, labels={0: 1.0})
    said = list[str]()
    asked = (use_case(), Candidate("replayed", "logistic_regression", {"maxIter": 1}), TRAIN, trainings)
    assert [(a.age, a.rows) for a in replay(rows, *asked, "gold.shop_labels", said.append)] == [(0, 4)]
    assert said[-2] == "the training of 2024-01-11T00:00:00Z is left out: all 4 rows to train on have the same label"
    refused = {
        "E_ONE_CLASS": rows_of(spark, labels={0: 1.0, 1: 1.0}),
        "E_FEATURE_VALUE": rows_of(spark, amount=float("inf")),
        "E_LABEL_VALUE": rows_of(spark, labels={3: 2.0}),
        "E_NO_FEATURES": rows_of(spark, amount=None),
    }
    for code, bad in refused.items():
        with pytest.raises(TidemillError) as caught:
            replay(bad, *asked, "gold.shop_labels", said.append)
        assert (caught.value.code, caught.value.exit_code) == (code, 65)


def test_ten_thousand_columns_are_refused_when_they_are_declared() -> None:
    assert len(use_case(values=1999).features) == 2000
    with pytest.raises(TidemillError, match="it has 10001 features, and a model is made of at most 2000") as caught:
        use_case(values=10_000)
    assert caught.value.code == "E_USE_CASE"


def test_of_several_classes_each_has_a_row_and_fits_see_two(spark: SparkSession) -> None:
    check_training_set(rows_of(spark, labels={0: 2.0, 4: 1.0, 5: 1.0}), several(), PLAN, "here")  # judged on one class
    error = refused(rows_of(spark), "multiclass")
    assert (error.code, error.exit_code) == ("E_CLASS", 65)
    assert error.what == "no row of the training set is of the class 'c'"
    error = refused(rows_of(spark, labels={0: 2.0, 1: 2.0, 2: 2.0}), "multiclass")
    what = "all 12 rows to train on for fold 2 of 2 have the same label"
    assert (error.code, error.what) == ("E_ONE_CLASS", what)


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"task": "multiclass"}, "a multiclass task needs an outcome of three classes or more"),
        ({"task": "multiclass", "label": label_of("a", "b")}, "a multiclass task needs an outcome of three"),
        ({"label": label_of("a", "b", "c")}, "a binary task has no label of 3 classes"),
        ({"task": "regression", "label": label_of("a", "b")}, "a regression task has no label of 2 classes"),
        ({"task": "multiclass", "label": label_of("a", "b", "c"), "calibration": "platt"}, "only a binary task"),
        ({"task": "multiclass", "label": label_of("a", "b", "c"), "decision": ByFBeta()}, "only a binary task"),
        (
            {"task": "multiclass", "label": label_of("a", "b", "c"), "preparation": Preparation(stable=0.9)},
            "stability selection takes the label for a number",
        ),
    ],
)
def test_a_task_and_its_label_go_together(changed: dict[str, Any], what: str) -> None:
    with pytest.raises(TidemillError, match=what) as caught:
        use_case(**changed)
    assert (caught.value.code, caught.value.exit_code) == ("E_USE_CASE", 78)


def test_classes_are_declared_with_the_outcome() -> None:
    assert several(preparation=Preparation(chi_square=0.1, class_weights="balanced")).classes == ("a", "b", "c")
    assert (several().metric, thaw(freeze(several()))) == ("log_loss", several())
    two = use_case(label=label_of("stays", "goes"))  # a binary task may name its two classes
    assert (two.classes, two.metric, two.label.classes) == ((), "roc_auc", ("stays", "goes"))


@pytest.mark.parametrize("preparation", [Preparation(chi_square=0.1), Preparation(class_weights="balanced")])
def test_a_regression_has_no_classes(preparation: Preparation) -> None:
    use_case(preparation=preparation)
    with pytest.raises(TidemillError, match="a regression has no classes") as caught:
        use_case(task="regression", models=(LinearRegression(),), preparation=preparation)
    assert caught.value.code == "E_USE_CASE"


@pytest.mark.parametrize("name", ["a.b", "a`b", "a b", "ünïcode-\N{SNOWMAN}", "'; drop", "__x y", "3d", "a\nb", ""])
def test_a_name_with_odd_characters_is_refused_when_it_is_declared(name: str) -> None:
    odd = Aggregate("sum", "amount", windows=(days(10),), where="true", name=f"{name} " if name else "!")
    with pytest.raises(TidemillError, match="is no name of a feature") as caught:
        FeatureView("orders", 1, CUSTOMER, ORDERS, (odd,), cadence=days(1), ttl=days(2))
    assert caught.value.code == "E_FEATURE"
