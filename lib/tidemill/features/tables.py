"""The gold tables of views and labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidemill.data.tables import GOLD, Table

if TYPE_CHECKING:
    from tidemill.features.specs import FeatureView, Label


def view_table(view: FeatureView) -> Table:
    """Grain: entity and `event_timestamp` (the as-of time T); features as of T; `created_timestamp` of the run."""
    return Table(
        GOLD,
        view.table_name,
        (
            (view.entity.key, "string"),
            ("event_timestamp", "timestamp"),
            *((f.name, f.type) for f in view.columns),
            ("created_timestamp", "timestamp"),
            ("batch_id", "string"),
            ("period", "string"),
            ("bucket", "int"),
        ),
        partitions=("period", "bucket"),
        sort=("event_timestamp", view.entity.key),
        entity=view.entity.key,
        time="event_timestamp",
        declaration=view.digest,
    )


def labels_table(use_case: str, label: Label) -> Table:
    """Grain: entity, `event_timestamp` (t) and label version; `label`; `matured_at`: when it was complete."""
    key = label.population.source.entity.key
    return Table(
        GOLD,
        f"{use_case}_labels",
        (
            (key, "string"),
            ("event_timestamp", "timestamp"),
            ("label", "double"),
            ("label_version", "string"),
            ("matured_at", "timestamp"),
            ("created_timestamp", "timestamp"),
            ("batch_id", "string"),
            ("period", "string"),
            ("bucket", "int"),
        ),
        partitions=("period", "bucket"),
        sort=("event_timestamp", key),
        entity=key,
        time="event_timestamp",
    )
