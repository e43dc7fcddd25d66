"""What every section of the configuration is: fixed keys, frozen values."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Positive = Annotated[int, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]


class Section(BaseModel):
    """A part of the configuration; a key that it does not know is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)
