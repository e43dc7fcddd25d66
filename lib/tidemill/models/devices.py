"""On what a use case's models are to be fitted, before anything is done for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tidemill.models.specs import ModelSpec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidemill.core.train_config import Train
    from tidemill.models.use_case import UseCase


def check_devices(use_case: UseCase, settings: Train) -> None:
    """Refuses models that are to be fitted on a GPU where the installed library knows none.

    Raises:
        TidemillError: E_DEVICE (configuration).
    """
    specs = [ModelSpec(family, parameters) for family, parameters in settings.only.items()] or use_case.models
    devices = [device for spec in specs if spec.family == "xgboost" for device in _devices(spec)]
    if devices:  # else XGBoost is not loaded, which takes a second
        from tidemill.models.xgb_native import check_device

        for device in devices:
            check_device(device)


def _devices(spec: ModelSpec) -> Iterator[Any]:
    yield from (spec.parameters["device"],) if "device" in spec.parameters else ()
    asked = spec.grid.get("device", ())
    yield from asked if isinstance(asked, tuple) else ()
