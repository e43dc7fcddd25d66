"""A materialization engine for Feast whose Spark workers write the online store themselves.

In any `feature_store.yaml`, beside Feast's Spark offline store:

    batch_engine:
      type: tidemill.features.feast_engine.OnlineEngine

It loads the newest row of every entity whose event time lies in `(start, end]`, never over a newer one, and takes out
what is older than the view's ttl at `end`. Whatever ends it in between, the same call again completes the work.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from feast import BatchFeatureView, StreamFeatureView
from feast.infra.common.materialization_job import MaterializationJobStatus
from feast.infra.compute_engines.spark.compute import SparkComputeEngine, SparkComputeEngineConfig
from feast.infra.compute_engines.spark.job import SparkMaterializationJob
from feast.infra.compute_engines.spark.utils import get_or_create_new_spark_session
from feast.infra.online_stores.helpers import _mmh3, compute_versioned_name
from feast.utils import _get_column_names, make_tzaware

from tidemill.core.errors import Exit, TidemillError
from tidemill.features.online import encoding, postgres, redis, sqlite
from tidemill.features.online.load import Loaded, load
from tidemill.features.online.view import Column, OnlineView, Window

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from feast import FeatureView
    from feast.infra.common.materialization_job import MaterializationTask
    from feast.infra.registry.base_registry import BaseRegistry
    from pyspark.sql import DataFrame, SparkSession

_SQLITE, _REDIS, _POSTGRES = "SqliteOnlineStore", "RedisOnlineStore", "PostgreSQLOnlineStore"
_WRITERS: dict[str, Any] = {_SQLITE: sqlite, _REDIS: redis, _POSTGRES: postgres}


@dataclass(frozen=True)
class _Online:
    """Where one view's rows go: the view, the kind of the store, and the store's place as its writer wants it."""

    view: OnlineView
    store: str
    place: Any

    @property
    def writer(self) -> Any:
        return _WRITERS[self.store]

    def load(
        self, session: SparkSession, location: str, source: Callable[[], DataFrame], window: Window
    ) -> tuple[str, int]:
        write = partial(self.writer.write, view=self.view, place=self.place)
        return load(session, location, source, self.view, window, write, one_writer=self.store == _SQLITE)


class OnlineEngineConfig(SparkComputeEngineConfig):
    """The engine's section `batch_engine`; beside the type it takes what Feast's own Spark engine takes."""

    type: Literal["tidemill.features.feast_engine.OnlineEngine"] = "tidemill.features.feast_engine.OnlineEngine"


class OnlineEngine(SparkComputeEngine):
    """Feast's Spark engine with a materialization of its own; all else is inherited.

    Attributes:
        loads: what the loads of this object did, oldest first.
    """

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.loads: list[Loaded] = []

    def _materialize_one(
        self, registry: BaseRegistry, task: MaterializationTask, from_offline_store: bool = False, **_: Any
    ) -> SparkMaterializationJob:
        """Loads one view.

        Raises:
            TidemillError: E_ENGINE (configuration) for what this engine does not do, E_ONLINE_STORE (unavailable).
        """
        del from_offline_store  # Feast's older way and its newer one read the same rows
        feature_view, ttl = task.feature_view, task.feature_view.ttl
        if task.disable_event_timestamp:
            raise _unable(feature_view, "it stamps no row with another time than its own")
        session = get_or_create_new_spark_session(self._get_feature_view_engine_config(feature_view).get("spark_conf"))
        source, end = feature_view.batch_source, make_tzaware(task.end_time)
        query = f"select * from {source.get_table_query_string()}"  # noqa: S608 - as Feast asks for it
        window = Window(make_tzaware(task.start_time), end)
        online = self._online(registry, task.project, feature_view, session)
        path, written = online.load(session, source.path or "", lambda: session.sql(query), window)
        removed = online.writer.remove(online.view, online.place, end - ttl) if ttl else 0
        self.loads.append(Loaded(feature_view.name, path, written, removed))
        job_id = f"{feature_view.name}-{task.start_time}-{task.end_time}"
        return SparkMaterializationJob(job_id=job_id, status=MaterializationJobStatus.SUCCEEDED)

    def push(self, registry: BaseRegistry, project: str, view: FeatureView, rows: DataFrame, at: datetime) -> Loaded:
        """Writes some rows of a view's source, all of one event time, never over newer ones; the workers write them.

        Raises:
            TidemillError: E_ENGINE (configuration) for what this engine does not do, E_ONLINE_STORE (unavailable).
        """
        online = self._online(registry, project, view, rows.sparkSession)
        path, written = online.load(rows.sparkSession, "", lambda: rows, Window(at, at))
        return Loaded(view.name, path, written, 0)

    def _online(self, registry: BaseRegistry, project: str, view: FeatureView, session: SparkSession) -> _Online:
        found = self._online_view(registry, project, view)
        store = type(self.online_store).__name__
        online = _Online(found, store, self._place(view, found, str(session.sparkContext.master)))
        _check(online.writer, online.place, store)
        return online

    def _online_view(self, registry: BaseRegistry, project: str, view: FeatureView) -> OnlineView:
        if isinstance(view, BatchFeatureView | StreamFeatureView) or getattr(view, "feature_transformation", None):
            raise _unable(view, "it loads plain feature views, whose rows are in their source already")
        if self.repo_config.entity_key_serialization_version != 3:
            raise _unable(view, "it writes entity keys of serialization version 3")
        entities = [registry.get_entity(name, project) for name in view.entities]
        sources, columns, event, created = _get_column_names(view, entities)
        names = [entity.join_key for entity in entities]
        kinds = {field.name: _kind(field) for field in (*view.entity_columns, *view.features)}
        keys = tuple(Column(n, s, kinds[n]) for n, s in sorted(zip(names, sources, strict=False)))
        features = tuple(Column(f.name, s, kinds[f.name]) for f, s in zip(view.features, columns, strict=True))
        wrong = [c.name for c in keys if c.kind not in encoding.KEY_KINDS]
        wrong += [c.name for c in features if c.kind not in encoding.KINDS]
        if wrong or not keys:
            raise _unable(view, f"it knows no type {kinds[wrong[0]]!r}" if wrong else "it loads views of entities")
        return OnlineView(project, self._name(view), keys, features, event, created or None)

    def _name(self, view: FeatureView) -> str:
        return str(compute_versioned_name(view, self.repo_config.registry.enable_online_feature_view_versioning))

    def _place(self, feature_view: FeatureView, view: OnlineView, master: str) -> Any:
        config, store = self.repo_config.online_store, type(self.online_store).__name__
        if store not in _WRITERS:
            raise _unable(feature_view, f"it writes Redis, SQLite and PostgreSQL, and no {store}")
        if getattr(config, "vector_enabled", False) or getattr(config, "enable_openai_compatible_store", False):
            raise _unable(feature_view, "it writes no columns for vectors and their search")
        if store == _REDIS:
            return _redis_place(self.online_store, config, feature_view, view)
        if store == _POSTGRES:
            from feast.infra.utils.postgres.connection_utils import _get_conn_kwargs, _get_conninfo

            options = {k: v for k, v in _get_conn_kwargs(config).items() if v is not None}
            return postgres.PostgresPlace(_get_conninfo(config), tuple(options.items()))
        if not master.startswith("local"):
            raise _unable(feature_view, f"SQLite is a file of one machine, and the workers of {master} are others")
        return sqlite.SqlitePlace(str(self.online_store._get_db_path(self.repo_config)))


def _redis_place(store: Any, config: Any, feature_view: FeatureView, view: OnlineView) -> redis.RedisPlace:
    kind = config.redis_type.value
    if kind == "redis_cluster":
        raise _unable(feature_view, "it writes single Redis servers and those behind sentinels, not clusters")
    nodes, options = store._parse_connection_string(config.connection_string)
    return redis.RedisPlace(
        tuple((node["host"], int(node["port"])) for node in nodes),
        tuple(options.items()),
        tuple(_mmh3(f"{view.name}:{feature.name}") for feature in view.features),
        config.sentinel_master if kind == "redis_sentinel" else None,
        config.key_ttl_seconds,
    )


def _kind(field: Any) -> str:
    return str(field.dtype.to_value_type().name).lower()


def _check(writer: Any, place: Any, store: str) -> None:
    try:
        writer.check(place)
    except Exception as error:
        raise TidemillError(
            "E_ONLINE_STORE",
            f"the online store does not answer: {type(error).__name__}: {error}",
            where=f"{store}, online_store in feature_store.yaml",
            next_step="start the server, or correct its address and credentials, and run the same command again",
            exit_code=Exit.UNAVAILABLE,
        ) from error


def _unable(view: FeatureView, what: str) -> TidemillError:
    return TidemillError(
        "E_ENGINE",
        f"this engine cannot load the feature view {view.name!r}: {what}",
        where="batch_engine in feature_store.yaml",
        next_step="change the view or the store; or use Feast's own engine, `batch_engine: {type: spark.engine}`",
        exit_code=Exit.CONFIGURATION,
    )
