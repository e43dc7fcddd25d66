"""A training that is copied to Weights & Biases: every candidate of MLflow's, with its parameters and metrics."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import wandb
from shopkeeping import AS_OF, as_csv, orders
from tidemill.models.registry import Registry
from wandb_files import kept_runs

if TYPE_CHECKING:
    import pytest
    from conftest import Shop

TRAINED = "ingest refine build_features train"


def test_what_mlflow_has_of_a_training_the_second_logger_has_too(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    wandb.teardown()  # it reads its variables once a process
    shop.deliver("orders.csv", as_csv(orders()))
    code, summary = shop.run(TRAINED, "--as-of", AS_OF, "--set", "services.wandb=shopping")
    assert code == 0, summary
    said = json.loads((shop.root / "runs" / summary["run_id"] / "summary.json").read_text("utf-8"))
    assert not [note for note in said["notes"] if "Weights & Biases" in note]
    registry = Registry(shop.root)
    (version,) = registry.versions("shop")
    (kept,) = kept_runs(shop.root / "wandb")
    assert kept.id == version.run_id  # the only candidate, and so the best
    assert kept.place == ("shopping", version.tags["tidemill.training_set_id"], ("shop",))
    assert kept.config["family"] == "logistic_regression"
    assert {"folds_roc_auc", "gate_roc_auc"} <= {*kept.summary}
