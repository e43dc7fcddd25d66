"""The index of a use case's reports, written beside the folders of runs."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from tidemill.core.runs import INDEX, JUDGED, KEPT, judgements, run_folder, write_json, write_text
from tidemill.core.time import format_time
from tidemill.monitoring.overview import entry_of, overview
from tidemill.pages.overview import render_overview

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidemill.cli.context import Context
    from tidemill.cli.judging import Scored
    from tidemill.monitoring import drift
    from tidemill.monitoring.alerts import Alert
    from tidemill.monitoring.retraining import Decision
    from tidemill.pages.track import TrackPoint
    from tidemill.stats.expected import Estimate


def write_index(
    context: Context,
    scored: Scored,
    report: str,
    found: Sequence[drift.Drift],
    verdict: drift.Verdict,
    decision: Decision,
    raised: Sequence[Alert],
    points: Sequence[TrackPoint],
    expected: Estimate,
) -> None:
    """Keeps the run's page by its as-of time, leaves what the index tells of it, and writes the index anew.

    A run over a period writes its page once for each as-of time: each is kept under a name of its own.
    """
    folder, at = run_folder(context.root, context.lake.run_id), format_time(context.as_of)
    page = folder / KEPT.format(_stamp(at))
    _keep(Path(report), page)
    facts = {
        "use_case": context.use_case.name,
        "as_of": at,
        "run_id": context.lake.run_id,
        "generated": format_time(context.now.replace(microsecond=0)),
        "page": f"{folder.name}/{page.name}",
        "task": scored.card["task"],
        "version": scored.version.version,
    }
    made = entry_of(
        facts=facts,
        found=found,
        verdict=verdict,
        decision=decision,
        alerts=raised,
        points=points,
        expected=expected,
    )
    write_json(folder / JUDGED.format(_stamp(at)), made)
    index = overview(judgements(context.root, context.use_case.name), facts["generated"])
    write_text(folder.parent / INDEX.format(context.use_case.name), render_overview(index))


def _keep(report: Path, page: Path) -> None:
    """A second name for a page, or where the file system has none a copy; writing the first anew leaves it alone."""
    page.unlink(missing_ok=True)
    try:
        os.link(report, page)
    except OSError:
        shutil.copyfile(report, page)


def _stamp(at: str) -> str:
    return at.replace(":", "").replace("-", "")
