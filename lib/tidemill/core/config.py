"""Configuration: `conf/base.yaml`, one overlay per environment, and `--set key=value`, in that order.

What a use case means stands in its declaration; configuration holds only where things are and how much of the machine
they may take. Each key is documented beside its value in `conf/base.yaml`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import yaml
from pydantic import BaseModel, Field, ValidationError, field_validator

from tidemill.core.config_monitor import Alerts, Metrics, Monitor, Retraining
from tidemill.core.config_section import Address, Positive, Section, Share
from tidemill.core.errors import Exit, TidemillError, nearest
from tidemill.core.external_config import Services
from tidemill.core.gate_config import Promote
from tidemill.core.score_config import Backtest, Score
from tidemill.core.service_config import Serve
from tidemill.core.train_config import Train

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_SHARED = "cluster"  # the overlay of every environment that has settings for Spark and none of its own


class Layout(Section):
    """How new tables are cut into files; a table keeps what it was created with."""

    buckets: Annotated[int, Field(gt=0, le=4096)]
    period: Literal["all", "month"]

    @field_validator("buckets")
    @classmethod
    def _power_of_two(cls, value: int) -> int:
        if value & (value - 1):
            raise ValueError("it is not a power of two")
        return value


class SourcePlace(Section):
    """Where a source's files are, instead of the place its contract names."""

    path: str


class Generate(Section):
    """The size and seed of the demo world."""

    accounts: Positive
    months: Annotated[int, Field(ge=6)]
    seed: int


class Stream(Section):
    """Continuous ingestion of a log."""

    max_records: Positive
    pause: Annotated[float, Field(ge=0)]


class Audit(Section):
    """The leakage audit before each training."""

    entities: Positive
    times: Positive
    alone: Share
    apart: Share
    accepted: tuple[str, ...]


class Materialize(Section):
    """The online store, and how it is compared with gold."""

    parity_sample: Positive | Literal["all"]
    parity_threshold: Share


class Maintain(Section):
    """Compaction, retention, and names in a catalog."""

    target_files: Positive
    retention_hours: Annotated[int, Field(ge=0)]
    catalog: Annotated[str, Field(pattern=r"^([A-Za-z_]\w*(\.[A-Za-z_]\w*)?)?$")]


class Config(Section):
    """The whole configuration of a run."""

    tables: Address
    layout: Layout
    lease_timeout: Annotated[float, Field(ge=0)]
    parallel_tables: Positive
    services: Services
    sources: dict[str, SourcePlace]
    generate: Generate
    stream: Stream
    audit: Audit
    train: Train
    score: Score
    backtest: Backtest
    promote: Promote
    materialize: Materialize
    serve: Serve
    monitor: Monitor
    alerts: Alerts
    metrics: Metrics
    retraining: Retraining
    maintain: Maintain


def load_config(folder: Path, environment: str, overrides: Iterable[str] = ()) -> Config:
    """Reads the configuration of one environment.

    Args:
        folder: holds `base.yaml` and the overlays.
        environment: the overlay's name without its ending, or that of settings in `spark/`.
        overrides: `key.subkey=value` texts; values are YAML.

    Raises:
        TidemillError: E_ENVIRONMENT or E_SET (usage), E_CONFIG (configuration).
    """
    values = _read(folder / "base.yaml")
    overlay = folder / f"{environment}.yaml"
    if not overlay.exists() and (folder / "spark" / f"{environment}.conf").exists():
        overlay = folder / f"{_SHARED}.yaml"
    if not overlay.exists():
        known = [p.stem for p in folder.glob("*.yaml") if p.stem not in {"base", _SHARED}]
        known += [p.stem for p in (folder / "spark").glob("*.conf")]
        raise TidemillError(
            "E_ENVIRONMENT",
            f"there is no environment {environment!r}",
            where=f"--env {environment}",
            next_step=nearest(environment, known),
            exit_code=Exit.USAGE,
        )
    values = _merge(values, _read(overlay))
    for text in overrides:
        values = _merge(values, _parse_override(text))
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise _explain(error, tuple(overrides), folder) from None


def _read(path: Path) -> dict[str, Any]:
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise TidemillError(
            "E_CONFIG",
            f"the configuration cannot be read: {error}",
            where=str(path),
            next_step="make it a readable YAML file",
            exit_code=Exit.CONFIGURATION,
        ) from error
    if found is not None and not isinstance(found, dict):
        raise TidemillError(
            "E_CONFIG",
            f"the configuration is a {type(found).__name__}, not keys with values",
            where=str(path),
            next_step="write it as conf/base.yaml is written",
            exit_code=Exit.CONFIGURATION,
        )
    return found or {}


def _merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merge(merged[key], value) if both else value
    return merged


def _parse_override(text: str) -> dict[str, Any]:
    key, sign, value = text.partition("=")
    if not sign or not all(key.split(".")):
        raise TidemillError(
            "E_SET",
            f"{text!r} is not of the form key=value",
            where=f"--set {text}",
            next_step="write for instance --set generate.accounts=20000",
            exit_code=Exit.USAGE,
        )
    try:
        parsed: Any = yaml.safe_load(value)
    except yaml.YAMLError:
        raise TidemillError(
            "E_SET",
            f"{value!r} is no value that YAML can read",
            where=f"--set {text}",
            next_step="write for instance --set generate.accounts=20000",
            exit_code=Exit.USAGE,
        ) from None
    for part in reversed(key.split(".")):
        parsed = {part: parsed}
    return dict(parsed)


def _explain(error: ValidationError, overrides: tuple[str, ...], folder: Path) -> TidemillError:
    """Says of the first fault whether a `--set` or a file made it, and which key was probably meant."""
    first = min(error.errors(), key=lambda fault: fault["type"] != "extra_forbidden")
    key = ".".join(str(part) for part in first["loc"])
    given = next((text for text in overrides if f"{key}.".startswith(f"{text.partition('=')[0]}.")), None)
    if first["type"] == "extra_forbidden":
        what = f"there is no configuration key {key!r}"
        next_step = nearest(key, _known_keys(Config))
    else:
        what = f"the configuration key {key!r} is refused: {first['msg']}"
        next_step = "give it a value of the kind that conf/base.yaml shows"
    return TidemillError(
        "E_SET" if given else "E_CONFIG",
        what,
        where=f"--set {given}" if given else str(folder),
        next_step=next_step,
        exit_code=Exit.USAGE if given else Exit.CONFIGURATION,
    )


def _known_keys(model: type[BaseModel], prefix: str = "") -> list[str]:
    keys = []
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            keys += _known_keys(inner, f"{prefix}{name}.")
        else:
            keys.append(f"{prefix}{name}" + (".NAME.path" if name == "sources" else ""))
    return keys
