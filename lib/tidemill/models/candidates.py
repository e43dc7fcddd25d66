"""Candidates: sets of parameters of a family with what they reached on the folds, and their order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tidemill.models.specs import HIGHER_IS_BETTER, ModelSpec, better

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tidemill.models.use_case import UseCase


@dataclass(frozen=True)
class Candidate:
    """One set of parameters of one family, and how it did on the folds.

    Args:
        name: `family-number`, unique in a search.
        family: its family.
        parameters: by the names of the family's library.
        folds: the primary metric on each fold, newest first.
        without: names of the views whose features it does not see.
        stopped: whether it was given up after some folds; it has fewer of them then, and cannot be chosen.
    """

    name: str
    family: str
    parameters: dict[str, Any]
    folds: tuple[float, ...] = ()
    without: tuple[str, ...] = ()
    stopped: bool = False

    @property
    def mean(self) -> float:
        """The mean of the primary metric over the folds it was tried on."""
        return sum(self.folds) / len(self.folds)

    @property
    def recipe(self) -> str:
        """What it is apart from its name: equal recipes fitted on the same rows are the same model."""
        return repr((self.family, sorted(self.parameters.items()), self.without))


def list_candidates(use_case: UseCase, only: Mapping[str, dict[str, Any]]) -> tuple[Candidate, ...]:
    """Every parameter set that the use case declares, or those of the families that are asked for in their place.

    Raises:
        TidemillError: E_SEARCH (configuration) where a parameter has a range, which has no end of values.
    """
    specs = [ModelSpec(family, parameters) for family, parameters in only.items()] or use_case.models
    return tuple(
        Candidate(f"{spec.family}-{number}", spec.family, parameters)
        for spec in specs
        for number, parameters in enumerate(spec.candidates())
    )


def recipe_of(card: Mapping[str, Any], name: str) -> Candidate:
    """The recipe of a registered version, from its card, under a name."""
    return Candidate(name, card["family"], card["parameters"], without=tuple(card.get("without", ())))


def leaderboard(candidates: Iterable[Candidate], metric: str) -> tuple[Candidate, ...]:
    """All candidates, best first by the mean over the folds; after them those that were stopped, by how far they came.

    Equals stay in their order.
    """
    sign = -1 if HIGHER_IS_BETTER[metric] else 1
    return tuple(sorted(candidates, key=lambda c: (c.stopped, -len(c.folds) if c.stopped else 0, sign * c.mean)))


def leaderboard_lines(candidates: Iterable[Candidate], metric: str, most: int = 10) -> tuple[str, ...]:
    """The first places of the leaderboard, as text."""
    first = leaderboard(candidates, metric)[:most]
    return tuple(f"{place}. {metric} {c.mean:.4f} {c.name}{_said(c)}" for place, c in enumerate(first, start=1))


def best_of_families(judged: Iterable[Candidate], metric: str) -> list[Candidate]:
    """The best candidate of each family, best first; of equals the first declared."""
    best: dict[str, Candidate] = {}
    for candidate in judged:
        if candidate.stopped:
            continue
        known = best.get(candidate.family)
        if known is None or better(metric, candidate.mean, known.mean):
            best[candidate.family] = candidate
    return sorted(best.values(), key=lambda c: c.mean, reverse=HIGHER_IS_BETTER[metric])


def _said(candidate: Candidate) -> str:
    values = {name: f"{v:.4g}" if isinstance(v, float) else v for name, v in sorted(candidate.parameters.items())}
    parts = [f"{name} {value}" for name, value in values.items()]
    parts += [f"without {view}" for view in candidate.without]
    parts += [f"stopped after {len(candidate.folds)} fold(s)"] if candidate.stopped else []
    return f" ({', '.join(parts)})" if parts else ""
