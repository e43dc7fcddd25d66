"""The promotion gate's part of the configuration."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Positive = Annotated[int, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]


class Promote(BaseModel):
    """How the interval of a gain is made, from where on a guardrail stops a challenger, and who has the last word."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    approval: bool
    confidence: Annotated[float, Field(gt=0, lt=1)]
    draws: Annotated[int, Field(ge=2)]
    seed: int
    compared_rows: Positive
    simpler: Share
    calibration_error: Share
    slice_rows: Positive
    overfit: Share
