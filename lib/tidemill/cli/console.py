"""The console command `tidemill`: looks at what the jobs left, without starting Spark."""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NoReturn

import typer

from tidemill.cli import catalog, contracts, dag, doctor, edge, promotions, quarantine, reports, service
from tidemill.cli.environment import store_description, tracking_of
from tidemill.cli.shown import REPO, ROOT, Env, Json, Repo, Root, known_root, show_rows
from tidemill.core.errors import Exit, TidemillError
from tidemill.core.home import job_command
from tidemill.core.runs import summaries
from tidemill.core.time import from_micros
from tidemill.models.use_case import load_use_case

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__, pretty_exceptions_enable=False)
app.add_typer(quarantine.app, name="quarantine")
app.add_typer(contracts.app, name="contract")
app.command()(catalog.catalog)
app.command()(dag.dag)
app.command()(dag.resume)
app.command()(doctor.doctor)
app.command()(reports.report)
for command in promotions.COMMANDS:
    app.command()(command)
app.command()(service.serve)
app.command()(service.key)
app.command()(edge.export)


def main() -> NoReturn:
    """Runs the command; errors are said in three lines, with the exit codes of the jobs."""
    try:
        code = Exit(app(standalone_mode=False) or Exit.OK)  # what a command leaves with by typer.Exit comes back
    except TidemillError as error:
        print(error.lines(), file=sys.stderr)
        code = error.exit_code
    except typer.Abort:
        code = Exit.TERMINATED
    except Exception as error:
        # Typer's own usage errors are shown in its words and leave with our code.
        if not hasattr(error, "format_message"):
            raise
        print(
            f"error: E_USAGE {error.format_message()}\n  where: tidemill\n  next: see tidemill --help", file=sys.stderr
        )
        code = Exit.USAGE
    sys.exit(int(code))


@app.command()
def lookup(
    use_case: str, key: str, root: Root = ROOT, repo: Repo = REPO, env: Env = "local", as_json: Json = False
) -> None:
    """Shows the online features of one entity and the age of each value, through Feast's own API."""
    found = load_use_case(repo, use_case)
    known_root(root)
    from tidemill.features.feast_store import online_rows, open_store

    store = open_store(store_description(repo, env), root.resolve())
    row = online_rows(store, use_case, found.entity.key, [key], times=True)[0]
    features = {f.name: row[f.name] for f in found.features}
    if all(value is None for value in features.values()):
        raise TidemillError(
            "E_NO_ENTITY",
            f"the online store has no row of {found.entity.key} {key!r}",
            where=f"use case {use_case!r} in {root}",
            next_step="check the key; an entity is there once one of its events was known at the newest as-of time",
            exit_code=Exit.NO_INPUT,
        )
    now = datetime.now(UTC)
    stamps = {name: from_micros(row[f"{name}__ts"] * 1_000_000) for name in features if row.get(f"{name}__ts")}
    ages = {name: timedelta(seconds=(now - stamp) // timedelta(seconds=1)) for name, stamp in stamps.items()}
    if as_json:
        seconds = {name: int(age.total_seconds()) for name, age in ages.items()}
        print(json.dumps({found.entity.key: key, **features, "age_seconds": seconds}))
        return
    rows = [{"feature": n, "value": v, "age": None if n not in ages else str(ages[n])} for n, v in features.items()]
    show_rows(rows, ("feature", "value", "age"), as_json=False)


@app.command()
def runs(root: Root = ROOT, as_json: Json = False) -> None:
    """Lists the runs of a root, newest first."""
    known_root(root)
    columns = ("run_id", "use_case", "as_of", "status", "seconds", "report")
    rows = [{c: s.get(c) for c in columns} for s in summaries(root)]
    show_rows(rows, columns, as_json=as_json)


@app.command()
def reproduce(
    model: str, version: str, root: Root = ROOT, repo: Repo = REPO, env: Env = "local", as_json: Json = False
) -> None:
    """Makes a registered version again from what it was trained on, and says what differs."""
    known_root(root)
    command = [*job_command("reproduce"), "--use-case", model, "--version", version]
    command += ["--repo", str(repo), "--root", str(root), "--env", env, *(["--json"] if as_json else [])]
    os.execv(command[0], command)  # noqa: S606 - the job takes this process's place


@app.command()
def ui(page: str = "mlflow", port: int = 5000, root: Root = ROOT, repo: Repo = REPO, env: Env = "local") -> None:
    """Serves MLflow's own page over the registry of models (or `--page feast`), on this machine only."""
    known_root(root)
    from tidemill.models.registry_server import below, place_of

    bin_folder, uri = Path(sys.executable).parent, tracking_of(env)
    os.environ["TIDEMILL_ROOT"] = str(root.resolve())
    if page == "feast":
        description = str(store_description(repo, env).resolve())
        command = [str(bin_folder / "feast"), "--chdir", str(repo), "--feature-store-yaml", description, "ui"]
        command += ["--host", "127.0.0.1", "--port", str(port)]
    elif page == "mlflow" and uri.startswith(("http://", "https://")):
        print(f"{place_of(uri)} (the tracking server has this page itself)")
        return
    elif page == "mlflow":
        os.environ["MLFLOW_BACKEND_STORE_URI"] = uri or below(root.resolve())  # not as an argument: others see those
        command = [str(bin_folder / "mlflow"), "ui", "--host", "127.0.0.1", "--port", str(port)]
    else:
        raise TidemillError(
            "E_PAGE", f"there is no page {page!r}", where="--page", next_step="mlflow or feast", exit_code=Exit.USAGE
        )
    print(f"http://127.0.0.1:{port} (end with Ctrl-C)", flush=True)
    os.execv(command[0], command)  # noqa: S606 - the page takes this process's place
