"""Features and labels the slow way: nested loops over plain Python events, made from the declarations' words alone."""

import itertools
import math
import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np

MICRO = timedelta(microseconds=1)
DAY = timedelta(days=1)
SCHEMA = (
    "customer string, event_time timestamp, known_time timestamp, seq bigint, content bigint, op string, row_id string,"
    " amount double, price decimal(12,2), kind string, active boolean"
)
Value = float | str | None


@dataclass(frozen=True)
class Event:
    """One silver version."""

    customer: str
    event_time: datetime
    known_time: datetime
    seq: int
    content: int
    op: str
    row_id: str
    amount: float | None
    price: Decimal | None
    kind: str | None
    active: bool | None

    @property
    def order(self) -> tuple[datetime, int, str]:
        return (self.event_time, self.seq, self.row_id)

    def as_row(self) -> tuple[Any, ...]:
        return tuple(vars(self).values())


def superseded(event: Event, world: list[Event]) -> datetime | None:
    """When the next version of the same row became known."""
    later = [e.known_time for e in world if e.row_id == event.row_id and e.seq > event.seq]
    return min(later, default=None)


def counts_at(event: Event, world: list[Event], at: datetime) -> bool:
    """Whether a version is the one that counts for who asks at a moment: known strictly before it, not yet replaced."""
    until = superseded(event, world)
    return event.op != "delete" and event.known_time < at and (until is None or at <= until)


def seen(world: list[Event], at: datetime) -> list[Event]:
    """The versions that an as-of time sees, in their order."""
    return sorted((e for e in world if e.event_time < at and counts_at(e, world, at)), key=lambda e: e.order)


def known(world: list[Event], at: datetime) -> bool:
    """Whether the entity has a row: any of its events was known before the as-of time."""
    return any(e.event_time < at and e.known_time < at for e in world)


def aggregate(function: str, values: list[Any]) -> Value:
    """One aggregate over the non-null values of a window, in the order of the events."""
    there = [v for v in values if v is not None]
    numbers = [float(v) for v in there if not isinstance(v, str)]
    if function == "count":
        return float(len(there))
    if function == "count_distinct":
        return float(len({"nan" if v != v else v for v in there}))  # NaN is one value
    if function == "sum":
        return _sum(there)
    if not there:
        return None
    if function == "mean":
        return _sum(there) / len(there)
    if function == "stddev":
        return _stddev(numbers)
    if function in {"min", "max"}:
        pick = min if function == "min" else max
        return pick(
            numbers, key=lambda v: (math.isnan(v), 0.0 if math.isnan(v) else v)
        )  # NaN is the largest, as in SQL
    if function in {"first", "last"}:
        return numbers[0 if function == "first" else -1]
    if function == "last_text":
        return str(there[-1])
    raise ValueError(function)


def _sum(values: list[Any]) -> float:
    if any(isinstance(v, Decimal) for v in values):
        return float(sum(values, Decimal(0)))
    if all(math.isfinite(v) for v in values):
        return math.fsum(values)
    return float(sum(v for v in values if not math.isfinite(v)))


def _stddev(values: list[float]) -> float | None:
    if len(values) < 2:
        return None
    if not all(math.isfinite(v) for v in values):
        return math.nan
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (len(values) - 1))


def top(values: list[Any]) -> Value:
    """The most frequent text, the smallest of those as frequent."""
    texts = [as_text(v) for v in values if v is not None]
    return min(texts, key=lambda text: (-texts.count(text), text), default=None)


def share(values: list[Any], wanted: str) -> Value:
    there = [as_text(v) for v in values if v is not None]
    return there.count(wanted) / len(there) if there else None


def as_text(value: Any) -> str:
    """A text, a truth or a decimal as SQL writes it."""
    if isinstance(value, Decimal):
        return f"{value:.2f}"  # the scale is the column's
    return str(value).lower() if isinstance(value, bool) else str(value)


def quantile(values: list[Any], q: float) -> float | None:
    """NumPy's own over finite numbers; NaN as the largest, and the weighted mean next to an infinity."""
    numbers = sorted((float(v) for v in values if v is not None), key=lambda v: (math.isnan(v), v))
    if not numbers:
        return None
    if all(math.isfinite(v) for v in numbers):
        return float(np.quantile(numbers, q))
    place = q * (len(numbers) - 1)
    low = math.floor(place)
    if place == low:
        return numbers[low]
    pair = numbers[low : low + 2]
    if all(math.isfinite(v) for v in pair):
        return float(np.quantile(pair, place - low))
    return pair[0] * (1 - (place - low)) + pair[1] * (place - low)


def slope(points: list[tuple[datetime, Any]]) -> tuple[Value, float]:
    """The least-squares slope a day, in fractions; and the size that its rounding is measured by."""
    there = [(at, float(v)) for at, v in points if v is not None]
    if len({at for at, _ in there}) < 2:
        return None, 0.0
    if not all(math.isfinite(v) for _, v in there):
        return math.nan, 0.0
    first = min(at for at, _ in there)
    xs = [Fraction((at - first) // MICRO, 86_400_000_000) for at, _ in there]
    ys = [Fraction(v) for _, v in there]
    zero = Fraction(0)
    mean_x, mean_y = sum(xs, zero) / len(xs), sum(ys, zero) / len(ys)
    spread = sum(((x - mean_x) ** 2 for x in xs), zero)
    together = sum(((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True)), zero)
    size = sum((abs(x - mean_x) for x in xs), zero) * sum((abs(y) for y in ys), zero) / spread
    return float(together / spread), float(size)


def gap_statistic(times: list[datetime], statistic: str, *, distinct: bool) -> Value:
    """One statistic of the days between consecutive events."""
    ordered = sorted(set(times) if distinct else times)
    lengths = [days_between(a, b) for a, b in itertools.pairwise(ordered)]
    if statistic == "stddev":
        return _stddev(lengths)
    if not lengths:
        return None
    return {"mean": math.fsum(lengths) / len(lengths), "min": min(lengths), "max": max(lengths)}[statistic]


def streak(times: list[datetime], at: datetime, period: timedelta, window: timedelta, which: str) -> float:
    """How many consecutive periods back from T hold an event, period by period."""
    held = [any(at - (n + 1) * period <= time < at - n * period for time in times) for n in range(window // period)]
    runs = [len(list(group)) for is_held, group in itertools.groupby(held) if is_held]
    if which == "longest":
        return float(max(runs, default=0))
    return float(runs[0]) if held and held[0] else 0.0


def days_between(start: datetime, end: datetime) -> float:
    """Days, exact to the microsecond."""
    return ((end - start) // MICRO) / 86_400_000_000


def ratio(over: Value, under: Value) -> Value:
    if over is None or under is None or under == 0:
        return None
    return over / under  # type: ignore[operator]


def difference(left: Value, right: Value) -> Value:
    return None if left is None or right is None else left - right  # type: ignore[operator]


def log1p(value: Value) -> Value:
    if value is None or math.isnan(value):  # type: ignore[arg-type]
        return value
    return math.copysign(math.log1p(abs(value)), value) if value else 0.0  # type: ignore[arg-type]


def scale(values: list[Any]) -> float:
    """What a rounding error is measured by: the sum of the sizes."""
    return math.fsum(abs(float(v)) for v in values if isinstance(v, float | Decimal) and math.isfinite(v))


def differs(found: Value, expected: Value, size: float) -> bool:
    """Whether two values are no equal answer, given the size of what was summed."""
    if found is None or expected is None or isinstance(found, str) or isinstance(expected, str):
        return found != expected
    if math.isnan(found) or math.isnan(expected):
        return not (math.isnan(found) and math.isnan(expected))
    if math.isinf(found) or math.isinf(expected):
        return found != expected
    return abs(found - expected) > 1e-12 * max(size, abs(expected))


AS_OFS = tuple(
    datetime.fromisoformat(f"{text}+00:00")
    for text in (
        "2012-02-27T00:00:00",
        "2012-02-28T00:00:00",
        "2012-02-29T00:00:00",
        "2012-03-01T00:00:00",
        "2012-03-02T00:00:00",
        "2012-03-05T17:30:00.000001",
        "2012-12-31T23:59:59.999999",
        "2013-03-01T00:00:00",
    )
)
EDGES = (timedelta(0), timedelta(hours=6), 1 * DAY, 7 * DAY, 30 * DAY)


def random_world(seed: int, customer: str, *, corrections: bool) -> list[Event]:
    """The events of one entity: ties, nulls, gaps, late arrivals, edges exact to the microsecond, odd numbers.

    Args:
        seed: of the world.
        customer: the entity.
        corrections: whether rows have several versions, deletions among them.
    """
    dice = random.Random(seed)  # noqa: S311
    odd = dice.choice([(), (), (), (1e16, -1e16), (math.nan,), (math.inf,), (math.inf, -math.inf), (0.0, -0.0)])
    world: list[Event] = []
    moments = [_moment(dice) for _ in range(dice.choice([0, 1, 1, 2, 3, 5, 8, 13]))]
    if moments and dice.random() < 0.5:
        moments += dice.choices(moments, k=dice.randint(1, 3))  # several per instant
    for number, event_time in enumerate(moments):
        versions = dice.choice([1, 1, 1, 2, 3]) if corrections else 1
        for seq in range(versions):
            at = _moment(dice) if seq and dice.random() < 0.3 else event_time
            late = dice.choice([timedelta(0), timedelta(0), timedelta(0), MICRO, 1 * DAY, 3 * DAY, 40 * DAY])
            world.append(
                Event(
                    customer,
                    at,
                    at + late + seq * dice.choice([MICRO, DAY]),
                    seq if corrections else dice.randint(0, 1),
                    dice.randint(0, 9),
                    "delete" if corrections and dice.random() < 0.2 else "upsert",
                    f"{customer}-{number}",
                    None if dice.random() < 0.2 else dice.choice((*odd, round(dice.uniform(-50, 50), 3), 0.1)),
                    None if dice.random() < 0.2 else Decimal(dice.randint(-999_999, 999_999)) / 100,
                    dice.choice(["a", "b", "b", "", None]),
                    dice.choice([True, False, None]),
                )
            )
    return world


def _moment(dice: random.Random) -> datetime:
    if dice.random() < 0.6:  # an edge of a window, or next to it
        sign = dice.choice([-1, -1, 1])
        return dice.choice(AS_OFS) + sign * dice.choice(EDGES) + dice.choice([-MICRO, timedelta(0), MICRO])
    return datetime(2011, 12, 1, tzinfo=UTC) + timedelta(microseconds=dice.randrange(500 * 86_400_000_000))
