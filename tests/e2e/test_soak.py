"""What takes minutes: whole runs in processes of their own, on real data, killed, repeated elsewhere, side by side."""

from __future__ import annotations

import csv
import gzip
import json
import os
import shutil
import signal
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from conftest import Shop, make_shop_in
from deltalake import DeltaTable
from served_alike import check_served_as_scored
from shopkeeping import ALL_JOBS, AS_OF, contents, delivery, failpoints, job_of, recorded
from tidemill.core.home import HOME
from tidemill.demo.generate import MANIFEST

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.soak
RETAIL = ("pipeline", "--use-case", "retail", "--as-of", "2011-11-01")
LEARNED = ("gold.retail_training_sets", "gold.retail_gate_scores", "gold.retail_predictions", "ops.promotions")
GOLD = ("gold.customer_purchases_v1", "gold.retail_labels", "gold.retail_training_sets")


def start(root: Path, *arguments: str, before: tuple[str, ...] = (), **variables: str) -> subprocess.Popen[str]:
    """A job as a process of its own, with output to read."""
    command = [*before, str(HOME / "spark-submit.sh"), *arguments, "--root", str(root), "--json"]
    return subprocess.Popen(
        command, env=os.environ | variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, dict[str, Any]]:
    """The exit code and the summary object."""
    out, err = process.communicate()
    return process.returncode, json.loads(out.splitlines()[-1]) if out else {"stderr": err}


def run(root: Path, *arguments: str, before: tuple[str, ...] = (), **variables: str) -> dict[str, Any]:
    """The summary of a job that has to succeed."""
    code, summary = finish(start(root, *arguments, before=before, **variables))
    assert code == 0, summary
    return summary


def scores(root: Path) -> dict[Any, float]:
    """The scores of the newest predictions, by entity and role."""
    rows = DeltaTable(str(root / "lake/gold/retail_predictions")).to_pyarrow_table().to_pylist()
    return {(r["customer_id"], r["event_timestamp"], r["role"]): r["score"] for r in rows}


def test_the_whole_demo(tmp_path: Path) -> None:
    summary = run(tmp_path / "var", "pipeline")
    manifest = json.loads((tmp_path / "var" / "landing" / "churn" / MANIFEST).read_text("utf-8"))
    truth = next(p["true_auc"] for p in manifest["as_of"] if p["as_of"] == summary["as_of"])
    metrics = summary["metrics"]
    assert manifest["rows"]["accounts"] >= 10_000
    assert sum(manifest["rows"].values()) >= 1_000_000
    assert summary["model"]["alias"] == "champion"
    assert abs(metrics["test_roc_auc"] - truth) <= 0.02
    assert truth - metrics["baseline_roc_auc"] >= 0.1
    assert len(check_served_as_scored(tmp_path / "var", "churn")) == 50
    assert run(tmp_path / "var", "pipeline")["status"] == "skipped"


def test_retail_over_four_months(tmp_path: Path) -> None:
    months = ("2011-08-01", "2011-09-01", "2011-10-01", "2011-11-01")
    found = [run(tmp_path / at, *RETAIL[:-1], at)["metrics"]["test_roc_auc"] for at in months]
    assert found[-1] >= 0.71
    assert sum(found) / len(found) >= 0.715  # a plain logistic regression gives 0.721


def test_air_quality(tmp_path: Path) -> None:
    summary = run(tmp_path / "var", "pipeline", "--use-case", "air_quality", "--as-of", "2016-03-01")
    assert summary["metrics"]["test_rmse"] <= 76
    assert len(check_served_as_scored(tmp_path / "var", "air_quality")) == summary["metrics"]["population"]


def test_retail_does_not_see_the_future(tmp_path: Path) -> None:
    with gzip.open(HOME / "examples/online_retail/online_retail.csv.gz", "rt", encoding="utf-8", newline="") as text:
        header, *rows = csv.reader(text)
    at = header.index("InvoiceDate")
    past = [row for row in rows if row[at] < "2011-11-01"]
    assert 0 < len(past) < len(rows)
    with (tmp_path / "cut.csv").open("w", encoding="utf-8", newline="") as text:
        csv.writer(text).writerows([header, *past])
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    full = run(whole, *RETAIL)
    short = run(cut, *RETAIL, "--set", f"sources.invoices.path={tmp_path / 'cut.csv'}")
    assert contents(whole, *LEARNED) == contents(cut, *LEARNED)
    assert {k: v for k, v in full["metrics"].items() if not k.startswith("test_")} == short["metrics"]


@pytest.mark.parametrize(
    ("before", "variables"),
    [
        (("taskset", "-c", "0"), {"TZ": "Pacific/Chatham", "LC_ALL": "tr_TR.UTF-8", "PYTHONHASHSEED": "7"}),
        ((), {"TZ": "America/Los_Angeles", "LC_ALL": "C", "PYTHONHASHSEED": "99"}),
    ],
)
def test_retail_is_the_same_elsewhere(tmp_path: Path, before: tuple[str, ...], variables: dict[str, str]) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    run(here, *RETAIL)
    run(there, *RETAIL, before=before, **variables)
    assert contents(here, *GOLD) == contents(there, *GOLD)
    mine, theirs = scores(here), scores(there)
    assert mine.keys() == theirs.keys()
    assert max(abs(mine[k] - theirs[k]) for k in mine) <= 1e-6


def test_two_pipelines_at_once(tmp_path: Path) -> None:
    processes = [start(tmp_path / "var", *RETAIL) for _ in range(2)]
    (code, loser), (other, winner) = sorted((finish(p) for p in processes), key=lambda found: -found[0])
    assert (code, loser["error"]["code"]) == (75, "E_LEASE")
    assert winner["run_id"] in loser["error"]["what"]
    assert (other, winner["status"]) == (0, "ok")


@dataclass(frozen=True)
class World:
    """A shop run job by job without disturbance, always at one place: registries keep absolute paths.

    Args:
        shop: the place.
        before: a copy of the root as each job found it.
        after: what the tables and the registry held when the job had ended.
    """

    shop: Shop
    before: dict[str, Path]
    after: dict[str, tuple[dict[str, list[str]], list[str]]]

    def arguments(self, job: str) -> tuple[str, ...]:
        """The call of one job."""
        return (job, "--use-case", "shop", "--repo", str(self.shop.repo), "--as-of", AS_OF)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("kills")
    found = World(make_shop_in(folder)("var"), {}, {})
    found.shop.deliver("orders.csv", delivery())
    for job in ALL_JOBS.split():
        found.before[job] = folder / f"before-{job}"
        shutil.copytree(found.shop.root, found.before[job])
        run(found.shop.root, *found.arguments(job))
        found.after[job] = (contents(found.shop.root), recorded(found.shop.root))
    return found


@pytest.mark.parametrize("name", failpoints())
def test_a_killed_process_is_made_good_by_the_next(name: str, world: World) -> None:
    job, root = job_of(name), world.shop.root
    shutil.rmtree(root)
    shutil.copytree(world.before[job], root)
    code, _ = finish(start(root, *world.arguments(job), TIDEMILL_FAILPOINT=name))
    assert code == -signal.SIGKILL
    run(root, *world.arguments(job))
    assert (contents(root), recorded(root)) == world.after[job]
