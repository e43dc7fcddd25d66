"""Online features for a service: by reference, through Feast's own API, many times a second."""

from __future__ import annotations

import threading
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tidemill.features.feast_store import Store
    from tidemill.features.requested import Value
    from tidemill.features.specs import FeatureView

_KEYS_OF_A_READ = 1000  # SQLite takes no statement of more than 32,766 values


@dataclass(frozen=True)
class OnlineRow:
    """What the store holds of one entity.

    Args:
        features: every feature of the views that were asked for; None where it holds none.
        seconds: by view the second since the epoch that its values speak for; a view without values is left out.
    """

    features: Mapping[str, Value]
    seconds: Mapping[str, int]


class OnlineReader:
    """Reads a store that is open. Views are named with their versions, so that an older model reads older views.

    Args:
        store: opened; Feast's stores keep one connection, so one thread reads at a time, and others wait.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._alone = threading.Lock()
        # Said whenever the registry is read. `quiet` is for one thread, and here are several.
        warnings.filterwarnings("ignore", "The spark data source API", RuntimeWarning)
        if store.config.online_store.type == "redis":
            from redis.backoff import NoBackoff
            from redis.retry import Retry

            # Its client would wait for seconds between tries, and with it everybody who asks, also once it is back.
            client = store._get_provider().online_store._get_client(store.config.online_store)
            client.set_retry(Retry(NoBackoff(), 1))

    def check(self, views: Iterable[FeatureView]) -> None:
        """Refuses views that cannot be read: reads look into a copy of the registry, which is fetched anew.

        Raises:
            LookupError: the registry does not know a view, or a feature of it.
        """
        views = list(views)
        self._store.refresh_registry()
        listed = self._store.list_feature_views(allow_cache=True)
        known = {view.name: {field.name for field in view.schema} for view in listed}
        for view in views:
            missing = [f.name for f in view.columns if f.name not in known.get(view.table_name, set())]
            if missing:
                raise LookupError(f"the feature registry knows no {view.table_name}:{missing[0]}: materialize it first")
        self.read(views, ["nobody"])  # what a request will do, before any does

    def read(self, views: Sequence[FeatureView], keys: Sequence[str]) -> list[OnlineRow]:
        """What the store holds of entities, in their order."""
        parts = [keys[at : at + _KEYS_OF_A_READ] for at in range(0, len(keys), _KEYS_OF_A_READ)]
        return [row for part in parts for row in self._read(views, part)]

    def _read(self, views: Sequence[FeatureView], keys: Sequence[str]) -> list[OnlineRow]:
        place = [(view.table_name, f.name) for view in views for f in view.columns]
        names = [f"{view}:{name}" for view, name in place]
        entities = [{views[0].entity.key: key} for key in keys]
        with self._alone:
            found = self._store.get_online_features(features=names, entity_rows=entities).proto
        columns = dict(zip(found.metadata.feature_names.val, found.results, strict=True))
        rows = []
        for at in range(len(keys)):
            features = {name: _value(columns[name].values[at]) for _, name in place}
            stamps = {view: columns[name].event_timestamps[at].seconds for view, name in place}
            rows.append(OnlineRow(features, {view: second for view, second in stamps.items() if second > 0}))
        return rows


def _value(message: Any) -> Value:
    kind = message.WhichOneof("val")
    return None if kind is None else getattr(message, kind)
