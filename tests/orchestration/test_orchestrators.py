"""The demo's flow in each orchestrator, in its own environment, without a network.

`refine` fails once with 75 and is tried again; `train` fails once with 65 and is not, so that the flow stops there; the
second run goes on with it.
"""

import json
import os
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from tidemill.core.home import HOME
from tidemill.orchestration.dag import ORDER, flow_named
from tidemill.orchestration.steps import Target

pytestmark = pytest.mark.orchestrators
HERE = Path(__file__).parent
AS_OF = "2025-01-05"
# Those with a way of their own to go on with a failed run ask only for what was left; elsewhere the jobs skip.
GO_ON = {"dagster", "luigi", "metaflow"}


@pytest.mark.parametrize("name", ["luigi", "kubeflow", "dagster", "metaflow", "prefect", "airflow"])
def test_a_flow_runs_fails_and_is_resumed(name: str, tmp_path: Path) -> None:
    environments = os.environ.get("TIDEMILL_ORCHESTRATORS")
    if not environments:
        pytest.skip("no orchestrators: only ./test.sh --orchestrators installs them")
    programs = Path(environments, name, "bin")
    root, home = tmp_path / "root", tmp_path / "home"
    for folder in (root / "fails", root / "done", home):
        folder.mkdir(parents=True)
    (root / "fails" / "refine").write_text("75", encoding="utf-8")
    (root / "fails" / "train").write_text("65", encoding="utf-8")
    submit = HERE / "fake-submit.sh"
    # Nothing of the environment that jobs run in: as on a machine that has only the orchestrator and this project.
    variables = {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "HOME": str(home),
        "PYTHONPATH": str(HOME / "lib"),
        "TMPDIR": str(tmp_path),
        "TZ": "UTC",
        "LC_ALL": "C.UTF-8",
        "DO_NOT_TRACK": "1",
        "DAGSTER_DISABLE_TELEMETRY": "1",
    }
    command = [str(programs / "python"), str(HERE / "drivers/drive.py"), name, "everything"]
    command += [str(submit), str(root), AS_OF]
    done = subprocess.run(command, cwd=home, env=variables, capture_output=True, text=True, check=False, timeout=1800)
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    found = json.loads(done.stdout.splitlines()[-1])
    flow = flow_named("everything")
    assert [tuple(edge) for edge in found["edges"]] == list(flow.edges)
    assert found["runs"] == [False, True], (done.stdout + done.stderr)[-6000:]

    calls = (root / "calls").read_text(encoding="utf-8").splitlines()
    target = Target(str(submit), str(root), use_case="shop")
    assert set(calls) == {" ".join(target.command(job, AS_OF)[1:]) for job in ORDER}
    jobs = [call.split()[0] for call in calls]
    failed, went_on = jobs[: jobs.index("train") + 1], jobs[jobs.index("train") + 1 :]
    first = Counter(failed)
    assert first["refine"] == 2
    assert first["train"] == 1
    assert {"promote", "score", "monitor"} & {*failed} == set()
    assert {"train", "promote", "score", "monitor"} <= {*went_on}
    assert Counter(went_on)["train"] == 1
    if name in GO_ON:
        assert {*went_on} <= {"train", "promote", "score", "monitor", "materialize"}
    place = {job: max(n for n, j in enumerate(jobs) if j == job) for job in ORDER}
    assert all(place[a] < place[b] for a, b in flow.edges if name not in GO_ON or b in went_on)
