"""Runs of MLflow: those of a training, which go on until somebody ends them; and pages of what MLflow finds."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tidemill.core.errors import TidemillError
from tidemill.models.registry_server import AWAY, asking

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from mlflow.tracking import MlflowClient

TRAINING_SET = "tidemill.training_set_id"
FINISHED, FAILED, KILLED = "FINISHED", "FAILED", "KILLED"


@dataclass(frozen=True)
class Tried:
    """A candidate as it was logged.

    Args:
        run: of MLflow.
        name: of the candidate.
        parameters: family and parameters, as texts.
        metrics: of the folds, and of the gate where it came that far.
    """

    run: str
    name: str
    parameters: Mapping[str, str]
    metrics: Mapping[str, float]


def every(page: Callable[[str | None], Any]) -> Iterator[Any]:
    """Everything that a search of MLflow's finds, which gives it page by page.

    Args:
        page: searches from a page's token on, or from the first page for None.
    """
    token: str | None = None
    while True:
        found = page(token)
        yield from found
        token = found.token
        if not token:
            return


def start(client: MlflowClient, use_case: str, artifacts: str, training_set: str, tags: Mapping[str, str]) -> str:
    """Starts a run of a training set in the experiment of a use case, which is made where there is none."""
    experiment = client.get_experiment_by_name(use_case)
    number = (
        experiment.experiment_id
        if experiment is not None
        else client.create_experiment(use_case, artifacts and f"{artifacts}/{use_case}")
    )
    # One process at a time trains a use case, and holds its lease: what still goes on was left behind by another.
    end(client, running(client, number), KILLED)
    return str(client.create_run(number, tags={TRAINING_SET: training_set, **tags}).info.run_id)


def running(client: MlflowClient, experiment: str, training_set: str = "") -> list[str]:
    """The runs of ours in an experiment that nothing has ended: of one training set, or of any."""
    tag = f"tags.`{TRAINING_SET}`"
    ours = f"{tag} = '{training_set}'" if training_set else f"{tag} != ''"  # people log runs of theirs beside them
    asked = f"{ours} and attributes.status = 'RUNNING'"
    return [str(run.info.run_id) for run in every(lambda t: client.search_runs([experiment], asked, page_token=t))]


def tried(client: MlflowClient, parent: str) -> list[Tried]:
    """The candidates below the parent run of a training, by name."""
    number, asked = client.get_run(parent).info.experiment_id, f"tags.`mlflow.parentRunId` = '{parent}'"
    found = every(lambda t: client.search_runs([number], asked, page_token=t))
    made = [Tried(r.info.run_id, r.info.run_name, dict(r.data.params), dict(r.data.metrics)) for r in found]
    return sorted(made, key=lambda run: run.name)


def log_documents(client: MlflowClient, run: str, documents: Mapping[str, Any]) -> None:
    """Logs texts as they are, and everything else as JSON."""
    for name, document in documents.items():
        log: Any = client.log_text if isinstance(document, str) else client.log_dict
        log(run, document, name)


def end(client: MlflowClient, runs: Iterable[str], state: str) -> None:
    """Ends runs in a state."""
    for run in runs:
        client.set_terminated(run, state)


@contextmanager
def given_up(client: MlflowClient, uri: str, parent: str, training_set: str) -> Iterator[None]:
    """Where the block raises, ends the runs of a training set that go on: as failed, or as killed if it is stopped."""
    try:
        yield
    except Exception as error:
        _give_up(client, uri, parent, training_set, FAILED, error)
        raise
    except (KeyboardInterrupt, SystemExit) as error:
        _give_up(client, uri, parent, training_set, KILLED, error)
        raise


def _give_up(client: MlflowClient, uri: str, parent: str, training_set: str, state: str, error: BaseException) -> None:
    if isinstance(error, TidemillError) and error.code == AWAY:
        return  # nobody can be told: the next training ends them
    try:
        with asking(uri):
            end(client, running(client, client.get_run(parent).info.experiment_id, training_set), state)
    except TidemillError as fault:  # the training has failed for its own reason
        error.add_note(f"its runs were not ended: {fault.what}")
