"""The job around the engine: when it loads again, what it compares, and what makes it fail."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from shopkeeping import as_csv, orders
from tidemill.data.read import read_arrow
from tidemill.features import feast_store
from tidemill.features.repository import online_store_identity
from tidemill.monitoring.tables import PARITY

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa
    import pytest
    from conftest import Shop
    from tidemill.cli.result import Result

AS_OF, BEFORE = "2024-02-10", "2024-02-09"


def compared(shop: Shop) -> pa.Table:
    return read_arrow(shop.lake, PARITY)


def gauges(shop: Shop) -> dict[str, float]:
    """What the newest comparison of the one view left for Prometheus."""
    (path,) = (shop.root / "metrics").glob("parity_shop_*.prom")
    found = dict(re.findall(r"^tidemill_parity_(\w+)\{.*\} (\S+)$", path.read_text("utf-8"), re.MULTILINE))
    assert found.pop("time_seconds")
    return {name: float(value) for name, value in found.items()}


def test_is_done_once_and_again_where_gold_or_store_have_changed(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.deliver("orders.csv", as_csv(orders(until=40)))
    code, summary = shop.run("ingest refine build_features materialize", "--as-of", BEFORE)
    assert code == 0, summary
    counts = summary["steps"][-1]["counts"]
    assert counts["equal"] == counts["compared"] > 0
    assert (counts["written"], counts["removed"]) == (counts["compared"] // 3, 0)
    assert shop.run("materialize", "--as-of", BEFORE)[1]["status"] == "skipped"

    # All keys; and the online rows of the day before were as good as the day's own until these were built.
    code, summary = shop.run("build_features materialize", "--as-of", AS_OF, "--set", "materialize.parity_sample=all")
    assert code == 0, summary
    assert shop.run("materialize", "--as-of", BEFORE)[1]["status"] == "skipped"

    # Something late changes gold of the day before, which is within the view's ttl: T is loaded again.
    shop.deliver("late.csv", as_csv([("late", orders()[0][1].replace(month=2, day=8), "3.00")]))
    code, summary = shop.run("ingest refine build_features", "--as-of", BEFORE)
    assert code == 0, summary
    code, summary = shop.run("materialize", "--as-of", AS_OF, "--set", "materialize.parity_sample=all")
    assert (code, summary["status"]) == (0, "ok"), summary
    table = compared(shop)
    assert table["equal"].to_pylist() == table["compared"].to_pylist()
    assert sum(sum(table[name].to_pylist()) for name in ("different", "missing", "stale")) == 0
    left = gauges(shop)
    assert (left["least_share"], left["unequal_features"]) == (1.0, 0.0)

    # A store that holds nothing of it.
    def no_load(*_: object) -> list[Result]:
        return []

    monkeypatch.setattr(feast_store, "materialize", no_load)
    (shop.root / "feast" / "online.db").unlink()
    code, summary = shop.run("materialize", "--as-of", AS_OF, "--rebuild")
    assert (code, summary["error"]["code"]) == (65, "E_PARITY")
    assert "equal for 0 of" in summary["error"]["what"]
    left = gauges(shop)
    assert left.pop("compared_values") > 0
    assert left == {"least_share": 0.0, "unequal_features": 3.0}
    code, summary = shop.run("materialize", "--as-of", AS_OF, "--rebuild", "--set", "materialize.parity_threshold=0.0")
    assert code == 0, summary


def test_a_store_is_known_by_its_place_and_not_by_its_password(tmp_path: Path) -> None:
    def identity(online: str) -> str:
        path = tmp_path / "feature_store.yaml"
        path.write_text(f"project: p\nonline_store: {online}\n", "utf-8")
        return online_store_identity(path)

    redis = identity('{type: redis, connection_string: "a:1,password=x,db=2"}')
    assert identity('{type: redis, connection_string: "a:1,db=2,password=y"}') == redis
    assert identity('{type: redis, connection_string: "a:1,db=3"}') != redis
    postgres = identity("{type: postgres, host: a, user: x, password: y}")
    assert identity("{type: postgres, host: a, user: z, password: z}") == postgres
    assert identity("{type: postgres, host: b, user: x, password: y}") != postgres
