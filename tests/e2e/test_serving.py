"""What the service answers about every entity of a population is what the batch of that as-of time predicted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from served_alike import check_served_as_scored
from shopkeeping import AS_OF, as_csv, orders
from tidemill.core.time import parse_time

if TYPE_CHECKING:
    from conftest import Shop

JOBS = "ingest refine build_features materialize audit train promote score"


def test_batch_and_service_answer_alike(shop: Shop) -> None:
    shop.deliver("orders.csv", as_csv(orders()))
    code, summary = shop.run(JOBS, "--as-of", AS_OF, "--set", "score.reasons=3")
    assert code == 0, summary
    answers = check_served_as_scored(shop.root, "shop", 1000)
    assert len(answers) == summary["metrics"]["population"] > 10
    assert {(a.status, a.as_of) for a in answers} == {("stale", parse_time(AS_OF))}
    assert all(a.reasons for a in answers)
