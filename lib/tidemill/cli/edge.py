"""The command that takes a registered model out of the house. No Spark."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from tidemill.cli.environment import open_registry
from tidemill.cli.shown import ROOT, Env, Json, Root, known_root
from tidemill.core.errors import Exit, TidemillError

Folder = Annotated[Path, typer.Argument(help="A new folder.")]
Version = Annotated[str | None, typer.Option(help="Of the model; by default the champion.")]


def export(
    use_case: str, folder: Folder, version: Version = None, root: Root = ROOT, env: Env = "local", as_json: Json = False
) -> None:
    """Writes a model with a handler, examples and a self-test into a new folder; it needs nothing of this project."""
    known_root(root)
    from tidemill.models.promotion import CHAMPION
    from tidemill.serving.bundle import write_bundle

    registry = open_registry(root, env)
    known = [item.version for item in registry.versions(use_case)]
    number = version or registry.alias(use_case, CHAMPION)
    if number not in known:
        raise TidemillError(
            "E_NO_MODEL",
            f"there is no version {number}" if version else "no version is champion",
            where=f"registered model {use_case!r}",
            next_step=f"name one with --version: {', '.join(known)}" if known else "train the use case first",
            exit_code=Exit.NO_INPUT,
        )
    files = write_bundle(registry, registry.version(use_case, number), folder)
    if as_json:
        print(json.dumps({"use_case": use_case, "version": number, "folder": str(folder.resolve()), "files": files}))
        return
    print(f"version {number} of {use_case} is in {folder.resolve()}: {', '.join(files)}")
