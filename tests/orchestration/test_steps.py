"""One step of a flow: the command, and what becomes of each exit code."""

import time
from pathlib import Path

import pytest
from tidemill.core.errors import Exit
from tidemill.orchestration.steps import StepError, Target, run_patiently, run_step

FAKE = Path(__file__).with_name("fake-submit.sh")


@pytest.fixture
def target(tmp_path: Path) -> Target:
    for folder in ("fails", "done"):
        (tmp_path / folder).mkdir()
    return Target(str(FAKE), str(tmp_path), use_case="shop", attempts=3, wait=0.01)


def ask_to_fail(target: Target, job: str, code: int) -> None:
    Path(target.root, "fails", job).write_text(str(code), encoding="utf-8")


def test_a_step_is_the_command_that_a_person_types() -> None:
    target = Target("/opt/tidemill/spark-submit.sh", "/data/var", "shop", "/data/repo", "cluster")
    assert target.command("score", "2025-01-05") == [
        *("/opt/tidemill/spark-submit.sh", "score", "--use-case", "shop", "--repo", "/data/repo", "--env", "cluster"),
        *("--root", "/data/var", "--as-of", "2025-01-05", "--set", "lease_timeout=7200", "--json"),
    ]
    short = Target("./spark-submit.sh", "var").command("score", "2025-01-05")
    assert short[:4] == ["./spark-submit.sh", "score", "--root", "var"]


def test_a_step_hands_back_the_summary_of_its_run(target: Target) -> None:
    command = target.command("score", "2025-01-05")
    assert [run_step(command), run_step(command)] == [
        {"job": "score", "status": "ok"},
        {"job": "score", "status": "skipped"},
    ]


# What each exit code asks for, one by one: the table that every orchestrator follows.
@pytest.mark.parametrize(
    ("code", "again"),
    [
        *((Exit.USAGE, False), (Exit.DATA, False), (Exit.NO_INPUT, False), (Exit.UNAVAILABLE, True), (Exit.BUG, False)),
        *((Exit.IO, False), (Exit.TRY_AGAIN, True), (Exit.CONFIGURATION, False), (Exit.TERMINATED, True)),
        *((137, True), (1, False), (127, False)),
    ],
)
def test_an_exit_code_says_whether_a_step_is_tried_again(target: Target, code: int, again: bool) -> None:
    ask_to_fail(target, "train", code)
    command = target.command("train", "2025-01-05")
    with pytest.raises(StepError, match=f"train ended with exit code {code}") as failed:
        run_step(command)
    assert (failed.value.ended, failed.value.retry) == (code, again)
    assert failed.value.exit_code == (code if code in set(Exit) else Exit.BUG)
    ask_to_fail(target, "train", code)
    if again:
        assert run_patiently(command, 2, 0.01)["status"] == "ok"
    else:
        with pytest.raises(StepError):
            run_patiently(command, 2, 0.01)


def test_attempts_end_and_wait_in_between(tmp_path: Path) -> None:
    script = tmp_path / "always"
    script.write_text(f"#!/bin/sh\necho x >>{tmp_path}/calls\nexit 75\n", encoding="utf-8")
    script.chmod(0o755)
    began = time.monotonic()
    with pytest.raises(StepError):
        run_patiently([str(script), "train"], 3, 0.2)
    assert time.monotonic() - began >= 0.4
    assert (tmp_path / "calls").read_text(encoding="utf-8") == "x\n" * 3


def test_a_step_that_a_signal_ends_counts_as_a_shell_would_count_it(tmp_path: Path) -> None:
    script = tmp_path / "killed"
    script.write_text("#!/bin/sh\nkill -9 $$\n", encoding="utf-8")
    script.chmod(0o755)
    with pytest.raises(StepError) as failed:
        run_step([str(script), "train"])
    assert (failed.value.ended, failed.value.retry) == (137, True)
