"""One error type, and the exit codes that say who has to act on it."""

from __future__ import annotations

import difflib
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class Exit(IntEnum):
    """Exit codes of every job and command, after BSD sysexits.h."""

    OK = 0
    USAGE = 64
    DATA = 65
    NO_INPUT = 66
    UNAVAILABLE = 69
    BUG = 70
    IO = 74
    TRY_AGAIN = 75
    CONFIGURATION = 78
    TERMINATED = 143


class TidemillError(Exception):
    """Something a user can act on: what happened, where, and what to do next.

    Args:
        code: stable name, `E_` and upper-case words; documented in `docs/errors.md`.
        what: what happened, in one sentence.
        where: file and line, table and version, option, or source.
        next_step: what to do about it.
        exit_code: one of `Exit`.
    """

    def __init__(self, code: str, what: str, *, where: str, next_step: str, exit_code: Exit) -> None:
        super().__init__(what)
        self.code = code
        self.what = _one_line(what)
        self.where = _one_line(where)
        self.next_step = _one_line(next_step)
        self.exit_code = exit_code

    def lines(self) -> str:
        """The three lines that a user reads."""
        return f"error: {self.code} {self.what}\n  where: {self.where}\n  next: {self.next_step}"

    def as_json(self) -> dict[str, str]:
        """The `error` object of a run's summary."""
        return {"code": self.code, "what": self.what, "where": self.where, "next": self.next_step}


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint naming the nearest of the known names: `did you mean 'x'? known: ...`."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}known: {', '.join(names) if names else 'none'}"


def _one_line(text: str) -> str:
    return " ".join(text.split())
