"""A search within a budget, of families, parameters and views, on a tiny shop."""

import json
import sqlite3
from contextlib import closing

from conftest import Shop
from shopkeeping import AS_OF, as_csv, orders, recorded

BUDGET = ("--as-of", AS_OF, "--set", "train.automl.trials=4")


def test_automl_keeps_to_its_budget_and_registers_the_best(shop: Shop) -> None:
    shop.deliver("orders.csv", as_csv(orders()))
    code, summary = shop.run("ingest refine build_features audit train", *BUDGET)
    assert code == 0, summary
    assert recorded(shop.root) == ["shop 1", "shop challenger is 1"]
    with closing(sqlite3.connect(shop.root / "mlflow" / "mlflow.db")) as database:
        runs = {run for (run,) in database.execute("select run_uuid from runs where status = 'FINISHED'")}
        under = dict(database.execute("select run_uuid, value from tags where key = 'mlflow.parentRunId'").fetchall())
    (parent,) = set(under.values())
    assert runs == {parent, *under}  # every trial is a run, all of them under one
    kept = json.loads((shop.root / "runs" / summary["run_id"] / "summary.json").read_text("utf-8"))
    assert len(under) == kept["facts"]["candidates"] > 1
    code, again = shop.run("train", *BUDGET)
    assert (code, again["status"]) == (0, "skipped")
    assert (shop.root / "search" / "shop.db").exists()
