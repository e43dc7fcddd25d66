"""What every section of the configuration is: fixed keys, frozen values."""

from __future__ import annotations

import os
import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

_VARIABLE = re.compile(r"\$\{(\w+)(:-)?\}")
Positive = Annotated[int, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]


class Section(BaseModel):
    """A part of the configuration; a key that it does not know is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def from_environment(value: str) -> str:
    """A text with each `${NAME}` replaced by that environment variable; `${NAME:-}` by nothing where it is not set.

    Raises:
        ValueError: one is not set.
    """
    missing = [name for name, may_miss in _VARIABLE.findall(value) if not may_miss and not os.environ.get(name)]
    if missing:
        raise ValueError(f"the environment variable {missing[0]} is not set")
    return _VARIABLE.sub(lambda found: os.environ.get(found[1], ""), value)


def _known_in_environment(value: str) -> str:
    from_environment(value)
    return value


# A text that may hold a secret: `${NAME}` stays in it, in records of runs, too, until `from_environment` is asked.
Address = Annotated[str, AfterValidator(_known_in_environment)]
