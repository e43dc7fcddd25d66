"""Configuration: what is refused, by whom it was said, and what was probably meant."""

from pathlib import Path

import pytest
from tidemill.core.config import load_config
from tidemill.core.errors import TidemillError

CONF = Path(__file__).resolve().parents[2] / "conf"


def refused(*overrides: str, folder: Path = CONF, environment: str = "local") -> TidemillError:
    with pytest.raises(TidemillError) as caught:
        load_config(folder, environment, overrides)
    return caught.value


def test_an_override_changes_one_key() -> None:
    plain = load_config(CONF, "local")
    other = load_config(CONF, "local", ["layout.buckets=8", "sources.orders.path=/data/x=y.csv"])
    assert (other.layout.buckets, other.layout.period) == (8, plain.layout.period)
    assert other.sources["orders"].path == "/data/x=y.csv"
    assert other.train == plain.train


@pytest.mark.parametrize(
    ("override", "hint"),
    [
        ("layout.bucket=4", "did you mean 'layout.buckets'?"),
        ("train.sed=4", "did you mean 'train.seed'?"),
        ("lease_timeot=4", "did you mean 'lease_timeout'?"),
        ("sources.orders.pth=x", "sources.NAME.path"),
        ("layout.buckets=0", "conf/base.yaml"),
        ("layout.buckets=many", "conf/base.yaml"),
        ("layout.buckets=", "conf/base.yaml"),
        ("layout=4", "conf/base.yaml"),
        ("layout.period=week", "conf/base.yaml"),
    ],
)
def test_a_wrong_override_is_a_usage_error(override: str, hint: str) -> None:
    error = refused(override)
    assert (error.code, error.exit_code, error.where) == ("E_SET", 64, f"--set {override}")
    assert hint in error.next_step


@pytest.mark.parametrize("override", ["layout.buckets", "=4", "layout..buckets=4", ".x=1", "layout.buckets=[1"])
def test_an_override_of_another_form_is_a_usage_error(override: str) -> None:
    error = refused(override)
    assert (error.code, error.exit_code) == ("E_SET", 64)


def test_an_unknown_environment_is_a_usage_error() -> None:
    error = refused(environment="locl")
    assert (error.code, error.exit_code, error.where) == ("E_ENVIRONMENT", 64, "--env locl")
    assert "did you mean 'local'?" in error.next_step


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("layout: {bucket: 4}", "there is no configuration key 'layout.bucket'"),
        ("layout: {buckets: -1}", "the configuration key 'layout.buckets' is refused"),
        ("layout: [", "cannot be read"),
        ("- a\n- b", "is"),
    ],
)
def test_a_wrong_file_is_a_configuration_error(tmp_path: Path, text: str, what: str) -> None:
    (tmp_path / "base.yaml").write_text((CONF / "base.yaml").read_text("utf-8"), encoding="utf-8")
    (tmp_path / "local.yaml").write_text(text, encoding="utf-8")
    error = refused(folder=tmp_path)
    assert (error.code, error.exit_code) == ("E_CONFIG", 78)
    assert what in error.what
    assert str(tmp_path) in error.where


def test_every_environment_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMILL_TRACKING", "http://127.0.0.1:5000")
    for path in CONF.glob("*.yaml"):
        if path.stem != "base":
            assert load_config(CONF, path.stem).layout.buckets & (load_config(CONF, path.stem).layout.buckets - 1) == 0


def test_buckets_are_a_power_of_two() -> None:
    error = refused("layout.buckets=6")
    assert (error.code, error.exit_code) == ("E_SET", 64)
