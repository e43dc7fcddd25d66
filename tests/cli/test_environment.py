"""What the console command takes from an environment, and from a model's card."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest
from tidemill.cli.console import app
from tidemill.cli.environment import store_description, tracking_of
from tidemill.cli.retraining import importance
from tidemill.cli.service import _open_ground
from tidemill.core.home import HOME


def test_models_lie_below_the_root_unless_an_environment_names_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMILL_TRACKING", "http://models.example:5000")
    assert (tracking_of("local"), tracking_of("cluster")) == ("", "http://models.example:5000")


def test_a_key_that_is_set_goes_before_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMILL_TRACKING", "http://models.example:5000")
    asked = list[tuple[object, ...]]()
    monkeypatch.setattr("tidemill.models.registry.Registry", lambda *given: asked.append(given))

    def open_store(*given: object) -> SimpleNamespace:
        asked.append(given)
        return SimpleNamespace(config=SimpleNamespace(online_store=SimpleNamespace(type="sqlite")))

    monkeypatch.setattr("tidemill.features.feast_store.open_store", open_store)
    sets = ("services.tracking=http://other.example", "services.feature_store=feature_store.cluster.yaml")
    _open_ground(tmp_path, HOME / "feature_repo", "local", sets)
    description = HOME / "feature_repo" / "feature_store.cluster.yaml"
    assert asked == [(description, tmp_path), (tmp_path.resolve(), "http://other.example")]


def test_an_environment_has_its_own_description_of_the_online_store() -> None:
    repo = HOME / "feature_repo"
    assert store_description(repo, "local") == repo / "feature_store.yaml"


def test_a_card_says_what_a_model_relies_on() -> None:
    card = {
        "importance": {
            "rows": 10,
            "unit": "margin",
            "features": [{"name": "a", "mean": 0.5}, {"name": "b", "mean": 0.0}],
        }
    }
    assert importance(card) == {"a": 0.5, "b": 0.0}
    assert importance({"importance": None}) is importance({}) is None


def test_commands_that_hand_over_take_the_environment_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    called = list[list[str]]()
    monkeypatch.setattr("os.execv", lambda _, command: called.append(command))
    for name in ("TIDEMILL_ROOT", "MLFLOW_BACKEND_STORE_URI"):
        monkeypatch.setenv(name, "")  # to be put back
    (tmp_path / "lake").mkdir()

    def asked(*words: str) -> list[str]:
        app([*words, "--root", str(tmp_path)], standalone_mode=False)
        return called[-1]

    monkeypatch.setenv("TIDEMILL_TRACKING", "postgresql+psycopg://ada:hush@models.example/mlflow")
    assert " --env cluster" in " ".join(asked("reproduce", "shop", "3", "--env", "cluster"))
    assert "hush" not in " ".join(asked("ui", "--env", "cluster"))
    assert os.environ["MLFLOW_BACKEND_STORE_URI"] == "postgresql+psycopg://ada:hush@models.example/mlflow"
    asked("ui")
    assert os.environ["MLFLOW_BACKEND_STORE_URI"] == f"sqlite:///{tmp_path}/mlflow/mlflow.db"
    there = str(HOME / "feature_repo" / "feature_store.cluster.yaml")
    assert there in asked("ui", "--page", "feast", "--env", "cluster")
    assert os.environ["TIDEMILL_ROOT"] == str(tmp_path)
    monkeypatch.setenv("TIDEMILL_TRACKING", "http://ada:hush@models.example:5000")
    commands = len(called)
    capsys.readouterr()
    asked("ui", "--env", "cluster")
    said = "http://models.example:5000 (the tracking server has this page itself)\n"
    assert (capsys.readouterr().out, len(called)) == (said, commands)
