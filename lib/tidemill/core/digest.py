"""Digests of values and files: what makes two inputs the same."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from tidemill.core.home import HOME

_BLOCK = 1 << 20


def digest_of(value: Any) -> str:
    """The SHA-256, in hexadecimal, of a value's JSON with sorted keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def digest_of_file(path: Path) -> str:
    """The SHA-256, in hexadecimal, of a file's bytes, read in blocks."""
    value = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            value.update(block)
    return value.hexdigest()


def digest_of_code() -> str:
    """The SHA-256, in hexadecimal, of the names and bytes of the modules of this library, and of the jobs beside it."""
    library = Path(__file__).resolve().parents[1]
    carried = library / "home"  # of a wheel: the jobs, and what is no code of ours
    modules = {p.relative_to(library): p for p in library.rglob("*.py") if carried not in p.parents}
    modules |= {Path("jobs") / path.name: path for path in (HOME / "jobs").glob("*.py")}
    return digest_of({name.as_posix(): digest_of_file(path) for name, path in modules.items()})
