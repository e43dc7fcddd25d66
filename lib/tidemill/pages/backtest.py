"""The page of a backtest: what models lose with age, beside fresh ones on the same rows."""

from dataclasses import dataclass

from tidemill.pages import svg
from tidemill.pages.page import render_page
from tidemill.pages.values import Curve


@dataclass(frozen=True, slots=True)
class AgePoint:
    """Models of one age.

    Attributes:
        age: In steps of the grid.
        times: Evaluated times that a fresh model was judged at, too.
        value: Mean of the metric.
        fresh: Mean of that of the fresh models at the same times.
        loss: By how much fresh ones are better, on average.
        error: Standard error of the loss, None with too few times.
        clear: Whether the loss is more than chance explains.
    """

    age: int
    times: int
    value: float
    fresh: float
    loss: float
    error: float | None
    clear: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Backtest:
    """One backtest of one use case.

    Attributes:
        use_case: Its name.
        as_of: Nothing that was known later was used.
        run_id: The run that wrote the page.
        generated: When.
        metric: Name of the measure.
        recipe: Family and parameters of every model.
        step: Length of a step of the grid.
        trained: The times at which a model was trained.
        conclusion: What it says about the retraining interval, a sentence.
        ages: Youngest first.
    """

    use_case: str
    as_of: str
    run_id: str
    generated: str
    metric: str
    recipe: str
    step: str
    trained: tuple[str, ...]
    conclusion: str
    ages: tuple[AgePoint, ...]


def render_backtest(found: Backtest) -> str:
    """Write the page.

    Args:
        found: All that it tells.

    Returns:
        One self-contained HTML file as a string.
    """
    curves = [
        Curve(tuple((float(point.age), point.value) for point in found.ages), "of this age"),
        Curve(tuple((float(point.age), point.fresh) for point in found.ages), "fresh, on the same rows"),
    ]
    chart = svg.line_chart(
        curves,
        title=f"{found.metric} by the age of the model",
        x_label=f"age, in steps of {found.step}",
        y_label=found.metric,
        x_ticks=[(float(point.age), str(point.age)) for point in found.ages],
    )
    return render_page("backtest.html.j2", found=found, chart=chart if len(found.ages) > 1 else "")
