"""What a contract may ask for beyond the default: policies, actions, rules among rows, change records, replay."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from data_shops import GOOD, HEADER, land, land_contract, line, rejected, rewrite, run, silver
from test_bad_inputs import check, csv, deliver
from tidemill.core.failpoints import Crashed, armed
from tidemill.data.read import read
from tidemill.data.tables import SILVER, Table
from tidemill.data.versions import build_current

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Shop
    from pyspark.sql import SparkSession


def option(name: str, value: str) -> str:
    return f"- {{property: {name}, value: {value}}}"


MORE = "id,amount,ts,name,active,more\n"


@pytest.mark.parametrize(
    ("policy", "rows", "bronze"),
    [
        ("discard_value", {}, [None, None]),
        ("discard_row", {1: ["UNKNOWN_FIELD:more"]}, [None]),
        ("evolve", {}, [None, "x"]),
    ],
)
def test_new_columns(
    tmp_path: Path, spark: SparkSession, policy: str, rows: dict[int, list[str]], bronze: list[str | None]
) -> None:  # row 3
    case = csv(3, "more", GOOD[:-1] + ",x\n", line()[:-1] + ",\n", header=MORE, rows=rows, accepted=2 - len(rows))
    found = deliver(tmp_path, [case], "csv", option("newColumns", policy))
    check(case, found)
    assert sorted((r.get("more") for r in found.bronze), key=str) == sorted(bronze, key=str)


def test_columns_by_name_and_values_over_lines(tmp_path: Path, spark: SparkSession) -> None:  # rows 1, 11, 12
    cases = [
        csv(1, "reordered", "1.5,1,2024-01-01,ann,true\n", header="amount,id,ts,name,active\n", accepted=1),
        csv(11, "newline", '1,1.5,2024-01-01,"an\nn",true\n', GOOD, accepted=2),
        csv(12, "unclosed", GOOD, '1,1.5,2024-01-01,"ann,true\n', GOOD, file="UNCLOSED_QUOTE"),
        csv(14, "stray", line(name='an"n'), accepted=1),
    ]
    options = option("columnOrder", "by_name") + "\n  " + option("multiline", "true")
    found = deliver(tmp_path, cases, "csv", options)
    for case in cases:
        check(case, found)
    assert {row["name"] for row in found.silver} == {"ann", "an\nn", 'an"n'}


def test_local_times_that_clocks_skip_or_repeat(tmp_path: Path, spark: SparkSession) -> None:  # row 36
    case = csv(
        36,
        "clocks",
        line(ts="2024-03-10 02:30:00"),
        line(ts="2024-11-03 01:30:00"),
        line(ts="2024-11-03 01:30:00-07:00"),
        line(ts="2024-07-01 00:00:00"),
        rows={1: ["TS_AMBIGUOUS:ts"], 2: ["TS_AMBIGUOUS:ts"]},
        accepted=2,
    )
    found = deliver(tmp_path, [case], "csv", option("timezone", "America/Los_Angeles"))
    check(case, found)
    times = sorted(f"{row['event_time']:%m-%d %H:%M}" for row in found.silver)
    assert times == ["07-01 07:00", "11-03 08:30"]


def test_a_time_as_a_number_states_its_unit(tmp_path: Path, spark: SparkSession) -> None:  # row 33
    shop = land_contract(tmp_path, "csv")
    rewrite(
        shop,
        "{name: ts, physicalName: ts, logicalType: timestamp, required: true}",
        "{name: ts, physicalName: ts, logicalType: timestamp, required: true,"
        " customProperties: [{property: epoch, value: ms}]}",
    )
    land(shop, "a.csv", line(ts="1704067200000"), line(ts="4102444800000"), line(ts="soon"), line(ts="9" * 19))
    run(shop, "ingest refine")
    assert [f"{row[0]:%Y-%m-%d}" for row in silver(shop, "event_time")] == ["2024-01-01"]
    reasons = [row[2] for row in rejected(shop)]
    assert reasons == [["TS_FUTURE:ts"], ["TYPE:ts"], ["TS_INVALID:ts"]]


RULES = """\
    quality:
      - {name: small, query: "amount < 100 or active"%s}
"""


def test_actions_of_rules(tmp_path: Path, spark: SparkSession) -> None:
    lines = (GOOD, line(amount="500", active="false"), line(amount="600"))
    for action, counts in {"quarantine": (2, 1), "warn": (3, 0)}.items():
        shop = land_contract(tmp_path / action, "csv", more=RULES % with_action(action))
        land(shop, "a.csv", *lines)
        summary = run(shop, "ingest refine")
        assert (summary["counts"]["accepted"], summary["counts"]["quarantined"]) == counts
    assert rejected(shop) == []
    batch = land_contract(tmp_path / "batch", "csv", more=RULES % with_action("fail_batch"))
    land(batch, "a.csv", *lines)
    error = run(batch, "ingest refine", code=65)["error"]
    assert (error["code"], "RULE:small" in error["what"]) == ("E_BATCH_REFUSED", True)
    assert silver(batch, "id") == []
    assert [row[2] for row in rejected(batch)] == [
        ["BATCH_REFUSED"],
        ["RULE:small", "BATCH_REFUSED"],
        ["BATCH_REFUSED"],
    ]
    land(batch, "b.csv", GOOD)  # the next delivery is a batch of its own
    assert run(batch, "ingest refine")["counts"]["accepted"] == 1
    whole = land_contract(tmp_path / "run", "csv", more=RULES % with_action("fail_run"))
    land(whole, "a.csv", *lines)
    assert run(whole, "ingest refine", code=65)["error"]["code"] == "E_RULE"
    assert whole.batches("silver.readings") == []


def with_action(action: str) -> str:
    return f", customProperties: [{{property: action, value: {action}}}]"


def test_volume_and_actions_of_columns(tmp_path: Path, spark: SparkSession) -> None:
    more = "    quality:\n      - {metric: rowCount, mustBeGreaterOrEqualTo: 2}\n"
    shop = land_contract(tmp_path, "csv", more=more)
    rewrite(
        shop,
        "{name: active, physicalName: active, logicalType: boolean}",
        "{name: active, physicalName: active, logicalType: boolean, required: true,"
        " customProperties: [{property: actions, value: {'NULL': warn}}]}",
    )
    land(shop, "a.csv", GOOD)
    assert "fewer than the declared 2" in run(shop, "ingest refine", code=65)["error"]["what"]
    land(shop, "b.csv", GOOD, line(active=""))
    assert run(shop, "ingest refine")["counts"] == {"read": 3, "accepted": 2, "quarantined": 1, "duplicates": 0}
    entry = shop.batches("quarantine.readings")[-1]
    assert entry.counts["warning:NULL:active"] == 1


def test_values_that_may_stand_once(tmp_path: Path, spark: SparkSession) -> None:
    more = "    quality:\n      - {metric: duplicateValues, arguments: {properties: [id, name]}}\n"
    shop = land_contract(tmp_path, "csv", more=more)
    land(shop, "a.csv", GOOD, line(id="1", name="ann"), line(id="1"), line(id="2", name="ann"), GOOD)
    run(shop, "ingest refine")
    assert rejected(shop) == [("a.csv", 2, ["UNIQUE:id+name"], "open")]  # an equal line is the same row, not another
    land(shop, "b.csv", line(id="1", name="ann", amount="9"), GOOD, line(id="3"))
    summary = run(shop, "ingest refine")
    assert rejected(shop)[1:] == [("b.csv", 1, ["UNIQUE:id+name"], "open")]
    assert summary["counts"] == {"read": 8, "accepted": 5, "quarantined": 2, "duplicates": 1}


CHANGES = "id,amount,ts,name,active,op,n\n"


def changes(folder: Path) -> Shop:
    more = (
        "      - {name: op, physicalName: op, logicalType: string, required: true}\n"
        "      - {name: n, physicalName: n, logicalType: integer, required: true}\n"
    )
    shop = land_contract(folder, "csv", more=more)
    path = shop.repo / "shop.py"
    text = path.read_text("utf-8").replace(
        'event_time="ts"', 'event_time="ts", key=("id",), sequence="n", operation="op"'
    )
    path.write_text(text, encoding="utf-8")
    return shop


RECORDS = [
    "1,1.0,2024-01-01,ann,true,I,1\n",
    "2,1.0,2024-01-02,bob,true,I,1\n",
    "1,2.0,2024-01-03,ann,true,U,2\n",
    "2,,2024-01-04,bob,,D,2\n",
    "3,5.0,2024-01-05,cyd,true,I,1\n",
    "1,3.0,2024-01-06,ann,true,U,3\n",
]


@pytest.mark.parametrize("order", [(0, 1, 2, 3, 4, 5), (5, 4, 3, 2, 1, 0), (3, 0, 5, 2, 4, 1)])
def test_changes_end_the_same_in_whatever_order_they_arrive(
    tmp_path: Path, spark: SparkSession, order: tuple[int, ...]
) -> None:
    shop = changes(tmp_path)
    for half in (order[:3], order[3:], order[2:4]):  # the last delivery brings what is there already
        land(shop, f"{half}.csv", *(RECORDS[i] for i in half), header=CHANGES)
        summary = run(shop, "ingest refine")
    assert summary["counts"] == {"read": 8, "accepted": 6, "quarantined": 0, "duplicates": 2}
    held = silver(shop, "row_id", "seq", "amount", "op")
    assert held == [
        ("1", 1, 1.0, "upsert"),
        ("1", 2, 2.0, "upsert"),
        ("1", 3, 3.0, "upsert"),
        ("2", 1, 1.0, "upsert"),
        ("2", 2, None, "delete"),
        ("3", 1, 5.0, "upsert"),
    ]
    current = build_current(read(spark, shop.lake, Table(SILVER, "readings", ())))
    assert sorted((r["row_id"], r["amount"]) for r in current.toLocalIterator()) == [("1", 3.0), ("3", 5.0)]


def test_a_change_of_unknown_kind_is_rejected(tmp_path: Path, spark: SparkSession) -> None:
    shop = changes(tmp_path)
    land(shop, "a.csv", RECORDS[0], "2,1.0,2024-01-02,bob,true,X,1\n", header=CHANGES)
    run(shop, "ingest refine")
    assert rejected(shop) == [("a.csv", 2, ["ALLOWED:op"], "open")]


def test_rejected_rows_are_replayed_once_the_contract_is_right(tmp_path: Path, spark: SparkSession) -> None:
    shop = land_contract(tmp_path, "csv")
    land(shop, "a.csv", GOOD, line(active="yes"), line(active="perhaps"), 'x,"broken\n')
    land(shop, "b.csv", GOOD[:-1] + ",x\n", "few\n", header=MORE)
    first = run(shop, "ingest refine")
    assert first["counts"] == {"read": 4, "accepted": 1, "quarantined": 3, "duplicates": 0}
    rewrite(shop, "logicalType: boolean}", "logicalType: boolean, customProperties: ["
            "{property: trueTokens, value: ['yes', 'true']}]}")  # fmt: skip
    rewrite(shop, "  []", "  " + option("newColumns", "discard_value"))
    for place in ("replay.landed", "replay.between_tables"):
        with armed(place), pytest.raises(Crashed):
            shop.run("replay")
    summary = run(shop, "replay refine")
    assert summary["steps"][0]["status"] == "ok"
    assert rejected(shop) == [
        ("a.csv", 2, ["TYPE:active"], "replayed"),
        ("a.csv", 3, ["TYPE:active"], "open"),
        ("a.csv", 4, ["UNCLOSED_QUOTE"], "open"),
        ("b.csv", 0, ["HEADER_EXTRA_COLUMN:more"], "replayed"),
        ("b.csv", 2, ["COLUMN_COUNT"], "open"),
    ]
    # The row of b.csv equals one that is there: it was read, and is a duplicate.
    assert summary["counts"] == {"read": 6, "accepted": 2, "quarantined": 3, "duplicates": 1}
    before = [(e.table, e.version) for e in shop.batches("silver.readings")]
    again = run(shop, "replay refine")
    assert again["counts"] == summary["counts"]
    assert [step["status"] for step in again["steps"]] == ["skipped", "skipped"]
    assert [(e.table, e.version) for e in shop.batches("silver.readings")] == before


def test_rejected_rows_are_waived_with_a_reason(tmp_path: Path, spark: SparkSession) -> None:
    shop = land_contract(tmp_path, "csv")
    land(shop, "a.csv", GOOD, "few\n", line(id="x"))
    run(shop, "ingest refine")
    summary = run(shop, "replay", "--because", "a test delivery")
    assert summary["steps"][0]["counts"]["waived"] == 2
    assert [row[3] for row in rejected(shop)] == ["waived", "waived"]
    assert shop.batches("quarantine.readings")[-1].inputs["because"] == "a test delivery"
    assert run(shop, "replay")["status"] == "skipped"
    assert run(shop, "replay", "--source", "reading", code=64)["error"]["code"] == "E_NO_SOURCE"


def test_a_correction_under_the_old_name_is_taken_on_request(tmp_path: Path, spark: SparkSession) -> None:
    shop = land_contract(tmp_path, "csv")
    land(shop, "a.csv", GOOD)
    run(shop, "ingest refine")
    land(shop, "a.csv", GOOD, line())
    assert run(shop, "ingest", code=65)["error"]["code"] == "E_FILE_CHANGED"
    run(shop, "ingest", "--rebuild")
    assert run(shop, "ingest refine")["counts"] == {"read": 3, "accepted": 2, "quarantined": 0, "duplicates": 1}


def test_columns_of_every_odd_name(tmp_path: Path, spark: SparkSession) -> None:  # row 89
    names = ["a; DROP TABLE x", "tick`s", "dot.ted", "line\nbreak", "\U0001f600", "n" * 300, "select", "__proto__"]
    columns = "".join(
        f"      - {{name: odd_{n}, physicalName: {name!r}, logicalType: string}}\n".replace("'", '"')
        for n, name in enumerate(names)
    )
    shop = land_contract(tmp_path, "csv", more=columns)
    header = HEADER[:-1] + "".join(f',"{name}"' for name in names) + "\n"
    land(shop, "a.csv", GOOD[:-1] + "".join(f",v{n}" for n in range(len(names))) + "\n", header=header)
    (shop.root / "landing" / "readings" / "b.csv").write_text(
        header.replace("line\nbreak", "other") + GOOD, encoding="utf-8"
    )
    run(shop, "ingest refine")
    assert silver(shop, *(f"odd_{n}" for n in range(len(names)))) == [tuple(f"v{n}" for n in range(len(names)))]
