"""A histogram, or one bar, as small as a word, to stand in a table."""

from collections.abc import Sequence

from markupsafe import Markup

from tidemill.pages.markup import element, pixels
from tidemill.pages.numerals import share

_WIDTH, _HEIGHT = 120.0, 28.0


def small_bars(labels: Sequence[str], counts: Sequence[int], *, title: str) -> Markup:
    """Draw one bar a bin, without axes; what each holds is in its tip.

    Args:
        labels: What each bin holds, in order.
        counts: Rows per bin.
        title: What is shown.

    Returns:
        An ``svg`` element of 120 by 28, or nothing where there are no rows.
    """
    total = sum(counts)
    if not total:
        return Markup()
    slot, most = _WIDTH / len(counts), max(counts)
    bars = []
    for index, (label, count) in enumerate(zip(labels, counts, strict=True)):
        height = max(1.0, count / most * (_HEIGHT - 2)) if count else 0.0
        tip = element("title", f"{label}: {share(count / total)}")
        rect = element(
            "rect",
            tip,
            x=index * slot + 0.5,
            y=_HEIGHT - height,
            width=max(1.0, slot - 1),
            height=height,
            fill="currentColor",
        )
        bars.append(rect)
    common = max(range(len(counts)), key=lambda index: counts[index])
    return element(
        "svg",
        element("title", title),
        element("desc", f"{len(counts)} bins; most rows, {share(counts[common] / total)}, in {labels[common]}."),
        *bars,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {pixels(_WIDTH)} {pixels(_HEIGHT)}",
        width=pixels(_WIDTH),
        height=pixels(_HEIGHT),
        class_="bars",
        role="img",
    )


def small_bar(value: float, most: float, *, title: str) -> Markup:
    """Draw one level bar; the number stands beside it.

    Args:
        value: Its length, not negative.
        most: The length of a bar that is as wide as its place.
        title: What is shown.

    Returns:
        An ``svg`` element of 120 by 10.
    """
    width = _WIDTH * value / most if most else 0.0
    return element(
        "svg",
        element("title", title),
        element("rect", x=0, y=0, width=width, height=10, fill="currentColor"),
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {pixels(_WIDTH)} 10",
        width=pixels(_WIDTH),
        height="10",
        class_="bars",
        role="img",
    )
