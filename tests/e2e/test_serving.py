"""What the service answers about every entity of a population is what the batch of that as-of time predicted."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from shopkeeping import AS_OF, as_csv, orders
from tidemill.core.config import load_config
from tidemill.core.home import HOME
from tidemill.core.time import parse_time
from tidemill.data.read import read_arrow
from tidemill.features.feast_reading import OnlineReader
from tidemill.features.feast_store import open_store
from tidemill.models.registry import Registry
from tidemill.models.tables import predictions_table
from tidemill.monitoring.service_metrics import ServiceMetrics
from tidemill.serving.answers import Asked, Inquiry, build_answers
from tidemill.serving.follow import Champions, Ground

if TYPE_CHECKING:
    from conftest import Shop

JOBS = "ingest refine build_features materialize audit train promote score"


def test_batch_and_service_answer_alike(shop: Shop) -> None:
    shop.deliver("orders.csv", as_csv(orders()))
    code, summary = shop.run(JOBS, "--as-of", AS_OF)
    assert code == 0, summary
    yaml = HOME / "feature_repo" / "feature_store.yaml"
    champions = Champions(
        lambda: Ground(Registry(shop.root), OnlineReader(open_store(yaml, shop.root))), ServiceMetrics(), ("shop",)
    )
    champions.look()
    assert champions.reasons == {}
    served, ground = champions.models["shop"], champions.ground
    assert ground is not None
    held = read_arrow(shop.lake, predictions_table(served.use_case)).to_pylist()
    expected = {row["customer"]: row for row in held if row["role"] == "champion"}
    keys = sorted(expected)
    assert len(keys) > 10
    rows = ground.reader.read(served.use_case.views, keys)
    settings = load_config(HOME / "conf", "local").serve
    (found,) = build_answers(served, [Inquiry([Asked(key) for key in keys])], rows, settings, datetime.now(UTC))
    assert isinstance(found, list)
    assert [(a.key, a.score, a.prediction) for a in found] == [
        (key, expected[key]["score"], expected[key]["prediction"]) for key in keys
    ]
    assert {(a.status, a.as_of) for a in found} == {("stale", parse_time(AS_OF))}
