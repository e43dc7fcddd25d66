"""Contract files: the Open Data Contract Standard's YAML read into the values of `contract`.

One file describes one landed table: where its rows come from, and for each column its name there, its type, its null
tokens and its rules. `docs/contracts.md` lists the fields that are read. `transformLogic` means more here than in the
standard: that of a column with a `physicalName` cleans the landed text before it is typed; that of a column without one
derives it from typed columns.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import yaml
from open_data_contract_standard.model import DataQuality, OpenDataContractStandard, SchemaProperty

from tidemill.core.digest import digest_of
from tidemill.core.errors import Exit, TidemillError
from tidemill.data import contract as values
from tidemill.data.contract import Column, Contract, Rule, Volume
from tidemill.data.contract_fields import choice, custom, different, one_of, only, some, texts
from tidemill.data.kinds import kind_names
from tidemill.data.schema import arrow_type

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_TYPES = {
    "string": "string",
    "integer": "bigint",
    "number": "double",
    "boolean": "boolean",
    "timestamp": "timestamp",
    "date": "date",
}
_UNITS = {"d": "days", "day": "days", "days": "days", "h": "hours", "hour": "hours", "hours": "hours"}
_OPERATIONS = {
    "upsert": ("upsert", "insert", "update", "i", "u", "c", "r"),
    "delete": ("delete", "d"),
}
_SERVER = ("host", "port", "database", "schema_", "location", "endpointUrl", "description")


def read_contract(folder: Path, relative: str) -> Contract:
    """Reads one contract.

    Args:
        folder: the feature repository.
        relative: the contract's path under its `contracts/`.

    Raises:
        TidemillError: E_CONTRACT (configuration) where the file is missing, is not valid or asks for what is unknown.
    """
    return read_contract_file(folder / "contracts" / relative)


def read_contract_file(path: Path) -> Contract:
    """Reads one contract from wherever it lies; raises what `read_contract` raises."""
    try:
        found = OpenDataContractStandard.from_file(str(path))
        body = _body(found)
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError) as error:
        raise TidemillError(
            "E_CONTRACT",
            f"the contract cannot be used: {error}",
            where=str(path),
            next_step="correct the file; docs/contracts.md shows the fields that are read",
            exit_code=Exit.CONFIGURATION,
        ) from error
    return Contract(**body, digest=digest_of(repr(sorted(body.items()))), owner=_owner(found))


def _owner(found: OpenDataContractStandard) -> str:
    """Who answers for it: the member of the team whose role says so, else its first, else the team itself."""
    team = found.team
    members = team if isinstance(team, list) else (team.members or [] if team is not None else [])
    chosen = next((m for m in members if "owner" in str(m.role).lower()), members[0] if members else None)
    if chosen is None:
        return str(team.name or "") if team is not None and not isinstance(team, list) else ""
    return str(chosen.name or chosen.username or "")


def _body(found: OpenDataContractStandard) -> dict[str, Any]:
    schema = only(found.schema_, "schema")
    server = only(found.servers, "servers")
    options = custom(found.customProperties)
    one_of("format", str(server.format), kind_names())
    some(schema.properties or (), "properties")
    columns = tuple(_column(p) for p in schema.properties)
    different("columns", (c.name for c in columns))
    different("columns", (c.physical for c in columns if c.physical is not None))
    different("columns", (c.landed.casefold() for c in columns if c.physical is not None))
    quality = schema.quality or []
    return {
        "name": str(schema.name),
        "description": schema.description or "",
        "columns": columns,
        "format": str(server.format),
        "path": str(server.path or ""),
        "server": _server(server),
        "delimiter": server.delimiter or ",",
        "by_name": choice(options, "columnOrder", ("exact", "by_name")) == "by_name",
        "multiline": bool(options.get("multiline", False)),
        "new_columns": choice(options, "newColumns", values.NEW_COLUMNS),
        "timezone": str(options.get("timezone", "UTC")),
        "freshness": _freshness(found),
        "stale": choice(options, "stale", ("warn", "stop")),
        "rules": _rules(quality),
        "volume": _volume(quality),
        "unique": _unique(quality, [c.name for c in columns]),
        "operations": _operations(options.get("operations")),
    }


def _column(found: SchemaProperty) -> Column:
    options, own = found.logicalTypeOptions or {}, custom(found.customProperties)
    logical = found.logicalType or "string"
    try:
        one_of("type", logical, tuple(_TYPES))
        some((found.physicalName, found.transformLogic), "physicalName or transformLogic")
        kind = found.physicalType or _TYPES[logical]
        arrow_type(kind)  # refuses what no table here holds
        epoch = own.get("epoch")
        if epoch is not None:
            one_of("epoch", str(epoch), tuple(values.EPOCHS))
        length = options.get("maxLength")
        share = next((q.mustBeLessOrEqualTo for q in found.quality or () if q.metric == "nullValues"), None)
        return Column(
            name=str(found.name),
            physical=found.physicalName,
            logical=logical,
            type=kind,
            required=bool(found.required) or bool(found.primaryKey),
            key=bool(found.primaryKey),
            unique=bool(found.unique),
            logic=found.transformLogic,
            null_tokens=texts(own.get("nullTokens", ())),
            true_tokens=texts(own.get("trueTokens", ("true",))),
            false_tokens=texts(own.get("falseTokens", ("false",))),
            format=options.get("format"),
            epoch=None if epoch is None else str(epoch),
            minimum=_literal(options.get("minimum"), logical),
            maximum=_literal(options.get("maximum"), logical),
            max_length=None if length is None else int(length),
            pattern=options.get("pattern"),
            allowed=texts(own.get("allowedValues", ())),
            non_finite=bool(own.get("nonFinite", False)),
            unicode_digits=bool(own.get("unicodeDigits", False)),
            null_share=None if share is None else float(share) / 100,
            references=_reference(found),
            actions=tuple(sorted((str(k), _action(v)) for k, v in dict(own.get("actions", {})).items())),
            description=found.description or "",
            planned=bool(own.get("planned", False)),
            unit=str(own.get("unit", "")),
        )
    except (ValueError, TypeError) as error:
        raise ValueError(f"column {found.name}: {error}") from error


def _server(server: Any) -> dict[str, str]:
    given = {name.removesuffix("_"): getattr(server, name) for name in _SERVER}
    given |= custom(server.customProperties)
    return {name: str(value) for name, value in sorted(given.items()) if value is not None}


def _reference(found: SchemaProperty) -> str | None:
    for item in found.relationships or ():
        target = str(item.to)
        if target.count(".") != 1:
            raise ValueError(f"the relationship to {target!r} is not of the form source.column")
        return target
    return None


def _rules(quality: Sequence[DataQuality]) -> tuple[Rule, ...]:
    found = []
    for item in quality:
        if item.query is not None:
            if not item.name:
                raise ValueError("a quality rule with a query needs a name")
            found.append(Rule(item.name, item.query, _action(custom(item.customProperties).get("action"))))
    different("rules", (rule.name for rule in found))
    return tuple(found)


def _volume(quality: Sequence[DataQuality]) -> Volume | None:
    for item in quality:
        if item.metric == "rowCount":
            least, most = item.mustBeGreaterOrEqualTo, item.mustBeLessOrEqualTo
            if item.mustBeBetween:
                least, most = item.mustBeBetween
            action = custom(item.customProperties).get("action", values.FAIL_BATCH)
            bounds = [None if bound is None else int(bound) for bound in (least, most)]
            return Volume(bounds[0], bounds[1], _action(action))
    return None


def _unique(quality: Sequence[DataQuality], names: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    found = []
    for item in quality:
        if item.metric == "duplicateValues":
            group = texts((item.arguments or {}).get("properties", ()))
            for name in group:
                one_of("property", name, tuple(names))
            found.append(group)
    return tuple(found)


def _operations(given: Any) -> tuple[tuple[str, str], ...]:
    table = _OPERATIONS if given is None else {str(k): texts(v) for k, v in dict(given).items()}
    for operation in table:
        one_of("operation", operation, tuple(_OPERATIONS))
    return tuple((text, operation) for operation, texts in table.items() for text in texts)


def _freshness(found: OpenDataContractStandard) -> timedelta | None:
    for item in found.slaProperties or ():
        if item.property == "freshness":
            return timedelta(**{_UNITS[str(item.unit)]: float(str(item.value))})
    return None


def _action(value: Any) -> str:
    if value is None:
        return values.QUARANTINE_ROW
    one_of("action", str(value), values.ACTIONS)
    return str(value)


def _literal(value: Any, logical: str) -> str | None:
    if value is None:
        return None
    return f"{logical}'{value}'" if logical in values.MOMENTS else str(value)
