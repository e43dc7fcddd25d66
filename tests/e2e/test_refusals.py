"""What a user can get wrong, or a machine can lack: the documented exit code, three lines, and nothing half-written."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest
from shopkeeping import AS_OF, as_csv, contents, orders, versions
from tidemill.core.lease import lease

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from conftest import Shop


@pytest.mark.parametrize(
    ("arguments", "code", "name", "hint"),
    [
        (("--use-case", "shpo"), 64, "E_NO_USE_CASE", "did you mean 'shop'?"),
        (("--set", "generate.acounts=5"), 64, "E_SET", "did you mean 'generate.accounts'?"),
        (("--set", "sources.order.path=x"), 64, "E_SET", "did you mean 'orders'?"),
        (("--asof", AS_OF), 64, "E_ARGUMENTS", "--help"),
        (("--root", "a [1]"), 64, "E_ARGUMENTS", "without [ ]"),
        (("--root", "a%20b"), 64, "E_ARGUMENTS", "such as %20"),
        (("--as-of", "yesterday"), 64, "E_TIME", ""),
        (("--as-of", "2999-01-01"), 64, "E_FUTURE", "choose a time up to now"),
        (("--env", "locl"), 64, "E_ENVIRONMENT", "did you mean 'local'?"),
        (("--as-of", AS_OF), 66, "E_NO_FILES", "put its files there"),
    ],
)
def test_a_wrong_call_is_refused_before_anything_is_written(
    make_shop: Callable[[str], Shop], arguments: tuple[str, ...], code: int, name: str, hint: str
) -> None:
    shop = make_shop("var")
    found, summary = shop.run("ingest refine build_features", *arguments)
    assert (found, summary["status"], summary["error"]["code"]) == (code, "failed", name)
    assert hint in summary["error"]["next"]
    assert not (shop.root / "lake").exists()


def test_a_column_that_no_contract_has_is_refused_before_anything_is_written(make_shop: Callable[[str], Shop]) -> None:
    shop = make_shop("var")
    shop.deliver("orders.csv", as_csv(orders()))
    file = shop.repo / "shop.py"
    file.write_text(file.read_text("utf-8").replace('"sum", "amount"', '"sum", "amuont"'), "utf-8")
    file.write_text(file.read_text("utf-8").replace("amount_sum_10d", "amuont_sum_10d"), "utf-8")
    code, summary = shop.run("ingest refine build_features")
    assert (code, summary["error"]["code"]) == (78, "E_COLUMN")
    assert "'orders' has no column 'amuont'" in summary["error"]["what"]
    assert "did you mean 'amount'?" in summary["error"]["next"]
    assert not (shop.root / "lake").exists()


def test_a_time_before_the_data_is_no_input_and_builds_nothing(shop: Shop) -> None:
    shop.deliver("orders.csv", as_csv(orders()))
    assert shop.run("ingest refine")[0] == 0
    before = versions(shop.root)
    code, summary = shop.run("build_features", "--as-of", "2023-12-01")
    assert (code, summary["error"]["code"]) == (66, "E_NO_TIME")
    assert "the first event is at 2024-01-01" in summary["error"]["what"]
    assert versions(shop.root) == before


def test_what_another_run_holds_is_to_be_tried_again(make_shop: Callable[[str], Shop]) -> None:
    shop = make_shop("var")
    shop.deliver("orders.csv", as_csv(orders()))
    with lease(shop.root, "pipeline", owner="the-nightly-run"):
        code, summary = shop.run("ingest refine")
    assert (code, summary["error"]["code"]) == (75, "E_LEASE")
    assert "the-nightly-run" in summary["error"]["what"]
    assert not (shop.root / "lake").exists()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 400 kB that can be made larger; needs the right to mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    if (
        os.geteuid() != 0
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(place)], check=False, capture_output=True
        ).returncode
    ):
        pytest.skip("only root may mount a small file system")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_says_so_and_the_next_run_goes_on(
    small_disk: Path, make_shop: Callable[[str], Shop], spark: object
) -> None:
    full, free = make_shop("disk"), make_shop("free")
    assert full.root == small_disk
    text = as_csv(orders(customers=160))
    full.deliver("orders.csv", text)
    code, summary = full.run("ingest refine")
    assert (code, summary["error"]["code"]) == (74, "E_DISK_FULL")
    subprocess.run(["mount", "-o", "remount,size=100m", str(small_disk)], check=True)
    free.deliver("orders.csv", text)
    assert free.run("ingest refine")[0] == 0
    code, summary = full.run("ingest refine")
    assert code == 0, summary
    assert contents(full.root) == contents(free.root)
