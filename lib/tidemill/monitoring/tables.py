"""The tables that monitoring writes."""

from __future__ import annotations

from tidemill.data.profile_rows import PROFILE_COLUMNS
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
    # Grain: what is profiled (a training set, or what a model version scored), as-of time, slice, day, column.
    (
        ("use_case", "string"),
        ("profile", "string"),
        ("as_of", "timestamp"),
        ("profiled_at", "timestamp"),
        *PROFILE_COLUMNS,
    ),
    evolves=True,  # a profile has not always held all that it holds now
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
        ("tail", "double"),
        ("jensen_shannon", "double"),
        ("hellinger", "double"),
        ("kolmogorov_smirnov", "double"),
        ("wasserstein", "double"),
        ("chi_square", "double"),
        ("l_infinity", "double"),
        ("judged_at", "timestamp"),
        ("kind", "string"),
        ("auc", "double"),
        ("table", "string"),  # that the feature is a column of: of gold, or of a source
        ("day", "date"),  # which day of it was judged
    ),
    evolves=True,  # it has not always told the distances beside the index, when it was judged, nor what it is of
)
REALISED, EXPECTED, HINDSIGHT = "realised", "expected", "hindsight"
PERFORMANCE = Table(
    OPS,
    "performance",
    # Grain: run's as-of time, as-of time of the scores, kind, metric and slice (null for all rows). `realised`: stored
    # predictions on labels that had matured; `expected`: before that; `hindsight`: what a version would have reached.
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
        ("kind", "string"),
        ("low", "double"),
        ("high", "double"),
        ("reason", "string"),
        ("slice", "string"),
        ("slice_value", "string"),
        ("promised", "double"),
        ("predictions_batch", "string"),
        ("judged_rows", "string"),  # a digest of entities, labels and scores: equal means judged on the same
        ("judged_at", "timestamp"),
        ("promised_low", "double"),
        ("promised_high", "double"),
    ),
    evolves=True,  # it has not always held what is expected before labels, intervals, slices, nor what was promised
)
DECISIONS = Table(
    OPS,
    "decisions",
    # Grain: use case and as-of time: whether to retrain, in which mode that was decided, and why.
    (
        ("use_case", "string"),
        ("as_of", "timestamp"),
        ("model_version", "string"),
        ("mode", "string"),
        ("action", "string"),
        ("reasons", "array<string>"),
        ("drift", "string"),
        ("decided_at", "timestamp"),
    ),
)
ALERTS = Table(
    OPS,
    "alerts",
    # Grain: use case, as-of time and alert. `sent`: whether anybody was told then; `silenced`, `failure`: why not.
    (
        ("use_case", "string"),
        ("as_of", "timestamp"),
        ("severity", "string"),
        ("kind", "string"),
        ("subject", "string"),
        ("text", "string"),
        ("sent", "boolean"),
        ("silenced", "string"),
        ("failure", "string"),
        ("made_at", "timestamp"),
    ),
)
DELIVERIES = Table(
    OPS,
    "deliveries",
    # Grain: an alert, found at an as-of time, that a channel was given, and whether it took it. What it did not take is
    # tried again, with the same as-of time and a new row.
    (
        ("use_case", "string"),
        ("as_of", "timestamp"),
        ("severity", "string"),
        ("kind", "string"),
        ("subject", "string"),
        ("text", "string"),
        ("channel", "string"),
        ("sent", "boolean"),
        ("failure", "string"),
        ("made_at", "timestamp"),
    ),
)
