"""The tables that training, promotion and scoring write."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidemill.data.tables import GOLD, OPS, Table
from tidemill.models.specs import MULTICLASS

if TYPE_CHECKING:
    from tidemill.models.use_case import UseCase

SCORE, PREDICTION, PROBABILITIES = "score", "prediction", "probabilities"
REASONS, CONTRIBUTIONS = "reasons", "contributions"
PROMOTIONS = Table(
    OPS,
    "promotions",
    # Grain: decision. `decision` is promote, keep, wait, approve or rollback; `challenger_version` the version that it
    # is about, which is champion after promote, approve and rollback; `champion_version` the champion before;
    # `previous_version` the one to which a rollback would go. `gain` is over the champion, above 0 where better, with
    # the ends of its paired interval; `evidence` every check as JSON; `decided_by` and `because` are people's.
    (
        ("use_case", "string"),
        ("as_of", "timestamp"),
        ("decision", "string"),
        ("challenger_version", "string"),
        ("champion_version", "string"),
        ("previous_version", "string"),
        ("metric", "string"),
        ("challenger_value", "double"),
        ("champion_value", "double"),
        ("baseline_value", "double"),
        ("gate_rows", "bigint"),
        ("represented", "boolean"),
        ("reasons", "array<string>"),
        ("decided_at", "timestamp"),
        ("gain", "double"),
        ("gain_low", "double"),
        ("gain_high", "double"),
        ("method", "string"),
        ("decided_by", "string"),
        ("because", "string"),
        ("evidence", "string"),
    ),
    evolves=True,  # decisions of older releases stay as they are
)
AUDITS = Table(
    OPS,
    "audits",
    # Grain: audit (its batch), feature and check; what was audited stands in the ledger under the batch.
    (
        ("use_case", "string"),
        ("view", "string"),
        ("feature", "string"),
        ("check", "string"),
        ("compared", "bigint"),
        ("value", "double"),
        ("verdict", "string"),
        ("reason", "string"),
        ("batch_id", "string"),
    ),
)
BACKTESTS = Table(
    OPS,
    "backtests",
    # Grain: backtest (its batch), training and evaluated time; `age` in steps of the use case's grid.
    (
        ("use_case", "string"),
        ("as_of", "timestamp"),
        ("trained_at", "timestamp"),
        ("evaluated_at", "timestamp"),
        ("age", "bigint"),
        ("family", "string"),
        ("rows", "bigint"),
        ("metric", "string"),
        ("value", "double"),
        ("batch_id", "string"),
    ),
)


def judged_on(task: str) -> str:
    """The column that metrics of a task compare with the label: the probabilities of several classes, or the score."""
    return PROBABILITIES if task == MULTICLASS else SCORE


def scored_columns(task: str) -> tuple[str, ...]:
    """The columns that a scoring adds to rows."""
    return (SCORE, PREDICTION, PROBABILITIES) if task == MULTICLASS else (SCORE,)


def training_sets_table(use_case: UseCase) -> Table:
    """Grain: training set, entity and as-of time; immutable, one partition a `training_set_id`.

    `part` says which fit may see a row: `gate` rows decide promotion, `train` rows are embargoed before them, `final`
    rows lie between and belong to the final fit alone.
    """
    return Table(
        GOLD,
        f"{use_case.name}_training_sets",
        (
            (use_case.entity.key, "string"),
            ("event_timestamp", "timestamp"),
            *((f.name, f.type) for f in use_case.features),
            ("label", "double"),
            ("part", "string"),
            ("training_set_id", "string"),
        ),
        partitions=("training_set_id",),
        sort=("event_timestamp", use_case.entity.key),
        evolves=True,  # a use case that gains a view gains columns; its older training sets stay as they are
    )


def gate_scores_table(use_case: UseCase) -> Table:
    """Grain: model version, entity and as-of time of the gate: the gate fit's score beside the label.

    `prediction` and `probabilities`, as in the predictions, are those of a multiclass task; null for others.
    """
    return Table(
        GOLD,
        f"{use_case.name}_gate_scores",
        (
            (use_case.entity.key, "string"),
            ("event_timestamp", "timestamp"),
            ("label", "double"),
            ("score", "double"),
            ("prediction", "double"),
            ("probabilities", "array<double>"),
            ("training_set_id", "string"),
        ),
        partitions=("training_set_id",),
        evolves=True,  # scores that were kept before there were several classes stay as they are
    )


def predictions_table(use_case: UseCase) -> Table:
    """Grain: entity, as-of time, model version and gold batch.

    `score` is the probability of the positive class, that of the predicted one of several, or the predicted value;
    `prediction` the decision at the threshold, the number of the predicted class, or the value itself; `probabilities`
    those of several classes in declared order, else null; `role` is `champion` or `shadow`. `reasons` are the inputs
    that moved the score most, largest first, and `contributions` by how much, in the unit of the model's margin; null
    where none were asked for, and of several classes.
    """
    return Table(
        GOLD,
        f"{use_case.name}_predictions",
        (
            (use_case.entity.key, "string"),
            ("event_timestamp", "timestamp"),
            ("score", "double"),
            ("prediction", "double"),
            ("probabilities", "array<double>"),
            ("reasons", "array<string>"),
            ("contributions", "array<double>"),
            ("model_version", "string"),
            ("role", "string"),
            ("gold_batch", "string"),
            ("batch_id", "string"),
        ),
        partitions=("batch_id",),
        sort=(use_case.entity.key,),
        evolves=True,  # predictions that were made before there were reasons, or several classes, stay as they are
    )
