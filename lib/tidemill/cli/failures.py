"""What went wrong outside our own checks, said in three lines."""

from __future__ import annotations

import errno
import traceback
from typing import TYPE_CHECKING, Any, NoReturn

from tidemill.core.errors import Exit, TidemillError
from tidemill.core.locked import locked
from tidemill.core.runs import TRACEBACK, write_text
from tidemill.data.root_tables import tables_of
from tidemill.data.store_faults import store_fault

if TYPE_CHECKING:
    from pathlib import Path


def explain(error: Exception, folder: Path | None) -> TidemillError:
    """Turns an unforeseen error into its three lines; the traceback goes to the run folder."""
    text = str(error)
    where = "before the run had a folder"
    if folder is not None and (fault := store_fault(error, tables_of(folder.parent.parent))) is not None:
        return fault
    full = isinstance(error, OSError) and error.errno == errno.ENOSPC
    if full or "No space left on device" in text or "database or disk is full" in text:
        return TidemillError(
            "E_DISK_FULL",
            "no space is left on the device",
            where=str(folder.parent.parent) if folder else where,
            next_step="free space and run the same command again: it goes on where it stopped",
            exit_code=Exit.IO,
        )
    if isinstance(error, PermissionError) or "Permission denied" in text:
        return TidemillError(
            "E_PERMISSION",
            text.splitlines()[0],
            where=str(getattr(error, "filename", None) or folder or where),
            next_step="give the user who runs this the right to read and write there",
            exit_code=Exit.IO,
        )
    kept = locked(error, f"one below {folder.parent.parent}" if folder else where)
    if kept is not None:
        return kept
    if folder is not None:
        write_text(folder / TRACEBACK, "".join(traceback.format_exception(error)))
        where = str(folder / TRACEBACK)
    else:
        traceback.print_exception(error)
    return TidemillError(
        "E_BUG",
        f"{type(error).__name__}: {text.splitlines()[0] if text else 'no message'}"[:300],
        where=where,
        next_step="run the same command again; if it comes back, report it with that file",
        exit_code=Exit.BUG,
    )


def end_on_signal(_signal: int, _frame: Any) -> NoReturn:
    """Ends the process with the exit code of a run that was asked to stop."""
    raise SystemExit(int(Exit.TERMINATED))


def stopped() -> TidemillError:
    """The error of a run that was asked to stop."""
    return TidemillError(
        "E_TERMINATED",
        "the run was asked to stop",
        where="signal SIGTERM",
        next_step="run the same command again: it goes on where it stopped",
        exit_code=Exit.TERMINATED,
    )


def while_stopping(error: BaseException | None) -> bool:
    """Whether an error came up on the way out after a signal: what is closed then may find its connection cut short."""
    while error is not None:
        if isinstance(error, SystemExit):
            return True
        error = error.__context__
    return False
