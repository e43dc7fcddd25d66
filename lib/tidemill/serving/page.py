"""The page to try the service by hand: one file, which asks the service it came from and fetches nothing else."""

from __future__ import annotations

import base64
import re
from functools import cache
from hashlib import sha256
from importlib.resources import files


@cache
def page() -> str:
    """The page."""
    return files("tidemill.serving").joinpath("page.html").read_text("utf-8")


def _digest(element: str) -> str:
    """The source expression of the page's one style sheet or script."""
    found = re.search(rf"<{element}>(.*?)</{element}>", page(), re.DOTALL)
    content = "" if found is None else found.group(1)
    return f"'sha256-{base64.b64encode(sha256(content.encode()).digest()).decode()}'"


HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; connect-src 'self'; style-src {_digest('style')}; script-src {_digest('script')};"
        " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
}
