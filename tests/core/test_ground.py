"""Errors, failpoints, digests and run records."""

import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tidemill.core.digest import digest_of, digest_of_file
from tidemill.core.errors import Exit, TidemillError, nearest
from tidemill.core.failpoints import Crashed, armed, failpoint
from tidemill.core.runs import new_run_id, run_folder, summaries, write_json, write_text


def test_an_error_is_three_lines() -> None:
    error = TidemillError("E_X", "a\nb  c", where="file\n7", next_step=" do\tthis ", exit_code=Exit.DATA)
    assert error.lines() == "error: E_X a b c\n  where: file 7\n  next: do this"
    assert error.as_json() == {"code": "E_X", "what": "a b c", "where": "file 7", "next": "do this"}


@pytest.mark.parametrize(
    ("name", "known", "expected"),
    [
        ("retial", ["churn", "retail"], "did you mean 'retail'? known: churn, retail"),
        ("zzz", ["churn", "retail"], "known: churn, retail"),
        ("x", [], "known: none"),
    ],
)
def test_the_nearest_name(name: str, known: list[str], expected: str) -> None:
    assert nearest(name, known) == expected


def test_a_failpoint_ends_only_what_asked_for_it() -> None:
    failpoint("a")
    with armed("a") as reached:
        failpoint("b")
        assert reached == {"a": False}
        with pytest.raises(Crashed, match="a"):
            failpoint("a", "anything")
        assert reached == {"a": True}
    failpoint("a")
    with armed("a:orders"):
        failpoint("a")
        failpoint("a", "others")
        with pytest.raises(Crashed, match="a:orders"):
            failpoint("a", "orders")


def test_no_error_handler_swallows_a_crash() -> None:
    assert not issubclass(Crashed, Exception)


def test_a_failpoint_kills_a_process_that_asked_for_it() -> None:
    code = "from tidemill.core.failpoints import failpoint; failpoint('a'); failpoint('b', 'x'); print('alive')"
    for asked, expected in (("b", -signal.SIGKILL), ("b:x", -signal.SIGKILL), ("b:y", 0)):
        environment = {**os.environ, "TIDEMILL_FAILPOINT": asked}
        assert (
            subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=False).returncode
            == expected
        )


def test_a_digest_is_that_of_the_value() -> None:
    assert digest_of({"b": 1, "a": [1, "é"]}) == digest_of({"a": [1, "é"], "b": 1})
    assert digest_of([1]) != digest_of(["1"])
    assert digest_of({}) == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    with pytest.raises(ValueError, match="JSON"):
        digest_of(float("nan"))


def test_a_file_is_digested_in_blocks(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"")
    assert digest_of_file(path) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    path.write_bytes(b"a" * (3 << 20))
    whole = digest_of_file(path)
    path.write_bytes(b"a" * ((3 << 20) + 1))
    assert digest_of_file(path) != whole


def test_run_names_sort_by_start_and_differ() -> None:
    early, late = datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC), datetime(2024, 1, 2, 3, 4, 6, tzinfo=UTC)
    assert new_run_id(early, "train").startswith("20240102T030405Z-train-")
    assert new_run_id(early, "train") < new_run_id(late, "ingest")
    assert new_run_id(early, "train") != new_run_id(early, "train")


def test_records_are_written_whole_and_read_newest_first(tmp_path: Path) -> None:
    for number in (1, 2):
        write_json(run_folder(tmp_path, f"2024010{number}-x") / "summary.json", {"b": number, "a": None})
    (tmp_path / "runs" / "unfinished").mkdir()
    assert list(summaries(tmp_path)) == [{"a": None, "b": 2}, {"a": None, "b": 1}]
    path = tmp_path / "runs" / "20240101-x" / "summary.json"
    write_text(path, "new")
    assert path.read_text("utf-8") == "new"
    assert [p.name for p in path.parent.iterdir()] == ["summary.json"]
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, {"a": float("inf")})
    assert path.read_text("utf-8") == "new"
    assert json.loads(json.dumps(list(summaries(tmp_path / "nowhere")))) == []
