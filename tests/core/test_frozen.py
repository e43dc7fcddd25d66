"""Declarations as JSON and back."""

import json
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from tidemill.core.frozen import declared, freeze, thaw
from tidemill.core.time import Grid
from tidemill.declare import Entity
from tidemill.models.use_case import load_use_case, use_case_names

REPO = Path(__file__).resolve().parents[2] / "feature_repo"


@pytest.mark.parametrize("name", use_case_names(REPO))
def test_every_use_case_survives_its_json(name: str) -> None:
    use_case = load_use_case(REPO, name)
    form = json.loads(json.dumps(freeze(use_case), allow_nan=False))
    again = thaw(form)
    assert again == use_case
    assert again.digest == use_case.digest
    assert [f.name for f in again.features] == [f.name for f in use_case.features]


def test_the_form_names_what_it_holds() -> None:
    assert freeze(Grid("2011-04-01", every=timedelta(days=1))) == {
        "$value": "Grid",
        "start": "2011-04-01",
        "every": {"$length_us": 86_400_000_000},
    }
    assert freeze({"a": (1, 2.5, None, True, "x")}) == {"a": [1, 2.5, None, True, "x"]}


def test_an_unknown_value_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown value 'Nonsense'"):
        thaw({"$value": "Nonsense"})
    with pytest.raises(TypeError, match="no JSON form"):
        freeze({"a": {1, 2}})


def test_two_values_of_one_name_are_refused() -> None:
    @dataclass(frozen=True)
    class Other:
        key: str

    Other.__name__ = Entity.__name__
    with pytest.raises(ValueError, match="named Entity"):
        declared(Other)
