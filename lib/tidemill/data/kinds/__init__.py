"""The kinds of sources, one module each with its value `KIND`; adding one is adding a file."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any


def kind_names() -> tuple[str, ...]:
    """What a contract's `format` may say."""
    return tuple(sorted(m.name for m in pkgutil.iter_modules(__path__) if m.name != "kind"))


def kind_of(name: str) -> Any:
    """The kind of that name, which a contract has been checked for."""
    return importlib.import_module(f"{__name__}.{name}").KIND
