"""An offline store for Feast on Spark whose joins are right at every edge, and pay for rows instead of for their pairs.

Any Feast project on Spark can name it in its `feature_store.yaml`:

    offline_store:
      type: tidemill.features.feast_offline.TidemillOfflineStore

A view whose source is a table with entity buckets is joined from that table's files; all others by one union and one
window. What is not said here is as in Feast's own Spark store.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from feast import OnDemandFeatureView
from feast.feature_view import DUMMY_ENTITY_ID, DUMMY_ENTITY_VAL
from feast.infra.offline_stores.contrib.spark_offline_store.spark import SparkOfflineStore, SparkOfflineStoreConfig
from feast.utils import _get_requested_feature_views_to_features_dict, compute_non_entity_date_range
from pyspark.sql import functions as F

from tidemill.features.feast_join import every_entity, join_source_views
from tidemill.features.feast_retrieval import FrameRetrievalJob, SpineMetadata
from tidemill.features.feast_sources import (
    active_session,
    instant,
    settings_kept,
    source_frame,
    source_view,
    spine_frame,
    within,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime


_ROW = "_row"


class TidemillOfflineStoreConfig(SparkOfflineStoreConfig):
    """The settings of Feast's own Spark store; the session that is active is used, and left as it is."""

    type: str = "tidemill.features.feast_offline.TidemillOfflineStore"


class TidemillOfflineStore(SparkOfflineStore):
    """As-of joins by bucket files, or by one union and window."""

    @staticmethod
    def get_historical_features(
        config: Any,
        feature_views: list[Any],
        feature_refs: list[str],
        entity_df: Any,
        registry: Any,
        project: str,
        full_feature_names: bool = False,
        filter_by_created_timestamp: bool = False,
        **period: datetime | None,
    ) -> FrameRetrievalJob:
        """Every row of the spine once, with the newest row of each view that it may use.

        A row stamped `s` is used at `t` where `t - ttl <= s <= t`; of equal stamps the newest created wins; a null key
        matches nothing. Without a spine, every entity seen between `start_date` and `end_date` at the latter.
        """
        session = active_session(config.offline_store)
        on_demand = OnDemandFeatureView.get_requested_odfvs(feature_refs, project, registry)
        asked, _ = _get_requested_feature_views_to_features_dict(feature_refs, feature_views, on_demand)
        views = [source_view(view, features) for view, features in asked.items()]
        if entity_df is None:
            spine, at = (
                every_entity(session, views, *compute_non_entity_date_range(feature_views, **period)),
                "entity_ts",
            )
        else:
            spine, at = spine_frame(session, entity_df)
        frame, paths = join_source_views(
            session, spine, at, views, full=full_feature_names, known=filter_by_created_timestamp
        )
        return FrameRetrievalJob(
            frame,
            paths,
            full_feature_names=full_feature_names,
            config=config,
            on_demand_feature_views=on_demand,
            metadata=SpineMetadata(feature_refs, spine, at),
        )

    @staticmethod
    def pull_latest_from_table_or_query(
        config: Any,
        data_source: Any,
        join_key_columns: list[str],
        feature_name_columns: list[str],
        timestamp_field: str,
        created_timestamp_column: str | None,
        start_date: datetime,
        end_date: datetime,
    ) -> FrameRetrievalJob:
        """The newest row of every entity within `[start_date, end_date]`; rows with a null key are nobody's."""
        session = active_session(config.offline_store)
        times = [name for name in (timestamp_field, created_timestamp_column) if name]
        columns = dict.fromkeys([*join_key_columns, *feature_name_columns, *times])
        frame = source_frame(session, data_source)
        frame = frame.where(within(instant(frame, timestamp_field), start_date, end_date))
        frame = frame.dropna(subset=join_key_columns) if join_key_columns else frame
        order = F.struct(*[F.col(f"`{name}`") for name in times])
        newest = frame.groupBy(*[f"`{k}`" for k in join_key_columns]).agg(
            F.max_by(F.struct(*[f"`{name}`" for name in columns]), order).alias(_ROW)
        )
        found = newest.where(F.col(_ROW).isNotNull()).select(
            *[F.col(f"{_ROW}.`{name}`").alias(data_source.field_mapping.get(name, name)) for name in columns]
        )
        if not join_key_columns:
            found = found.withColumn(DUMMY_ENTITY_ID, F.lit(DUMMY_ENTITY_VAL))
        return FrameRetrievalJob(found, full_feature_names=False, config=config)

    @staticmethod
    def pull_all_from_table_or_query(
        config: Any,
        data_source: Any,
        join_key_columns: list[str],
        feature_name_columns: list[str],
        timestamp_field: str,
        created_timestamp_column: str | None = None,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
    ) -> FrameRetrievalJob:
        """Every row within `[start_date, end_date]`; without names of features every column."""
        session = active_session(config.offline_store)
        frame = source_frame(session, data_source)
        frame = frame.where(within(instant(frame, timestamp_field), start_date, end_date))
        if feature_name_columns:
            times = [name for name in (timestamp_field, created_timestamp_column) if name]
            names = dict.fromkeys([*join_key_columns, *feature_name_columns, *times])
            frame = frame.select(*[F.col(f"`{n}`").alias(data_source.field_mapping.get(n, n)) for n in names])
        return FrameRetrievalJob(frame, full_feature_names=False, config=config)

    def validate_data_source(self, config: Any, data_source: Any) -> None:
        """As Feast's own store, without leaving settings behind."""
        with settings_kept(config.offline_store):
            super().validate_data_source(config, data_source)

    def get_table_column_names_and_types_from_data_source(
        self, config: Any, data_source: Any
    ) -> Iterable[tuple[str, str]]:
        """As Feast's own store, without leaving settings behind."""
        with settings_kept(config.offline_store):
            return list(super().get_table_column_names_and_types_from_data_source(config, data_source))


def _leaving_settings(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def kept(config: Any, *arguments: Any, **named: Any) -> Any:
        with settings_kept(config.offline_store):
            return function(config, *arguments, **named)

    return kept


# What Feast's own store does well enough, but for what it leaves behind.
for _name in (
    "offline_write_batch",
    "compute_monitoring_metrics",
    "get_monitoring_max_timestamp",
    "ensure_monitoring_tables",
    "save_monitoring_metrics",
    "query_monitoring_metrics",
    "clear_monitoring_baseline",
):
    setattr(TidemillOfflineStore, _name, staticmethod(_leaving_settings(getattr(SparkOfflineStore, _name))))
