"""A contract drafted from a file: types, nulls and keys as its first rows suggest; for people to correct."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import yaml

from tidemill.core.errors import Exit, TidemillError
from tidemill.data.contract import bronze_name
from tidemill.data.csv_rows import Shape
from tidemill.data.csv_rows import records as csv_records
from tidemill.data.json_rows import Field
from tidemill.data.json_rows import records as json_records
from tidemill.data.kinds.parquet import logical_types
from tidemill.data.streams import Rejected, blocks, open_landed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    Sample = dict[str, list[str | None]]

ROWS = 10_000
_NULLS = ("NULL", "null", "NA", "N/A", "n/a", "None", "\\N", "-")
_KINDS = (
    ("integer", r"[+-]?[0-9]{1,18}", None),
    ("number", r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?", None),
    ("boolean", r"(?i:true|false)", None),
    ("date", r"[0-9]{4}-[0-9]{2}-[0-9]{2}", None),
    ("timestamp", r"\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?", None),
    ("timestamp", r"[0-9]{1,2}/[0-9]{1,2}/[0-9]{4} [0-9]{1,2}:[0-9]{2}", "M/d/yyyy H:mm"),
    ("date", r"[0-9]{2}\.[0-9]{2}\.[0-9]{4}", "dd.MM.yyyy"),
)  # fmt: skip


def draft_contract(path: Path, name: str) -> str:
    """The YAML of a contract that the first rows of a file satisfy.

    Raises:
        TidemillError: E_FILE (data) where the file cannot be read as CSV, JSON lines or Parquet.
    """
    try:
        form, sample, delimiter, types = _sample(path)
    except (Rejected, OSError, ValueError) as error:
        raise TidemillError(
            "E_FILE",
            f"the file cannot be read: {getattr(error, 'detail', error)}",
            where=str(path),
            next_step="name a CSV file with a header, a JSON lines file or a Parquet file",
            exit_code=Exit.DATA,
        ) from error
    properties = [_property(column, values, types.get(column, ())) for column, values in sample.items()]
    if not any(p.get("primaryKey") for p in properties):
        key = next((p for p in properties if _is_key(sample[p["physicalName"]])), None)
        if key is not None:
            key["primaryKey"] = True
    server: dict[str, Any] = {"server": "landing", "type": "local", "path": str(path.parent), "format": form}
    if delimiter != ",":
        server["delimiter"] = delimiter
    own = [{"property": "timezone", "value": "UTC"}]
    if types.keys() - sample.keys():  # lists and structures, which no contract has
        own.append({"property": "newColumns", "value": "discard_value"})
    body = {
        "apiVersion": "v3.0.2",
        "kind": "DataContract",
        "id": name,
        "name": name,
        "version": "0.1.0",
        "status": "draft",
        "servers": [server],
        "customProperties": own,
        "schema": [{"name": name, "properties": properties}],
    }
    return yaml.safe_dump(body, sort_keys=False, allow_unicode=True, width=120)


def _sample(path: Path) -> tuple[str, Sample, str, dict[str, tuple[str, ...]]]:
    """Format, first rows, delimiter, and of a typed file the types that each column may be declared as."""
    bare = path.name.removesuffix(".gz")
    if bare.endswith(".parquet"):
        return "parquet", *_parquet_sample(path)
    if bare.endswith((".jsonl", ".ndjson", ".json")):
        return "jsonl", _json_sample(path), ",", {}
    with open_landed(path) as stream:
        header = next(blocks(stream), b"").splitlines()[:1]
    line = header[0] if header else b""
    delimiter = max(",;\t|", key=lambda sign: line.count(sign.encode()))
    names = [part.strip().strip('"') for part in line.decode("utf-8").split(delimiter)]
    shape = Shape(tuple(names), delimiter, multiline=True, keys=frozenset(), unwanted=frozenset(), header=line)
    with open_landed(path) as stream:
        rows = [r.fields for r in itertools.islice(csv_records(stream, shape), ROWS) if not r.reasons]
    return "csv", {name: [row[i] for row in rows] for i, name in enumerate(names)}, delimiter, {}


def _parquet_sample(path: Path) -> tuple[Sample, str, dict[str, tuple[str, ...]]]:
    with pq.ParquetFile(path) as file:
        types = {field.name: logical_types(field.type) for field in file.schema_arrow}
        plain = [name for name, fitting in types.items() if fitting]
        batches = itertools.islice(file.iter_batches(batch_size=ROWS, columns=plain), 1)
        rows = [row for batch in batches for row in batch.to_pylist()]
    return {n: [None if row[n] is None else str(row[n]) for row in rows] for n in plain}, ",", types


def _json_sample(path: Path) -> Sample:
    fields: dict[str, Field] = {}
    kinds = frozenset({"text", "number", "truth"})
    for name in dict.fromkeys(_json_keys(path)):
        fields[name] = Field(len(fields), kinds, is_key=False)
    with open_landed(path) as stream:
        found = json_records(stream, fields, discard_unknown=True)
        rows = [r.fields for r in itertools.islice(found, ROWS) if not r.reasons]
    return {name: [row[field.place] for row in rows] for name, field in fields.items()}


def _json_keys(path: Path) -> Iterator[str]:
    with open_landed(path) as stream:
        for record in itertools.islice(json_records(stream, {}, discard_unknown=False), ROWS):
            yield from (r.partition(":")[2] for r in record.reasons if r.startswith("UNKNOWN_FIELD:"))


def _property(column: str, values: Sequence[str | None], types: Sequence[str]) -> dict[str, Any]:
    tokens = sorted({v for v in values if v is not None and v.strip() in _NULLS})
    texts = [v.strip() for v in values if v is not None and v.strip() and v not in tokens]
    kind, form = _kind(texts)
    if types and kind not in types and not tokens:
        kind, form = types[0], None
    found: dict[str, Any] = {"name": _snake(column), "physicalName": column, "logicalType": kind}
    if values and len(texts) == len(values):
        found["required"] = True
    if form is not None:
        found["logicalTypeOptions"] = {"format": form}
    if tokens:
        found["customProperties"] = [{"property": "nullTokens", "value": tokens}]
    return found


def _kind(texts: Sequence[str]) -> tuple[str, str | None]:
    for kind, pattern, form in _KINDS:
        if texts and all(re.fullmatch(pattern, text) for text in texts):
            return kind, form
    return "string", None


def _is_key(values: Sequence[str | None]) -> bool:
    return len(values) > 1 and None not in values and len(set(values)) == len(values)


def _snake(column: str) -> str:
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", bronze_name(column))
    return re.sub(r"\W+", "_", words).strip("_").lower() or "column"
