"""Leases: one writer at a time, and a sentence about who holds it.

A lease is a file under `<root>/leases/` that is locked by the operating system while it is held, so that a process
that dies gives it back at once, however it died. The file's text says who holds it; the lock alone decides.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tidemill.core.errors import Exit, TidemillError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_POLL_SECONDS = 0.05


@contextmanager
def lease(root: Path, name: str, *, owner: str, timeout: float = 0.0) -> Iterator[None]:
    """Holds the lease `name` of a root for the length of the block.

    Args:
        root: the local state folder.
        name: what is leased; a file name.
        owner: who asks, for the message that others get.
        timeout: seconds to wait for another holder before giving up.

    Raises:
        TidemillError: E_LEASE (try again) where another process still holds it after the time-out.
    """
    folder = root / "leases"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.lock"
    with path.open("a+", encoding="utf-8") as file:
        deadline = time.monotonic() + timeout
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise _held(path, name) from None
                time.sleep(_POLL_SECONDS)
        file.truncate(0)
        holder = {"owner": owner, "host": socket.gethostname(), "pid": os.getpid(), "since": int(time.time())}
        file.write(json.dumps(holder))
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)


def _held(path: Path, name: str) -> TidemillError:
    try:
        holder = json.loads(path.read_text(encoding="utf-8"))
        who = f"{holder['owner']} (process {holder['pid']} on {holder['host']})"
    except (ValueError, KeyError):
        who = "another process"  # it has the lock and is about to write its name
    return TidemillError(
        "E_LEASE",
        f"the lease {name!r} is held by {who}",
        where=str(path),
        next_step="wait until it has finished and run the same command again",
        exit_code=Exit.TRY_AGAIN,
    )
