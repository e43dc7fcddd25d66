"""Named places where a test may end the process, to prove that a second run repairs what the first one left.

A place costs one dictionary look-up when nothing is armed. `TIDEMILL_FAILPOINT=name` arms one by SIGKILL for whole
processes; `armed` arms one in process by a `BaseException` that no error handler of ours swallows.
"""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_armed: dict[str, bool] = {}


class Crashed(BaseException):
    """The end of the process, as far as a test in the same process is concerned."""


def failpoint(name: str, at: str = "") -> None:
    """Ends the process here if a test has asked for it; otherwise does nothing.

    Args:
        name: the place.
        at: what it is passed for, such as a table; `name:at` arms the place for that alone.
    """
    asked = os.environ.get("TIDEMILL_FAILPOINT")
    for place in (name, f"{name}:{at}"):
        if place == asked:
            os.kill(os.getpid(), signal.SIGKILL)
        if place in _armed:
            _armed[place] = True
            raise Crashed(place)


@contextmanager
def armed(name: str) -> Iterator[dict[str, bool]]:
    """Arms one place in this process; the yielded dictionary tells under its name whether it was reached."""
    _armed[name] = False
    try:
        yield _armed
    finally:
        del _armed[name]
