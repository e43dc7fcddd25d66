"""Scores over HTTP at 1, 8 and 64 connections, beside Feast's server (the lookup alone) and MLflow's (the model alone).

One process serves, another asks, each on a core of its own where there are two; Redis has a third, or that of who asks.
Latencies are of requests for one entity of twenty features, over connections that are kept; `ms_per_request` is the
wall time divided by the requests. The CPU seconds of the table hold the start as well, which has figures of its own:
wall seconds from the start of the process to its first answer, and to being ready.

The event handler of an exported model has two figures: wall seconds of a fresh process to its first answer, on one
core, and millions of bytes of its folder and of the packages that it needs.
"""

from __future__ import annotations

import functools
import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import _redis
from bench._installed import HANDLER, installed_bytes
from bench.harness import Contestant, Size, Target, main
from bench.materialize import view
from bench.online import ENTITIES, SERVED, _key, answer, fill

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bench.harness import Measured

    Ask = Callable[[int], tuple[str, Any]]

CONNECTIONS = (1, 8, 64)
FRESH = 5  # processes of the handler
REQUESTS: dict[Size, int] = {"small": 500, "full": 10_000}
_NAME = "bench"
_START_S = 90.0
_PATHS = {"alive_s": "/healthz", "ready_s": "/readyz"}
_JSON = {"Content-Type": "application/json"}
_HANDLE = "import json, sys, handler; print(json.dumps(handler.handle(json.load(sys.stdin))))"


def make_data(folder: Path, size: Size) -> None:
    """How many requests are made; the entities are made anew by each contestant."""
    (folder / "requests").write_text(str(REQUESTS[size]), "utf-8")


def tidemill(online: str, connections: int, data: Path, out: Path) -> None:
    """The service: lookup and score."""
    fill(online, out)
    register(out)
    settings = [word for text in ("rate=1000000", "burst=1000000") for word in ("--set", f"serve.{text}")]
    words = ["-c", "from tidemill.cli.console import main; main()", "serve", _NAME, "--root", str(out), *settings]

    def ask(number: int) -> tuple[str, Any]:
        return f"/v1/{_NAME}/predict", {"entities": [{"key": _key(number)}]}

    def score(found: Any) -> float:
        return float(found["predictions"][0]["score"])

    _measure([*words, "--repo", str(out), "--port"], _PATHS, ask, score, connections, data, out)


def feast(online: str, connections: int, data: Path, out: Path) -> None:
    """Feast's own server with one worker: the lookup alone; the client adds the features up."""
    fill(online, out)
    names = [f.name for f in view().columns]

    def ask(number: int) -> tuple[str, Any]:
        return "/get-online-features", {"feature_service": _NAME, "entities": {"customer": [_key(number)]}}

    def score(found: Any) -> float:
        values = dict(zip(found["metadata"]["feature_names"], found["results"], strict=True))
        return functools.reduce(lambda total, name: total + float(values[name]["values"][0]), names, 0.0)

    program = Path(sys.executable).with_name("feast")
    words = [str(program), "-f", str(out / "feature_store.yaml"), "serve", *SERVED, "--no-access-log"]
    _measure([*words, "--port"], {"ready_s": "/health"}, ask, score, connections, data, out)


def mlflow(online: str, connections: int, data: Path, out: Path) -> None:
    """MLflow's server on the same model: the score alone; the client looks the features up before it is measured."""
    store = fill(online, out)
    uri = register(out)
    names = [f.name for f in view().columns]
    keys = [{"customer": _key(number)} for number in range(ENTITIES)]
    found = store.get_online_features(features=store.get_feature_service(_NAME), entity_rows=keys).to_dict()

    def ask(number: int) -> tuple[str, Any]:
        return "/invocations", {"dataframe_split": {"columns": names, "data": [[found[n][number] for n in names]]}}

    def score(answered: Any) -> float:
        first = answered["predictions"][0]
        return float(first["score"] if isinstance(first, dict) else first)

    program = Path(sys.executable).with_name("mlflow")
    words = [str(program), "models", "serve", "-m", uri, "--env-manager", "local", "--workers", "1", "--port"]
    _measure(words, {"ready_s": "/ping"}, ask, score, connections, data, out)


def handler(_data: Path, out: Path) -> None:
    """The event handler of an exported bundle: fresh processes, each until its first answer."""
    from tidemill.models.registry import Registry
    from tidemill.serving.bundle import write_bundle

    store = fill("sqlite", out)
    register(out)
    registry, folder = Registry(out), out / "bundle"
    write_bundle(registry, registry.version(_NAME, "1"), folder)
    keys = [{"customer": _key(number)} for number in range(5)]
    found = store.get_online_features(features=store.get_feature_service(_NAME), entity_rows=keys).to_dict()
    event = json.dumps({"rows": [{f.name: found[f.name][number] for f in view().columns} for number in range(5)]})
    os.sched_setaffinity(0, _cores()[0])
    seconds = []
    for _ in range(FRESH):
        began = time.perf_counter()
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(folder)!r}); {_HANDLE}"],
            input=event.encode(),
            capture_output=True,
            check=True,
        )
        seconds.append(time.perf_counter() - began)
    weight = sum(path.stat().st_size for path in folder.iterdir()) + sum(installed_bytes(HANDLER).values())
    said = [item["score"] for item in json.loads(done.stdout)["predictions"]]
    (out / "handler.json").write_text(json.dumps({"cold_start_s": min(seconds), "package_mb": weight / 1e6}), "utf-8")
    (out / "answer.json").write_text(json.dumps(said), "utf-8")


def handler_figures(out: Path) -> dict[str, float]:
    """The cold start in seconds, and the size of the package in millions of bytes."""
    found: dict[str, float] = json.loads((out / "handler.json").read_text("utf-8"))
    return found


def register(root: Path) -> str:
    """Registers a model that adds the features up, as champion; returns where its files lie."""
    from tidemill.core.frozen import freeze
    from tidemill.core.time import days
    from tidemill.declare import ActiveWithin, Grid, Label, LinearRegression, NoEventIn, UseCase
    from tidemill.models.card import CARD, DECLARATION
    from tidemill.models.onnx_export import Export, add_prediction
    from tidemill.models.onnx_graph import NUMBER, Graph, Output
    from tidemill.models.onnx_scoring import DESCRIPTION, GRAPH, SAMPLE, make_scorer
    from tidemill.models.packaging import Package
    from tidemill.models.promotion import CHAMPION
    from tidemill.models.registry import Registry

    (root / "lake").mkdir()
    wide = view()
    label = Label("y", horizon=days(1), population=ActiveWithin(wide.source, days(9)), outcome=NoEventIn(wide.source))
    case = UseCase(
        _NAME,
        views=(wide,),
        label=label,
        task="regression",
        models=(LinearRegression(),),
        grid=Grid("2024-01-11", every=days(1)),
        baseline=wide.columns[0].name,
    )
    graph = Graph()
    total = graph.number(0.0)
    for feature in wide.columns:
        total = graph.add("Add", total, graph.read(feature.name, NUMBER).tensor)
    serialised = graph.serialise(total, prediction=add_prediction(graph, Output(total)))
    exported = Export(serialised, graph.inputs, "<null>", graph.width, 1e-9, {})
    rows: list[dict[str, Any]] = [dict.fromkeys(graph.inputs, 0.5)]
    scores = make_scorer(serialised, exported.description()).score_rows(rows).tolist()
    spark, made = root / "made" / "sparkml", root / "made" / "graph"
    spark.mkdir(parents=True)
    made.mkdir()
    (made / GRAPH).write_bytes(serialised)
    (made / DESCRIPTION).write_text(json.dumps({"task": case.task, **exported.description()}), "utf-8")
    (made / SAMPLE).write_text(json.dumps({"rows": rows, "scores": scores, "predictions": scores}), "utf-8")
    registry = Registry(root)
    run = registry.start_training(_NAME, "1", {})
    documents = {CARD: {"threshold": None}, DECLARATION: freeze(case)}
    uri = registry.log_package(run, Package(spark, made, exported.inputs, rows[0]), documents)
    version = registry.register(_NAME, uri, run, "1", {})
    registry.set_alias(_NAME, CHAMPION, version.version)
    return str(next(root.rglob("MLmodel")).parent)


def figures(out: Path) -> dict[str, float]:
    """Latencies in milliseconds, the wall time of a request in a stream of them, and the seconds of the start."""
    import numpy as np

    found = json.loads((out / "seconds.json").read_text("utf-8"))
    seen = np.array(found["requests"]) * 1000
    each = found["wall"] * 1000 / len(seen)
    return {
        "median_ms": float(np.median(seen)),
        "p99_ms": float(np.percentile(seen, 99)),
        "ms_per_request": float(each),
        **found["start"],
    }


def _measure(
    words: Sequence[str],
    paths: Mapping[str, str],
    ask: Ask,
    score: Callable[[Any], float],
    connections: int,
    data: Path,
    out: Path,
) -> None:
    """Starts a server, whose last word is the port, waits for paths, and asks over so many connections at a time."""
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        port = trial.getsockname()[1]
    program = [] if words[0].startswith("/") else [sys.executable, "-P"]
    serving, asking, storing = _cores()
    known: Any = _redis.client().info("server")
    os.sched_setaffinity(known["process_id"], storing)
    os.sched_setaffinity(0, serving)  # which the server inherits
    started = time.perf_counter()
    # MLflow looks for uvicorn on PATH.
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    server = subprocess.Popen([*program, *words, str(port)], stdout=subprocess.DEVNULL, env=environment)  # noqa: S603
    os.sched_setaffinity(0, asking)
    try:
        start = {name: _await(server, port, path) - started for name, path in paths.items()}
        count = max(1, int((data / "requests").read_text("utf-8")) // connections)
        _stream(port, ask, max(5, count // 10), connections)  # connections, caches, the registry
        began = time.perf_counter()
        seconds = _stream(port, ask, count, connections)
        wall = time.perf_counter() - began
        connection = http.client.HTTPConnection("127.0.0.1", port)
        said = [score(_asked(connection, ask(number))) for number in range(5)]
    finally:
        server.terminate()
        server.wait()
    (out / "seconds.json").write_text(json.dumps({"requests": seconds, "wall": wall, "start": start}), "utf-8")
    (out / "answer.json").write_text(json.dumps(said), "utf-8")


def _cores() -> tuple[set[int], set[int], set[int]]:
    """A core for who serves, one for who asks, and one for Redis, as far as there are so many."""
    first, *others = sorted(os.sched_getaffinity(0))
    second, *more = others or [first]
    return {first}, {second}, {more[0] if more else second}


def _stream(port: int, ask: Ask, count: int, connections: int) -> list[float]:
    seconds: list[float] = []
    failed: list[BaseException] = []

    def caller(first: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            for number in range(count):
                asked = ask((first + number * connections * 7919) % ENTITIES)
                began = time.perf_counter()
                _asked(connection, asked)
                seconds.append(time.perf_counter() - began)
        except BaseException as error:
            failed.append(error)
            raise
        finally:
            connection.close()

    threads = [threading.Thread(target=caller, args=(first,)) for first in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise RuntimeError("a request was not answered") from failed[0]
    return seconds


def _asked(connection: http.client.HTTPConnection, asked: tuple[str, Any]) -> Any:
    path, body = asked
    connection.request("POST", path, json.dumps(body), _JSON)
    answered = connection.getresponse()
    text = answered.read()
    if answered.status != 200:
        raise RuntimeError(f"{answered.status}: {text[:200]!r}")
    return json.loads(text)


def _await(server: subprocess.Popen[bytes], port: int, path: str) -> float:
    """Waits for a path to be answered with 200; when it was."""
    deadline = time.monotonic() + _START_S
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", path)
            if connection.getresponse().status == 200:
                return time.perf_counter()
        except OSError:
            pass
        finally:
            connection.close()
        if server.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"nobody answers {path}")
        time.sleep(0.05)


def _one(what: str, run: Any, online: str, connections: int, role: Any, **more: Any) -> Contestant:
    asked = functools.partial(run, online, connections)
    name = f"{what} {online} {connections}"
    return Contestant(name, f"{connections} connections", asked, answer, role, figures=figures, **more)


def _figure(name: str, by: Mapping[str, Measured], ours: str, theirs: str) -> float:
    return by[ours].figures[name] / by[theirs].figures[name]


CONTESTANTS = (
    *(
        _one(what, run, online, connections, role, extra=connections != 8)
        for connections in CONNECTIONS
        for what, run, online, role in (
            ("feast server", feast, "redis", "reference"),
            ("tidemill", tidemill, "redis", "ours"),
            ("tidemill", tidemill, "sqlite", "ours"),
            ("mlflow server", mlflow, "sqlite", "peer"),
        )
    ),
    Contestant("handler", "fresh processes", handler, answer, "ours", figures=handler_figures),
)
_OURS, _THEIRS = "tidemill redis 8", "feast server redis 8"
TARGETS = (
    Target("time of a request at 8, to Feast's", lambda by: _figure("ms_per_request", by, _OURS, _THEIRS), 0.25),
    Target("p99 at 8, to Feast's", lambda by: _figure("p99_ms", by, _OURS, _THEIRS), 0.05),
    Target("seconds to the first answer", lambda by: by[_OURS].figures["alive_s"], 3.0),
    Target("seconds to being ready", lambda by: by[_OURS].figures["ready_s"], 15.0),
    Target("MB of the handler's package", lambda by: by["handler"].figures["package_mb"], 250.0),
)

if __name__ == "__main__":
    _redis.beside_redis()
    main(make_data, CONTESTANTS, TARGETS, packages=("tidemill", "feast", "mlflow", "redis", "fastapi", "uvicorn"))
