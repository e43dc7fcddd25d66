"""The evidence that the promotion gate looks at: gathered from tables and the registry, at T."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from tidemill.cli.auditing import findings_of
from tidemill.cli.models import learned_the_same
from tidemill.core.errors import Exit, TidemillError
from tidemill.core.time import parse_time
from tidemill.data.read import read
from tidemill.features.audit import failed
from tidemill.models.baseline import baseline_of
from tidemill.models.card import CARD, times_of
from tidemill.models.champion import champion_scores
from tidemill.models.comparison import Asked, Comparison
from tidemill.models.gate_rows import build_gate_rows, compare_frame
from tidemill.models.guardrails import Evidence
from tidemill.models.onnx_graph import numbers_of
from tidemill.models.onnx_scoring import GRAPH
from tidemill.models.package_check import check_package
from tidemill.models.paired import Resampling
from tidemill.models.registry_flavor import GRAPH_FOLDER
from tidemill.models.specs import BINARY, MULTICLASS
from tidemill.models.tables import gate_scores_table, training_sets_table
from tidemill.models.training_set import GATE

if TYPE_CHECKING:
    from datetime import datetime

    from pyspark.sql import DataFrame

    from tidemill.cli.context import Context
    from tidemill.models.registry import Registry, Version


@dataclass(frozen=True)
class Gathered:
    """Evidence.

    Args:
        evidence: for the gate.
        gate_rows: labelled rows of the gate.
        represented: why the champion's recipe stood in for it; None where it was judged itself.
    """

    evidence: Evidence
    gate_rows: int
    represented: str | None


def gather(context: Context, registry: Registry, challenger: Version, champion: Version | None) -> Gathered:
    """All that is known about a challenger, beside the champion where there is one."""
    use_case = context.use_case
    card = registry.document(challenger, CARD)
    rows = read(context.spark, context.lake, training_sets_table(use_case))
    rows = rows.where(F.col("training_set_id") == card["training_set_id"])
    compared, represented = _compare(context, registry, champion, card, rows)
    context.progress.say("the packaged model in a process of its own")
    with TemporaryDirectory(dir=registry.temporary) as folder:
        model = registry.fetch(challenger, "", _made(Path(folder) / "challenger"))
        packaged = check_package(model)
        numbers = None if packaged.difference is None else _numbers(model / GRAPH_FOLDER)
        rival = None
        if champion is not None:
            rival = _numbers(registry.fetch(champion, GRAPH_FOLDER, _made(Path(folder) / "champion")))
    evidence = Evidence(
        use_case.metric,
        card["gate_value"],
        card["baseline"]["gate_value"],
        card["baseline"]["trivial_gate_value"],
        card["train_value"],
        compared,
        _moved(card),
        _leaks(context, card),
        packaged,
        numbers,
        rival,
    )
    return Gathered(evidence, card["gate_rows"], represented)


def _compare(
    context: Context, registry: Registry, champion: Version | None, card: dict[str, Any], rows: DataFrame
) -> tuple[Comparison, str | None]:
    """The gate rows side by side, and why the champion's recipe had to stand in for it, if it had."""
    use_case, limits = context.use_case, context.config.promote
    scores, represented = None, None
    if champion is not None:
        context.progress.say("scoring the gate with the champion")
        own = registry.document(champion, CARD)
        if own["task"] != use_case.task:
            raise TidemillError(
                "E_USE_CASE",
                f"the champion, version {champion.version}, is of the task {own['task']!r}, which no metric compares",
                where=f"use case {use_case.name!r}, task {use_case.task!r}",
                next_step="give the use case of the new task a name of its own",
                exit_code=Exit.CONFIGURATION,
            )
        if _has_seen(own, times_of(card, "gate")[0]):
            represented = "the champion had seen the gate's outcomes"
        elif not learned_the_same(registry, champion, use_case):
            represented = "the champion was trained on other features or another label"
        model = None if represented else registry.load(champion)
        scores = champion_scores(rows, use_case, own, model, context.config.train)
    kept = read(context.spark, context.lake, gate_scores_table(use_case))
    kept = kept.where(F.col("training_set_id") == card["training_set_id"])
    share = min(1.0, limits.compared_rows / card["gate_rows"])
    side_by_side = build_gate_rows(rows.where(F.col("part") == GATE), kept, scores, baseline_of(card), use_case, share)
    how = Resampling(limits.confidence, limits.draws, limits.seed)
    block = max(timedelta(days=1), use_case.label.horizon)
    asked = Asked(use_case.metric, use_case.task, use_case.slices, limits.slice_rows, how, block)
    return compare_frame(side_by_side, asked), represented


def _moved(card: dict[str, Any]) -> float:
    """How far the classes of the gate are from those of the rows of the fit: half of what their shares differ by."""
    if card["task"] == BINARY:
        return abs(float(card["gate_positive_rate"] - card["baseline"]["constant"]))
    if card["task"] == MULTICLASS:
        shares = (one["rows"] / card["gate_rows"] for one in card["gate_metrics"]["classes"])
        return sum(abs(now - then) for now, then in zip(shares, card["baseline"]["constant"], strict=True)) / 2
    return 0.0


def _has_seen(card: dict[str, Any], gate: datetime) -> bool:
    """Whether a model learned at the gate's first time or later, or from labels that were not known by then."""
    return times_of(card, "final")[-1] >= gate or parse_time(card["trained_until"]) > gate


def _leaks(context: Context, card: dict[str, Any]) -> tuple[str, ...] | None:
    found = findings_of(context.lake, card.get("audit", ""))
    return tuple(dict.fromkeys(f.feature for f in failed(found))) if found else None


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _numbers(graph: Path) -> int:
    return numbers_of((graph / GRAPH).read_bytes())
