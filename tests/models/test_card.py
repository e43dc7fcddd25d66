"""What a card says of the model that it belongs to."""

from dataclasses import dataclass
from typing import Any, cast

import pytest
from tidemill.models.card import tells_of


@dataclass(frozen=True)
class Asked:
    task: str
    classes: tuple[str, ...] = ()


@pytest.mark.parametrize(
    ("card", "asked", "same"),
    [
        ({"task": "binary"}, Asked("binary"), True),
        ({"task": "binary"}, Asked("multiclass", ("a", "b")), False),
        ({"task": "multiclass", "classes": ["a", "b"]}, Asked("multiclass", ("a", "b")), True),
        ({"task": "multiclass", "classes": ["a", "b"]}, Asked("multiclass", ("b", "a")), False),
        ({"task": "multiclass", "classes": ["a", "b"]}, Asked("multiclass", ("a", "b", "c")), False),
    ],
)
def test_a_model_of_other_classes_tells_of_something_else(card: dict[str, Any], asked: Asked, same: bool) -> None:
    assert tells_of(card, cast("Any", asked)) is same
