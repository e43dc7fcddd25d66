import gzip
import json
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tidemill.core.errors import TidemillError
from tidemill.demo.generate import find_manifest, require_known, require_past, write_file
from tidemill.demo.tables import TABLES
from tidemill.demo.world import World

WORLD = World(accounts=1200, months=6, seed=5)


def written(folder: Path) -> tuple[list[tuple[str, int, int, int]], dict[Path, bytes]]:
    for table in TABLES:
        (folder / table).mkdir(parents=True)
    counts = write_file(WORLD, 0, range(2), folder)
    return counts, {p.relative_to(folder): p.read_bytes() for p in sorted(folder.rglob("*.*"))}


def test_the_same_world_makes_the_same_bytes(tmp_path: Path) -> None:
    counts, files = written(tmp_path / "one")
    again, others = written(tmp_path / "two")
    assert counts == again
    assert files == others
    assert [str(p) for p in files] == [
        "accounts/part-00000.csv.gz",
        "activity/part-00000.parquet",
        "invoices/part-00000.csv.gz",
        "support/part-00000.csv.gz",
    ]


def test_files_hold_all_blocks_and_are_counted(tmp_path: Path) -> None:
    counts, _ = written(tmp_path)
    rows = {t: sum(c[2] for c in counts if c[0] == t) for t in TABLES}
    assert pq.read_table(tmp_path / "activity" / "part-00000.parquet").num_rows == rows["activity"]
    for table, header in (
        ("accounts", "account_id,changed_at,plan,monthly_price,country,status"),
        ("support", "ticket_id,account_id,opened_at,channel,severity"),
        ("invoices", "invoice_id,account_id,invoiced_at,amount"),
    ):
        lines = gzip.decompress((tmp_path / table / "part-00000.csv.gz").read_bytes()).decode().splitlines()
        assert lines[0] == header
        assert lines.count(header) == 1
        assert len(lines) == rows[table] + 1


def test_a_manifest_of_the_same_settings_is_found(tmp_path: Path) -> None:
    assert find_manifest(tmp_path / "churn", WORLD) is None
    manifest = {"generator": 1, "accounts": 1200, "months": 6, "seed": 5, "rows": {}}
    (tmp_path / "_manifest.json").write_text(json.dumps(manifest))
    assert find_manifest(tmp_path, WORLD) == manifest


def test_another_world_under_the_same_root_is_refused(tmp_path: Path) -> None:
    (tmp_path / "_manifest.json").write_text(json.dumps({"generator": 1, "accounts": 1200, "months": 6, "seed": 6}))
    with pytest.raises(TidemillError, match="another demo world") as caught:
        find_manifest(tmp_path, WORLD)
    assert (caught.value.code, caught.value.exit_code) == ("E_OTHER_WORLD", 65)
    assert "--root" in caught.value.next_step


def test_files_of_another_origin_are_not_touched(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("a\n")
    with pytest.raises(TidemillError, match="not generated") as caught:
        find_manifest(tmp_path, WORLD)
    assert caught.value.exit_code == 65


def test_a_world_must_have_ended() -> None:
    require_past(WORLD, datetime(2025, 6, 30, tzinfo=UTC))
    with pytest.raises(TidemillError, match="still to come") as caught:
        require_past(WORLD, datetime(2025, 6, 29, tzinfo=UTC))
    assert caught.value.exit_code == 64
    assert "at most 5 months" in caught.value.next_step


def test_an_unknown_world_is_refused() -> None:
    require_known("churn")
    with pytest.raises(TidemillError, match="no demo world 'churm'") as caught:
        require_known("churm")
    assert caught.value.exit_code == 78
    assert "'churn'" in caught.value.next_step
