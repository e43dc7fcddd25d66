"""A search within a budget, of families, parameters and views, on a tiny shop."""

from conftest import Shop
from shopkeeping import AS_OF, as_csv, orders, recorded

BUDGET = ("--as-of", AS_OF, "--set", "train.automl.trials=4")


def test_automl_keeps_to_its_budget_and_registers_the_best(shop: Shop) -> None:
    shop.deliver("orders.csv", as_csv(orders()))
    code, summary = shop.run("ingest refine build_features audit train", *BUDGET)
    assert code == 0, summary
    assert recorded(shop.root) == ["shop 1", "shop challenger is 1"]
    code, again = shop.run("train", *BUDGET)
    assert (code, again["status"]) == (0, "skipped")
    assert (shop.root / "search" / "shop.db").exists()
