"""Where the files are that are no modules: configuration, jobs, and the feature repository that comes with them.

In a checkout or an image they lie beside `lib`; a wheel carries a copy of them.
"""

from __future__ import annotations

import sys
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]
_CHECKOUT = _PACKAGE.parents[1]
_IN_CHECKOUT = (_CHECKOUT / "conf" / "base.yaml").is_file()

HOME = _CHECKOUT if _IN_CHECKOUT else _PACKAGE / "home"
STATE = HOME / "var" if _IN_CHECKOUT else Path("var")  # nobody writes where packages are installed


def job_command(job: str) -> list[str]:
    """The words that run a job in a process of its own: the script of a checkout, or what a wheel has instead."""
    if _IN_CHECKOUT:
        return [str(HOME / "spark-submit.sh"), job]
    return [sys.executable, "-m", "tidemill.cli.entry", job]
