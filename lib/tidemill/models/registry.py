"""MLflow: runs, registered models and aliases. The one place that talks to it."""

from __future__ import annotations

import logging
import os
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow
import mlflow.spark
from mlflow.entities import Metric, Param
from mlflow.exceptions import MlflowException
from mlflow.models import Model
from mlflow.tracking import MlflowClient

from tidemill.core.failpoints import failpoint
from tidemill.models import registry_runs as runs
from tidemill.models.registry_flavor import TO_TRAIN, PackageFlavor, installed, pinned
from tidemill.models.registry_runs import FINISHED, TRAINING_SET, Tried, every
from tidemill.models.registry_server import asking, below, limit_waiting, place_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pyspark.ml import PipelineModel

    from tidemill.models.packaging import Package

_MODEL = "model"
_NOT_THERE = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")  # a model, or an alias of one


@dataclass(frozen=True)
class Version:
    """A registered model version.

    Args:
        name: the registered model, which is the use case.
        version: its number.
        run_id: the MLflow run that holds it.
        tags: of the version.
    """

    name: str
    version: str
    run_id: str
    tags: Mapping[str, str]


class Registry:
    """The registry of one root: SQLite and files below it, unless a tracking server is configured.

    Whatever asks it raises E_LOCKED or E_TRACKING (try again) where a database stays locked or the server is away.

    Args:
        root: the local state folder.
        uri: of the tracking server, which says itself where artifacts lie; empty for none.
    """

    def __init__(self, root: Path, uri: str = "") -> None:
        folder = root / "mlflow"
        folder.mkdir(parents=True, exist_ok=True)
        os.environ["MLFLOW_DISABLE_AUTO_LOGGING"] = "true"
        logging.getLogger("mlflow").setLevel(logging.ERROR)
        logging.getLogger("alembic").setLevel(logging.ERROR)
        self.uri = uri or below(root)
        self.place = place_of(self.uri)  # for people to read
        self._artifacts = "" if uri else (folder / "artifacts").as_uri()
        self.temporary = folder / "tmp"
        self.temporary.mkdir(exist_ok=True)
        limit_waiting(self.uri)
        with asking(self.uri):
            mlflow.set_tracking_uri(self.uri)
            mlflow.set_registry_uri(self.uri)
            self._client = MlflowClient()

    def check(self) -> None:
        """Asks for something, with the credentials of every other question: whatever cannot be reached raises."""
        with asking(self.uri):
            self._client.search_experiments(max_results=1)

    @contextmanager
    def training(self, use_case: str, training_set: str, tags: Mapping[str, str]) -> Iterator[str]:
        """A training: its parent run goes on after the block; where the block raises, what it has begun is ended.

        Runs that an interrupted training of the use case left behind are ended as killed.
        """
        parent = self.start_training(use_case, training_set, tags)
        with runs.given_up(self._client, self.uri, parent, training_set):
            yield parent

    def start_training(self, use_case: str, training_set: str, tags: Mapping[str, str]) -> str:
        """Starts the parent run of a training; runs that an interrupted one left behind are ended as killed."""
        with asking(self.uri):
            return runs.start(self._client, use_case, self._artifacts, training_set, tags)

    def log_candidate(
        self, parent: str, training_set: str, name: str, parameters: Mapping[str, Any], metrics: Mapping[str, float]
    ) -> str:
        """Logs one candidate as a finished run below the parent; returns its run."""
        with asking(self.uri):
            number = self._client.get_run(parent).info.experiment_id
            tags = {TRAINING_SET: training_set, "mlflow.parentRunId": parent, "mlflow.runName": name}
            run = str(self._client.create_run(number, tags=tags).info.run_id)
            now = int(time.time() * 1000)
            self._client.log_batch(
                run,
                metrics=[Metric(key, float(metric), now, 0) for key, metric in metrics.items()],
                params=[Param(key, str(value)) for key, value in parameters.items()],
            )
            self._client.set_terminated(run, FINISHED)
            return run

    def log_model(self, run: str, model: PipelineModel, documents: Mapping[str, Any]) -> str:
        """Logs a fitted pipeline and JSON documents to a run; returns the model's URI."""
        with asking(self.uri):
            runs.log_documents(self._client, run, documents)
            with mlflow.start_run(run_id=run):
                logged = mlflow.spark.log_model(
                    model,
                    artifact_path=_MODEL,
                    dfs_tmpdir=str(self.temporary),
                    pip_requirements=pinned(TO_TRAIN),
                )
            self._client.set_terminated(run, FINISHED)
            return str(logged.model_uri)

    def log_package(self, run: str, package: Package, documents: Mapping[str, Any]) -> str:
        """Logs a packaged model, JSON documents and texts to a run; returns the model's URI.

        The model loads as a Spark pipeline, and as a pyfunc that needs neither Spark nor a JVM nor a pickle.
        """
        with asking(self.uri):
            runs.log_documents(self._client, run, documents)
            failpoint("train.uploading")
            with mlflow.start_run(run_id=run):  # it says the experiment, and so the place
                logged = Model.log(None, flavor=PackageFlavor, name=_MODEL, package=package)
            self._client.set_terminated(run, FINISHED)
            return str(logged.model_uri)

    def finish(self, run: str, metrics: Mapping[str, float]) -> None:
        """Ends the parent run with its metrics."""
        with asking(self.uri):
            for key, metric in metrics.items():
                self._client.log_metric(run, key, metric)
            self._client.set_terminated(run, FINISHED)

    def tried(self, parent: str) -> list[Tried]:
        """The candidates of a training."""
        with asking(self.uri):
            return runs.tried(self._client, parent)

    def unfinished(self, version: Version) -> list[str]:
        """The runs that the training of a version left running, because something ended it after registering."""
        with asking(self.uri):
            experiment = self._client.get_run(version.run_id).info.experiment_id
            return runs.running(self._client, experiment, version.tags[TRAINING_SET])

    def register(self, name: str, uri: str, run: str, training_set: str, tags: Mapping[str, str]) -> Version:
        """Registers a logged model as the next version of a use case; a server wants its id, too."""
        with asking(self.uri):
            try:
                self._client.create_registered_model(name)
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
            of: Any = {"tags": {TRAINING_SET: training_set, **tags}, "model_id": uri.partition("models:/")[2] or None}
            self._client.create_model_version(name, uri, run_id=run, **of)
        *again, made = (version for version in self.versions(name) if version.run_id == run)
        with asking(self.uri):
            for version in again:  # MLflow has asked once more where an answer was lost
                self._client.delete_model_version(name, version.version)
        return made

    def version_of(self, name: str, training_set: str) -> Version | None:
        """The version that a training set led to, if it was registered."""
        return next((v for v in self.versions(name) if v.tags.get(TRAINING_SET) == training_set), None)

    def version(self, name: str, number: str) -> Version:
        """One version by its number."""
        with asking(self.uri):
            found = self._client.get_model_version(name, number)
        return Version(name, str(found.version), str(found.run_id), dict(found.tags))

    def versions(self, name: str) -> list[Version]:
        """Every version of a use case, newest first."""
        with asking(self.uri):
            asked = f"name = '{name}'"
            found = list(every(lambda t: self._client.search_model_versions(asked, page_token=t)))
        made = [Version(name, str(item.version), str(item.run_id), dict(item.tags)) for item in found]
        return sorted(made, key=lambda v: -int(v.version))

    def alias(self, name: str, alias: str) -> str | None:
        """The version number under an alias, or None."""
        with asking(self.uri):
            try:
                return str(self._client.get_model_version_by_alias(name, alias).version)
            except MlflowException as error:
                if error.error_code not in _NOT_THERE:
                    raise
                return None  # neither the model nor the alias need exist

    def names(self) -> list[str]:
        """The use cases that have a registered model."""
        with asking(self.uri):
            found = every(lambda t: self._client.search_registered_models(page_token=t))
            return sorted(str(model.name) for model in found)

    def set_alias(self, name: str, alias: str, number: str) -> None:
        """Moves an alias; MLflow's page shows it at once."""
        with asking(self.uri):
            self._client.set_registered_model_alias(name, alias, number)

    def drop_alias(self, name: str, alias: str) -> None:
        """Takes an alias away, where there is one."""
        if self.alias(name, alias) is not None:
            with asking(self.uri):
                self._client.delete_registered_model_alias(name, alias)

    def document(self, version: Version, name: str) -> Any:
        """A JSON document that was logged with a version."""
        with asking(self.uri):
            return mlflow.artifacts.load_dict(f"runs:/{version.run_id}/{name}")

    def packages(self, version: Version) -> tuple[dict[str, str], dict[str, str]]:
        """The packages that a version was trained with, and the same ones here, as pip writes them, by name."""
        with asking(self.uri):
            model = Model.load(f"models:/{version.name}/{version.version}")
        then = {text.partition("==")[0]: text for text in model.flavors["spark"].get("requirements", ())}
        return then, installed(then)

    def fetch(self, version: Version, part: str, folder: Path) -> Path:
        """Copies a part of a registered version, such as `data/graph`, into a folder; returns where it lies there.

        An empty part is all of it.
        """
        uri = f"models:/{version.name}/{version.version}/{part}".rstrip("/")
        with asking(self.uri):
            return Path(mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=str(folder)))

    def load(self, version: Version) -> PipelineModel:
        """The fitted pipeline of a version."""
        with asking(self.uri):
            return mlflow.spark.load_model(f"models:/{version.name}/{version.version}", dfs_tmpdir=str(self.temporary))
