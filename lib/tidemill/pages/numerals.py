"""Numbers as people read them, the same in every locale.

The decimal sign is a point, groups of three are parted by a narrow no-break space (ISO 80000-1), and what is missing
or not a number reads ``n/a``.
"""

import math
import re

MISSING = "n/a"
_GROUP = "\u202f"
_TO_THE_MINUTE = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d):00Z")


def count(value: int | None) -> str:
    """Write a whole number, ``1234567`` as ``1 234 567``.

    Args:
        value: A number of things, or None where nobody counted.

    Returns:
        The number with groups of three, or ``n/a``.
    """
    return MISSING if value is None else _grouped(f"{value:,d}")


def number(value: float | None, digits: int = 4) -> str:
    """Write a number with so many significant digits and no trailing zeros, ``0.2500`` as ``0.25``.

    Args:
        value: Any float; None and NaN read ``n/a``.
        digits: Significant digits; digits before the decimal point are never rounded away below 1e15.

    Returns:
        The number; outside [1e-4, 1e15) in scientific notation.
    """
    text = metric(value, digits)
    if "." not in text:
        return text
    mantissa, exponent, power = text.partition("e")
    return mantissa.rstrip("0").rstrip(".") + exponent + power


def metric(value: float | None, digits: int = 4) -> str:
    """Write a number with so many significant digits, zeros kept, so that a column of them lines up.

    Args:
        value: Any float; None and NaN read ``n/a``.
        digits: Significant digits, as in `number`.

    Returns:
        The number, ``0.81`` as ``0.8100``.
    """
    if value is None or math.isnan(value):
        return MISSING
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if value == 0:
        return "0"
    if not 1e-4 <= abs(value) < 1e15:
        return f"{value:.{digits - 1}e}"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return _grouped(f"{value:,.{decimals}f}")


def fixed(value: float | None, decimals: int = 3) -> str:
    """Write a number with so many decimals, for columns of distances such as PSI.

    Args:
        value: Any float; None and NaN read ``n/a``.
        decimals: Digits after the decimal point.

    Returns:
        The number, ``0.0029`` as ``0.003``.
    """
    if value is None or not math.isfinite(value):
        return metric(value)
    return _grouped(f"{round(value, decimals) + 0.0:,.{decimals}f}")


def share(value: float | None) -> str:
    """Write a share of one as a percentage, ``0.032`` as ``3.2 %``.

    Args:
        value: A share, usually in [0, 1]; None and NaN read ``n/a``.

    Returns:
        One decimal, never rounded to 0 % or 100 % unless exactly so.
    """
    if value is None or not math.isfinite(value):
        return MISSING
    if 0 < value < 0.001:
        figure = "<0.1"
    elif 0.999 < value < 1:
        figure = ">99.9"
    else:
        figure = f"{100 * value:.1f}".removesuffix(".0")
    return f"{figure}\u00a0%"


def moment(time: str) -> str:
    """Write a point in time to the minute, midnight as the day alone.

    Args:
        time: ISO 8601, UTC.

    Returns:
        ``2011-11-01T00:00:00Z`` as ``2011-11-01``, ``2011-11-01T06:00:00Z`` as ``2011-11-01 06:00``; any other text
        as it is.
    """
    parts = _TO_THE_MINUTE.fullmatch(time)
    if parts is None:
        return time
    day, minute = parts.groups()
    return day if minute == "00:00" else f"{day} {minute}"


def _grouped(text: str) -> str:
    return text.replace(",", _GROUP)
