"""Weights & Biases: a copy of what a training has logged, for who looks there. The one place that talks to it.

It is imported only where a project of it is configured, and need not be installed elsewhere. MLflow stays what
promotion, scoring and the service read.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import TYPE_CHECKING, Any

from tidemill.core.errors import Exit, TidemillError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tidemill.models.registry_runs import Tried

# What a run says beside what it is given: nothing of the machine, its folders, its packages or its screen.
_QUIET = {
    "silent": True,
    "console": "off",
    "disable_git": True,
    "disable_code": True,
    "disable_job_creation": True,
    "x_disable_stats": True,
    "x_disable_machine_info": True,
    "x_disable_meta": True,
    "x_save_requirements": False,
    "init_timeout": 30.0,
    "finish_timeout": 60.0,
}


def check_wandb(project: str) -> None:
    """Refuses a project where the library is missing, before hours of training.

    Args:
        project: empty for none.

    Raises:
        TidemillError: E_WANDB (configuration).
    """
    if project and importlib.util.find_spec("wandb") is None:
        raise TidemillError(
            "E_WANDB",
            "a project of Weights & Biases is configured, and its library is not installed",
            where=f"services.wandb, {project!r}",
            next_step="put it where jobs run (.venv/bin/python -m pip install wandb), or leave services.wandb empty",
            exit_code=Exit.CONFIGURATION,
        )


def copy_runs(project: str, use_case: str, training_set: str, runs: Sequence[Tried], folder: Path) -> str:
    """Logs candidates as runs of a project, under the names of their runs in MLflow: done again it changes nothing.

    The library's own variables say where to, and how: WANDB_API_KEY, WANDB_BASE_URL, WANDB_ENTITY, WANDB_MODE.

    Args:
        project: of Weights & Biases.
        use_case: becomes a tag.
        training_set: whose candidates they are; becomes the group.
        runs: the candidates.
        folder: where the library keeps what it has not sent, and all in the mode `offline`.

    Returns:
        Why they, or the rest of them, could not be logged; empty where they are. A training that stands in MLflow does
        not fail for that.
    """
    wandb: Any = importlib.import_module("wandb")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        for run in runs:
            known: dict[str, Any] = {"project": project, "group": training_set, "tags": [use_case], "id": run.run}
            named = {"name": run.name, "job_type": "candidate", "config": dict(run.parameters)}
            settings = wandb.Settings(**_QUIET)
            with wandb.init(**known, **named, dir=str(folder), resume="allow", settings=settings) as logged:
                logged.summary.update(dict(run.metrics))
    except wandb.Error as error:
        return f"not logged to Weights & Biases: {' '.join(str(error).split())}"
    return ""
