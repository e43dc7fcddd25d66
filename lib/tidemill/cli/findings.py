"""What a check of an environment found."""

from __future__ import annotations

from dataclasses import dataclass

from tidemill.core.errors import Exit


@dataclass(frozen=True)
class Finding:
    """One thing that a run needs, and how it is.

    Args:
        what: the thing.
        said: how it is, in one sentence.
        code: `Exit.OK`, or the exit code that a job would end with for want of it.
        next_step: what to do about it.
    """

    what: str
    said: str
    code: Exit = Exit.OK
    next_step: str = ""

    def as_json(self) -> dict[str, str | int | bool]:
        """The finding for programs."""
        return {
            "what": self.what,
            "ok": self.code is Exit.OK,
            "said": self.said,
            "exit_code": int(self.code),
            "next": self.next_step,
        }
