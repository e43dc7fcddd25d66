"""The configuration of training: how fits use the machine, and how long a search may take."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from tidemill.core.config_section import Positive, Section

Minutes = Annotated[float, Field(gt=0)]


class Searching(Section):
    """What takes the place of the search that a use case declares; None leaves it as it is."""

    strategy: Literal["grid", "random", "bayesian"] | None
    trials: Positive | None
    minutes: Minutes | None


class AutoML(Section):
    """The budget of the search through all families, parameters and views; without any there is no such search."""

    trials: Positive | None
    minutes: Minutes | None


class Train(Section):
    """How fits use the machine; all of it changes a model, so none of it is taken from the machine itself."""

    partitions: Positive
    parallel_fits: Positive
    seed: int
    only: dict[str, dict[str, Any]]
    search: Searching
    automl: AutoML
    learning_curve: bool = False

    def of_fits(self) -> dict[str, Any]:
        """The settings as JSON values; a learning curve is one only where it is asked for, and then trains anew."""
        return self.model_dump(exclude=None if self.learning_curve else {"learning_curve"})
