"""SQLite databases that another process keeps locked: said with the database's own path."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tidemill.core.errors import Exit, TidemillError

if TYPE_CHECKING:
    from collections.abc import Iterator

_SAID = re.compile(r"database is locked(?:: (.+?), by another process)?")


@contextmanager
def naming(database: str) -> Iterator[None]:
    """Turns a lock that outlasted the wait for it into an error that names the database.

    Args:
        database: its path.

    Raises:
        TidemillError: E_LOCKED (try again).
    """
    try:
        yield
    except TidemillError:
        raise
    except Exception as error:
        fault = locked(error, database)
        if fault is None:
            raise
        raise fault from error


def locked(error: BaseException, otherwise: str) -> TidemillError | None:
    """What an error comes to that tells of a lock, itself or by its cause; None for any other.

    Args:
        error: any; what a worker raised is but a text on the driver, which may name the database.
        otherwise: the database, where the text names none.
    """
    cause: BaseException | None = error
    while cause is not None:
        found = _SAID.search(str(cause))
        if found is not None:
            database = found.group(1) or otherwise
            return TidemillError(
                "E_LOCKED",
                f"the database is locked: {database}, by another process",
                where=database,
                next_step="end what holds it and run the same command again: it goes on where it stopped",
                exit_code=Exit.TRY_AGAIN,
            )
        cause = cause.__cause__
    return None
