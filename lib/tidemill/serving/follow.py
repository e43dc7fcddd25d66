"""The champions of use cases, followed: a new one is loaded beside the old one, checked, and put in its place."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence

    from tidemill.features.feast_reading import OnlineReader
    from tidemill.models.registry import Registry
    from tidemill.monitoring.service_metrics import ServiceMetrics
    from tidemill.serving.served import Served

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Ground:
    """What a service stands on; opening it takes seconds.

    Args:
        registry: of models.
        reader: of the online store.
    """

    registry: Registry
    reader: OnlineReader


class Champions:
    """Who answers for which use case. A request takes its model once, so a swap changes none that is under way.

    Args:
        open_ground: opens registry and store; called in the thread that follows.
        metrics: told of swaps and refusals.
        names: the use cases, or none for all that have a registered model.
        explained: whether answers carry reasons: a model then has its explainer before it answers. So has one whose
            predecessor was asked for reasons.
    """

    def __init__(
        self,
        open_ground: Callable[[], Ground],
        metrics: ServiceMetrics,
        names: Sequence[str] = (),
        *,
        explained: bool = False,
    ) -> None:
        self.models: dict[str, Served] = {}  # replaced and never changed: other threads go through it
        # Why nobody answers for a use case, or why its newest champion does not. Strangers read it: what an exception
        # says, which may hold addresses and more, is for the log.
        self.reasons: dict[str, str] = {}
        self.ground: Ground | None = None
        self._open_ground, self._metrics, self._names = open_ground, metrics, names
        self._explained = explained
        self._refused: dict[str, str] = {}

    @property
    def ready(self) -> bool:
        """Whether somebody answers, and for each use case that was named."""
        return bool(self.models) and set(self._names) <= set(self.models)

    def follow(self, seconds: float, stopped: threading.Event) -> None:
        """Looks for new champions until it is stopped; what goes wrong is logged and tried again."""
        while not stopped.is_set():
            try:
                self.look()
            except Exception:
                LOG.exception("the registry or the store cannot be opened; the models that answer stay")
            stopped.wait(seconds)

    def look(self) -> None:
        """Looks once."""
        self.ground = self.ground or self._open_ground()
        for name in self._names or self.ground.registry.names():
            try:
                self._look_for(name, self.ground)
            except Exception as error:  # the models of other use cases are not to suffer
                LOG.exception("use case %s: the champion cannot be loaded", name)
                self._metrics.refused(name)
                self.reasons[name] = f"the champion cannot be loaded ({type(error).__name__}): the log says more"

    def _look_for(self, name: str, ground: Ground) -> None:
        from tidemill.models.promotion import CHAMPION
        from tidemill.serving.served import load_served

        number = ground.registry.alias(name, CHAMPION)
        now = self.models.get(name)
        if number is None:
            goes_on = "" if now is None else f"; version {now.version} goes on"
            self.reasons[name] = f"no version is champion{goes_on}"
        elif now is not None and now.version == number:
            self.reasons.pop(name, None)
            self._metrics.settled(name)
        elif self._refused.get(name) != number:
            try:
                served = load_served(ground.registry, ground.registry.version(name, number))
                if self._explained or (now is not None and now.explained):
                    served.explainer  # noqa: B018 - made here: the first request would wait for it longer than it may
            except ValueError as error:  # it would fail again: the version is not tried a second time
                LOG.error("use case %s: version %s never answers: %s", name, number, error)  # noqa: TRY400
                self._metrics.refused(name)
                self._refused[name] = number
                self.reasons[name] = f"version {number} never answers: the log says why"
                return
            ground.reader.check(served.use_case.views)
            self.models = {**self.models, name: served}
            self.reasons.pop(name, None)
            self._metrics.swapped(name, number)
            LOG.info("use case %s: version %s answers", name, number)
