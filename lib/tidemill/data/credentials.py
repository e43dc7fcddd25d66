"""Credentials by reference: a contract names where they are, and never holds them."""

from __future__ import annotations

import os
from pathlib import Path

from tidemill.core.errors import Exit, TidemillError

_SCHEMES = ("env", "file")


def resolve(reference: str, where: str) -> str:
    """The secret behind `env:NAME` or `file:/path`, without the line end that editors add.

    Args:
        reference: where the secret is.
        where: the field that names it, for the message.

    Raises:
        TidemillError: E_CREDENTIALS (configuration).
    """
    scheme, _, name = reference.partition(":")
    what = ""
    if scheme not in _SCHEMES or not name:
        what = "a secret stands here itself, or in no known form; it has to be named: env:NAME or file:/path"
    elif scheme == "env":
        value = os.environ.get(name)
        if value:
            return value
        what = f"the variable {name} is not set"
    else:
        try:
            return Path(name).read_text(encoding="utf-8").rstrip("\r\n")
        except OSError as error:
            what = f"the file cannot be read: {error.strerror}"
    raise TidemillError(
        "E_CREDENTIALS",
        what,
        where=where,
        next_step="set the variable or write the file, readable for this user only, and run the same command again",
        exit_code=Exit.CONFIGURATION,
    )
