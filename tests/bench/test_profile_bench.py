"""The libraries that `bench/profile.py` measures beside ours are the ones that can be installed."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from bench import profile
from bench._peers import become
from bench.harness import HOME

if TYPE_CHECKING:
    from pathlib import Path

PEERS = HOME / "bench" / "peers" / "profile"


def test_every_library_is_pinned_and_locked_and_has_a_target() -> None:
    libraries = set(profile.LIBRARIES.values())
    assert {path.name for path in PEERS.iterdir() if path.suffix != ".py" and path.is_file()} == {
        f"{name}.{kind}" for name in libraries for kind in ("in", "lock")
    }
    for name in libraries:
        pinned = (PEERS / f"{name}.in").read_text("utf-8").splitlines()[0]
        assert pinned.startswith(f"{name}==")
        assert f"\n{pinned} \\\n" in (PEERS / f"{name}.lock").read_text("utf-8")
        assert f"CPU per row and column of ours / {name}" in {target.name for target in profile.TARGETS}


def test_a_peer_sees_nothing_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMILL_PEERS", str(tmp_path))
    with pytest.raises(SystemExit, match="error: evidently is not installed"):
        become("evidently", "profile/libraries.py")
    (tmp_path / "evidently" / "bin").mkdir(parents=True)
    python = tmp_path / "evidently" / "bin" / "python"
    python.symlink_to(sys.executable)
    monkeypatch.setenv("PYTHONPATH", str(HOME / "lib"))
    monkeypatch.setenv("TZ", "UTC")
    called = []

    def execve(*arguments: object) -> None:
        called.append(arguments)
        sys.exit()  # as the real one, it does not come back

    monkeypatch.setattr(os, "execve", execve)
    with pytest.raises(SystemExit):
        become("evidently", "profile/libraries.py", "all")
    ((path, command, environment),) = called
    assert (path, command) == (python, [str(python), "-P", str(PEERS / "libraries.py"), "all"])
    assert isinstance(environment, dict)
    assert (environment.get("PYTHONPATH"), environment["TZ"]) == (None, "UTC")
