"""What trainings leave in MLflow, however they end; and finds of more than a page. MLflow on SQLite, without Spark."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

import pytest
from tidemill.core.errors import Exit, TidemillError
from tidemill.core.failpoints import Crashed
from tidemill.models.registry import Registry
from tidemill.models.registry_server import AWAY

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with an empty registry."""
    return tmp_path_factory.mktemp("root")


def states(root: Path) -> dict[str, str]:
    """The state of every run."""
    with closing(sqlite3.connect(root / "mlflow" / "mlflow.db")) as database:
        return dict(database.execute("select run_uuid, status from runs").fetchall())


def test_the_next_training_ends_what_any_other_left_behind(root: Path) -> None:
    registry = Registry(root)
    killed = registry.start_training("left", "set-1", {})
    candidate = registry.log_candidate(killed, "set-1", "gbt-0", {"depth": 3}, {"fold_0_roc_auc": 0.7})
    elsewhere = registry.start_training("another", "set-1", {})
    experiment = registry._client.get_run(killed).info.experiment_id
    own = registry._client.create_run(experiment).info.run_id  # of somebody who looks at the data
    with registry.training("left", "set-2", {"as_of": "2024-03-11T00:00:00Z"}) as parent:
        found = states(root)
        assert (found[killed], found[candidate], found[parent]) == ("KILLED", "FINISHED", "RUNNING")
    assert states(root)[parent] == "RUNNING"  # until its version is registered and has its alias
    registry.finish(parent, {"gate_roc_auc": 0.7})
    found = states(root)
    assert (found[parent], found[elsewhere], found[own]) == ("FINISHED", "RUNNING", "RUNNING")
    assert registry._client.get_run(candidate).data.tags["mlflow.parentRunId"] == killed


def train(registry: Registry, use_case: str, error: BaseException, begun: list[str]) -> None:
    """A training that raises with two runs on their way."""
    with registry.training(use_case, "set-1", {}) as parent:
        experiment = registry._client.get_run(parent).info.experiment_id
        half = registry._client.create_run(experiment, tags={"tidemill.training_set_id": "set-1"})
        begun += [parent, half.info.run_id]
        raise error


NO_SERVER = TidemillError(AWAY, "no server", where="here", next_step="none", exit_code=Exit.TRY_AGAIN)


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (ValueError("a bad parameter"), "FAILED"),
        (TidemillError("E_EXPORT", "no graph", where="here", next_step="none", exit_code=Exit.DATA), "FAILED"),
        (SystemExit(143), "KILLED"),
        (Crashed("at once"), "RUNNING"),  # as a SIGKILL would leave it
        (NO_SERVER, "RUNNING"),
    ],
    ids=["a bug", "an error", "a signal", "a crash", "no server"],
)
def test_a_training_that_raises_ends_its_runs(root: Path, error: BaseException, state: str) -> None:
    registry, begun = Registry(root), list[str]()
    with pytest.raises(type(error)) as caught:
        train(registry, "shop", error, begun)
    assert caught.value is error
    found = states(root)
    assert [found[run] for run in begun] == [state, state]


def test_a_training_fails_for_its_own_reason(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registry = Registry(root)

    def away(*_: object) -> None:
        raise NO_SERVER

    monkeypatch.setattr(registry._client, "set_terminated", away)
    with pytest.raises(ValueError, match="a bad parameter") as caught:
        train(registry, "reason", ValueError("a bad parameter"), [])
    assert caught.value.__notes__ == ["its runs were not ended: no server"]


def test_a_version_whose_answer_was_lost_is_registered_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registry = Registry(root)
    run = registry.start_training("once", "set-1", {})
    create = registry._client.create_model_version

    def lost(*given: object, **named: object) -> None:
        create(*given, **named)
        create(*given, **named)

    monkeypatch.setattr(registry._client, "create_model_version", lost)
    made = registry.register("once", (root / "model").as_uri(), run, "set-1", {"family": "gbt"})
    assert (made.version, made.tags) == ("1", {"tidemill.training_set_id": "set-1", "family": "gbt"})
    assert [version.version for version in registry.versions("once")] == ["1"]


def test_more_than_a_page_is_found(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registry = Registry(root)
    client = registry._client
    before = registry.names()
    for number in range(5):
        client.create_registered_model(f"model-{number}")
        client.create_model_version("model-0", (root / "model").as_uri())
    experiment = client.get_run(registry.start_training("pages", "set-1", {})).info.experiment_id
    left = [client.create_run(experiment, tags={"tidemill.training_set_id": "x"}).info.run_id for _ in range(4)]
    for search in ("search_registered_models", "search_model_versions", "search_runs"):
        monkeypatch.setattr(client, search, partial(getattr(client, search), max_results=2))
    assert registry.names() == sorted([*before, *(f"model-{number}" for number in range(5))])
    assert [version.version for version in registry.versions("model-0")] == ["5", "4", "3", "2", "1"]
    registry.start_training("pages", "set-2", {})
    found = states(root)
    assert {found[run] for run in left} == {"KILLED"}
