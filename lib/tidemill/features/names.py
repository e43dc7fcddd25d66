"""How values that a declaration names become part of a feature's name."""

from __future__ import annotations

import re


def name_part(text: str) -> str:
    """A value as part of a name: lower case, whatever is neither letter nor digit as one underscore.

    `Gift Card` becomes `gift_card`. Empty where nothing is left of the value.
    """
    return re.sub(r"[^0-9a-z]+", "_", text.lower()).strip("_")
