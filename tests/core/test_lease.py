"""Leases: one holder at a time, and a holder that dies gives back."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tidemill.core.errors import TidemillError
from tidemill.core.lease import lease

HOLD = """
import sys, time
from pathlib import Path
from tidemill.core.lease import lease
with lease(Path(sys.argv[1]), "orders", owner="run-of-another"):
    print("held", flush=True)
    time.sleep(60)
"""


def holder(root: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(root)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def ended(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def test_what_another_process_holds_is_refused_with_its_name(tmp_path: Path) -> None:
    process = holder(tmp_path)
    try:
        with pytest.raises(TidemillError) as caught, lease(tmp_path, "orders", owner="me"):
            pytest.fail("two holders")
        assert (caught.value.code, caught.value.exit_code) == ("E_LEASE", 75)
        assert f"run-of-another (process {process.pid} on " in caught.value.what
        with lease(tmp_path, "others", owner="me"):
            pass
    finally:
        ended(process)


def test_a_killed_holder_gives_back(tmp_path: Path) -> None:
    process = holder(tmp_path)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    with lease(tmp_path, "orders", owner="me"):
        text = (tmp_path / "leases" / "orders.lock").read_text("utf-8")
        assert '"owner": "me"' in text
        assert "run-of-another" not in text


def test_waiting_ends_when_the_holder_does(tmp_path: Path) -> None:
    process = holder(tmp_path)
    began = time.monotonic()
    with pytest.raises(TidemillError), lease(tmp_path, "orders", owner="me", timeout=0.3):
        pytest.fail("two holders")
    assert time.monotonic() - began >= 0.3
    ended(process)
    with lease(tmp_path, "orders", owner="me", timeout=10):
        pass


def test_a_lease_is_given_back_after_an_error_and_can_be_taken_again(tmp_path: Path) -> None:
    with pytest.raises(KeyError), lease(tmp_path, "orders", owner="me"):
        raise KeyError("x")
    for _ in range(2):
        with lease(tmp_path, "orders", owner="me"):
            pass
    assert (tmp_path / "leases" / "orders.lock").read_text("utf-8") == ""


def test_a_process_does_not_share_with_itself(tmp_path: Path) -> None:
    with lease(tmp_path, "orders", owner="first"):
        with pytest.raises(TidemillError, match="first"), lease(tmp_path, "orders", owner="second"):
            pytest.fail("two holders")
        assert '"owner": "first"' in (tmp_path / "leases" / "orders.lock").read_text("utf-8")
