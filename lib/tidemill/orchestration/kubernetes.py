"""Kubernetes alone, without an orchestrator beside it: a flow as a CronJob whose containers run one after another.

`python -m tidemill.orchestration.kubernetes` prints `deploy/kubernetes/flows.yaml`.
"""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING, Any

import yaml

from tidemill.core.errors import Exit
from tidemill.orchestration.dag import FLOWS
from tidemill.orchestration.steps import RETRIED, Target

if TYPE_CHECKING:
    from tidemill.orchestration.dag import Flow

_PLACE = "AS_OF"
ENVIRONMENT = "pod"  # Spark in the pod, the cluster's services beside it
_IMAGE, _CLAIM, _ROOT = "tidemill-jobs:latest", "tidemill-root", "/var/lib/tidemill"


def cron_job(flow: Flow, target: Target, image: str = _IMAGE, claim: str = _CLAIM) -> dict[str, Any]:
    """The manifest of a CronJob; a flow without a schedule is suspended, and started by `kubectl create job --from`.

    Init containers run one after another, in the flow's order, and its last job is the pod's own container. Attempts
    are Kubernetes' own: an exit code that no retry can help ends the Job. A new Job resumes: jobs skip what is done.
    """
    containers = [_container(job, target, image) for job in flow.jobs]
    pod = {
        "restartPolicy": "Never",
        "serviceAccountName": "tidemill",
        "securityContext": {"runAsNonRoot": True, "runAsUser": 10001, "fsGroup": 10001},
        "initContainers": containers[:-1],
        "containers": containers[-1:],
        "volumes": [{"name": "root", "persistentVolumeClaim": {"claimName": claim}}],
    }
    ends = sorted(int(code) for code in Exit if code is not Exit.OK and code not in RETRIED)
    job = {
        "backoffLimit": target.attempts - 1,
        "podFailurePolicy": {"rules": [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": ends}}]},
        "template": {"spec": pod},
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": flow.name.replace("_", "-"), "namespace": "tidemill"},
        "spec": {
            "schedule": flow.cron or "0 0 1 1 *",
            "suspend": flow.cron is None,
            "timeZone": "Etc/UTC",
            "concurrencyPolicy": "Forbid",
            "jobTemplate": {"spec": job},
        },
    }


def _container(job: str, target: Target, image: str) -> dict[str, Any]:
    words = ['"$(date -u +%F)"' if word == _PLACE else shlex.quote(word) for word in target.command(job, _PLACE)]
    return {
        "name": job.replace("_", "-"),
        "image": image,
        "command": ["sh", "-c", f"exec {' '.join(words)}"],
        "envFrom": [{"secretRef": {"name": "tidemill"}}],
        "resources": {"requests": {"cpu": "2", "memory": "4Gi"}, "limits": {"memory": "8Gi"}},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [{"name": "root", "mountPath": target.root}],
    }


if __name__ == "__main__":
    where = Target("/opt/tidemill/spark-submit.sh", _ROOT, env=ENVIRONMENT)
    sys.stdout.write("# Made by python -m tidemill.orchestration.kubernetes; a test holds it against the flows.\n")
    sys.stdout.write(yaml.safe_dump_all([cron_job(flow, where) for flow in FLOWS], sort_keys=False, width=120))
