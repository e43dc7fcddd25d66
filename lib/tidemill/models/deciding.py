"""The calibration and the threshold of a candidate, from its out-of-fold scores; the gate has no part in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pyspark.sql import functions as F

from tidemill.models.calibrating import UNDECIDED, choose
from tidemill.models.evaluate_sums import refuse_bad_rows
from tidemill.models.tables import SCORE
from tidemill.stats.calibration import LEAST
from tidemill.stats.counted import recounted

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from tidemill.models.calibrating import Decided
    from tidemill.models.candidates import Candidate
    from tidemill.models.folds import Folds
    from tidemill.models.use_case import UseCase
    from tidemill.stats.counted import Counted

_PARTS = 5
_STEPS = 1000  # of the log-odds: scores that are nearer to each other are not told apart, so few reach the driver
_SALT = "calibration"


def decide(folds: Folds, candidate: Candidate, use_case: UseCase) -> Decided:
    """What the use case asks for, chosen on the rows of all folds, each scored by a fit that has not seen it.

    The candidate is fitted on each fold once more; nothing is where the use case asks for nothing.

    Args:
        folds: prepared rows; those of the gate are in none of them.
        candidate: that is registered.
        use_case: says calibration and decision.

    Raises:
        TidemillError: E_SCORE_VALUE (data) where a row has no score, E_NO_ROWS (no input) where there are too few.
    """
    if use_case.calibration is None and use_case.decision is None:
        return UNDECIDED
    parts = count_parts(folds.scores(candidate), use_case.entity.key)
    return choose(parts, use_case.calibration, use_case.decision)


def count_parts(scored: DataFrame, key: str) -> list[Counted]:
    """Scored rows in five parts by a hash of the entity, counted: their log-odds rounded down to a thousandth.

    Rounded down, so that a row is decided positive wherever the score that stands for it is.

    Args:
        scored: `label`, `score` and the entity's column.
        key: that column.

    Raises:
        TidemillError: E_SCORE_VALUE (data).
    """
    score = F.col(SCORE)
    kept = F.least(F.greatest(score, F.lit(LEAST)), F.lit(1 - LEAST))
    found = (
        scored.groupBy(
            F.pmod(F.xxhash64(F.lit(_SALT), F.col(f"`{key}`")), F.lit(_PARTS)).alias("part"),
            F.floor(F.ln(kept / (1 - kept)) * _STEPS).alias("step"),
        )
        .agg(
            F.count_if(F.col("label") == 1).alias("positives"),
            F.count_if(F.col("label") == 0).alias("negatives"),
            F.count_if(score.isNull() | F.isnan(score)).alias("bad"),
        )
        .toArrow()
    )
    part, step, positives, negatives, bad = (found.column(name).to_numpy() for name in found.column_names)
    refuse_bad_rows(0, int(bad.sum()), "scores of the folds")
    lowest = np.floor(np.log(LEAST) * _STEPS)
    score_of = np.where(step <= lowest, 0.0, 1 / (1 + np.exp(-step / _STEPS)))
    inside = [part == number for number in range(_PARTS)]
    return [recounted(score_of[rows], positives[rows], negatives[rows]) for rows in inside]
