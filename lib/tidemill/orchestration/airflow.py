"""Airflow 3: a flow as a DAG. A file in Airflow's folder of DAGs calls `airflow_dag` once for each flow."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException

from tidemill.orchestration.steps import StepError, run_step

if TYPE_CHECKING:
    from tidemill.orchestration.dag import Flow
    from tidemill.orchestration.steps import Target

# The as-of time is the run's logical date, at midnight, UTC; a run started by hand may name another one, and has to
# where it has no logical date.
_AS_OF = "{{ params.as_of or ds }}"


def airflow_dag(flow: Flow, target: Target) -> DAG:
    """A DAG with one task a job, in the flow's order and at its schedule; one run at a time.

    Retries are Airflow's own. What no retry can help fails at once. Clearing a failed task resumes the run.
    """
    dag = DAG(
        flow.name,
        description=flow.does,
        schedule=flow.cron,
        start_date=datetime(2020, 1, 1, tzinfo=UTC),
        catchup=False,
        max_active_runs=1,
        params={"as_of": ""},
        default_args={"retries": target.attempts - 1, "retry_delay": timedelta(seconds=target.wait)},
    )
    tasks = {
        job: PythonOperator(
            task_id=job, python_callable=_run, op_kwargs={"command": target.command(job, _AS_OF)}, dag=dag
        )
        for job in flow.jobs
    }
    for before, after in flow.edges:
        tasks[before] >> tasks[after]
    return dag


def _run(command: list[str]) -> dict[str, Any]:
    try:
        return run_step(command)
    except StepError as failed:
        if failed.retry:
            raise
        raise AirflowFailException(failed.lines()) from failed
