"""Every command of the README, run as a reader would run it, on real and on made-up data."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import time
import urllib.request
from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow.compute as pc
import pytest
from deltalake import DeltaTable
from served_alike import check_served_as_scored
from tidemill.core.home import HOME

if TYPE_CHECKING:
    from pathlib import Path

COMMANDS = [
    "./spark-submit.sh pipeline",
    "./spark-submit.sh pipeline --use-case retail --as-of 2011-11-01",
    "./tidemill lookup retail 17850",
    "./tidemill promotions retail",
    "./tidemill catalog retail",
    "./tidemill quarantine list",
    "./tidemill runs",
    "./tidemill ui",
    "./spark-submit.sh pipeline --use-case air_quality --as-of 2016-03-01 --dry-run",
    "./spark-submit.sh score --use-case retail --as-of 2011-11-01 --json",
]
# The demo world as small as it can be and still teach something, to one model; the whole of it runs behind --soak.
SMALL = "--set generate.accounts=1500 --set generate.months=9 --set train.only.logistic_regression.regParam=0.01"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("readme") / "var"


@pytest.fixture(scope="module")
def retail(root: Path) -> dict[str, Any]:
    return run_json("./spark-submit.sh pipeline --use-case retail --as-of 2011-11-01", root)


def run(command: str, root: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*shlex.split(command), "--root", str(root)], cwd=HOME, capture_output=True, text=True, check=False
    )


def run_json(command: str, root: Path) -> dict[str, Any]:
    done = run(f"{command} --json", root)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_these_are_the_commands_of_the_readme() -> None:
    text = (HOME / "README.md").read_text("utf-8")
    blocks = re.findall(r"```console\n(.*?)```", text, re.DOTALL)
    assert [line.removeprefix("$ ") for block in blocks for line in block.splitlines()] == COMMANDS


def test_the_demo_ends_with_one_screen(root: Path) -> None:
    done = run(f"{COMMANDS[0]} {SMALL}", root)
    assert done.returncode == 0, done.stderr
    for word in ("rows", "features", "audit", "models", "champion", "drift", "report", "next"):
        assert re.search(rf"^{word}", done.stdout, re.MULTILINE), done.stdout
    assert "WARN" not in done.stderr
    assert len(done.stderr.splitlines()) == 10  # one line a step
    kept = DeltaTable(str(root / "lake/ops/performance")).to_pyarrow_table().to_pylist()
    expected, came = (next(row for row in kept if row["kind"] == kind) for kind in ("expected", "hindsight"))
    # Of eighty who leave, chance alone makes more than the 0.02 that test_shortfall holds a larger demo world to.
    assert came["low"] < expected["high"]
    assert expected["low"] < came["high"]
    assert len(check_served_as_scored(root, "churn")) == 50


def test_retail_gives_the_published_counts(retail: dict[str, Any], root: Path) -> None:
    assert retail["counts"] == {"read": 541909, "accepted": 406829, "quarantined": 135080, "duplicates": 0}
    bronze = DeltaTable(str(root / "lake/bronze/invoices")).to_pyarrow_table(columns=["Quantity", "UnitPrice"])
    pairs = zip(bronze["Quantity"].to_pylist(), bronze["UnitPrice"].to_pylist(), strict=True)
    assert sum(Decimal(q) * Decimal(p) for q, p in pairs) == Decimal("9747747.934")
    silver = DeltaTable(str(root / "lake/silver/invoices")).to_pyarrow_table(columns=["amount"])
    assert pc.sum(silver["amount"]).as_py() == Decimal("8300065.814")


@pytest.mark.usefixtures("retail")
def test_each_rejected_row_of_retail_is_explained_as_duckdb_counts_it(root: Path) -> None:
    table = DeltaTable(str(root / "lake/quarantine/invoices")).to_pyarrow_table()
    ours = Counter((*row["reasons"], row["line"]) for row in table.select(["reasons", "line"]).to_pylist())
    file = HOME / "examples" / "online_retail" / "online_retail.csv.gz"
    numbered = duckdb.execute(
        "select row_number() over () + 1 as line, CustomerID from read_csv(?, all_varchar = true, parallel = false)",
        [str(file)],
    )
    assert ours == Counter(("NULL:customer_id", line) for line, customer in numbered.fetchall() if customer is None)
    assert sum(ours.values()) == 135080


def test_retail_scores_as_well_as_it_should(retail: dict[str, Any]) -> None:
    metrics = retail["metrics"]
    assert retail["model"] == {"name": "retail", "version": "1", "alias": "champion"}
    assert metrics["population"] == metrics["test_rows"] == 2494
    assert round(metrics["test_positive_rate"], 3) == 0.554
    assert metrics["test_roc_auc"] >= 0.71
    assert metrics["gate_roc_auc"] > metrics["baseline_roc_auc"]


@pytest.mark.usefixtures("retail")
def test_retail_is_served_as_it_was_scored(root: Path) -> None:
    assert len(check_served_as_scored(root, "retail")) == 50


def test_retail_again_is_skipped(retail: dict[str, Any], root: Path) -> None:
    again = run_json(COMMANDS[1], root)
    assert again["status"] == "skipped"
    assert again["run_id"] == retail["run_id"]
    assert again["tables"] == retail["tables"]
    assert again["metrics"] == retail["metrics"]
    assert again["model"] == retail["model"]


@pytest.mark.usefixtures("retail")
def test_lookup_answers_the_newest_gold_row(root: Path) -> None:
    found = run_json(COMMANDS[2], root)
    assert found["customer_id"] == "17850"
    assert found["amount_sum_90d"] == 0.0  # this customer was last seen in February
    assert found["recency_days"] == pytest.approx(263.3902777777778)


@pytest.mark.usefixtures("retail")
@pytest.mark.parametrize("command", COMMANDS[3:7])
def test_the_ledgers_can_be_read(command: str, root: Path) -> None:
    rows = run_json(command, root)["rows"]
    assert rows


@pytest.mark.usefixtures("retail")
def test_ui_serves_the_registry(root: Path) -> None:
    command = [*shlex.split(COMMANDS[7]), "--root", str(root), "--port", "5077"]
    with subprocess.Popen(command, cwd=HOME, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as page:
        try:
            assert "MLflow" in _answer("http://127.0.0.1:5077/", 90)
        finally:
            page.terminate()
            page.wait(30)


def test_a_dry_run_says_what_it_would_do(root: Path) -> None:
    done = run(COMMANDS[8], root)
    assert done.returncode == 0
    assert done.stdout == (
        "pipeline would run ingest, refine, build_features, materialize, audit, train, promote, score, monitor"
        " for air_quality at 2016-03-01T00:00:00Z\n"
    )


@pytest.mark.usefixtures("retail")
def test_one_job_alone_finds_its_work_done(root: Path) -> None:
    done = run(COMMANDS[9], root)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["status"] == "skipped"


def _answer(address: str, seconds: float) -> str:
    deadline = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(address, timeout=5) as answer:  # noqa: S310 - our own page, over http
                return str(answer.read().decode("utf-8"))
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)
