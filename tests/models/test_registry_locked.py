"""A registry whose database another process has locked: waited for, and then said so, with nothing half done."""

from __future__ import annotations

import sqlite3
import threading
from typing import TYPE_CHECKING, Any

import pytest
from mlflow.exceptions import MlflowException
from sqlalchemy import event
from sqlalchemy.engine import Engine
from tidemill.cli.failures import explain
from tidemill.models.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with an empty registry."""
    folder = tmp_path_factory.mktemp("root")
    Registry(folder)
    return folder


@pytest.fixture
def impatient() -> Iterator[None]:
    """MLflow waits 200 ms for a lock instead of its 20 seconds."""

    def shorten(*call: Any) -> tuple[str, Any]:
        _, _, statement, parameters, _, _ = call
        return statement.replace("busy_timeout = 20000", "busy_timeout = 200"), parameters

    event.listen(Engine, "before_cursor_execute", shorten, retval=True)
    yield
    event.remove(Engine, "before_cursor_execute", shorten)


def held(root: Path) -> sqlite3.Connection:
    """The registry's database, which nobody else may read or write until this connection ends its transaction."""
    connection = sqlite3.connect(root / "mlflow" / "mlflow.db", check_same_thread=False)
    connection.execute("begin exclusive")
    return connection


def test_a_locked_registry_is_said_to_be_and_left_as_it_was(root: Path, impatient: None) -> None:
    registry = Registry(root)
    parent = registry.start_training("shop", "set-1", {})
    lock = held(root)
    try:
        with pytest.raises(MlflowException) as caught:
            registry.log_candidate(parent, "set-1", "gbt-0", {}, {})
    finally:
        lock.close()
    error = explain(caught.value, root / "runs" / "run-1")
    assert (error.code, int(error.exit_code)) == ("E_LOCKED", 75)
    assert error.where == str(root / "mlflow" / "mlflow.db")
    again = registry.start_training("shop", "set-1", {})
    assert again != parent
    registry.finish(again, {})
    with sqlite3.connect(root / "mlflow" / "mlflow.db") as database:
        states = dict(database.execute("select run_uuid, status from runs").fetchall())
    assert (states[parent], states[again]) == ("KILLED", "FINISHED")


def test_a_lock_that_ends_soon_is_waited_for(root: Path) -> None:
    registry = Registry(root)
    lock = held(root)
    threading.Timer(0.5, lock.close).start()
    parent = registry.start_training("shop", "set-1", {})
    registry.finish(parent, {})
    assert registry.versions("shop") == []
