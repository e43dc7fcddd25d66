"""Peers of a bench that have an environment of their own, since they do not get along with ours or with one another."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NoReturn

from bench.harness import HOME


def become(peer: str, script: str, *arguments: str) -> NoReturn:
    """This process becomes the Python of a peer's environment, which sees nothing of ours.

    Args:
        peer: the name of its lock file in the bench's folder of `bench/peers/`.
        script: what it runs, below `bench/peers/`.
        arguments: of the script.
    """
    python = Path(os.environ.get("TIDEMILL_PEERS", ""), peer, "bin", "python")
    if not python.exists():
        sys.exit(f"error: {peer} is not installed; ./bench.sh does it at full size, and where --what names it")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [str(python), "-P", str(HOME / "bench" / "peers" / script), *arguments]
    os.execve(python, command, environment)  # noqa: S606
