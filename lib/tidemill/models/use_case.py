"""A use case: everything that a team declares, in one frozen value with a JSON form."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass, field
from datetime import timedelta
from importlib.machinery import SourceFileLoader
from typing import TYPE_CHECKING

from tidemill.core.digest import digest_of
from tidemill.core.errors import Exit, TidemillError, nearest
from tidemill.core.frozen import LATER, declared, freeze
from tidemill.models.decisions import CALIBRATIONS
from tidemill.models.spaces import EVERY, GRID, SearchBy
from tidemill.models.specs import AS_THEY_COME, BINARY, MULTICLASS, REGRESSION, TASKS, ModelSpec, Preparation, Splits

if TYPE_CHECKING:
    from pathlib import Path
    from types import CodeType

    from tidemill.core.time import Grid
    from tidemill.data.sources import Entity, Source
    from tidemill.features.declarations import Feature
    from tidemill.features.specs import FeatureView, Label
    from tidemill.models.decisions import Decision

NOT_USE_CASES = ("definitions",)
MOST_FEATURES = 2000  # one pass over the training rows measures them all, in one expression
DEFAULT_TIMES = ("newest", "newest_matured")


@declared
@dataclass(frozen=True)
class UseCase:
    """A prediction from raw rows to monitored scores.

    Args:
        name: of the use case, its registered model and its gold tables.
        views: the features; all of one entity.
        label: what is predicted, and for whom.
        task: `binary`, `multiclass` or `regression`; says the primary metric: ROC AUC, log loss or RMSE.
        models: the families to try.
        grid: the as-of times that it trains and scores at.
        baseline: the one feature whose value alone a model has to beat.
        splits: gate and folds.
        test_period: hindsight evaluates the grid times in `[T, T + test_period)`; zero means T alone.
        slices: features of few values; a model's card has its metrics for each value that enough gate rows have.
        default_time: the as-of time of a run that names none: the `newest` grid time that all sources cover, or the
            `newest_matured` one, whose labels are known already.
        world: the generator of `demo` that makes its files, or None where they are delivered.
        description: for people.
        preparation: what is done to the features before a family sees them.
        search: how the parameters of the models are searched.
        calibration: what makes probabilities of the scores of a binary task: `platt`, `isotonic`, `best` of these and
            nothing, or None for nothing.
        decision: how the threshold of a binary task is chosen, or None for 0.5.
    """

    name: str
    views: tuple[FeatureView, ...]
    label: Label
    task: str
    models: tuple[ModelSpec, ...]
    grid: Grid
    baseline: str
    splits: Splits = field(default_factory=Splits)
    test_period: timedelta = timedelta(0)
    slices: tuple[str, ...] = ()
    default_time: str = "newest"
    world: str | None = None
    description: str = ""
    preparation: Preparation = field(default=AS_THEY_COME, metadata=LATER)
    search: SearchBy = field(default=EVERY, metadata=LATER)
    calibration: str | None = field(default=None, metadata=LATER)
    decision: Decision | None = field(default=None, metadata=LATER)

    def __post_init__(self) -> None:
        if self.task not in TASKS:
            raise self._invalid(f"there is no task {self.task!r}", nearest(self.task, TASKS))
        if self.default_time not in DEFAULT_TIMES:
            raise self._invalid(
                f"there is no default time {self.default_time!r}", nearest(self.default_time, DEFAULT_TIMES)
            )
        if not self.views or not self.models:
            raise self._invalid("it needs at least one view and one model", "declare them")
        for view in self.views:
            if view.entity != self.entity:
                raise self._invalid(f"the view {view.name!r} speaks of another entity", "use views of one entity")
        self._check_label()
        self._check_classes()
        if self.search.strategy == GRID:
            for model in self.models:
                model.candidates()
        if len(self.features) > MOST_FEATURES:
            raise self._invalid(
                f"it has {len(self.features)} features, and a model is made of at most {MOST_FEATURES}",
                "keep the windows, pivots and columns that matter",
            )
        self._check_names([f.name for f in self.features])

    def _check_label(self) -> None:
        """The classes of the label, where it has some, are as many as the task tells apart."""
        count = len(self.label.classes)
        if self.task == MULTICLASS and count < 3:
            raise self._invalid(
                "a multiclass task needs an outcome of three classes or more",
                'declare outcome=ClassIn(source, column, classes=("a", "b", "c")); two classes are a binary task',
            )
        most = {BINARY: 2, REGRESSION: 0}.get(self.task, count)
        if count > most:
            raise self._invalid(f"a {self.task} task has no label of {count} classes", 'declare task="multiclass"')

    def _check_classes(self) -> None:
        """What only a task with classes, or with two, can declare."""
        if self.calibration is not None and self.calibration not in CALIBRATIONS:
            raise self._invalid(
                f"there is no calibration {self.calibration!r}", nearest(self.calibration, CALIBRATIONS)
            )
        if self.task == BINARY:
            return
        if self.task == REGRESSION and (self.preparation.chi_square or self.preparation.class_weights):
            raise self._invalid("a regression has no classes to test or to weight", "leave them out of Preparation")
        if self.task == MULTICLASS and self.preparation.stable is not None:
            raise self._invalid(
                "stability selection takes the label for a number, and a class is none", "leave stable out"
            )
        if self.calibration or self.decision:
            raise self._invalid("only a binary task has scores to calibrate or to decide on", "leave both out")

    def _check_names(self, names: list[str]) -> None:
        for name in names:
            if names.count(name) > 1:
                raise self._invalid(f"two views have a feature {name!r}", "give one of them a name of its own")
        if self.baseline not in names:
            raise self._invalid(f"the baseline {self.baseline!r} is no feature", nearest(self.baseline, names))
        for name in self.slices:
            if name not in names:
                raise self._invalid(f"the slice {name!r} is no feature", nearest(name, names))

    @property
    def metric(self) -> str:
        """The primary metric: `roc_auc` (higher is better), `log_loss` or `rmse` (lower is better)."""
        return TASKS[self.task]

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes of a multiclass task, in the order of their numbers; else none."""
        return self.label.classes if self.task == MULTICLASS else ()

    @property
    def entity(self) -> Entity:
        """The entity that is scored."""
        return self.label.population.source.entity

    @property
    def features(self) -> tuple[Feature, ...]:
        """The features of all views, in the order of the declaration."""
        return tuple(f for view in self.views for f in view.columns)

    @property
    def sources(self) -> tuple[Source, ...]:
        """Every source that views, the views they join, or the label read, each once."""
        return tuple(dict.fromkeys((*(s for v in self.views for s in v.sources), *self.label.sources)))

    @property
    def digest(self) -> str:
        """What makes its models what they are: words for people and the choice of a default time do not count."""
        form = freeze(self, words=False)
        return digest_of(
            {k: v for k, v in form.items() if k not in {"description", "default_time", "test_period", "world"}}
        )

    def _invalid(self, what: str, next_step: str) -> TidemillError:
        return TidemillError(
            "E_USE_CASE", what, where=f"use case {self.name!r}", next_step=next_step, exit_code=Exit.CONFIGURATION
        )


def use_case_names(repo: Path) -> list[str]:
    """The use cases of a feature repository: its Python files."""
    return sorted(p.stem for p in repo.glob("*.py") if p.stem not in NOT_USE_CASES and not p.stem.startswith("_"))


def load_use_case(repo: Path, name: str) -> UseCase:
    """Loads the use case of a repository's file `<name>.py`: the one `UseCase` value in it.

    Raises:
        TidemillError: E_REPO or E_NO_USE_CASE (usage), E_USE_CASE (configuration).
    """
    if not repo.is_dir():
        raise TidemillError(
            "E_REPO",
            f"there is no feature repository {str(repo)!r}",
            where=f"--repo {repo}",
            next_step="name a folder with one Python file a use case and a folder contracts/",
            exit_code=Exit.USAGE,
        )
    known = use_case_names(repo)
    if name not in known:
        raise TidemillError(
            "E_NO_USE_CASE",
            f"there is no use case {name!r}",
            where=f"--use-case {name} in {repo}",
            next_step=nearest(name, known),
            exit_code=Exit.USAGE,
        )
    path = repo / f"{name}.py"
    module_name = f"tidemill_use_case_{digest_of(str(path.resolve()))[:12]}"
    spec = importlib.util.spec_from_file_location(module_name, path, loader=_AsWritten(module_name, str(path)))
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    try:
        spec.loader.exec_module(module)
    except TidemillError:
        raise
    except Exception as error:
        raise _unusable(path, f"it cannot be loaded: {type(error).__name__}: {error}") from error
    found = [value for value in vars(module).values() if isinstance(value, UseCase)]
    if len(found) != 1:
        raise _unusable(path, f"it holds {len(found)} use cases instead of one")
    if found[0].name != name:
        raise _unusable(path, f"its use case is named {found[0].name!r}, not {name!r} as the file")
    return found[0]


class _AsWritten(SourceFileLoader):
    """Reads a file as it is: Python's cache takes one for unchanged that changes within a second and keeps its size."""

    def get_code(self, fullname: str) -> CodeType:
        """The code of the file, compiled now."""
        return self.source_to_code(self.get_data(self.get_filename(fullname)), self.path)


def _unusable(path: Path, what: str) -> TidemillError:
    return TidemillError(
        "E_USE_CASE", what, where=str(path), next_step="correct the file", exit_code=Exit.CONFIGURATION
    )
