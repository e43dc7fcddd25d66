"""Twenty features for one key and for a hundred: Feast's SDK on SQLite and Redis, beside Feast's own server on Redis.

The stores are filled by our writers. Latencies are of single calls, one after the other, from one client; the CPU
seconds of the table hold the start as well, and say little.
"""

from __future__ import annotations

import functools
import json
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import _redis
from bench.harness import Contestant, Size, main
from bench.materialize import FEATURES, OURS, _yaml, view

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ENTITIES = 10_000
CALLS: dict[Size, int] = {"small": 200, "full": 5_000}
AT = datetime(2025, 1, 10, tzinfo=UTC)
_START_S = 60.0


def make_data(folder: Path, size: Size) -> None:
    """How many calls are made; the entities are made anew by each contestant."""
    (folder / "calls").write_text(str(CALLS[size]), "utf-8")


def fill(online: str, out: Path) -> Any:
    """A Feast store whose online store holds all entities."""
    import numpy as np
    import pyarrow as pa
    from tidemill.core.quiet import quiet
    from tidemill.data.tables import Lake
    from tidemill.features import feast_store
    from tidemill.features.feast_objects import feast_objects
    from tidemill.features.online import redis, sqlite

    _redis.emptied()
    store = feast_store.open_store(_yaml(out, online, OURS), out)
    feast_store.apply_objects(store, feast_objects("bench", "", [view()], Lake(out, "bench")), out)
    engine = store._get_provider().batch_engine
    with quiet():
        registered = store.get_feature_view("wide_v1")
    seen = engine._online_view(store.registry, store.project, registered)
    random = np.random.default_rng(1)
    times = pa.array([AT] * ENTITIES, pa.timestamp("us", "UTC"))
    columns = {"customer": pa.array([_key(n) for n in range(ENTITIES)]), "event_timestamp": times}
    columns |= {f.name: pa.array(random.random(ENTITIES)) for f in view().columns} | {"created_timestamp": times}
    place = engine._place(registered, seen, "local")
    writer = redis if online == "redis" else sqlite
    written = sum(writer.write([pa.RecordBatch.from_pydict(columns)], seen, place))
    if written != ENTITIES:
        raise RuntimeError(f"{written} of {ENTITIES} entities were written")
    return store


def sdk(online: str, keys: int, data: Path, out: Path) -> None:
    """Calls in this process."""
    store = fill(online, out)
    service = store.get_feature_service("bench")

    def call(wanted: Sequence[str]) -> dict[str, list[Any]]:
        rows = [{"customer": key} for key in wanted]
        found: dict[str, list[Any]] = store.get_online_features(features=service, entity_rows=rows).to_dict()
        return found

    _measure(call, keys, data, out)


# Feast ends a worker after a thousand requests, and with it the connections to it: here it may go on.
SERVED = ("--host", "127.0.0.1", "--max-requests", "0")


def server(online: str, keys: int, data: Path, out: Path) -> None:
    """Calls of Feast's own HTTP server with one worker, over one connection that is kept."""
    import requests

    fill(online, out)
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        port = trial.getsockname()[1]
    feast = Path(sys.executable).with_name("feast")
    words = [str(feast), "-f", str(out / "feature_store.yaml"), "serve", *SERVED, "--port", str(port)]
    serving = subprocess.Popen([*words, "--no-access-log"])  # noqa: S603
    try:
        with requests.Session() as session:
            _await(session, port)

            def call(wanted: Sequence[str]) -> dict[str, list[Any]]:
                asked: Any = {"feature_service": "bench", "entities": {"customer": list(wanted)}}
                answer = session.post(f"http://127.0.0.1:{port}/get-online-features", json=asked, timeout=30).json()
                names = answer["metadata"]["feature_names"]
                return {name: found["values"] for name, found in zip(names, answer["results"], strict=True)}

            _measure(call, keys, data, out)
    finally:
        serving.terminate()
        serving.wait()


def answer(out: Path) -> Any:
    """The features of the same keys, whoever was asked."""
    return json.loads((out / "answer.json").read_text("utf-8"))


def figures(out: Path) -> dict[str, float]:
    """Latencies in milliseconds."""
    import numpy as np

    seen = np.array(json.loads((out / "seconds.json").read_text("utf-8"))) * 1000
    return {"median_ms": float(np.median(seen)), "p99_ms": float(np.percentile(seen, 99))}


def _measure(call: Callable[[Sequence[str]], dict[str, list[Any]]], keys: int, data: Path, out: Path) -> None:
    calls = int((data / "calls").read_text("utf-8")) // (1 if keys == 1 else 10)
    wanted = [[_key((7919 * (number * keys + n)) % ENTITIES) for n in range(keys)] for number in range(calls)]
    for some in wanted[: max(10, calls // 20)]:  # connections, caches, the registry
        call(some)
    seconds = []
    for some in wanted:
        began = time.perf_counter()
        call(some)
        seconds.append(time.perf_counter() - began)
    found = call([_key(n) for n in range(5)])
    values = {name: found[name] for name in sorted(found) if name != "customer"}
    if len(values) != FEATURES:
        raise RuntimeError(f"{len(values)} features were answered")
    (out / "seconds.json").write_text(json.dumps(seconds), "utf-8")
    (out / "answer.json").write_text(json.dumps(values), "utf-8")


def _await(session: Any, port: int) -> None:
    import requests

    deadline = time.monotonic() + _START_S
    while True:
        try:
            session.get(f"http://127.0.0.1:{port}/health", timeout=5).raise_for_status()
        except requests.RequestException:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
        else:
            return


def _key(number: int) -> str:
    return f"C{number:08}"


def _one(what: str, run: Callable[[str, int, Path, Path], None], online: str, keys: int, role: Any) -> Contestant:
    asked = functools.partial(run, online, keys)
    return Contestant(f"{what} {online} {keys}", f"{keys} keys", asked, answer, role, figures=figures)


CONTESTANTS = tuple(
    _one(what, run, online, keys, role)
    for keys in (1, 100)
    for what, run, online, role in (
        ("sdk", sdk, "redis", "reference"),
        ("sdk", sdk, "sqlite", "peer"),
        ("feast server", server, "redis", "peer"),
    )
)

if __name__ == "__main__":
    _redis.beside_redis()
    main(make_data, CONTESTANTS, packages=("tidemill", "feast", "redis", "pyarrow"))
