"""The ledger of promotions: who was champion when, and what a rollback goes back to."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tidemill.core.errors import TidemillError
from tidemill.models.promotion import champion_at, crown, decided_about, lineage, outdated, same, were_champion
from tidemill.models.specs import GradientBoosting, ModelSpec


def day(number: int) -> datetime:
    return datetime(2024, 1, number, tzinfo=UTC)


def row(version: str, as_of: int, decided: int, **others: Any) -> dict[str, Any]:
    facts = {"use_case": "churn", "decision": "promote", **others}
    return {"challenger_version": version, "as_of": day(as_of), "decided_at": day(decided), **facts}


def test_the_champion_is_that_of_the_newest_promotion_up_to_a_moment() -> None:
    ledger = [
        row("3", 20, 25),
        row("1", 5, 6),
        row("4", 10, 30),  # an older as-of time, decided last
        row("2", 10, 11),
        row("5", 25, 26, decision="keep"),
        row("9", 1, 2, use_case="other"),
    ]
    assert [champion_at(ledger, "churn", day(n)) for n in (4, 5, 9, 10, 19, 20, 31)] == [
        None,
        "1",
        "1",
        "4",
        "4",
        "3",
        "3",
    ]
    assert champion_at([], "churn", day(1)) is None


def test_a_rollback_holds_from_the_time_on_at_which_the_champion_had_become_one() -> None:
    ledger = [
        row("1", 5, 6),
        row("2", 10, 11),
        row("3", 20, 21, decision="wait"),
        row("3", 20, 22, decision="approve"),
        row("2", 20, 23, decision="rollback"),
    ]
    assert [champion_at(ledger, "churn", day(n)) for n in (4, 5, 10, 19, 20, 31)] == [None, "1", "2", "2", "2", "2"]
    assert lineage(ledger, "churn") == ["1", "2"]
    assert were_champion(ledger, "churn") == {"1", "2", "3"}
    again = [*ledger, row("1", 20, 24, decision="rollback")]
    assert (champion_at(again, "churn", day(20)), lineage(again, "churn")) == ("1", ["1"])
    forth = [*again, row("3", 20, 25, decision="rollback")]
    assert (champion_at(forth, "churn", day(20)), lineage(forth, "churn")) == ("3", ["1", "3"])
    newer = [*forth, row("4", 25, 26)]
    assert [champion_at(newer, "churn", day(n)) for n in (20, 24, 25)] == ["3", "3", "4"]


@given(st.lists(st.integers(0, 5), max_size=12))
def test_every_rollback_goes_where_the_version_had_come_from(choices: list[int]) -> None:
    # The naive twin: each version remembers whom it followed. 0 rolls back by one, other numbers to a former champion.
    ledger: list[dict[str, Any]] = []
    followed: dict[str, str | None] = {}
    champion: str | None = None
    for minute, choice in enumerate(choices, start=1):
        former = followed[champion] if champion is not None else None
        known = sorted(set(followed) - {champion})
        if choice == 0 and former is not None:
            target, decision = former, "rollback"
        elif 0 < choice <= len(known):
            target, decision = known[choice - 1], "rollback"
        else:
            target, decision = str(len(followed) + 1), "promote"
        if decision == "promote" or target not in before(champion, followed):
            followed[target] = champion
        champion = target
        ledger.append(row(target, 5, 6, decision=decision, decided_at=day(1) + timedelta(minutes=minute)))
        assert champion_at(ledger, "churn", day(5)) == champion
        assert lineage(ledger, "churn")[::-1] == [champion, *before(champion, followed)]


def before(version: str | None, followed: dict[str, str | None]) -> list[str]:
    """Whom a version followed, and whom that one."""
    found: list[str] = []
    while version is not None and (version := followed[version]) is not None:
        found.append(version)
    return found


def test_what_waits_is_outdated_once_there_is_another_champion() -> None:
    ledger = [row("1", 5, 6), row("2", 10, 11, decision="wait", champion_version="1")]
    waiting = decided_about(ledger, "churn", "2")
    assert waiting is not None
    assert not outdated(waiting, crown(ledger, "churn"))
    ledger.append(row("3", 10, 12))
    assert outdated(waiting, crown(ledger, "churn"))
    assert not outdated(row("2", 10, 11, decision="keep", champion_version="1"), crown(ledger, "churn"))
    assert decided_about(ledger, "churn", "9") is None
    assert decided_about([*ledger, row("2", 10, 13, decision="rollback")], "churn", "2") == waiting


def test_two_reads_of_a_decision_are_the_same() -> None:
    assert same(None, None)
    assert same(row("1", 5, 6), row("1", 5, 6))
    assert not same(row("1", 5, 6), None)
    assert not same(row("1", 5, 6), row("1", 5, 7))


def test_candidates_are_every_combination() -> None:
    spec = GradientBoosting(maxIter=5, grid={"maxDepth": (2, 3), "stepSize": (0.1,)})
    assert spec.candidates() == (
        {"maxIter": 5, "maxDepth": 2, "stepSize": 0.1},
        {"maxIter": 5, "maxDepth": 3, "stepSize": 0.1},
    )
    assert GradientBoosting().candidates() == ({},)
    with pytest.raises(TidemillError) as caught:
        ModelSpec("gtb")
    assert (caught.value.code, caught.value.exit_code) == ("E_FAMILY", 78)
    assert "did you mean 'gbt'?" in caught.value.next_step
