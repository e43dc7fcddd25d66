"""The command `doctor`: looks at everything that a run in an environment needs, and says what is not as it should be.

Nothing is repaired and nothing but an empty file is written, which is deleted at once.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from tidemill.cli import checks_machine, checks_services
from tidemill.cli.shown import REPO, ROOT, Env, Json, Repo, Root
from tidemill.core.config import load_config
from tidemill.core.config_section import from_environment
from tidemill.core.errors import Exit
from tidemill.core.home import HOME
from tidemill.data.contract_file import read_contract_file
from tidemill.data.places import StorePath, spark_jars
from tidemill.data.root_tables import place_of_tables

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tidemill.cli.findings import Finding
    from tidemill.core.config import Config

Workers = Annotated[bool, typer.Option("--workers", help="Start Spark, and ask its workers too.")]


def doctor(
    env: Env = "local", root: Root = ROOT, repo: Repo = REPO, workers: Workers = False, as_json: Json = False
) -> None:
    """Checks Java, Python, JARs, paths, registry, online store, tracking server and clock of an environment."""
    found = list(_examine(env, root.resolve(), repo, workers=workers))
    if as_json:
        print(json.dumps({"env": env, "checks": [finding.as_json() for finding in found]}))
    else:
        console = Console(highlight=False, soft_wrap=True)
        for finding in found:
            console.print(Text(f"{'ok' if finding.code is Exit.OK else 'NO':<3} {finding.what}: {finding.said}"))
            if finding.next_step:
                console.print(Text(f"    next: {finding.next_step}"))
    worst = next((finding.code for finding in found if finding.code is not Exit.OK), Exit.OK)
    raise typer.Exit(int(worst))


def _examine(env: str, root: Path, repo: Path, *, workers: bool) -> Iterator[Finding]:
    yield checks_machine.java()
    yield checks_machine.python()
    yield checks_machine.jars(HOME / "jars.lock")
    config = load_config(HOME / "conf", env)
    for folder in (root, *(root / name for name in ("lake", "runs", "leases", "landing", "mlflow", "feast"))):
        yield checks_machine.writable(folder)
    place = place_of_tables(root, from_environment(config.tables))
    if isinstance(place, StorePath):
        yield checks_services.store(place)
    if lock := spark_jars(place):
        yield checks_machine.jars(HOME / lock, "TIDEMILL_S3_JARS")
    yield checks_machine.readable(repo)
    for landed in _landings(repo, root, config):
        yield checks_machine.landing(landed)
    yield checks_services.feature_registry(repo, REPO, config.services.feature_store, root)
    yield checks_services.online_store(repo, REPO, config.services.feature_store, root)
    yield checks_services.tracking(config.services.tracking, root)
    yield checks_machine.clock(root)
    if workers:
        yield checks_machine.workers(root)


def _landings(repo: Path, root: Path, config: Config) -> list[str]:
    """Where files land that contracts name, and those that the configuration names in their place."""
    contracts = [read_contract_file(path) for path in sorted((repo / "contracts").rglob("*.yaml"))]
    named = [contract.path.replace("{root}", str(root)) for contract in contracts if contract.path]
    places = [path if path.startswith("/") else str(repo / path) for path in named]
    return sorted({*places, *(source.path for source in config.sources.values())})
