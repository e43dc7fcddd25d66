"""What Feast asks for, as frames: a view's rows, a spine in any form, moments whatever their type and zone."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
from feast.feature_view import DUMMY_ENTITY_ID
from feast.feature_view_utils import has_transformation
from feast.infra.offline_stores.contrib.spark_offline_store.spark_source import SparkSource
from feast.infra.offline_stores.offline_utils import infer_event_timestamp_from_entity_df
from feast.type_map import spark_schema_to_np_dtypes
from pyspark import SparkConf
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from tidemill.core.errors import Exit, TidemillError
from tidemill.data.located import table_at
from tidemill.data.read import read

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pyspark.sql import Column

# Feast's own code sets it on whatever session it finds: names in backticks are then patterns, for the caller as well.
_LEFT_BEHIND = "spark.sql.parser.quotedRegexColumnNames"


@dataclass(frozen=True)
class SourceView:
    """What a retrieval wants of one feature view.

    Args:
        name: that its features' full names begin with.
        source: where its rows are.
        keys: the columns of the spine and of the source that have to be equal; none means one row for all.
        features: the columns of the source, and what the features are called.
        stamp: the column of the source with the event time.
        made: the column that settles equal event times, or None.
        ttl: how old a row may be, or None for any age.
    """

    name: str
    source: SparkSource
    keys: tuple[tuple[str, str], ...]
    features: tuple[tuple[str, str], ...]
    stamp: str
    made: str | None
    ttl: timedelta | None

    def labels(self, *, full: bool) -> list[str]:
        """What its features are called in the answer."""
        return [f"{self.name}__{feature}" if full else feature for _, feature in self.features]


def source_view(view: Any, features: Sequence[str]) -> SourceView:
    """A Feast feature view, or a projection of one, with the requested features by the names of the source.

    Raises:
        TidemillError: E_SOURCE_KIND (configuration) where its features are no columns of a Spark source.
    """
    source = view.batch_source
    if not isinstance(source, SparkSource):
        raise _refused(view, f"reads from a {type(source).__name__}")
    if has_transformation(view) or getattr(view, "aggregations", None):
        raise _refused(view, "computes its features when they are read")
    columns = {feature: column for column, feature in source.field_mapping.items()}
    keys = [
        (view.projection.join_key_map.get(entity.name, entity.name), columns.get(entity.name, entity.name))
        for entity in view.entity_columns
        if entity.name != DUMMY_ENTITY_ID
    ]
    made = source.created_timestamp_column
    return SourceView(
        name=view.projection.name_to_use(),
        source=source,
        keys=tuple(keys),
        features=tuple((columns.get(feature, feature), feature) for feature in dict.fromkeys(features)),
        stamp=columns.get(source.timestamp_field, source.timestamp_field),
        made=columns.get(made, made) or None,
        ttl=view.ttl or None,  # Feast's zero means no end, too
    )


def source_frame(session: SparkSession, source: SparkSource) -> DataFrame:
    """The rows of a source. A table of a lake is read at its last ledgered version."""
    if source.table:
        return session.table(source.table)
    if source.query:
        return session.sql(source.query)
    if located := table_at(source.path, source.timestamp_field):
        return read(session, *located)
    form = source.table_format
    reader = session.read.format(form.format_type.value if form else source.file_format)
    return reader.options(**(form.properties if form else {})).load(source.path)


def spine_frame(session: SparkSession, entity_df: Any) -> tuple[DataFrame, str]:
    """The spine as a frame, and its column with the moment that each row speaks for.

    Args:
        session: where it is made.
        entity_df: a pandas frame, whose naive times are UTC; the text of a query; or a Spark frame.
    """
    if isinstance(entity_df, pd.DataFrame):
        at = infer_event_timestamp_from_entity_df(dict(zip(entity_df.columns, entity_df.dtypes, strict=True)))
        moments = pd.to_datetime(entity_df[at], utc=True).dt.floor("us")
        table = pa.Table.from_pandas(entity_df.assign(**{at: moments}), preserve_index=False)
        return session.createDataFrame(table), at
    frame = session.sql(entity_df) if isinstance(entity_df, str) else entity_df
    if not isinstance(frame, DataFrame):
        raise TidemillError(
            "E_SPINE",
            f"entity rows come as a pandas frame, the text of a query or a Spark frame, not as {type(frame).__name__}",
            where="entity_df of get_historical_features",
            next_step="pass one of these three",
            exit_code=Exit.USAGE,
        )
    return frame, infer_event_timestamp_from_entity_df(
        dict(zip(frame.columns, spark_schema_to_np_dtypes(frame.dtypes), strict=True))
    )


def instant(frame: DataFrame, name: str) -> Column:
    """A column of moments as a timestamp; times without a zone and dates are UTC, whatever the session's zone is.

    Raises:
        TidemillError: E_SPINE (usage) where it holds no times.
    """
    kind, column = frame.schema[name].dataType, F.col(f"`{name}`")
    if isinstance(kind, T.TimestampType):
        return column
    if isinstance(kind, T.TimestampNTZType | T.DateType):
        return F.concat(column.cast("timestamp_ntz").cast("string"), F.lit("Z")).cast("timestamp")
    raise TidemillError(
        "E_SPINE",
        f"the column {name!r} holds no times but {kind.simpleString()}",
        where="the event timestamps of a retrieval from Feast",
        next_step="cast it to a timestamp",
        exit_code=Exit.USAGE,
    )


def within(moment: Column, start: datetime | None, end: datetime | None) -> Column:
    """Whether a moment lies in `[start, end]`, as Feast counts; naive ends are UTC, None is no end."""
    found = F.lit(True)
    if start is not None:
        found = found & (moment >= F.lit(_aware(start)))
    return found if end is None else found & (moment <= F.lit(_aware(end)))


def active_session(config: Any) -> SparkSession:
    """The session of the caller, as it is; one is made only where there is none."""
    session = SparkSession.getActiveSession()
    if session is None:
        settings = SparkConf().setAll(list((config.spark_conf or {}).items()))
        session = SparkSession.builder.config(conf=settings).getOrCreate()
    return session


@contextmanager
def settings_kept(config: Any) -> Iterator[SparkSession]:
    """Lets Feast's own code use the session, and leaves the session as it was."""
    session = active_session(config)
    before = session.conf.get(_LEFT_BEHIND, None)
    try:
        yield session
    finally:
        if before is None:
            session.conf.unset(_LEFT_BEHIND)
        else:
            session.conf.set(_LEFT_BEHIND, before)


def _refused(view: Any, does: str) -> TidemillError:
    return TidemillError(
        "E_SOURCE_KIND",
        f"the feature view {view.name!r} {does}, which this offline store does not",
        where=f"feature view {view.name!r}",
        next_step="give it a SparkSource with a path, a table or a query that holds its features",
        exit_code=Exit.CONFIGURATION,
    )


def _aware(value: datetime) -> datetime:
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value
