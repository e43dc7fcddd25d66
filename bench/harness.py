"""What benches share: contestants in turn, each a process of its own, on the same data, with equal answers.

A new bench is one file `bench/NAME.py`: a docstring whose first line `./bench.sh` lists, a function that makes the
data, contestants, targets, and at its end

    if __name__ == "__main__":
        main(make_data, CONTESTANTS, TARGETS)

A contestant is started as `python bench/NAME.py --contestant WHAT --data DIR --out DIR`, so what the file imports at
its top is part of what is measured: import what only one of them needs inside the functions. A peer that cannot live
beside us has a lock file in `bench/peers/NAME/`, from which `./bench.sh` makes an environment, and a `run` that ends in
`bench._peers.become`.
"""

from __future__ import annotations

import argparse
import json
import operator
import os
import shutil
import signal
import statistics
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from tidemill.core.errors import Exit, TidemillError, nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rich.table import Table

    from bench._process import Usage

Size = Literal["small", "full"]
Role = Literal["ours", "reference", "peer"]

HOME = Path(__file__).resolve().parents[1]
CACHE = HOME / ".cache" / "bench"
RESULTS = HOME / "bench" / "results"
PACKAGES = ("tidemill", "pyspark", "delta-spark", "deltalake", "pyarrow", "numpy")
_ROUNDS: dict[Size, int] = {"small": 1, "full": 3}
_FAR_SLOWER = 5.0
_MISSED = 1


@dataclass(frozen=True)
class Contestant:
    """One way to do what is compared.

    Args:
        what: its name in the table, of words that `--what` can name.
        group: contestants of one group do the same work, and are compared with the group's reference.
        run: does it, in a process of its own; given the folder of the data, and an empty one for what it makes.
        answer: reads, after the measurement, what it made in that folder; JSON values.
        role: `reference` once a group; `ours`; or `peer`.
        once: whether one run is enough, because it is long and only reported.
        extra: whether it is left out at small size, which has little time, unless `--what` asks for it.
        figures: reads, after the measurement, further figures that it found itself, such as a latency; least is best.
    """

    what: str
    group: str
    run: Callable[[Path, Path], None]
    answer: Callable[[Path], Any]
    role: Role
    once: bool = False
    extra: bool = False
    figures: Callable[[Path], Mapping[str, float]] | None = None


@dataclass(frozen=True)
class Measured:
    """The runs of one contestant; its figures are the least times, and the largest peak."""

    contestant: Contestant
    runs: tuple[Usage, ...]
    found: tuple[Mapping[str, float], ...] = ()

    @property
    def cpu_s(self) -> float:
        """CPU seconds of the whole process tree: what the others on a machine add can only make a run slower."""
        return min(run.cpu_s for run in self.runs)

    @property
    def wall_s(self) -> float:
        """Wall seconds."""
        return min(run.wall_s for run in self.runs)

    @property
    def peak_mb(self) -> float:
        """Peak memory of the whole process tree, in millions of bytes."""
        return max(run.peak_mb for run in self.runs)

    @property
    def figures(self) -> dict[str, float]:
        """The least of each further figure."""
        return {name: min(run[name] for run in self.found) for name in (self.found[0] if self.found else ())}


@dataclass(frozen=True)
class Target:
    """A figure that may not exceed a limit.

    Args:
        name: what the figure is.
        value: the figure, from what was measured, by `what`.
        limit: the largest value that holds.
    """

    name: str
    value: Callable[[Mapping[str, Measured]], float]
    limit: float


def cpu_ratio(what: str, reference: str, limit: float) -> Target:
    """The target that one contestant takes at most `limit` times the CPU seconds of another."""
    return Target(f"CPU of {what} / {reference}", lambda by: by[what].cpu_s / by[reference].cpu_s, limit)


def main(
    make_data: Callable[[Path, Size], None],
    contestants: Sequence[Contestant],
    targets: Sequence[Target] = (),
    *,
    equal: Callable[[Any, Any], bool] = operator.eq,
    by_group: bool = False,
    packages: Sequence[str] = PACKAGES,
) -> NoReturn:
    """Runs the bench whose file this process runs, or one of its contestants.

    Args:
        make_data: fills an empty folder, always alike; done again only when the bench's file changes.
        contestants: in the order of each round; the answer of the first is what the others' are compared with.
        targets: judged where everything was measured at full size.
        equal: whether two answers are the same.
        by_group: whether an answer is compared with that of the first of its group instead, since groups do other work.
        packages: whose versions belong to the result.
    """
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        # An end by a signal, too, goes through every `finally`: no contestant is left behind.
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    bench = Path(sys.argv[0]).resolve()
    try:
        arguments = _parse(bench.stem)
        if arguments.contestant is not None:
            _named(arguments.contestant, contestants).run(arguments.data, arguments.out)
            sys.exit(int(Exit.OK))
        from tidemill.core.lease import lease

        # Two at once would measure each other.
        with lease(CACHE, "bench", owner=bench.stem):
            entered = _chosen(arguments.what, arguments.size, contestants)
            data = _data(bench, arguments.size, make_data)
            measured = _measure_in_turn(bench, entered, data, _ROUNDS[arguments.size], equal, by_group=by_group)
        whole = arguments.size == "full" and not arguments.what
        verdicts = _judge(targets if whole else (), measured)
        _show(f"{bench.stem}, {arguments.size}, {os.cpu_count()} cores", measured, verdicts)
        result = _result(bench.stem, arguments.size, measured, verdicts) | {"versions": _versions(packages)}
        if whole:
            RESULTS.mkdir(exist_ok=True)
            (RESULTS / f"{bench.stem}.json").write_text(json.dumps(result, indent=2) + "\n", "utf-8")
        print(json.dumps(result))
        sys.exit(int(Exit.OK) if all(verdict.ok for verdict in verdicts) else _MISSED)
    except TidemillError as error:
        print(error.lines(), file=sys.stderr)
        sys.exit(int(error.exit_code))


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise TidemillError(
            "E_ARGUMENTS", message, where=self.prog, next_step="see ./bench.sh --help", exit_code=Exit.USAGE
        )


def _parse(name: str) -> argparse.Namespace:
    parser = _Parser(prog=f"./bench.sh {name}", allow_abbrev=False)
    parser.add_argument("--size", choices=tuple(_ROUNDS), default="full", help="small ends soon and judges no target")
    parser.add_argument("--what", default="", help="only the contestants whose name has these words")
    parser.add_argument("--contestant", help=argparse.SUPPRESS)
    parser.add_argument("--data", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def _named(what: str, contestants: Sequence[Contestant]) -> Contestant:
    return next(c for c in contestants if c.what == what)


def _chosen(words: str, size: Size, contestants: Sequence[Contestant]) -> list[Contestant]:
    if not words:
        return [c for c in contestants if size == "full" or not c.extra]
    found = [c for c in contestants if set(words.split()) <= set(c.what.split())]
    if not found:
        raise TidemillError(
            "E_ARGUMENTS",
            f"no contestant has the words {words!r} in its name",
            where="--what",
            next_step=nearest(words, [c.what for c in contestants]),
            exit_code=Exit.USAGE,
        )
    return found


def _data(bench: Path, size: Size, make_data: Callable[[Path, Size], None]) -> Path:
    """The data of a size, made when they are not there, not whole, or made by another version of the bench."""
    from tidemill.core.digest import digest_of_file

    folder = CACHE / bench.stem / size
    stamp, wanted = folder / "made_by", digest_of_file(bench)
    if not stamp.exists() or stamp.read_text("utf-8") != wanted:
        print(f"making the data in {folder.relative_to(HOME)}", file=sys.stderr)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        make_data(folder, size)
        stamp.write_text(wanted, "utf-8")
    return folder


def _measure_in_turn(
    bench: Path,
    contestants: Sequence[Contestant],
    data: Path,
    rounds: int,
    equal: Callable[[Any, Any], bool],
    *,
    by_group: bool,
) -> list[Measured]:
    """All contestants once, then again: what disturbs the machine for a while disturbs all of them alike."""
    from tidemill.core.progress import Progress

    runs: dict[str, tuple[Usage, ...]] = {c.what: () for c in contestants}
    figures: dict[str, tuple[Mapping[str, float], ...]] = {c.what: () for c in contestants}
    firsts: dict[str, tuple[str, Any]] = {}
    running = list(contestants)
    for turn in range(1, rounds + 1):
        progress = Progress(len(running))
        for contestant in running:
            with progress.step(f"round {turn} of {rounds}: {contestant.what}"):
                used, answer, found = _run(bench, contestant, data)
            runs[contestant.what] += (used,)
            figures[contestant.what] += (found,)
            first = firsts.setdefault(contestant.group if by_group else "", (contestant.what, answer))
            if not equal(first[1], answer):
                raise TidemillError(
                    "E_ANSWER",
                    f"{contestant.what!r} answers {answer}, but {first[0]!r} answers {first[1]}",
                    where=f"bench {bench.stem}, round {turn}",
                    next_step="find out which one is wrong: a wrong answer has no speed",
                    exit_code=Exit.DATA,
                )
        measured = [Measured(c, runs[c.what], figures[c.what]) for c in contestants]
        running = [m.contestant for m in measured if not m.contestant.once and not _far_slower(m, measured)]
    return [Measured(c, runs[c.what], figures[c.what]) for c in contestants]


def _run(bench: Path, contestant: Contestant, data: Path) -> tuple[Usage, Any, Mapping[str, float]]:
    from bench._process import measure

    out, log = CACHE / bench.stem / "out", CACHE / bench.stem / f"{contestant.what.replace(' ', '_')}.log"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    arguments = ["--contestant", contestant.what, "--data", str(data), "--out", str(out)]
    code, used = measure([sys.executable, "-P", str(bench), *arguments], log)
    if code != 0:
        said = log.read_text("utf-8", errors="replace").strip().splitlines()
        raise TidemillError(
            "E_CONTESTANT",
            f"{contestant.what!r} ended with exit code {code}: {next(iter(_errors(said)), 'it said nothing')}",
            where=str(log),
            next_step=f"read the log; what it made is still in {out}",
            exit_code=Exit.BUG,
        )
    answer = contestant.answer(out)
    figures = contestant.figures(out) if contestant.figures is not None else {}
    shutil.rmtree(out)
    return used, answer, figures


def _errors(lines: Sequence[str]) -> Sequence[str]:
    """The lines of a log that say what went wrong: a job's `error:`, or a traceback's last."""
    return [line for line in lines if line.startswith("error:")] or lines[-1:]


def _far_slower(one: Measured, all_of_them: Sequence[Measured]) -> bool:
    """Whether it is no contestant of ours, and running it again would take long and change no verdict."""
    ours = [m.cpu_s for m in all_of_them if m.contestant.role == "ours" and m.contestant.group == one.contestant.group]
    return one.contestant.role != "ours" and bool(ours) and one.cpu_s > _FAR_SLOWER * min(ours)


@dataclass(frozen=True)
class _Verdict:
    name: str
    value: float
    limit: float

    @property
    def ok(self) -> bool:
        return self.value <= self.limit


def _judge(targets: Sequence[Target], measured: Sequence[Measured]) -> list[_Verdict]:
    by_what = {m.contestant.what: m for m in measured}
    return [_Verdict(target.name, target.value(by_what), target.limit) for target in targets]


def _result(name: str, size: Size, measured: Sequence[Measured], verdicts: Sequence[_Verdict]) -> dict[str, Any]:
    rows = [
        {
            "what": m.contestant.what,
            "cpu_s": round(m.cpu_s, 2),
            "wall_s": round(m.wall_s, 2),
            "peak_mb": round(m.peak_mb),
            **{name: round(value, 3) for name, value in m.figures.items()},
        }
        for m in measured
    ]
    judged = [{"name": v.name, "value": round(v.value, 4), "limit": round(v.limit, 4), "ok": v.ok} for v in verdicts]
    return {"bench": name, "size": size, "rows": rows, "targets": judged}


def _show(title: str, measured: Sequence[Measured], verdicts: Sequence[_Verdict]) -> None:
    from rich.console import Console

    console = Console(highlight=False, markup=False)
    console.width = max(console.width, 110)  # a narrow pipe must not cut figures
    console.print(_table(title, measured))
    for verdict in verdicts:
        word = "holds" if verdict.ok else "MISSED"
        console.print(f"{word:<6}  {verdict.name}: {verdict.value:.3f}, at most {verdict.limit:.3f}")


def _table(title: str, measured: Sequence[Measured]) -> Table:
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    table.add_column("what", no_wrap=True)
    for column in ("CPU s least", "median", "most", "wall s", "peak MB", "ratio", "runs"):
        table.add_column(column, justify="right")
    own = list(dict.fromkeys(name for m in measured for name in m.figures))
    for name in own:
        table.add_column(name.replace("_", " "), justify="right")
    for before, m in zip((None, *measured), measured, strict=False):
        if before is not None and before.contestant.group != m.contestant.group:
            table.add_section()
        spent = [run.cpu_s for run in m.runs]
        table.add_row(
            m.contestant.what,
            f"{m.cpu_s:.1f}",
            f"{statistics.median(spent):.1f}",
            f"{max(spent):.1f}",
            f"{m.wall_s:.1f}",
            f"{m.peak_mb:.0f}",
            _ratio(m, measured),
            f"{len(spent)}, {_FAR_SLOWER:.0f}x ours" if _far_slower(m, measured) else str(len(spent)),
            *(f"{m.figures[name]:.2f}" if name in m.figures else "" for name in own),
        )
    return table


def _ratio(one: Measured, measured: Sequence[Measured]) -> str:
    if one.contestant.role == "reference":
        return "reference"
    group = [m for m in measured if m.contestant.group == one.contestant.group]
    return next((f"{one.cpu_s / m.cpu_s:.2f}" for m in group if m.contestant.role == "reference"), "")


def _versions(packages: Sequence[str]) -> dict[str, str]:
    java = Path(os.environ.get("JAVA_HOME", "")) / "release"
    lines = java.read_text("utf-8").splitlines() if java.exists() else []
    values = dict(line.split("=", 1) for line in lines if "=" in line)
    return {
        "python": ".".join(map(str, sys.version_info[:3])),
        "java": values.get("JAVA_VERSION", "unknown").strip('"'),
        **{package: metadata.version(package) for package in packages},
    }
