"""Months of train, score, wait and evaluate are replayed: how much a model loses with age."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidemill.cli.backtesting import run_backtest, what_to_replay
from tidemill.cli.job import main
from tidemill.cli.result import OK, SKIPPED, Result

if TYPE_CHECKING:
    from tidemill.cli.context import Context


def run(context: Context) -> Result:
    """Replays the recipe of the newest version over the times that are mature at T, once."""
    asked = what_to_replay(context)
    if asked is None:
        return Result(SKIPPED)
    from tidemill.models.backtest import conclusion

    lost, report = run_backtest(context, asked)
    said = conclusion(lost, context.use_case.metric)
    by_age = {str(loss.age): {"value": loss.value, "fresh": loss.fresh, "loss": loss.loss} for loss in lost}
    counts = {"trainings": len(asked.trainings)}
    return Result(OK, counts, report=report, notes=(said,), facts={"backtest": said, "by_age": by_age})


if __name__ == "__main__":
    main("backtest", run)
