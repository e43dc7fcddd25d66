"""Where the tables of a root lie: a root says so itself, to everyone who knows the root and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidemill.core.errors import Exit, TidemillError
from tidemill.core.lease import lease
from tidemill.core.runs import write_text
from tidemill.data.places import Place, StorePath, new_file, parse_store, remove, require_store
from tidemill.data.store_faults import store_fault

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LAKE = "lake"
_ADDRESS = "address"  # beside the folders of the layers
_TRIAL = ".tidemill-doctor"


def tables_of(root: Path) -> Place:
    """The folder of a root's tables: `lake` below it, or where the file in that folder says.

    Raises:
        TidemillError: E_TABLES (configuration) where the file says something else.
    """
    said = root / LAKE / _ADDRESS
    try:
        return parse_store(said.read_text(encoding="utf-8").strip(), str(said))
    except (FileNotFoundError, NotADirectoryError):
        return root / LAKE


def settle_tables(root: Path, address: str, *, owner: str, timeout: float = 0.0) -> None:
    """Has a new root keep its tables at an address from now on, and sees that the store of any root answers.

    Args:
        root: the folder of all other state.
        address: what the configuration says; nothing: where the root has its tables already, or below it.
        owner: who asks, for the lease.
        timeout: seconds to wait for another run that begins with the root.

    Raises:
        TidemillError: E_TABLES, E_TABLES_MOVED, E_STORE_DENIED (configuration), E_STORE, E_LEASE (try again).
    """
    if (asked := place_of_tables(root, address)) == tables_of(root):
        _reached(asked, require_store)
        return
    with lease(root, "tables", owner=owner, timeout=timeout):
        there = tables_of(root)
        if asked != there and (isinstance(there, StorePath) or any(there.glob("*/*/_delta_log"))):
            raise TidemillError(
                "E_TABLES_MOVED",
                f"the root has its tables elsewhere already, and not at {asked}",
                where=str(there),
                next_step="name another root, or the place of these tables: nothing moves tables",
                exit_code=Exit.CONFIGURATION,
            )
        _reached(asked, require_store)
        write_text(root / LAKE / _ADDRESS, f"{asked}\n")


def place_of_tables(root: Path, address: str) -> Place:
    """Where the tables of a root lie, or will where the configuration says an address.

    Raises:
        TidemillError: E_TABLES (configuration).
    """
    return parse_store(address, "the configuration key tables") if address else tables_of(root)


def try_store(place: StorePath) -> None:
    """Writes an object and deletes it.

    Raises:
        TidemillError: E_STORE_DENIED (configuration), E_STORE (try again).
    """
    _reached(place, _write_and_delete)


def _write_and_delete(place: StorePath) -> None:
    with new_file(place / _TRIAL) as file:
        file.write(b"")
    remove(place / _TRIAL)


def _reached(place: Place, ask: Callable[[StorePath], None]) -> None:
    if isinstance(place, StorePath):
        try:
            ask(place)
        except OSError as error:
            raise store_fault(error, place) or error from error
