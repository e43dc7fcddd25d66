"""Searches by trials, with Optuna: at random, or where trials before did well. The one place that talks to it.

A study lies in a database of its own kind below the root, so a search that was stopped goes on where it was: a trial is
a function of the seed, its number and the trials before its round; what was measured on a fold is not measured again.
"""

from __future__ import annotations

import sqlite3
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import optuna
from optuna.pruners import MedianPruner
from optuna.samplers import RandomSampler, TPESampler
from optuna.storages import RDBStorage
from optuna.trial import FixedTrial, Trial, TrialState

from tidemill.core.digest import digest_of
from tidemill.core.frozen import freeze
from tidemill.core.locked import naming
from tidemill.models.candidates import Candidate
from tidemill.models.spaces import BAYESIAN, Uniform, Whole
from tidemill.models.specs import HIGHER_IS_BETTER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from optuna.trial import FrozenTrial

    from tidemill.models.automl import Space
    from tidemill.models.spaces import Dimension, SearchBy

REPEATS = 20  # so many trials in a row that were all tried before say that the space has nothing more
_FINISHED_BEFORE_STOPPING = 5
_SECONDS = "seconds"

optuna.logging.set_verbosity(optuna.logging.WARNING)


class _Connection(sqlite3.Connection):
    """What survives a kill at once, and a power cut but for its last trials, without waiting for the disk each time."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.execute("PRAGMA journal_mode=WAL")
        self.execute("PRAGMA synchronous=NORMAL")


class Judge(Protocol):
    """What says how candidates do on folds."""

    def __len__(self) -> int:
        """The number of folds."""

    def judge(self, number: int, candidates: Sequence[Candidate]) -> Mapping[str, float]:
        """The primary metric of each candidate on a fold, by its name."""


@dataclass(frozen=True)
class Trials:
    """What a search by trials has tried.

    Args:
        candidates: each recipe once, in the order they were tried.
        trials: so many, repeated ones included.
        before: of these, trials that a run before had finished.
        seconds: that all runs spent on them.
    """

    candidates: tuple[Candidate, ...]
    trials: int
    before: int
    seconds: float

    @property
    def said(self) -> str:
        """The search in words."""
        stopped = sum(c.stopped for c in self.candidates)
        before = f", {self.before} of them before this run" if self.before else ""
        return f"{self.trials} trials{before}, {len(self.candidates)} candidates, {stopped} stopped early"


@dataclass
class _Tried:
    """A trial with what was measured so far, by fold; `trial` is None once it has ended."""

    trial: Trial | None
    candidate: Candidate
    values: dict[int, float]


def run_trials(
    path: Path,
    name: str,
    space: Space,
    by: SearchBy,
    folds: Judge,
    *,
    metric: str,
    seed: int,
    width: int,
    say: Callable[[str], None],
    clock: Callable[[], float] = time.monotonic,
) -> Trials:
    """Draws trials and judges them fold by fold until the budget is spent, or nothing new is drawn.

    Trials go in rounds of `width`, which are fitted side by side. After each fold a trial ends whose best fold so far
    is worse than the median of the finished trials on this fold; five have to be finished first.

    Args:
        path: of the study's SQLite file.
        name: of the study: the same name, space and strategy go on with what is there.
        space: what trials are drawn from.
        by: strategy and budget. A round that has begun within the minutes is finished.
        folds: judge a candidate.
        metric: the primary one, which says what is better.
        seed: of the draws.
        width: trials of a round; another width draws others.
        say: tells what is being done.
        clock: seconds from anywhere; read between rounds.
    """
    identity = f"{name}-{digest_of([freeze(space.specs), space.optional, by.strategy, seed, width])[:12]}"
    with _study(path, identity, metric) as study:
        tried = [_known(study, space, by, seed, t) for t in study.get_trials(deepcopy=False)]
        before = sum(t.trial is None for t in tried)
        spent = float(study.user_attrs.get(_SECONDS, 0.0))
        while True:
            began = clock()
            going = [t for t in tried if t.trial is not None]
            while _allowed(by, tried, spent) and (not going or len(tried) % width):
                tried.append(_asked(study, space, by, seed, len(tried)))
                going.append(tried[-1])
            if not going:
                break
            say(f"trials {len(tried) - len(going) + 1} to {len(tried)}{f' of {by.trials}' if by.trials else ''}")
            _run_round(study, going, folds, _measured(tried))
            spent += clock() - began
            study.set_user_attr(_SECONDS, spent)
    measured = _measured(tried)
    first: dict[str, Candidate] = {}
    for item in tried:
        values = measured[item.candidate.recipe]
        made = replace(item.candidate, folds=tuple(values.values()), stopped=len(values) < len(folds))
        first.setdefault(made.recipe, made)
    return Trials(tuple(first.values()), len(tried), before, spent)


def _run_round(
    study: optuna.Study, going: Sequence[_Tried], folds: Judge, measured: dict[str, dict[int, float]]
) -> None:
    """Judges trials fold by fold; equal ones are judged once, and nothing is judged that was measured before."""
    for fold in range(len(folds)):
        for item in going:
            if fold and fold not in item.values and item.trial is not None and item.trial.should_prune():
                study.tell(item.trial, state=TrialState.PRUNED)
                item.trial = None
        on = [item for item in going if item.trial is not None]
        due = {item.candidate.recipe: item.candidate for item in on if fold not in measured[item.candidate.recipe]}
        found = folds.judge(fold, list(due.values())) if due else {}
        for recipe, candidate in due.items():
            measured[recipe][fold] = float(found[candidate.name])
        for item in on:
            if fold not in item.values and item.trial is not None:
                item.values[fold] = measured[item.candidate.recipe][fold]
                item.trial.report(item.values[fold], fold)
    for item in going:
        if item.trial is not None:
            study.tell(item.trial, sum(item.values.values()) / len(item.values))
            item.trial = None


def _allowed(by: SearchBy, tried: Sequence[_Tried], spent: float) -> bool:
    """Whether one more trial may be drawn."""
    recipes = [t.candidate.recipe for t in tried]
    latest = max((place for place, recipe in enumerate(recipes) if recipe not in recipes[:place]), default=-1)
    return (
        (by.trials is None or len(tried) < by.trials)
        and (by.minutes is None or spent < 60 * by.minutes)
        and len(tried) - 1 - latest < REPEATS
    )


def _measured(tried: Sequence[_Tried]) -> dict[str, dict[int, float]]:
    """What is known of each recipe, by fold."""
    found: dict[str, dict[int, float]] = {}
    for item in tried:
        found.setdefault(item.candidate.recipe, {}).update(item.values)
    return found


def _asked(study: optuna.Study, space: Space, by: SearchBy, seed: int, number: int) -> _Tried:
    study.sampler = _sampler(by, seed, number)
    trial = study.ask()
    return _Tried(trial, _draw(space, trial), {})


def _known(study: optuna.Study, space: Space, by: SearchBy, seed: int, found: FrozenTrial) -> _Tried:
    """A trial that is in the database: one that has ended, or one that a run which was stopped has left on its way."""
    if found.state.is_finished():
        return _Tried(None, _draw(space, FixedTrial(found.params, found.number)), dict(found.intermediate_values))
    study.sampler = _sampler(by, seed, found.number)  # it may have been stopped while it was drawn
    trial = Trial(study, found._trial_id)  # Optuna has no other way to go on with a trial
    return _Tried(trial, _draw(space, trial), dict(found.intermediate_values))


def _draw(space: Space, trial: Trial | FixedTrial) -> Candidate:
    """The candidate of a trial; values that the trial has already are taken from it."""
    place = trial.suggest_categorical("family", list(range(len(space.specs)))) if len(space.specs) > 1 else 0
    spec = space.specs[place]
    drawn = {name: _value(trial, f"{place}.{name}", dimension) for name, dimension in sorted(spec.grid.items())}
    out = tuple(view for view in space.optional if not trial.suggest_categorical(f"view {view}", [True, False]))
    return Candidate(f"{spec.family}-{trial.number}", spec.family, {**spec.parameters, **drawn}, without=out)


def _value(trial: Trial | FixedTrial, name: str, dimension: Dimension) -> Any:
    if isinstance(dimension, Uniform):
        return trial.suggest_float(name, dimension.low, dimension.high, log=dimension.log)
    if isinstance(dimension, Whole):
        return trial.suggest_int(name, dimension.low, dimension.high, log=dimension.log)
    # By place: a database holds plain values only, and a tuple may hold anything.
    return dimension[trial.suggest_categorical(name, list(range(len(dimension))))]


def _sampler(by: SearchBy, seed: int, number: int) -> RandomSampler | TPESampler:
    """A sampler of one trial, so that a search which goes on later draws what it would have drawn."""
    own = int(digest_of([seed, number])[:8], 16)
    return TPESampler(seed=own) if by.strategy == BAYESIAN else RandomSampler(seed=own)


@contextmanager
def _study(path: Path, name: str, metric: str) -> Iterator[optuna.Study]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with naming(str(path)):
        storage = RDBStorage(f"sqlite:///{path}", {"connect_args": {"factory": _Connection}})
        try:
            yield optuna.create_study(
                study_name=name,
                storage=storage,
                direction="maximize" if HIGHER_IS_BETTER[metric] else "minimize",
                pruner=MedianPruner(n_startup_trials=_FINISHED_BEFORE_STOPPING),
                load_if_exists=True,
            )
        finally:
            storage.remove_session()
            storage.engine.dispose()
