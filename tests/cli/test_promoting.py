"""Decisions in the ledger: about the champion that was seen; races, approvals, rollbacks; the alias follows."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from tidemill.cli import promotions
from tidemill.cli.console import app
from tidemill.cli.gating import Gathered
from tidemill.cli.overruling import approve, roll_back
from tidemill.cli.promoting import decision_row, follow, open_promotions, read_promotions, record_decision
from tidemill.core.errors import TidemillError
from tidemill.core.failpoints import Crashed, armed
from tidemill.data.tables import Lake
from tidemill.models.comparison import Comparison
from tidemill.models.gate import Decision
from tidemill.models.guardrails import Check, Evidence, Packaged
from tidemill.models.paired import Gain
from tidemill.models.promotion import KEEP, PROMOTE, WAIT, champion_at, crown

if TYPE_CHECKING:
    from pathlib import Path

FOUND = Gathered(
    Evidence(
        "roc_auc",
        0.8,
        0.7,
        0.5,
        0.85,
        Comparison(
            Gain(400, 0.8, 0.7, 0.1, 0.05, 0.15, "delong"),
            Gain(400, 0.8, 0.75, 0.05, 0.01, 0.09, "delong"),
            None,
            None,
            (),
        ),
        0.0,
        (),
        Packaged(400, 0.0, 1e-9),
        10,
        20,
    ),
    gate_rows=400,
    represented=None,
)


class Aliases:
    """A registry's aliases, in memory."""

    def __init__(self) -> None:
        self.held: dict[str, str] = {}

    def alias(self, _: str, alias: str) -> str | None:
        return self.held.get(alias)

    def set_alias(self, _: str, alias: str, number: str) -> None:
        self.held[alias] = number

    def drop_alias(self, _: str, alias: str) -> None:
        self.held.pop(alias, None)


class Shop:
    """A ledger of promotions and aliases, with a clock that goes on by itself."""

    def __init__(self, root: Path) -> None:
        self.lake = Lake(root, "run-1", lease_timeout=10.0)
        self.aliases: Any = Aliases()
        self.minute = 0

    def now(self) -> datetime:
        self.minute += 1
        return datetime(2024, 5, 1, 12, self.minute, tzinfo=UTC)

    def decide(self, version: str, day: int, decision: str = PROMOTE, **seen: Any) -> None:
        at, rows = datetime(2024, 4, day, tzinfo=UTC), read_promotions(self.lake)
        made = Decision(decision, ("because it is so",), (Check("baseline", True, "it beats it", 0.8, 0.7),))
        row = decision_row("shop", at, self.now(), version, rows, FOUND, made)
        champion = seen["seen"] if seen else crown(rows, "shop", at)
        record_decision(self.lake, self.aliases, row, champion, {"challenger": version})

    def approve(self, version: str) -> None:
        approve(self.lake, self.aliases, "shop", version, by="Ada", because="looked at it", now=self.now())

    def roll_back(self, to: str | None = None) -> None:
        roll_back(self.lake, self.aliases, "shop", to, by="Ada", because="complaints", now=self.now())

    def champion(self, day: int) -> str | None:
        return champion_at(read_promotions(self.lake), "shop", datetime(2024, 4, day, tzinfo=UTC))

    def story(self) -> list[tuple[str, str, str | None]]:
        rows = sorted(read_promotions(self.lake), key=lambda row: row["decided_at"])
        return [(row["decision"], row["challenger_version"], row["champion_version"]) for row in rows]


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path / "var")


def test_a_decision_is_kept_with_its_evidence_and_the_alias_follows(shop: Shop) -> None:
    shop.decide("1", 1)
    shop.decide("2", 11)
    assert shop.aliases.held == {"champion": "2", "previous": "1"}
    second = crown(read_promotions(shop.lake), "shop")
    assert second is not None
    assert (second["champion_version"], second["previous_version"], second["reasons"]) == (
        "1",
        "1",
        ["because it is so"],
    )
    assert (second["gain"], second["gain_low"], second["gain_high"], second["method"]) == (0.05, 0.01, 0.09, "delong")
    evidence = json.loads(second["evidence"])
    assert evidence["checks"] == [
        {"name": "baseline", "passed": True, "reason": "it beats it", "value": 0.8, "limit": 0.7}
    ]
    assert evidence["compared"]["champion"]["low"] == 0.01
    assert (evidence["numbers"], evidence["leaks"]) == (10, [])


def test_what_is_kept_out_moves_nothing(shop: Shop) -> None:
    shop.decide("1", 1)
    shop.decide("2", 11, KEEP)
    shop.decide("3", 12, WAIT)
    assert shop.aliases.held == {"champion": "1"}
    assert shop.champion(30) == "1"


def test_two_racing_promotions_have_one_winner(shop: Shop) -> None:
    shop.decide("1", 1)
    seen = crown(read_promotions(shop.lake), "shop")
    together, failed = threading.Barrier(2), []

    def race(version: str) -> None:
        together.wait()  # both have compared with version 1
        try:
            shop.decide(version, 11, seen=seen)
        except TidemillError as error:
            failed.append((version, error.code, int(error.exit_code)))

    threads = [threading.Thread(target=race, args=(version,)) for version in ("2", "3")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(failed) == 1
    loser = failed[0][0]
    winner = {"2": "3", "3": "2"}[loser]
    assert failed == [(loser, "E_CHAMPION_MOVED", 75)]
    assert shop.aliases.held == {"champion": winner, "previous": "1"}
    assert shop.story() == [("promote", "1", None), ("promote", winner, "1")]


def test_a_rollback_between_comparison_and_decision_wins(shop: Shop) -> None:
    shop.decide("1", 1)
    shop.decide("2", 11)
    seen = crown(read_promotions(shop.lake), "shop")
    shop.roll_back()
    with pytest.raises(TidemillError, match="champion no more") as raised:
        shop.decide("3", 12, seen=seen)
    assert raised.value.code == "E_CHAMPION_MOVED"
    shop.decide("3", 12)
    assert shop.story()[-1] == ("promote", "3", "1")


def test_a_rollback_restores_the_former_version(shop: Shop) -> None:
    for version, day in (("1", 1), ("2", 11), ("3", 21)):
        shop.decide(version, day)
    shop.roll_back()
    assert shop.aliases.held == {"champion": "2", "previous": "1"}
    assert [shop.champion(day) for day in (1, 11, 20, 21, 30)] == ["1", "2", "2", "2", "2"]
    shop.roll_back()
    assert shop.aliases.held == {"champion": "1"}
    assert [shop.champion(day) for day in (11, 21)] == ["2", "1"]
    with pytest.raises(TidemillError, match="no champion before version 1") as raised:
        shop.roll_back()
    assert (raised.value.code, int(raised.value.exit_code)) == ("E_NO_FORMER", 66)
    shop.roll_back("3")  # and forth
    assert shop.aliases.held == {"champion": "3", "previous": "1"}
    assert shop.story()[3:] == [("rollback", "2", "3"), ("rollback", "1", "2"), ("rollback", "3", "1")]
    newest = crown(read_promotions(shop.lake), "shop")
    assert newest is not None
    assert (newest["decided_by"], newest["because"]) == ("Ada", "complaints")
    assert newest["reasons"] == ["Ada took back version 1: complaints"]


@pytest.mark.parametrize(("to", "says"), [("3", "was never champion"), ("2", "is champion now"), ("9", "was never")])
def test_a_rollback_goes_to_a_former_champion_only(shop: Shop, to: str, says: str) -> None:
    shop.decide("1", 1)
    shop.decide("2", 11)
    shop.decide("3", 21, KEEP)
    with pytest.raises(TidemillError, match=says) as raised:
        shop.roll_back(to)
    assert (raised.value.code, int(raised.value.exit_code)) == ("E_NO_VERSION", 64)
    assert raised.value.next_step == "choose one of 1"


def test_a_promotion_after_a_rollback_by_a_slower_clock_is_newer(shop: Shop) -> None:
    shop.decide("1", 1)
    shop.decide("2", 11)
    shop.roll_back()
    shop.minute = 0  # the run had started before
    shop.decide("3", 11)
    assert shop.champion(11) == "3"
    assert shop.aliases.held == {"champion": "3", "previous": "1"}


def test_a_challenger_waits_until_somebody_approves_it(shop: Shop) -> None:
    shop.decide("1", 1)
    shop.decide("2", 11, WAIT)
    assert shop.champion(11) == "1"
    shop.approve("2")
    assert [shop.champion(day) for day in (10, 11)] == ["1", "2"]
    assert shop.aliases.held == {"champion": "2", "previous": "1"}
    approved = crown(read_promotions(shop.lake), "shop")
    assert approved is not None
    assert (approved["decided_by"], approved["because"], approved["gain"]) == ("Ada", "looked at it", 0.05)
    for version, says in (("2", "it was decided: approve"), ("9", "nothing was decided about it")):
        with pytest.raises(TidemillError, match=says) as raised:
            shop.approve(version)
        assert (raised.value.code, int(raised.value.exit_code)) == ("E_NO_DECISION", 64)
    shop.roll_back()
    assert shop.aliases.held == {"champion": "1"}


def test_an_approval_is_about_the_champion_of_the_comparison(shop: Shop) -> None:
    shop.decide("1", 1)
    shop.decide("2", 11, WAIT)
    shop.decide("3", 12, WAIT)
    shop.approve("3")
    with pytest.raises(TidemillError) as raised:
        shop.approve("2")
    assert raised.value.code == "E_CHAMPION_MOVED"


def test_an_older_run_never_moves_the_alias(shop: Shop) -> None:
    shop.decide("1", 11)
    shop.decide("2", 1)
    assert shop.aliases.held == {"champion": "1"}
    assert [shop.champion(day) for day in (1, 11)] == ["2", "1"]


@pytest.mark.parametrize("place", ["commit.after_write", "commit.before_ledger", "promote.decided"])
def test_what_was_decided_when_a_run_ended_counts_for_the_next(shop: Shop, place: str) -> None:
    shop.decide("1", 1)
    with armed(place), pytest.raises(Crashed):
        shop.decide("2", 11)
    assert shop.aliases.held == {"champion": "1"}
    assert [row["challenger_version"] for row in sorted(open_promotions(shop.lake), key=lambda r: r["decided_at"])] == [
        "1",
        "2",
    ]
    follow(shop.lake, shop.aliases, "shop")
    assert shop.aliases.held == {"champion": "2", "previous": "1"}


def test_the_commands_tell_the_story(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(promotions, "open_registry", lambda *_: shop.aliases)
    root = ["--root", str(shop.lake.root), "--json"]

    def call(*command: str) -> list[dict[str, Any]]:
        app([*command, *root], standalone_mode=False)
        rows: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["rows"]
        return rows

    shop.decide("1", 1)
    shop.decide("2", 11, WAIT)
    assert call("approve", "shop", "2", "--by", "Ada", "--because", "looked at it")[0]["decision"] == "approve"
    assert call("rollback", "shop", "--because", "complaints", "--by", "Bo")[0]["version"] == "1"
    told = call("promotions", "shop", "--evidence")
    assert [(row["decision"], row["version"], row["champion_before"], row["by"]) for row in told] == [
        ("rollback", "1", "2", "Bo"),
        ("approve", "2", "1", "Ada"),
        ("wait", "2", "1", "gate"),
        ("promote", "1", None, "gate"),
    ]
    assert told[0]["reasons"] == ["Bo took back version 2: complaints"]
    assert [check["name"] for check in told[-1]["checks"]] == ["baseline"]
    assert shop.aliases.held == {"champion": "1"}
    app(["promotions", "shop", *root[:2]], standalone_mode=False)
    assert "Bo took back" in capsys.readouterr().out
