"""Foreign libraries that talk too much, kept from a job's output."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Swallows what is printed and warned within the block; `TIDEMILL_VERBOSE=1` sends it to standard error instead."""
    if os.environ.get("TIDEMILL_VERBOSE") == "1":
        with contextlib.redirect_stdout(sys.stderr):
            yield
        return
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        yield
