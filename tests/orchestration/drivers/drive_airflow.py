"""Airflow, with a home and an SQLite database of its own; the second run is another try of the same date."""

import importlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tidemill.orchestration.dag import Flow
from tidemill.orchestration.steps import Target

_FILE = """\
from tidemill.orchestration.airflow import airflow_dag
from tidemill.orchestration.dag import flow_named
from tidemill.orchestration.steps import Target

made = airflow_dag(flow_named({flow!r}), {target!r})
"""


def drive(flow: Flow, target: Target, as_of: str) -> tuple[list[tuple[str, str]], list[bool]]:
    """Edges from the DAG's tasks; two runs by Airflow's own command."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {
            "AIRFLOW_HOME": folder,
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
        }
        dags = Path(folder, "dags")
        dags.mkdir()
        Path(dags, "made.py").write_text(_FILE.format(flow=flow.name, target=target))

        def airflow(*words: str) -> bool:
            command = [str(Path(sys.executable).with_name("airflow")), *words]
            return subprocess.run(command, stdout=sys.stderr, check=False).returncode == 0

        assert airflow("db", "migrate")
        made = importlib.import_module("tidemill.orchestration.airflow").airflow_dag(flow, target)
        edges = [(task.task_id, after) for task in made.tasks for after in task.downstream_task_ids]
        return edges, [airflow("dags", "test", flow.name, as_of) for _ in range(2)]
