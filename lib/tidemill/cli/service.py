"""The commands that start the HTTP service and make keys for its callers. No Spark."""

from __future__ import annotations

import hashlib
import ipaddress
import json
import logging
import os
import secrets
import signal
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from tidemill.cli.environment import open_registry, store_description
from tidemill.cli.shown import REPO, ROOT, Env, Json, Repo, Root, known_root
from tidemill.core.config import load_config
from tidemill.core.errors import Exit, TidemillError
from tidemill.core.home import HOME
from tidemill.data.tables import Lake

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tidemill.serving.follow import Ground

Names = Annotated[list[str] | None, typer.Argument(help="Use cases; by default all that have a registered model.")]
Sets = Annotated[list[str] | None, typer.Option("--set", help="A configuration key: serve.rate=50")]
_WAIT_SECONDS = 10.0


def serve(
    use_cases: Names = None,
    host: str = "127.0.0.1",
    port: int = 8000,
    root: Root = ROOT,
    repo: Repo = REPO,
    env: Env = "local",
    sets: Sets = None,
) -> None:
    """Serves scores over HTTP, by the champion of each use case, with features from the online store."""
    known_root(root)
    settings = load_config(HOME / "conf", env, sets or ()).serve
    if not settings.keys and settings.oidc is None and not _loopback(host):
        raise TidemillError(
            "E_OPEN",
            f"the service would answer anyone who reaches {host}",
            where="serve.keys, which is empty, and serve.oidc, which is not set",
            next_step="make a key with ./tidemill key NAME, or leave --host out to answer this machine only",
            exit_code=Exit.CONFIGURATION,
        )
    # What the request's path needs is imported now; registry and store, which take seconds, in a thread.
    import uvicorn

    from tidemill.monitoring.service_metrics import ServiceMetrics
    from tidemill.serving.app import build_app
    from tidemill.serving.connections import PATIENCE, Bounded
    from tidemill.serving.follow import Champions
    from tidemill.serving.request_log import RequestLog
    from tidemill.serving.service import Service

    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("tidemill").setLevel(logging.INFO)
    place, metrics = root.resolve(), ServiceMetrics()
    names, explained = use_cases or (), settings.reasons > 0
    champions = Champions(lambda: _open_ground(place, repo, env, sets or ()), metrics, names, explained=explained)
    log = RequestLog(Lake(place, f"serve-{os.getpid()}", lease_timeout=_WAIT_SECONDS), settings, metrics)
    # uvicorn answers what it has begun to answer, and then raises the signal that it was sent: that was no failure.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(int(Exit.OK)))
    print(f"http://{host}:{port} (end with Ctrl-C)", flush=True)
    uvicorn.run(
        build_app(Service(champions, settings, metrics, log)),
        host=host,
        port=port,
        access_log=False,
        log_level="warning",
        server_header=False,
        http=Bounded,
        ws="none",
        timeout_keep_alive=PATIENCE,
        timeout_graceful_shutdown=int(settings.timeout) + 5,
    )


def key(name: str, as_json: Json = False) -> None:
    """Makes a key for a caller of the service, and the line of configuration that lets it in."""
    made = secrets.token_urlsafe(32)
    digest = hashlib.sha256(made.encode()).hexdigest()
    if as_json:
        print(json.dumps({"name": name, "key": made, "sha256": digest}))
        return
    print(f"key, shown this once: {made}\nserve:\n  keys:\n    {name}: {digest}")


def _open_ground(root: Path, repo: Path, env: str, sets: Sequence[str]) -> Ground:
    from tidemill.features.feast_reading import OnlineReader
    from tidemill.features.feast_store import open_store
    from tidemill.serving.follow import Ground

    store = open_store(store_description(repo, env, sets), root)
    return Ground(open_registry(root, env, sets), OnlineReader(store))


def _loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
