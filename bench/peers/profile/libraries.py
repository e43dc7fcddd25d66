"""What users of these libraries do with a batch of rows, each in its own environment: LIBRARY import|all DATA OUT."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

os.environ |= {"DO_NOT_TRACK": "1", "NML_DISABLE_USAGE_LOGGING": "1", "WHYLOGS_NO_ANALYTICS": "True"}

import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Callable

    Work = Callable[[Path], list[str]]


def evidently() -> Work:
    """The report of its preset for drift; the columns that it finds as they were, which all of them are."""
    from evidently import Report
    from evidently.presets import DataDriftPreset

    def work(data: Path) -> list[str]:
        current, reference = _rows(data, "current"), _rows(data, "reference")
        found = Report([DataDriftPreset()]).run(current_data=current, reference_data=reference).dict()
        drifts = [metric for metric in found["metrics"] if metric["metric_name"].startswith("ValueDrift")]
        return [metric["config"]["column"] for metric in drifts if 0 <= metric["value"] < metric["config"]["threshold"]]

    return work


def nannyml(**methods: list[str]) -> Work:
    """Its calculator, fitted to the reference; the columns with a value for each of its ten chunks of current rows."""
    from nannyml import UnivariateDriftCalculator

    def work(data: Path) -> list[str]:
        current, reference = _rows(data, "current"), _rows(data, "reference")
        columns = list(current.columns)
        calculator = UnivariateDriftCalculator(column_names=columns, **methods).fit(reference)
        found = calculator.calculate(current).filter(period="analysis").to_df()
        return [name for name in columns if found[name].xs("value", axis=1, level=1).notna().all(axis=None)]

    return work


def nannyml_tests() -> Work:
    """Likewise, with a test of each column beside its distance."""
    return nannyml(
        continuous_methods=["jensen_shannon", "kolmogorov_smirnov"],
        categorical_methods=["jensen_shannon", "chi2"],
    )


def whylogs() -> Work:
    """Its profile of the current rows, no comparison; the columns of which it counted every row."""
    import whylogs as why

    def work(data: Path) -> list[str]:
        current = _rows(data, "current")
        found = why.log(current).profile().view().get_columns()
        counted = {name: column.to_summary_dict()["counts/n"] for name, column in found.items()}
        return [name for name in current.columns if counted[name] == len(current)]

    return work


def _rows(data: Path, name: str) -> pd.DataFrame:
    return pd.read_parquet(data / f"{name}.parquet")


def main(library: str, what: str, data: str, out: str) -> None:
    """Imports a library; and does its work, where that is wanted, which has to reach every column."""
    work = {"evidently": evidently, "nannyml": nannyml, "nannyml_tests": nannyml_tests, "whylogs": whylogs}[library]()
    wrong = []
    if what == "all":
        expected = json.loads(Path(data, "columns.json").read_text("utf-8"))
        found = work(Path(data))
        if sorted(found) != sorted(expected):
            wrong = [f"{len(found)} of {len(expected)} columns: {', '.join(found)}"]
    Path(out, "answer.json").write_text(json.dumps(wrong or "as expected"), "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
