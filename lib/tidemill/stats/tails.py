"""Tails of distributions, and how many of many small ones to believe. Standard library only."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def student_tail(t: float, freedom: float) -> float:
    """The probability that Student's t is at least `|t|` away from 0, on either side (Abramowitz and Stegun 26.7).

    Args:
        t: without unit.
        freedom: degrees of freedom, at least 1; rounded down, which makes the tail heavier.
    """
    n = math.floor(freedom)
    angle = math.atan2(abs(t), math.sqrt(n))
    cosine = math.cos(angle) ** 2
    # What lies inside is a finite series in cos². Its tail is right to 1e-13, which is all that a verdict needs.
    term, total = (1.0, 1.0) if n % 2 == 0 else (math.cos(angle), math.cos(angle))
    for k in range(2 if n % 2 == 0 else 3, n - 1 if n % 2 == 0 else n, 2):
        term *= cosine * ((k - 1) / k)
        total += term
    if n == 1:
        return max(0.0, 1 - 2 * angle / math.pi)
    inside = math.sin(angle) * total if n % 2 == 0 else 2 / math.pi * (angle + math.sin(angle) * total)
    return max(0.0, 1 - inside)


def chi_square_tail(statistic: float, freedom: int) -> float:
    """The probability that a chi-square value is at least so large (Abramowitz and Stegun 26.4.4 and 26.4.5).

    Args:
        statistic: at least 0.
        freedom: degrees of freedom, at least 1.
    """
    half = statistic / 2
    if half <= 0:
        return 1.0
    # Terms half^a e^-half / Gamma(a + 1), added from logarithms: no power and no factorial can overflow.
    start = 0.0 if freedom % 2 == 0 else 0.5
    places = [start + i for i in range((freedom - 1) // 2 if freedom % 2 else freedom // 2)]
    total = math.fsum(math.exp(a * math.log(half) - half - math.lgamma(a + 1)) for a in places)
    return min(1.0, total + (math.erfc(math.sqrt(half)) if freedom % 2 else 0.0))


def discoveries(tails: Sequence[float], rate: float) -> list[bool]:
    """Which of many tests to believe, so that at most a share `rate` of those believed is wrong on average.

    Benjamini and Hochberg's step-up procedure (1995), for tests that are independent or positively dependent.

    Args:
        tails: the probability of each test's value under no difference.
        rate: of false discoveries among the discoveries, between 0 and 1.
    """
    order = sorted(range(len(tails)), key=lambda i: tails[i])
    last = max((k for k, i in enumerate(order, start=1) if tails[i] <= rate * k / len(tails)), default=0)
    believed = set(order[:last])
    return [i in believed for i in range(len(tails))]
