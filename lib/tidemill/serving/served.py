"""A registered version made ready to answer: its frozen declaration, its threshold and its scorer, checked."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import tidemill.declare  # noqa: F401 - the classes that a frozen declaration names
from tidemill.core.frozen import thaw
from tidemill.models.card import CARD, DECLARATION
from tidemill.models.reasons import make_explainer, read_parts
from tidemill.models.registry_flavor import GRAPH_FOLDER
from tidemill.models.sample_check import load_checked

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tidemill.models.onnx_scoring import Scorer
    from tidemill.models.reasons import Explainer
    from tidemill.models.registry import Registry, Version
    from tidemill.models.use_case import UseCase


@dataclass(frozen=True)
class Served:
    """A model that answers.

    Args:
        use_case: as it was declared when the model was trained.
        version: of the model.
        threshold: from which score on the prediction is 1; None but of a binary task.
        scorer: has given the scores of the sample that is kept with the model.
        parts: what explains the scores is made of; None where nothing does.
    """

    use_case: UseCase
    version: str
    threshold: float | None
    scorer: Scorer
    parts: Mapping[str, bytes] | None
    _alone: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False, compare=False)

    @property
    def explainer(self) -> Explainer | None:
        """What explains the scores, made when it is first asked for: that of a booster takes seconds and 140 MB.

        Safe to ask from several threads: it is made once, and the others wait for it.
        """
        with self._alone:  # a cached property has none of its own from Python 3.12 on
            return self._explainer

    @property
    def explained(self) -> bool:
        """Whether it was asked for already: nobody waits for it any more."""
        return "_explainer" in vars(self)

    @cached_property
    def _explainer(self) -> Explainer | None:
        return None if self.parts is None else make_explainer(self.parts)

    @cached_property
    def missing(self) -> Mapping[str, float | None]:
        """What stands where a feature has no value."""
        return {f.name: f.missing for f in self.use_case.features}


def load_served(registry: Registry, version: Version) -> Served:
    """Loads a version from what is registered of it, and never from the use case's file.

    Raises:
        ValueError: it does not score its own sample as when it was registered, or reads what no view has.
    """
    use_case: UseCase = thaw(registry.document(version, DECLARATION))
    card = registry.document(version, CARD)
    with TemporaryDirectory(dir=registry.temporary) as folder:
        graph = registry.fetch(version, GRAPH_FOLDER, Path(folder))
        scorer, parts = load_checked(graph), read_parts(graph)
    unknown = sorted(set(scorer.inputs) - {f.name for f in use_case.features})
    if unknown:
        raise ValueError(f"the model reads {', '.join(unknown)}, which no view of its declaration has")
    return Served(use_case, version.version, card["threshold"], scorer, parts)
