"""Configuration of the servers that may stand in for files below the root."""

from __future__ import annotations

import os
import re

from pydantic import BaseModel, ConfigDict, field_validator

_VARIABLE = re.compile(r"\$\{(\w+)\}")


class Services(BaseModel):
    """Servers that stand in for files below the root.

    Args:
        tracking: the address of MLflow's server, or nothing.
        feature_store: the file that describes Feast's registry and online store.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    tracking: str
    feature_store: str

    @field_validator("tracking")
    @classmethod
    def _from_the_environment(cls, value: str) -> str:
        missing = [name for name in _VARIABLE.findall(value) if not os.environ.get(name)]
        if missing:
            raise ValueError(f"the environment variable {missing[0]} is not set")
        return _VARIABLE.sub(lambda found: os.environ[found[1]], value)
