"""The process ends at each named place; the same command again gives what an undisturbed run gives."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from conftest import Shop, make_shop_in
from shopkeeping import ALL_JOBS, AS_OF, contents, delivery, failpoints, job_of, recorded
from tidemill.core.failpoints import Crashed, armed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


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
    shop = make_shop_in(folder)("var")
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
    return contents(shop.root), recorded(shop.root)


@pytest.mark.parametrize("name", failpoints())
def test_a_run_after_a_crash_equals_an_undisturbed_one(
    name: str, world: World, make_shop: Callable[[str], Shop]
) -> None:
    job = job_of(name)
    # MLflow keeps its database open: a registry that is to be empty needs a place of its own.
    shop = make_shop("var") if job == "train" else world.shop
    shutil.rmtree(shop.root, ignore_errors=True)
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
