"""Metaflow: a flow as the text of a program. Metaflow reads a flow's steps from its source, so there has to be one.

`python -m tidemill.orchestration.metaflow FLOW SUBMIT ROOT USE_CASE > flow.py`, then `python flow.py run --as_of DATE`,
and after a failure `python flow.py resume`.
"""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

from tidemill.orchestration.dag import flow_named
from tidemill.orchestration.steps import Target

if TYPE_CHECKING:
    from tidemill.orchestration.dag import Flow

_HEAD = '''\
"""{does}"""

from metaflow import FlowSpec, Parameter, step
from tidemill.orchestration.steps import Target, run_patiently

TARGET = Target(**{target!r})


class {name}(FlowSpec):
    as_of = Parameter("as_of", required=True)

    def call(self, job):
        run_patiently(TARGET.command(job, self.as_of), TARGET.attempts, TARGET.wait)
'''
_STEP = """
    @step
    def {name}(self{inputs}):
        {body}
        {then}
"""


def metaflow_source(flow: Flow, target: Target) -> str:
    """A program with one step a job, and the steps that Metaflow asks for: `start`, `end`, and `joined` before it.

    Metaflow tries every failed step alike, so attempts are counted inside the step.
    """
    follows = {job: [b for a, b in flow.edges if a == job] or ["joined"] for job in flow.jobs}
    first = [job for job, needs in flow.needs.items() if not needs]
    last = [job for job, then in follows.items() if then == ["joined"]]
    text = [
        _HEAD.format(does=flow.does, target=asdict(target), name=_class_name(flow)),
        _step("start", 0, "pass", first),
    ]
    for job, needs in flow.needs.items():
        joined = "self.merge_artifacts(inputs); " if len(needs) > 1 else ""
        text.append(_step(job, len(needs), f"{joined}self.call({job!r})", follows[job]))
    text += [_step("joined", len(last), "pass", ["end"]), _step("end", 0, "pass", [])]
    return "".join(text) + f'\n\nif __name__ == "__main__":\n    {_class_name(flow)}()\n'


def _class_name(flow: Flow) -> str:
    return "".join(word.capitalize() for word in flow.name.split("_"))


def _step(name: str, joins: int, body: str, then: list[str]) -> str:
    following = f"self.next({', '.join(f'self.{job}' for job in then)})" if then else "pass"
    return _STEP.format(name=name, inputs=", inputs" if joins > 1 else "", body=body, then=following)


if __name__ == "__main__":
    name, submit, root, use_case = sys.argv[1:]
    sys.stdout.write(metaflow_source(flow_named(name), Target(submit, root, use_case)))
