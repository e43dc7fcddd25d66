"""Configuration of the servers that may stand in for files below the root."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict

from tidemill.core.config_section import from_environment


class Services(BaseModel):
    """Servers that stand in for files below the root.

    Args:
        tracking: the address of MLflow's server, or nothing.
        feature_store: the file that describes Feast's registry and online store.
        wandb: the project of Weights & Biases that gets a copy of what trainings log, or nothing.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    tracking: Annotated[str, AfterValidator(from_environment)]
    feature_store: str
    wandb: str
