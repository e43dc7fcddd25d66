"""The use cases that come along, each as its documentation says to run it: they do as well as the references do."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from served_alike import check_served_as_scored
from tidemill.core.home import HOME
from tidemill.models.registry import Registry

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.soak


def run(root: Path, *arguments: str) -> dict[str, Any]:
    done = subprocess.run(
        [str(HOME / "spark-submit.sh"), *arguments, "--root", str(root), "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def card(root: Path, use_case: str) -> dict[str, Any]:
    registry = Registry(root)
    found: dict[str, Any] = registry.document(registry.versions(use_case)[0], "card.json")
    return found


def test_retail_over_a_quarter(tmp_path: Path) -> None:
    metrics = run(tmp_path, "pipeline", "--use-case", "retail_90d", "--as-of", "2011-09-09")["metrics"]
    assert (metrics["population"], metrics["test_rows"]) == (1932, 1932)
    assert metrics["test_positive_rate"] == pytest.approx(0.304, abs=0.001)
    assert metrics["test_roc_auc"] >= 0.745
    assert "by shares of entities" in card(tmp_path, "retail_90d")["split"]
    assert len(check_served_as_scored(tmp_path, "retail_90d")) == 50


def test_the_whole_cohort_of_cdnow(tmp_path: Path) -> None:
    summary = run(tmp_path, "pipeline", "--use-case", "cdnow")
    assert summary["as_of"] == "1998-04-01T00:00:00Z"
    assert summary["counts"] == {"read": 69659, "accepted": 69659, "quarantined": 0, "duplicates": 0}
    assert summary["metrics"]["test_rows"] == 23570
    assert summary["metrics"]["test_positive_rate"] == pytest.approx(0.860, abs=0.001)
    assert summary["metrics"]["test_roc_auc"] >= 0.83
    assert len(check_served_as_scored(tmp_path, "cdnow")) == 50


def test_telephone_customers_over_five_folds(tmp_path: Path) -> None:
    summary = run(tmp_path, "pipeline", "--to", "train", "--use-case", "telco_churn")
    assert [step["job"] for step in summary["steps"]][-1] == "train"
    (chosen,) = [c for c in card(tmp_path, "telco_churn")["candidates"] if c["chosen"]]
    assert len(chosen["folds"]) == 5
    assert chosen["fold_mean"] >= 0.84


def test_bikes_of_the_next_hour(tmp_path: Path) -> None:
    metrics = run(tmp_path, "pipeline", "--use-case", "bike_sharing", "--as-of", "2012-09-01")["metrics"]
    assert metrics["test_rows"] == 2888
    assert metrics["test_rmse"] <= 68.5
    assert metrics["test_mae"] <= 44.7
    assert len(check_served_as_scored(tmp_path, "bike_sharing")) == metrics["population"]


def test_an_mlflow_project(tmp_path: Path) -> None:
    mlflow = HOME / os.environ.get("TIDEMILL_VENV", ".venv") / "bin" / "mlflow"
    kept = f"sqlite:///{tmp_path / 'calls.db'}"
    for arguments in (
        ("-e", "train", "-P", "use_case=retail", "-P", "as_of=2011-11-01"),
        ("-P", "alpha=0.01", "-P", "l1_ratio=0.5", "-P", "set=generate={accounts: 1500, months: 9}"),
    ):
        call = [str(mlflow), "run", str(HOME), *arguments, "-P", f"root={tmp_path / 'var'}", "--env-manager", "local"]
        done = subprocess.run(
            call, env=os.environ | {"MLFLOW_TRACKING_URI": kept}, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    assert card(tmp_path / "var", "retail")["as_of"] == "2011-11-01T00:00:00Z"
    elastic = card(tmp_path / "var", "churn")
    assert elastic["parameters"] == {"regParam": 0.01, "elasticNetParam": 0.5}
