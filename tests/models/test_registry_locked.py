"""Databases that another process has locked: waited for, and then named, with nothing half done."""

from __future__ import annotations

import sqlite3
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from optuna.exceptions import StorageInternalError
from sqlalchemy import event
from sqlalchemy.engine import Engine
from tidemill.cli.failures import explain
from tidemill.core.errors import TidemillError
from tidemill.core.locked import naming
from tidemill.features.online import sqlite
from tidemill.features.online.view import OnlineView
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
        with pytest.raises(TidemillError) as caught:
            registry.log_candidate(parent, "set-1", "gbt-0", {}, {})
    finally:
        lock.close()
    assert (caught.value.code, int(caught.value.exit_code)) == ("E_LOCKED", 75)
    assert caught.value.where == str(root / "mlflow" / "mlflow.db")
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


def test_another_database_is_named_and_not_the_registrys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the lock is but the cause of what is raised, as Optuna has it, or comes as a worker's text."""
    path = tmp_path / "on line.db"
    lock = sqlite3.connect(path)
    lock.execute("create table there (n int)")
    lock.execute("begin exclusive")
    monkeypatch.setattr(sqlite, "_WAIT_S", 0.1)
    view = OnlineView("shop", "orders_v1", (), (), "event_timestamp", None)
    with pytest.raises(TidemillError) as caught:
        sqlite.remove(view, sqlite.SqlitePlace(str(path)), datetime(2024, 1, 1, tzinfo=UTC))
    lock.close()
    assert (caught.value.code, caught.value.where) == ("E_LOCKED", str(path))
    worker = RuntimeError(f"Job aborted: tidemill.core.errors.TidemillError: {caught.value}\n\tat org.apache")
    assert explain(worker, tmp_path / "runs" / "run-1").where == str(path)
    with pytest.raises(TidemillError) as caught, naming("shop.db"):
        raise StorageInternalError("An exception is raised during the commit.") from sqlite3.OperationalError(
            "database is locked"
        )
    assert (caught.value.code, caught.value.where) == ("E_LOCKED", "shop.db")
    unnamed = explain(sqlite3.OperationalError("database is locked"), tmp_path / "runs" / "run-1")
    assert (unnamed.code, unnamed.where) == ("E_LOCKED", f"one below {tmp_path}")
    with pytest.raises(ValueError, match="no lock"), naming("shop.db"):
        raise ValueError("no lock")
