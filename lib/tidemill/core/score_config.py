"""The settings of scoring and of backtests."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Score(BaseModel):
    """What a prediction holds beside its score."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reasons: Annotated[int, Field(ge=0)]


class Backtest(BaseModel):
    """What a backtest replays."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    trainings: Annotated[int, Field(gt=0)]
