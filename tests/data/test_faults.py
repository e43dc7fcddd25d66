"""Faults of disks, logs, files and neighbours, numbered as the reliability matrix numbers them."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from data_shops import GOOD, HEADER, land, land_contract, line, run, silver
from tidemill.core.config import Layout
from tidemill.core.errors import TidemillError
from tidemill.core.failpoints import Crashed, armed
from tidemill.data import ledger
from tidemill.data.commit import commit
from tidemill.data.landing import new_files
from tidemill.data.read import read_arrow
from tidemill.data.schema import delta_schema
from tidemill.data.tables import OPS, Lake, Table
from tidemill.data.write import Batch

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

THINGS = Table(OPS, "things", (("name", "string"), ("n", "bigint")))
WRITE = """
import sys
import pyarrow as pa
from pathlib import Path
from tidemill.core.config import Layout
from tidemill.data.commit import commit
from tidemill.data.landing import new_files
from tidemill.data.tables import OPS, Lake, Table
from tidemill.data.write import Batch
table = Table(OPS, "things", (("name", "string"), ("n", "bigint")))
lake = Lake(Path(sys.argv[1]), sys.argv[2], Layout(buckets=4, period="all"), 60)
for name in sys.argv[3:]:
    rows = pa.table({"name": [name] * 3, "n": pa.array([1, 2, 3], pa.int64())})
    print(commit(lake, table, Batch(name, {"of": name}), rows).written)
"""


def lake_in(folder: Path) -> Lake:
    return Lake(folder, "me", Layout(buckets=4, period="all"))


def write(lake: Lake, name: str, rows: int = 3) -> None:
    made = pa.table({"name": [name] * rows, "n": pa.array(range(rows), pa.int64())})
    commit(lake, THINGS, Batch(name, {"of": name}), made.cast(delta_schema(THINGS.columns)))


def writers(root: Path, *batches: tuple[str, ...]) -> list[list[str]]:
    """Processes that commit at the same time; what each of them wrote."""
    made = [
        subprocess.Popen(
            [sys.executable, "-c", WRITE, str(root), f"run-{n}", *names], stdout=subprocess.PIPE, text=True
        )
        for n, names in enumerate(batches)
    ]
    found = [process.communicate()[0].split() for process in made]
    assert [process.returncode for process in made] == [0] * len(made)
    return found


def test_four_processes_with_the_same_batch_make_one_commit(tmp_path: Path) -> None:  # 10
    assert sorted(writers(tmp_path, *[("one",)] * 4)) == [["False"], ["False"], ["False"], ["True"]]
    assert read_arrow(lake_in(tmp_path), THINGS).num_rows == 3


def test_processes_with_batches_of_their_own_all_commit(tmp_path: Path) -> None:  # 11
    mine = [tuple(f"{n}-{i}" for i in range(5)) for n in range(4)]
    assert writers(tmp_path, *mine) == [["True"] * 5] * 4
    assert read_arrow(lake_in(tmp_path), THINGS).num_rows == 60
    assert len(ledger.entries(tmp_path, THINGS.label)) == 20


def log_of(lake: Lake) -> list[Path]:
    return sorted((lake.folder(THINGS) / "_delta_log").glob("*.json"))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:40])


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize(
    ("damage", "entry"),
    [(cut, -1), (empty, -1), (lambda p: p.unlink(), -1), (lambda p: p.unlink(), 1), (cut, 1)],
    ids=["29-cut", "30-empty", "30-gone", "31-gap", "29-middle"],
)
def test_a_damaged_log_is_refused_by_name(tmp_path: Path, damage: Callable[[Path], None], entry: int) -> None:
    lake = lake_in(tmp_path)
    for name in ("one", "two", "three"):
        write(lake, name)
    damage(log_of(lake)[entry])
    with pytest.raises(TidemillError) as caught:
        read_arrow(lake, THINGS)
    assert (caught.value.code, caught.value.exit_code) == ("E_TABLE_DAMAGED", 65)
    assert "ops.things" in caught.value.where


@pytest.mark.parametrize("text", [None, "", "{", '{"version": 99}'])
def test_a_wrong_hint_of_the_last_checkpoint_does_no_harm(tmp_path: Path, text: str | None) -> None:  # 33
    lake = lake_in(tmp_path)
    write(lake, "one")
    hint = lake.folder(THINGS) / "_delta_log" / "_last_checkpoint"
    if text is not None:
        hint.write_text(text, encoding="utf-8")
    assert read_arrow(lake, THINGS).num_rows == 3


def test_a_missing_data_file_is_loud(tmp_path: Path) -> None:  # 34
    lake = lake_in(tmp_path)
    write(lake, "one")
    next(lake.folder(THINGS).glob("*.parquet")).unlink()
    with pytest.raises(TidemillError) as caught:
        read_arrow(lake, THINGS)
    assert caught.value.code == "E_TABLE_DAMAGED"


def test_a_reader_sees_whole_batches_only(tmp_path: Path) -> None:  # 35
    lake = lake_in(tmp_path)
    write(lake, "first")
    seen: list[int] = []
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            seen.append(read_arrow(lake, THINGS).num_rows)

    reader = threading.Thread(target=look)
    reader.start()
    for n in range(15):
        write(lake, f"batch-{n}", rows=100)
    stop.set()
    reader.join()
    assert seen
    assert all(count % 100 == 3 for count in seen)
    assert seen == sorted(seen)


def test_a_file_that_is_still_written_waits(tmp_path: Path, spark: object) -> None:  # 26
    shop = land_contract(tmp_path, "csv")
    land(shop, "whole.csv", GOOD)
    slow = shop.root / "landing" / "readings" / "slow.csv"
    slow.write_text(HEADER + GOOD * 400_000, encoding="utf-8")
    stop = threading.Event()

    def go_on() -> None:
        with slow.open("a", encoding="utf-8") as file:
            while not stop.is_set():
                file.write(line())
                file.flush()
                time.sleep(0.005)

    writer = threading.Thread(target=go_on)
    writer.start()
    time.sleep(0.1)
    try:
        summary = run(shop, "ingest")
    finally:
        stop.set()
        writer.join()
    assert (summary["counts"]["read"], summary["steps"][0]["counts"]["files_ignored"]) == (1, 1)
    slow.write_text(HEADER + GOOD * 2, encoding="utf-8")
    assert run(shop, "ingest")["counts"]["read"] == 2


def test_a_file_that_vanishes_is_to_be_tried_again(
    tmp_path: Path, spark: object, monkeypatch: pytest.MonkeyPatch
) -> None:  # 25
    shop = land_contract(tmp_path, "csv")
    land(shop, "a.csv", GOOD)
    land(shop, "b.csv", GOOD)

    def and_one_vanishes(*args: object, **more: object) -> object:
        (shop.root / "landing" / "readings" / "b.csv").unlink()
        return new_files(*args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr("tidemill.cli.ingesting.new_files", and_one_vanishes)
    error = run(shop, "ingest", code=75)["error"]
    assert (error["code"], "'b.csv'" in error["what"]) == ("E_FILE_GONE", True)
    assert shop.batches("bronze.readings") == []
    monkeypatch.undo()
    assert run(shop, "ingest")["counts"]["read"] == 1


def test_what_was_begun_today_is_finished_tomorrow_as_it_was_begun(tmp_path: Path, spark: object) -> None:  # 40
    from datetime import UTC, datetime, timedelta

    shop = land_contract(tmp_path, "csv")
    soon = datetime.now(UTC) + timedelta(days=1, seconds=20)
    land(shop, "a.csv", GOOD, line(ts=f"{soon:%Y-%m-%d %H:%M:%S}"))
    run(shop, "ingest")
    with armed("refine.between_tables"), pytest.raises(Crashed):
        shop.run("refine")
    time.sleep(max(0.0, (soon - timedelta(days=1) - datetime.now(UTC)).total_seconds()) + 1)
    summary = run(shop, "refine")
    assert summary["counts"] == {"read": 2, "accepted": 1, "quarantined": 1, "duplicates": 0}
    assert len(silver(shop, "id")) == 1


def test_state_beside_the_lake_is_not_needed(tmp_path: Path, spark: object) -> None:  # 21, 22, 23
    shop = land_contract(tmp_path, "csv")
    land(shop, "a.csv", GOOD)
    run(shop, "ingest refine")
    for folder in ("runs", "leases"):
        shutil.rmtree(shop.root / folder)
    assert run(shop, "ingest refine")["status"] == "skipped"
