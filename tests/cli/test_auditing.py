"""What an audit's findings come to: nothing is trained on what leaks, nor on what nobody has looked at."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
from tidemill.cli.auditing import refuse_leaks
from tidemill.core.errors import TidemillError
from tidemill.features.audit import Finding

CONTEXT = cast("Any", SimpleNamespace(use_case=SimpleNamespace(name="shop")))
CLEAN = Finding("v_v1", "clean", "gold", 9, 0.0, "ok")
UNSEEN = Finding("v_v1", "unseen", "gold", 0, None, "unchecked", "nothing was there")
LEAKY = Finding("v_v1", "leaky", "times", 9, 0.5, "fail", "it has seen too much")


def test_an_unchecked_feature_stops_the_training_and_a_leak_is_said_first() -> None:
    refuse_leaks(CONTEXT, [CLEAN])
    with pytest.raises(TidemillError) as caught:
        refuse_leaks(CONTEXT, [CLEAN, UNSEEN])
    assert (caught.value.code, caught.value.exit_code) == ("E_NOT_AUDITED", 65)
    assert caught.value.what == "unseen was not checked: nothing was there"
    with pytest.raises(TidemillError) as caught:
        refuse_leaks(CONTEXT, [UNSEEN, LEAKY, CLEAN])
    assert (caught.value.code, caught.value.what) == ("E_LEAK", "leaky leaks: it has seen too much")
