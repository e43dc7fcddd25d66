"""The jobs, what each of them needs, and which of them run when: data that every orchestrator is given."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from tidemill.core.errors import Exit, TidemillError, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Job:
    """A job and the jobs whose tables it reads.

    Args:
        name: of the file in `jobs/`.
        needs: the jobs that come directly before it; what those need comes before it too.
    """

    name: str
    needs: tuple[str, ...] = ()


JOBS = (
    Job("generate"),
    Job("ingest", ("generate",)),
    Job("refine", ("ingest",)),
    Job("build_features", ("refine",)),
    Job("materialize", ("build_features",)),
    Job("audit", ("build_features",)),
    Job("train", ("audit",)),  # it refuses rows whose audit has failed, and has them audited where nobody has
    Job("promote", ("train",)),
    Job("score", ("promote",)),
    Job("monitor", ("score",)),  # last, and the only one to look beyond the as-of time
)
# One after another, as one process runs them: each job after those that it needs.
ORDER = tuple(job.name for job in JOBS)
OUTSIDE = ("maintain", "replay", "reproduce", "backtest")
_NEEDS = {job.name: job.needs for job in JOBS}


@dataclass(frozen=True)
class Flow:
    """Jobs that run together at one as-of time.

    Args:
        name: of the flow.
        jobs: a part of `ORDER`, in that order.
        does: for people.
        cron: when it runs, in UTC; None where only a person starts it.
    """

    name: str
    jobs: tuple[str, ...]
    does: str
    cron: str | None = None

    @property
    def needs(self) -> Mapping[str, tuple[str, ...]]:
        """For each job the flow's own jobs that come directly before it.

        Where a job that is needed is no part of the flow, what that one needs is needed in its place.
        """
        return {job: _within(_NEEDS[job], frozenset(self.jobs)) for job in self.jobs}

    @property
    def every(self) -> timedelta | None:
        """The longest time between two of its runs; None where only a person starts it."""
        if self.cron is None:
            return None
        _, _, day, _, weekday = self.cron.split()
        return timedelta(days=31 if day != "*" else 7 if weekday != "*" else 1)

    @property
    def edges(self) -> tuple[tuple[str, str], ...]:
        """Pairs of a job and one that follows it, sorted."""
        return tuple(sorted((need, job) for job, needs in self.needs.items() for need in needs))


def _within(needs: tuple[str, ...], part: frozenset[str]) -> tuple[str, ...]:
    found = [one for need in needs for one in ((need,) if need in part else _within(_NEEDS[need], part))]
    return tuple(dict.fromkeys(found))


_FEATURES = ("ingest", "refine", "build_features")
FLOWS = (
    Flow("everything", ORDER, "all jobs, in order, as `pipeline` runs them"),
    Flow("daily_scoring", (*_FEATURES, "materialize", "score"), "new data to scores and online values", "0 5 * * *"),
    Flow("weekly_report", (*_FEATURES, "score", "monitor"), "drift, performance, a decision, the report", "0 7 * * 1"),
    Flow("monthly_retraining", (*_FEATURES, "audit", "train", "promote"), "a challenger, and its trial", "0 9 1 * *"),
)


def longest_gap(job: str) -> timedelta:
    """The longest time between two runs of a job where the flows run at their schedules; some flow has the job."""
    return min(flow.every for flow in FLOWS if flow.every is not None and job in flow.jobs)


def flow_named(name: str) -> Flow:
    """The flow of a name.

    Raises:
        TidemillError: E_FLOW (usage).
    """
    known = {flow.name: flow for flow in FLOWS}
    if name not in known:
        raise TidemillError(
            "E_FLOW",
            f"there is no flow {name!r}",
            where="the name of a flow",
            next_step=nearest(name, known),
            exit_code=Exit.USAGE,
        )
    return known[name]


def pipeline_steps(*, generated: bool) -> tuple[str, ...]:
    """The jobs of one pipeline run; a use case whose files are delivered has nothing to generate."""
    return ORDER if generated else ORDER[1:]


def as_json(flow: Flow) -> dict[str, Any]:
    """A flow for programs: its jobs with what they need, its edges, its schedule."""
    return {
        "flow": flow.name,
        "does": flow.does,
        "cron": flow.cron,
        "jobs": [{"job": job, "needs": list(needs)} for job, needs in flow.needs.items()],
        "edges": [list(edge) for edge in flow.edges],
    }


def as_mermaid(flow: Flow) -> str:
    """A flow as a Mermaid chart."""
    alone = [job for job, needs in flow.needs.items() if not needs]
    return "\n".join(["flowchart LR", *(f"  {job}" for job in alone), *(f"  {a} --> {b}" for a, b in flow.edges)])


def as_text(flow: Flow) -> str:
    """A flow for people: a line a job, each behind what it needs."""
    when = f"at {flow.cron} (UTC)" if flow.cron else "when asked for"
    width = max(len(job) for job in flow.jobs)
    after = {job: f"after {', '.join(needs)}" if needs else "" for job, needs in flow.needs.items()}
    lines = [f"  {job:<{width}}  {needs}".rstrip() for job, needs in after.items()]
    return "\n".join([f"{flow.name}, {when}: {flow.does}", *lines])
