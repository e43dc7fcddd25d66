"""A registered version is made again from its training set, and held against what was registered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidemill.cli.job import main
from tidemill.cli.result import OK, Result

if TYPE_CHECKING:
    from tidemill.cli.context import Context


def run(context: Context) -> Result:
    """Ends well where rows, scores and metric come out equal; what is different is in the run's folder."""
    from tidemill.cli.reproducing import refuse_different, report_path, reproduce

    report = reproduce(context, str(context.asked.version))
    refuse_different(context, report)
    said = tuple(f"{name.replace('_', ' ')}: {words}" for name, words in report["said"].items())
    metric = report["metric"]
    notes = (*said, f"{metric['name']}: {metric['again']}, equal", *report["remaining"])
    model = {"name": report["model"], "version": report["version"]}
    return Result(OK, model=model, notes=notes, facts={"reproduction": str(report_path(context))})


if __name__ == "__main__":
    main("reproduce", run)
