"""Contracts: Open Data Contract Standard files read into frozen values.

One contract describes one landed table: where its files are, and for each column its name in the file, its type, its
null tokens and its rules. Two fields of the standard carry more meaning here: `transformLogic` of a column that has a
`physicalName` cleans the landed text before it is typed; that of a column without one derives it from typed columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import yaml
from open_data_contract_standard.model import OpenDataContractStandard, SchemaProperty

from tidemill.core.digest import digest_of
from tidemill.core.errors import Exit, TidemillError, nearest
from tidemill.data.schema import arrow_type

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

FORMATS = ("csv", "parquet")
STALE = ("stop", "warn")
_TYPES = {
    "string": "string",
    "integer": "bigint",
    "number": "double",
    "boolean": "boolean",
    "timestamp": "timestamp",
    "date": "date",
}
_UNITS = {"d": "days", "day": "days", "days": "days", "h": "hours", "hour": "hours", "hours": "hours"}


@dataclass(frozen=True)
class Column:
    """One column of a contract.

    Args:
        name: its name in silver.
        physical: its name in the landed file, or None for a derived column.
        type: its Spark SQL type in silver.
        required: whether a null is a reason for quarantine.
        logic: an SQL expression, see the module.
        null_tokens: texts that mean null, after trimming.
        format: the pattern of a date or time, in Spark's words.
        minimum, maximum: bounds, inclusive, as SQL literals.
        pattern: a regular expression that the typed text must match.
        allowed: the only values, or none for any.
        null_share: the largest share of nulls in a batch that is no fault of the batch, or None for any.
        description: what it means.
    """

    name: str
    physical: str | None
    type: str
    required: bool
    logic: str | None
    null_tokens: tuple[str, ...]
    format: str | None
    minimum: str | None
    maximum: str | None
    pattern: str | None
    allowed: tuple[str, ...]
    null_share: float | None
    description: str


@dataclass(frozen=True)
class Contract:
    """A landed table, as agreed with those who deliver it.

    Args:
        name: the table's name.
        description: what a row is.
        columns: in the order of the file of the contract.
        format: `csv` or `parquet`.
        path: a file, folder or glob, relative to the feature repository; `{root}` stands for the local state folder.
        delimiter: of a CSV file.
        timezone: of times that state none.
        freshness: how long the source may lag behind, or None where nothing is agreed.
        stale: `stop` where scoring must not go on with a source that is late, `warn` otherwise.
        digest: of everything above.
    """

    name: str
    description: str
    columns: tuple[Column, ...]
    format: str
    path: str
    delimiter: str
    timezone: str
    freshness: timedelta | None
    stale: str
    digest: str

    @property
    def landed(self) -> tuple[str, ...]:
        """The columns of the file, by their names there."""
        return tuple(c.physical for c in self.columns if c.physical is not None)

    def column(self, name: str) -> Column:
        """The column of that name.

        Raises:
            TidemillError: E_COLUMN (configuration) where there is none.
        """
        for column in self.columns:
            if column.name == name:
                return column
        raise TidemillError(
            "E_COLUMN",
            f"the contract {self.name!r} has no column {name!r}",
            where=f"contract {self.name}",
            next_step=nearest(name, [c.name for c in self.columns]),
            exit_code=Exit.CONFIGURATION,
        )


def read_contract(folder: Path, relative: str) -> Contract:
    """Reads one contract.

    Args:
        folder: the feature repository.
        relative: the contract's path under its `contracts/`.

    Raises:
        TidemillError: E_CONTRACT (configuration) where the file is missing, is not valid or asks for what is unknown.
    """
    path = folder / "contracts" / relative
    try:
        found = OpenDataContractStandard.from_file(str(path))
        schema = _only(found.schema_, "schema")
        server = _only(found.servers, "servers")
        options = _custom(found.customProperties)
        _one_of("format", str(server.format), FORMATS)
        _some(schema.properties, "properties")
        sla = {item.property: item for item in found.slaProperties or ()}
        fresh = sla.get("freshness")
        stale = str(options.get("stale", "warn"))
        _one_of("stale", stale, STALE)
        body: dict[str, Any] = {
            "name": str(schema.name),
            "description": schema.description or "",
            "columns": tuple(_column(p) for p in schema.properties),
            "format": server.format,
            "path": str(server.path),
            "delimiter": server.delimiter or ",",
            "timezone": str(options.get("timezone", "UTC")),
            "freshness": timedelta(**{_UNITS[str(fresh.unit)]: float(str(fresh.value))}) if fresh else None,
            "stale": stale,
        }
        _different(c.name for c in body["columns"])
        _different(c.physical for c in body["columns"] if c.physical is not None)
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError) as error:
        raise TidemillError(
            "E_CONTRACT",
            f"the contract cannot be used: {error}",
            where=str(path),
            next_step="correct the file; docs/contracts.md shows the fields that are read",
            exit_code=Exit.CONFIGURATION,
        ) from error
    return Contract(**body, digest=digest_of(repr(sorted(body.items()))))


def _one_of(field: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"{field} {value!r} is not known; {nearest(value, known)}")


def _different(names: Iterable[str]) -> None:
    found = list(names)
    for name in found:
        if found.count(name) > 1:
            raise ValueError(f"two columns are named {name!r}")


def _some(items: list[Any] | None, what: str) -> None:
    if not items:
        raise ValueError(f"nothing stands under {what}")


def _only(items: list[Any] | None, what: str) -> Any:
    if not items or len(items) != 1:
        raise ValueError(f"exactly one entry is expected under {what}, there are {len(items or ())}")
    return items[0]


def _custom(items: list[Any] | None) -> dict[str, Any]:
    return {item.property: item.value for item in items or ()}


def _column(found: SchemaProperty) -> Column:
    options = found.logicalTypeOptions or {}
    custom = _custom(found.customProperties)
    logical = found.logicalType or "string"
    if logical not in _TYPES:
        raise ValueError(f"column {found.name}: the type {logical!r} is not known; {nearest(logical, _TYPES)}")
    if found.physicalName is None and found.transformLogic is None:
        raise ValueError(f"column {found.name}: it has neither a physicalName nor a transformLogic")
    arrow_type(found.physicalType or _TYPES[logical])  # refuses what no table here holds
    share = next((q.mustBeLessOrEqualTo for q in found.quality or () if q.metric == "nullValues"), None)
    return Column(
        name=str(found.name),
        physical=found.physicalName,
        type=found.physicalType or _TYPES[logical],
        required=bool(found.required) or bool(found.primaryKey),
        logic=found.transformLogic,
        null_tokens=tuple(str(t) for t in custom.get("nullTokens", ())),
        format=options.get("format"),
        minimum=_literal(options.get("minimum"), logical),
        maximum=_literal(options.get("maximum"), logical),
        pattern=options.get("pattern"),
        allowed=tuple(str(v) for v in custom.get("allowedValues", ())),
        null_share=None if share is None else float(share) / 100,
        description=found.description or "",
    )


def _literal(value: Any, logical: str) -> str | None:
    if value is None:
        return None
    return f"{logical}'{value}'" if logical in {"timestamp", "date"} else str(value)
