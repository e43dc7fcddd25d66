"""Sources that come late, or no more: told at the table that lags; scoring stops where a contract says so."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
from monitoring.test_alerts import SETTINGS
from monitoring.test_drift import LIMITS
from tidemill.cli.alerting import standing
from tidemill.cli.context import Context
from tidemill.cli.freshness import check_freshness
from tidemill.core.errors import Exit, TidemillError

START, DAY = datetime(2026, 1, 1, tzinfo=UTC), timedelta(days=1)
FRESHNESS = {"accounts": 2 * DAY, "activity": 2 * DAY, "support": 7 * DAY, "notes": None}
Reaches = Callable[[str, datetime], datetime | None]


def in_time(source: str, at: datetime) -> datetime | None:
    """Every source is complete up to some hours before T; what nobody promised anything of lags by a month."""
    return at - (30 * DAY if source == "notes" else timedelta(hours=6))


def late_feed(source: str, at: datetime) -> datetime | None:
    """From the tenth day on activity comes, but three days late."""
    return at - 3 * DAY if source == "activity" and at >= START + 10 * DAY else in_time(source, at)


def vanished(source: str, at: datetime) -> datetime | None:
    """Support is delivered no more from the tenth day on."""
    return min(at, START + 10 * DAY) if source == "support" else in_time(source, at)


def never_came(source: str, at: datetime) -> datetime | None:
    return None if source == "accounts" else in_time(source, at)


def run(tmp_path: Any, day: int, reach: Reaches, stale: str = "warn") -> Context:
    """A run at a day, as far as the freshness of its sources is looked at."""
    at = START + day * DAY
    found = SimpleNamespace(
        root=tmp_path,
        as_of=at,
        now=at,
        use_case=SimpleNamespace(name="churn", sources=tuple(SimpleNamespace(name=name) for name in FRESHNESS)),
        config=SimpleNamespace(alerts=SETTINGS, monitor=LIMITS),
        contract=lambda source: SimpleNamespace(freshness=FRESHNESS[source.name], stale=stale),
        watermark=lambda sources, moment: reach(sources[0].name, moment),
    )
    return cast("Context", found)


def told(tmp_path: Any, reach: Reaches, days: range) -> dict[int, list[tuple[str, str, str]]]:
    found = {day: standing(run(tmp_path, day, reach)) for day in days}
    return {day: [(a.severity, a.kind, a.subject) for a in alerts] for day, alerts in found.items() if alerts}


def test_sources_in_time_are_quiet_for_sixty_days(tmp_path: Any) -> None:
    assert told(tmp_path, in_time, range(1, 61)) == {}


def test_a_late_feed_is_told_at_its_table_as_long_as_it_is_late(tmp_path: Any) -> None:
    found = told(tmp_path, late_feed, range(1, 20))
    assert found == {day: [("warn", "stale", "silver.activity")] for day in range(10, 20)}
    (alert,) = standing(run(tmp_path, 12, late_feed))
    assert alert.text == "the source 'activity' is complete only until 2026-01-10T00:00:00Z, 48 h may be missing"


def test_a_vanished_source_is_told_once_it_lags_by_more_than_its_contract_allows(tmp_path: Any) -> None:
    found = told(tmp_path, vanished, range(1, 30))
    assert found == {day: [("warn", "stale", "silver.support")] for day in range(18, 30)}


def test_a_source_that_never_came_is_no_data(tmp_path: Any) -> None:
    assert told(tmp_path, never_came, range(1, 2)) == {1: [("alert", "no_data", "silver.accounts")]}
    (alert,) = standing(run(tmp_path, 1, never_came))
    assert alert.text == "the source 'accounts' has no row, 48 h may be missing"


def test_scoring_goes_on_or_stops_as_the_contract_says(tmp_path: Any) -> None:
    assert check_freshness(run(tmp_path, 12, in_time, "stop")) == ()
    (said,) = check_freshness(run(tmp_path, 12, late_feed))
    assert said.startswith("the source 'activity' is complete only until 2026-01-10")
    with pytest.raises(TidemillError) as stopped:
        check_freshness(run(tmp_path, 12, late_feed, "stop"))
    assert (stopped.value.code, stopped.value.exit_code) == ("E_STALE", Exit.NO_INPUT)
    assert stopped.value.where == "silver.activity as of 2026-01-13T00:00:00Z"
