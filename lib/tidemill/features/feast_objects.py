"""Declarations as Feast objects: entity, views over gold tables, one feature service a use case."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from feast import Entity, FeatureService, FeatureView, Field
from feast.infra.offline_stores.contrib.spark_offline_store.spark_source import SparkSource
from feast.table_format import DeltaFormat
from feast.types import Float64, String
from feast.value_type import ValueType

from tidemill.core.quiet import quiet
from tidemill.data.places import spark_address
from tidemill.features.tables import view_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidemill.data.tables import Lake
    from tidemill.features import specs

_TYPES = {"double": Float64, "string": String}


def feast_objects(name: str, description: str, views: Sequence[specs.FeatureView], lake: Lake) -> list[Any]:
    """The Feast objects of one use case.

    Args:
        name: of the feature service, which is the use case's.
        description: for Feast's page.
        views: the feature views; each becomes the Feast view `<name>_v<version>` over its gold table.
        lake: says where the gold tables are.
    """
    entities: dict[str, Entity] = {}
    made = []
    for view in views:
        key = view.entity.key
        entities.setdefault(
            key, Entity(name=key, join_keys=[key], value_type=ValueType.STRING, description=view.entity.description)
        )
        with quiet():  # Feast warns that its Spark source is young
            source = SparkSource(
                name=f"{view.table_name}_gold",
                path=spark_address(lake.path(view_table(view))),
                table_format=DeltaFormat(),
                timestamp_field="event_timestamp",
                created_timestamp_column="created_timestamp",
                description=view.description,
            )
        schema = [Field(name=key, dtype=String)]
        schema += [Field(name=f.name, dtype=_TYPES[f.type], description=f.description or f.unit) for f in view.columns]
        made.append(
            FeatureView(
                name=view.table_name,
                entities=[entities[key]],
                ttl=view.ttl,
                schema=schema,
                source=source,
                description=view.description,
                tags={"source": view.source.name, "declaration": view.digest[:16]},
            )
        )
    service = FeatureService(name=name, features=list(made), description=description)
    return [*entities.values(), *made, service]
