"""What distributions weigh where they are installed, with all that they need: what a package of them would hold."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Iterable

# What the event handler of an exported model needs.
HANDLER = ("onnxruntime", "numpy")


def installed_bytes(names: Iterable[str]) -> dict[str, int]:
    """Bytes by distribution, of the named ones and those that they require here; without compiled Python."""
    found: dict[str, int] = {}
    waiting = list(names)
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name in found:
            continue
        distribution = metadata.distribution(name)
        files = [Path(str(file.locate())) for file in distribution.files or () if "__pycache__" not in file.parts]
        found[name] = sum(file.stat().st_size for file in files)
        required = map(Requirement, distribution.requires or ())
        waiting += [r.name for r in required if r.marker is None or r.marker.evaluate({"extra": ""})]
    return found
