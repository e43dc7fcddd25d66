"""The process ends at each named place; the same command again gives what an undisturbed run gives."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from shopkeeping import ALL_JOBS, AS_OF, as_csv, contents, orders, registered
from tidemill.cli.job import HOME
from tidemill.core.failpoints import Crashed, armed

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Shop


def failpoints() -> list[str]:
    """Every place that the code names; a job's end once for each job."""
    sources = [*(HOME / "lib" / "tidemill").rglob("*.py"), *(HOME / "jobs").glob("*.py")]
    found = {name for path in sources for name in re.findall(r'failpoint\("([a-z_.]+)"', path.read_text("utf-8"))}
    found.discard("job.done")
    return sorted(found | {f"job.done:{job}" for job in ALL_JOBS.split()})


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, spark: object) -> dict[str, object]:
    from conftest import CONTRACT, USE_CASE, Shop

    folder = tmp_path_factory.mktemp("undisturbed")
    (folder / "repo" / "contracts" / "shop").mkdir(parents=True)
    (folder / "repo" / "contracts" / "shop" / "orders.yaml").write_text(CONTRACT, encoding="utf-8")
    (folder / "repo" / "shop.py").write_text(USE_CASE, encoding="utf-8")
    shop = Shop(folder / "repo", folder / "var")
    shop.deliver("orders.csv", delivery())
    assert shop.run(ALL_JOBS, "--as-of", AS_OF)[0] == 0
    return {"tables": contents(shop.root), "models": registered(shop.root)}


def delivery() -> str:
    """Good rows, one of the wrong type, and one line that does not split into columns."""
    return as_csv(orders()) + "c001,not a time,1.00\n" + "c002,2024-01-05 00:00:00,1.00,too many\n"


@pytest.mark.parametrize("name", failpoints())
def test_a_run_after_a_crash_equals_an_undisturbed_one(
    name: str, make_shop: Callable[[str], Shop], undisturbed: dict[str, object]
) -> None:
    shop = make_shop("var")
    shop.deliver("orders.csv", delivery())
    with armed(name) as reached, pytest.raises(Crashed):
        shop.run(ALL_JOBS, "--as-of", AS_OF)
    assert reached == {} or reached.get(name, True)
    code, summary = shop.run(ALL_JOBS, "--as-of", AS_OF)
    assert code == 0, summary
    assert contents(shop.root) == undisturbed["tables"]
    assert registered(shop.root) == undisturbed["models"]


def test_the_places_are_found() -> None:
    assert {"commit.before_write", "commit.after_write", "train.registered", "promote.decided"} <= set(failpoints())
    assert Path(HOME / "jobs" / "train.py").exists()
