"""The index of a use case's reports: how its verdicts and its performance went, and what was to be done each time."""

from dataclasses import dataclass

from markupsafe import Markup

from tidemill.pages import svg, wording
from tidemill.pages.page import render_page
from tidemill.pages.times import line, places_of, time_ticks
from tidemill.pages.values import Curve, Expected, Metric, PerformancePoint, Verdict, check_verdict

_TOLD = 12  # judgements that are told at once; older ones fold away
_MARKED = 90  # judgements in the row of marks
_DRAWN = 400  # times in the chart


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """One report.

    Attributes:
        as_of: The moment it speaks for.
        page: Its address, relative to the index.
        verdict: Of the report.
        changes: What differs from the judgement before, a sentence each; nothing where all is as it was.
        sure: How sure the verdict is, one or two sentences.
        todo: What to do, a sentence each, the most urgent first.
        expected: What the scores of that time let one expect.

    Raises:
        ValueError: The verdict is unknown.
    """

    as_of: str
    page: str
    verdict: Verdict
    changes: tuple[str, ...]
    sure: str
    todo: tuple[str, ...]
    expected: Expected

    def __post_init__(self) -> None:
        check_verdict(self.verdict, f"judgement of {self.as_of}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """All reports of a use case.

    Attributes:
        use_case: Its name.
        generated: When the page was written.
        metric: The measure of performance.
        judgements: Oldest first, one an as-of time; at least one.
        realised: Performance on matured labels by as-of time, oldest first.
    """

    use_case: str
    generated: str
    metric: Metric
    judgements: tuple[Judgement, ...]
    realised: tuple[PerformancePoint, ...]


def render_overview(found: Overview) -> str:
    """Write the page.

    Args:
        found: All that it tells.

    Returns:
        One self-contained HTML file as a string: no script, nothing fetched, every value escaped.
    """
    newest_first = found.judgements[::-1]
    return render_page(
        "overview.html.j2",
        found=found,
        newest=newest_first[0],
        told=newest_first[:_TOLD],
        older=newest_first[_TOLD:],
        marked=found.judgements[-_MARKED:],
        words=wording.VERDICT_WORDS,
        performance_sentence=wording.performance_sentence(found.realised, found.metric),
        expected_sentence=wording.expected_sentence(newest_first[0].expected, found.metric),
        chart=_chart(found),
    )


def _chart(found: Overview) -> Markup:
    """Draw performance over the newest times; nothing where no line has two points."""
    realised, judged = found.realised[-_DRAWN:], found.judgements[-_DRAWN:]
    lines: dict[str, list[tuple[str, float | None]]] = {
        "realised, on matured labels": [(p.as_of, p.metric) for p in realised if wording.known(p.metric)],
        "expected, before labels": [(j.as_of, j.expected.metric) for j in judged if wording.known(j.expected.metric)],
        "baseline, on matured labels": [(p.as_of, p.baseline) for p in realised if wording.known(p.baseline)],
    }
    if all(len(points) < 2 for points in lines.values()):
        return Markup()
    times = sorted({at for points in lines.values() for at, _ in points})
    place = dict(zip(times, places_of(times), strict=True))
    better = "higher is better" if found.metric.higher_is_better else "lower is better"
    return svg.line_chart(
        [
            Curve(line([place[at] for at, _ in points], [value for _, value in points]), name)
            for name, points in lines.items()
            if points
        ],
        title=f"{found.metric.label} over as-of times",
        x_label="as-of time",
        y_label=f"{found.metric.label} ({better})",
        x_ticks=time_ticks(list(place.values()), times),
    )
