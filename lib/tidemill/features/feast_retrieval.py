"""The answer of our offline store: a frame that is worked out where and when somebody wants it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
from feast.infra.offline_stores.contrib.spark_offline_store.spark import SparkRetrievalJob
from feast.infra.offline_stores.contrib.spark_offline_store.spark_source import SavedDatasetSparkStorage
from feast.infra.offline_stores.offline_store import RetrievalMetadata
from feast.type_map import feast_value_type_to_pa
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_type
from pyspark.sql.types import StructField, StructType

from tidemill.core.time import from_micros
from tidemill.features.feast_sources import instant

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    import pandas as pd
    from pyspark.sql import DataFrame


class SpineMetadata(RetrievalMetadata):
    """What Feast wants to know of a retrieval; its bounds are looked for when they are asked for."""

    def __init__(self, features: list[str], spine: DataFrame, at: str) -> None:
        self._spine, self._at = spine, at
        self._bounds: tuple[datetime | None, datetime | None] | None = None
        self.features = features
        self.keys = [name for name in spine.columns if name != at]

    @property
    def min_event_timestamp(self) -> datetime | None:
        """The earliest moment of the spine."""
        return self._found()[0]

    @property
    def max_event_timestamp(self) -> datetime | None:
        """The latest moment of the spine."""
        return self._found()[1]

    def _found(self) -> tuple[datetime | None, datetime | None]:
        if self._bounds is None:
            moment = instant(self._spine, self._at)
            row = self._spine.agg(F.unix_micros(F.min(moment)), F.unix_micros(F.max(moment))).first()
            low, high = row if row is not None else (None, None)
            self._bounds = (_moment(low), _moment(high))
        return self._bounds


class FrameRetrievalJob(SparkRetrievalJob):
    """A retrieval whose answer is a frame.

    Args:
        frame: what was retrieved, without on-demand features.
        paths: which way the as-of join took, by feature view.
        more: what Feast's own retrieval takes.
    """

    def __init__(self, frame: DataFrame, paths: Mapping[str, str] | None = None, **more: Any) -> None:
        super().__init__(spark_session=frame.sparkSession, query="", **more)
        self._frame = frame
        self.paths = dict(paths or {})

    def to_spark_df(self) -> DataFrame:
        """The answer as a frame, with its on-demand features."""
        return _with_on_demand(self._frame, self.on_demand_feature_views, self._requested(), self.full_feature_names)

    def persist(self, storage: Any, allow_overwrite: bool | None = False, timeout: int | None = None) -> None:
        """Writes the answer to a saved dataset's path, in its format, or to its table."""
        options = storage.spark_options if isinstance(storage, SavedDatasetSparkStorage) else None
        if options is None or not options.path or options.table_format is None:
            super().persist(storage, allow_overwrite, timeout)
            return
        form = options.table_format
        writer = self.to_spark_df().write.format(form.format_type.value).options(**form.properties)
        writer.mode("overwrite" if allow_overwrite else "error").save(options.path)

    def _to_df_internal(self, timeout: int | None = None) -> pd.DataFrame:
        return self._to_arrow_internal(timeout).to_pandas()

    def _to_arrow_internal(self, timeout: int | None = None) -> pa.Table:  # noqa: ARG002 - Feast's signature
        """The answer without on-demand features, which Feast adds itself; instants are in UTC."""
        if self._should_use_staging_for_arrow():
            return self._to_arrow_via_staging()
        table = self._frame.toArrow()
        fields = [pa.field(f.name, pa.timestamp("us", "UTC") if _has_zone(f.type) else f.type) for f in table.schema]
        return table.cast(pa.schema(fields))

    def _requested(self) -> set[str]:
        return set(self.metadata.features) if self.metadata is not None else set()


def _with_on_demand(frame: DataFrame, views: Sequence[Any], requested: set[str], full: bool) -> DataFrame:
    """The frame with the requested features of on-demand views, worked out by the workers."""
    if not views:
        return frame
    added = [
        (view, feature, f"{view.projection.name_to_use()}__{feature.name}" if full else feature.name)
        for view in views
        for feature in view.features
        if {f"{view.name}:{feature.name}", f"{view.projection.name_to_use()}:{feature.name}"} & requested
    ]
    kinds = [feast_value_type_to_pa(feature.dtype.to_value_type()) for _, feature, _ in added]
    fields = [StructField(name, from_arrow_type(kind)) for (*_, name), kind in zip(added, kinds, strict=True)]
    schema = StructType([*frame.schema.fields, *fields])
    names = schema.names

    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            table = pa.Table.from_batches([batch])
            made = {id(view): view.transform_arrow(table, full) for view in views}
            columns = [made[id(view)][name].cast(kind) for (view, _, name), kind in zip(added, kinds, strict=True)]
            yield from pa.table([*table.columns, *columns], names=names).to_batches()

    return frame.mapInArrow(run, schema)


def _has_zone(kind: pa.DataType) -> bool:
    return pa.types.is_timestamp(kind) and kind.tz is not None


def _moment(value: int | None) -> datetime | None:
    return None if value is None else from_micros(value)
