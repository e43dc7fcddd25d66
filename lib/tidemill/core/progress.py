"""Progress for people: what a step is doing, and how far it is; on standard error only.

On a terminal one line is kept up to date; elsewhere each step prints one line when it ends, so that a log stays short.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.status import Status


class Progress:
    """The progress display of one run.

    Args:
        steps: how many steps the run has.
    """

    def __init__(self, steps: int) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._steps = steps
        self._step = 0
        self._name = ""
        self._status: Status | None = None

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Shows one step for the length of the block, then how long it took."""
        self._step += 1
        self._name = name
        started = time.monotonic()
        if self._console.is_terminal:
            with self._console.status(self._line("")) as self._status:
                yield
            self._status = None
        else:
            yield
        self._console.print(f"{self._line('')} {time.monotonic() - started:.1f} s", markup=False)

    def say(self, text: str) -> None:
        """Says what the step in progress is doing; shown on terminals only."""
        if self._status is not None:
            self._status.update(self._line(text))

    def _line(self, text: str) -> str:
        return f"{self._step}/{self._steps} {self._name}" + (f": {text}" if text else "")
