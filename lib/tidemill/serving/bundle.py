"""A registered model as a folder for a serverless platform or a device: graph, schema, self-test, handler, examples."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import tidemill.declare  # noqa: F401 - the classes that a frozen declaration names
from tidemill.core.errors import Exit, TidemillError
from tidemill.core.frozen import thaw
from tidemill.models.card import CARD, DECLARATION
from tidemill.models.onnx_scoring import DESCRIPTION, GRAPH, SAMPLE
from tidemill.models.registry_flavor import GRAPH_FOLDER
from tidemill.models.sample_check import load_checked

if TYPE_CHECKING:
    from tidemill.models.registry import Registry, Version

SCHEMA, SCORING = "schema.json", "onnx_scoring.py"
_OURS = ("handler.py", "example.py", "example.mjs")


def write_bundle(registry: Registry, version: Version, folder: Path) -> list[str]:
    """Writes a version's bundle, after the graph has passed its self-test; returns the names of the files.

    Args:
        registry: holds the version.
        version: of the model.
        folder: one that does not exist yet, or holds nothing.

    Raises:
        TidemillError: E_FOLDER (usage) where the folder holds something, E_MODEL (data) where the self-test fails, or
            the graph is of a release whose graphs gave scores alone.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise TidemillError(
            "E_FOLDER",
            "the folder holds something already",
            where=str(folder),
            next_step="name a new folder",
            exit_code=Exit.USAGE,
        )
    card, use_case = registry.document(version, CARD), thaw(registry.document(version, DECLARATION))
    with TemporaryDirectory(dir=registry.temporary) as temporary:
        graph = registry.fetch(version, GRAPH_FOLDER, Path(temporary))
        try:
            load_checked(graph)
        except ValueError as error:
            raise TidemillError(
                "E_MODEL",
                f"the model does not pass its self-test: {error}",
                where=f"{version.name} version {version.version}",
                next_step="look who changed the registry's files; train again, or export another version",
                exit_code=Exit.DATA,
            ) from error
        description = (graph / DESCRIPTION).read_text("utf-8")
        if "prediction" not in json.loads(description):
            raise TidemillError(
                "E_MODEL",
                "the model was registered before graphs held the prediction, which the bundle's files ask for",
                where=f"{version.name} version {version.version}",
                next_step="train again, or export a later version",
                exit_code=Exit.DATA,
            )
        about = {
            "model": version.name,
            "version": version.version,
            "threshold": card["threshold"],
            "missing": {f.name: f.missing for f in use_case.features if f.missing is not None},
        }
        written: dict[str, bytes] = {
            GRAPH: (graph / GRAPH).read_bytes(),
            DESCRIPTION: description.encode(),
            SCHEMA: json.dumps({**about, **json.loads(description)}, indent=2, ensure_ascii=False).encode(),
            SAMPLE: (graph / SAMPLE).read_bytes(),
            SCORING: registry.fetch(version, f"code/{SCORING}", Path(temporary)).read_bytes(),
        }
    written |= {name: files("tidemill.serving").joinpath("edge", name).read_bytes() for name in _OURS}
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in written.items():
        (folder / name).write_bytes(content)
    return sorted(written)
