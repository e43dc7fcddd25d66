"""The harness of the benches: what it counts, and what it refuses."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from tidemill.core.home import HOME

if TYPE_CHECKING:
    from pathlib import Path

PROBE = '''"""A bench of nothing."""
import subprocess, sys
from pathlib import Path
from bench import harness
from bench.harness import Contestant, cpu_ratio, main

BURN = "import time; end = time.process_time() + 0.6\\nwhile time.process_time() < end: pass"
LEAVE = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {BURN!r}])"

def make_data(folder, size):
    (folder / "n").write_text("7")
    with (Path(sys.argv[0]).parent / "made").open("a") as file:
        file.write(size)

def idle(data, out):
    (out / "n").write_text((data / "n").read_text())

def busy(data, out):
    # A child that outlives its parent: it has to be waited for, and counted.
    subprocess.Popen([sys.executable, "-c", LEAVE])
    idle(data, out)

def wrong(data, out):
    (out / "n").write_text("8")

def broken(data, out):
    sys.exit("error: it fell over")

answer = lambda out: (out / "n").read_text()
CONTESTANTS = [Contestant("idle", "g", idle, answer, "reference"), Contestant("busy", "g", busy, answer, "ours")]
OTHERS = {"idle, the same": idle, "wrong, not the same": wrong, "broken one": broken}
CONTESTANTS += [Contestant(what, "g", run, answer, "peer", extra=True) for what, run in OTHERS.items()]
CONTESTANTS += [Contestant("apart, one", "g", idle, answer, "peer", extra=True)]
CONTESTANTS += [Contestant("apart, other work", "h", wrong, answer, "reference", extra=True)]
harness.CACHE = Path(sys.argv[0]).parent / "cache"
harness.HOME = Path(sys.argv[0]).parent
harness.RESULTS = Path(sys.argv[0]).parent / "results"
if __name__ == "__main__":
    main(make_data, CONTESTANTS if "--size" in sys.argv or "--contestant" in sys.argv else CONTESTANTS[:2],
         [cpu_ratio("busy", "idle", 0.5), cpu_ratio("idle", "busy", 1.0)], by_group="--what" in sys.argv)
'''


@pytest.fixture(scope="module")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bench") / "probe.py"
    path.write_text(PROBE)
    return path


def run(probe: Path, *arguments: str) -> tuple[int, dict[str, Any], str]:
    command = [sys.executable, "-P", str(probe), *arguments]
    done = subprocess.run(command, cwd=HOME, capture_output=True, text=True, check=False)
    return done.returncode, json.loads((done.stdout.splitlines() or ["{}"])[-1]), done.stderr


def test_children_count_and_a_missed_target_is_no_success(probe: Path) -> None:
    code, result, error = run(probe)
    assert code == 1, error
    rows = {row["what"]: row for row in result["rows"]}
    assert rows["busy"]["cpu_s"] - rows["idle"]["cpu_s"] >= 0.5
    assert [(t["name"], t["ok"]) for t in result["targets"]] == [
        ("CPU of busy / idle", False),
        ("CPU of idle / busy", True),
    ]
    assert json.loads((probe.parent / "results" / "probe.json").read_text()) == result


def test_small_judges_nothing_and_makes_its_data_once(probe: Path) -> None:
    (probe.parent / "made").unlink(missing_ok=True)
    for _ in range(2):
        code, result, error = run(probe, "--size", "small")
        assert code == 0, error
        assert result["targets"] == []
    assert (probe.parent / "made").read_text() == "small"


def test_groups_that_do_other_work_answer_otherwise(probe: Path) -> None:
    code, result, error = run(probe, "--size", "small", "--what", "apart,")
    assert (code, [row["what"] for row in result["rows"]]) == (0, ["apart, one", "apart, other work"]), error


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("broken", 70, "error: E_CONTESTANT 'broken one' ended with exit code 1: error: it fell over"),
        ("same", 65, "error: E_ANSWER 'wrong, not the same' answers 8, but 'idle, the same' answers 7"),
        ("nobody", 64, "error: E_ARGUMENTS no contestant has the words 'nobody' in its name"),
    ],
)
def test_what_is_wrong_is_refused(probe: Path, words: str, code: int, said: str) -> None:
    found, _, error = run(probe, "--size", "small", "--what", words)
    assert (found, said in error) == (code, True), error
