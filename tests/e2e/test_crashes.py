"""The process ends at each named place; the same command again gives what an undisturbed run gives."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from conftest import CONTRACT, USE_CASE, Shop
from shopkeeping import ALL_JOBS, AS_OF, as_csv, contents, orders, registered
from tidemill.cli.job import HOME
from tidemill.core.failpoints import Crashed, armed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def failpoints() -> list[str]:
    """Every place that the code names; a job's end once for each job."""
    sources = [*(HOME / "lib" / "tidemill").rglob("*.py"), *(HOME / "jobs").glob("*.py")]
    found = {name for path in sources for name in re.findall(r'failpoint\("([a-z_.]+)"', path.read_text("utf-8"))}
    found.discard("job.done")
    return sorted(found | {f"job.done:{job}" for job in ALL_JOBS.split()})


@dataclass(frozen=True)
class World:
    """A shop run job by job without disturbance.

    Args:
        shop: at its only place: registries keep absolute paths.
        before: a copy of the root as each job found it.
        after: what the tables and the registry held when the job had ended.
    """

    shop: Shop
    before: dict[str, Path]
    after: dict[str, tuple[dict[str, list[str]], list[str]]]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, spark: object) -> World:
    folder = tmp_path_factory.mktemp("crashes")
    (folder / "repo" / "contracts" / "shop").mkdir(parents=True)
    (folder / "repo" / "contracts" / "shop" / "orders.yaml").write_text(CONTRACT, encoding="utf-8")
    (folder / "repo" / "shop.py").write_text(USE_CASE, encoding="utf-8")
    shop = Shop(folder / "repo", folder / "var")
    shop.deliver("orders.csv", delivery())
    found = World(shop, {}, {})
    for job in ALL_JOBS.split():
        found.before[job] = folder / f"before-{job}"
        shutil.copytree(shop.root, found.before[job])
        code, summary = shop.run(job, "--as-of", AS_OF)
        assert code == 0, summary
        found.after[job] = state(shop)
    return found


def state(shop: Shop) -> tuple[dict[str, list[str]], list[str]]:
    """What a job leaves: the rows of every table, and the registered versions."""
    registry = registered(shop.root) if (shop.root / "mlflow" / "mlflow.db").exists() else []
    return contents(shop.root), registry


def delivery() -> str:
    """Good rows, one of the wrong type, and one line that does not split into columns."""
    return as_csv(orders()) + "c001,not a time,1.00\n" + "c002,2024-01-05 00:00:00,1.00,too many\n"


def job_of(name: str) -> str:
    """The job that passes a place; those of the commit primitive are passed by every job, by ingest first."""
    place, _, at = name.partition(":")
    prefix = place.partition(".")[0]
    return at if prefix == "job" else "ingest" if prefix == "commit" else prefix


@pytest.mark.parametrize("name", failpoints())
def test_a_run_after_a_crash_equals_an_undisturbed_one(
    name: str, world: World, make_shop: Callable[[str], Shop]
) -> None:
    job, shop = job_of(name), world.shop
    if job == "train":  # MLflow keeps its database open: a registry that is to be empty needs a place of its own
        shop = make_shop("var")
        shop.deliver("orders.csv", delivery())
        assert shop.run("ingest refine build_features materialize", "--as-of", AS_OF)[0] == 0
    else:
        shutil.rmtree(shop.root)
        shutil.copytree(world.before[job], shop.root)
    with armed(name) as reached:
        with pytest.raises(Crashed):
            shop.run(job, "--as-of", AS_OF)
        assert reached[name], f"{job} does not pass {name}"
    code, summary = shop.run(job, "--as-of", AS_OF)
    assert code == 0, summary
    assert state(shop) == world.after[job]


def test_the_places_are_found() -> None:
    assert {"commit.before_write", "commit.after_write", "train.registered", "promote.decided"} <= set(failpoints())
