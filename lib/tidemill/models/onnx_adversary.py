"""Rows that are made to find a difference between a pipeline and its graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from tidemill.models.onnx_graph import TEXT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidemill.models.onnx_export import Export

ROWS = 4_000
_CELLS = 4_000_000
_LIMITS = 100  # of a feature's values at which the score may jump, that many are tried
_MISSING = (None, float("nan"))
_ORDINARY = (0.0, -0.0, 1.0, -1.0, 0.5, 5e-324, -5e-324, 1e-300)
_INFINITE = (float("inf"), float("-inf"))
_HUGE = (1e300, -1e300, 1.7976931348623157e308, -1.7976931348623157e308)
_ODD = (None, "", " ", "never seen", "<null>", "NULL", "null", "nan", "\N{REPLACEMENT CHARACTER}")


def adversarial_rows(exported: Export, seed: int = 0) -> pa.Table:
    """Rows of extreme, missing, unseen and borderline values.

    Half of the rows have one such value each, upon a row whose numbers are missing. The others have several: there the
    largest numbers are left out, because a sum of huge terms that cancel out is any number in any order.

    Args:
        exported: its inputs, with the values at which their score may jump.
        seed: of the choice.

    Returns:
        Grain: none. The inputs, at most `ROWS` rows, and fewer where there are more than a thousand inputs.
    """
    chance = np.random.default_rng(seed)
    count = max(100, min(ROWS, _CELLS // len(exported.inputs)))
    columns = {}
    for place, (name, kind) in enumerate(exported.inputs.items()):
        probes = exported.probes.get(name, ())
        several, alone = _texts(probes) if kind == TEXT else _numbers(probes)
        base = probes[0] if kind == TEXT and probes else None
        values: list[Any] = [base] * count
        pool = [*several, *alone]
        order = chance.permutation(len(pool))
        for turn, row in enumerate(range(place, count // 2, len(exported.inputs))):
            values[row] = pool[order[turn % len(pool)]]
        shares = np.repeat([0.1, 0.5, 1.0], -(-count // 3))[: count - count // 2]
        for row in np.flatnonzero(chance.random(len(shares)) < shares).tolist():
            values[count // 2 + row] = several[int(chance.integers(len(several)))]
        columns[name] = pa.array(values, pa.string() if kind == TEXT else pa.float64(), from_pandas=False)
    return pa.table(columns)


def _numbers(limits: Sequence[float]) -> tuple[list[Any], list[Any]]:
    """Values for rows with several of them, and those for rows with one alone."""
    chosen = np.array(_some(sorted(limits)), dtype=np.float64)
    near = np.concatenate([chosen, np.nextafter(chosen, -np.inf), np.nextafter(chosen, np.inf)])
    return [*_MISSING, *_ORDINARY, *_INFINITE, *near.tolist()], [*_HUGE]


def _texts(known: Sequence[str]) -> tuple[list[Any], list[Any]]:
    chosen = _some(known)
    altered = [form for text in chosen for form in (text.swapcase(), f"{text} ", text[:-1])]
    return [*_ODD, *chosen, *altered], []


def _some(values: Sequence[Any]) -> Sequence[Any]:
    """At most `_LIMITS` values, evenly from first to last."""
    count = min(len(values), _LIMITS)
    return [values[i * len(values) // count] for i in range(count)]
