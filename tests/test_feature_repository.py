"""The shipped feature repository: its use cases live in one root without meeting."""

from __future__ import annotations

from itertools import combinations

from tidemill.core.home import HOME
from tidemill.models.use_case import load_use_case, use_case_names

REPO = HOME / "feature_repo"


def test_these_are_the_use_cases() -> None:
    assert use_case_names(REPO) == [
        "air_quality",
        "bike_sharing",
        "cdnow",
        "churn",
        "retail",
        "retail_90d",
        "telco_churn",
    ]


def test_no_two_use_cases_share_a_table_name_for_different_things() -> None:
    cases = [load_use_case(REPO, name) for name in use_case_names(REPO)]
    for one, other in combinations(cases, 2):
        for mine in one.sources:
            assert all(mine == theirs for theirs in other.sources if theirs.name == mine.name), mine.name
        for view in one.views:
            assert all(view == theirs for theirs in other.views if theirs.table_name == view.table_name), view.name
