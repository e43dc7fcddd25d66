"""The tables that monitoring writes."""

from __future__ import annotations

from tidemill.data.tables import OPS, Table

PARITY = Table(
    OPS,
    "parity",
    (
        ("use_case", "string"),
        ("view", "string"),
        ("as_of", "timestamp"),
        ("feature", "string"),
        ("compared", "bigint"),
        ("equal", "bigint"),
        ("different", "bigint"),
        ("missing", "bigint"),
        ("stale", "bigint"),
    ),
    evolves=True,  # it has not always told stale values from different ones
)
REFRESHES = Table(
    OPS,
    "refreshes",
    (
        ("use_case", "string"),
        ("view", "string"),
        ("event_timestamp", "timestamp"),
        ("entities", "string"),
        ("written", "bigint"),
        ("refreshed_at", "timestamp"),
    ),
)
PROFILES = Table(
    OPS,
    "profiles",
    (
        ("use_case", "string"),
        ("profile", "string"),
        ("as_of", "timestamp"),
        ("feature", "string"),
        ("kind", "string"),
        ("rows", "bigint"),
        ("nulls", "bigint"),
        ("mean", "double"),
        ("edges", "array<double>"),
        ("values", "array<string>"),
        ("counts", "array<bigint>"),
    ),
)
DRIFT = Table(
    OPS,
    "drift",
    (
        ("use_case", "string"),
        ("as_of", "timestamp"),
        ("model_version", "string"),
        ("feature", "string"),
        ("rows", "bigint"),
        ("psi", "double"),
        ("verdict", "string"),
        ("reason", "string"),
    ),
)
PERFORMANCE = Table(
    OPS,
    "performance",
    (
        ("use_case", "string"),
        ("as_of", "timestamp"),
        ("event_timestamp", "timestamp"),
        ("model_version", "string"),
        ("rows", "bigint"),
        ("positive_rate", "double"),
        ("metric", "string"),
        ("value", "double"),
        ("baseline", "double"),
        ("matured_at", "timestamp"),
    ),
)
