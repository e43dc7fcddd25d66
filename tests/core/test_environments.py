"""The environments that come with the project: each is complete, and every setting is explained."""

import re
from pathlib import Path

import pytest
from tidemill.core.config import load_config
from tidemill.core.config_section import from_environment
from tidemill.core.home import HOME

SPARK = sorted((HOME / "conf/spark").glob("*.conf"))


def settings(path: Path) -> dict[str, str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return dict(line.split(None, 1) for line in lines if line and not line.startswith("#"))


@pytest.mark.parametrize("path", SPARK, ids=lambda path: path.stem)
def test_every_environment_has_a_configuration(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMILL_TRACKING", "http://127.0.0.1:5000")
    config = load_config(HOME / "conf", path.stem)
    assert config.services.tracking == ("" if path.stem == "local" else "http://127.0.0.1:5000")
    one_machine = path.stem in {"local", "trial"}
    assert (config.layout.buckets, config.layout.period) == ((4, "all") if one_machine else (64, "month"))
    assert config.score.reasons == (3 if one_machine else 0)
    assert (HOME / "feature_repo" / config.services.feature_store).is_file()


def test_where_tables_lie_is_a_variable_that_may_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TIDEMILL_TABLES", raising=False)
    tables = load_config(HOME / "conf", "local").tables
    assert from_environment(tables) == ""
    monkeypatch.setenv("TIDEMILL_TABLES", "s3://bucket/lake")
    assert from_environment(tables) == "s3://bucket/lake"


@pytest.mark.parametrize("path", SPARK, ids=lambda path: path.stem)
def test_every_group_of_settings_is_explained(path: Path) -> None:
    groups = re.split(r"\n\n+", path.read_text(encoding="utf-8").strip())
    assert [group for group in groups if not group.startswith("#")] == []
    names = re.findall(r"^(spark\.\S+)\s", path.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(names) == len(set(names))


def test_what_makes_rows_equal_is_equal_everywhere() -> None:
    same = ("spark.sql.session.timeZone", "spark.sql.parquet.outputTimestampType")
    found = {path.stem: [settings(path).get(name) for name in same] for path in SPARK}
    assert set(found) == {"local", "trial", "standalone", "yarn", "kubernetes", "pod", "databricks"}
    assert all(values == ["UTC", "TIMESTAMP_MICROS"] for values in found.values())
    options = [settings(path)["spark.driver.defaultJavaOptions"] for path in SPARK]
    assert all(text.startswith("-Duser.timezone=UTC -Duser.language=en -Duser.country=US") for text in options)
