"""The verdicts of a leakage audit: what was counted, said about each feature in one sentence. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tidemill.features.leakage import FUTURE, GOLD, REWRITTEN, TIMES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tidemill.core.config import Audit
    from tidemill.features.leakage import Moved
    from tidemill.stats.alone import Alone

OK, WARN, FAIL, UNCHECKED, ACCEPTED = "ok", "warn", "fail", "unchecked", "accepted"
LABEL_ITSELF, ALONE = "label", "alone"
_DISGUISE = 0.999
_OUTSTANDING = 0.9  # what stands out is no news below
_NOBODY = "no entity of the population has a row of its view at an audited time"
_WHY_NOT = {
    GOLD: "no gold row at an audited time was made from all that silver holds: build_features brings them along"
}


@dataclass(frozen=True)
class Finding:
    """What one check says about one feature.

    Args:
        view: the versioned name of its view.
        feature: its name.
        check: `future`, `gold`, `times`, `rewritten`, `label` or `alone`.
        compared: rows that were looked at.
        value: the share of them that moved; of `label` the share that says the same as the label; of `alone` ROC AUC,
            or the size of Pearson's r. None where too little is known.
        verdict: `ok`, `warn`, `fail`, `unchecked` where nothing was there to look at, or `accepted` where it would be
            one of these three.
        reason: in a sentence; empty where all is well.
    """

    view: str
    feature: str
    check: str
    compared: int
    value: float | None
    verdict: str
    reason: str = ""


def judge_moved(view: str, moved: Sequence[Moved]) -> list[Finding]:
    """A feature that moved at all has seen what it should not have; of one that nothing is known of nothing is said.

    Where nobody has a row of the view there is nothing to be seen: that is worth a warning, and leaks nothing.
    """
    found, bare = [], not any(item.compared for item in moved)
    for item in moved:
        share = item.moved / item.compared if item.compared else None
        reason = f"{_why(item)}: {item.moved} of {item.compared} rows" if item.moved else ""
        verdict = FAIL if item.moved else OK
        if not item.compared:
            verdict, reason = UNCHECKED, _WHY_NOT.get(item.check, "no sampled entity has a row at an audited time")
            verdict, reason = (WARN, _NOBODY) if bare else (verdict, reason)
        found.append(Finding(view, item.feature, item.check, item.compared, share, verdict, reason))
    return found


def judge_alone(views: Mapping[str, str], found: Mapping[str, Alone], limits: Audit) -> list[Finding]:
    """Features that are the label, or tell it apart too well.

    Args:
        views: of each feature.
        found: what each says about the label.
        limits: from where on one is too good.
    """
    judged = []
    for name, alone in found.items():
        same = max((v for v in (alone.same, alone.nulls) if v is not None), default=None)
        hidden = same is not None and same >= _DISGUISE
        how = "its nulls say" if same is not None and same == alone.nulls else "it says"
        reason = f"{how} the same as the label in {same:.2%} of the rows" if hidden else ""
        judged.append(Finding(views[name], name, LABEL_ITSELF, alone.rows, same, FAIL if hidden else OK, reason))
        others = [o.strength for other, o in found.items() if other != name and o.strength is not None]
        reason = "" if hidden else _too_good(alone.strength, max(others, default=None), limits)
        judged.append(Finding(views[name], name, ALONE, alone.rows, alone.strength, WARN if reason else OK, reason))
    return judged


def accept(findings: Sequence[Finding], names: Iterable[str]) -> list[Finding]:
    """The findings, with those about features that people have looked at and found good marked so."""
    known = set(names)
    return [replace(f, verdict=ACCEPTED) if f.feature in known and f.verdict != OK else f for f in findings]


def failed(findings: Iterable[Finding]) -> list[Finding]:
    """Those for which nothing may be trained: what leaks, and what nobody could look at."""
    return [f for f in findings if f.verdict in {FAIL, UNCHECKED}]


def summarise(findings: Sequence[Finding]) -> str:
    """One line about an audit."""
    features = len({f.feature for f in findings})
    rows = max((f.compared for f in findings if f.check == FUTURE), default=0)
    bare = sorted({f.feature for f in findings if f.verdict == WARN and f.check != ALONE})
    warned = sorted({f.feature for f in findings if f.verdict == WARN} - {*bare})
    bad = sorted({f.feature for f in findings if f.verdict == FAIL})
    unknown = sorted({f.feature for f in findings if f.verdict == UNCHECKED})
    accepted = sorted({f.feature for f in findings if f.verdict == ACCEPTED})
    parts = [f"{_some(bad)} leak" if bad else f"no leak in {features} features at {rows:,} sampled rows"]
    parts += [f"{_some(unknown)} not checked"] if unknown else []
    parts += [f"{_some(bare)} without a value for anybody"] if bare else []
    parts += [f"{_some(warned)} too good to be true alone"] if warned else []
    parts += [f"{_some(accepted)} accepted as they are"] if accepted else []
    return "; ".join(parts)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _why(item: Moved) -> str:
    return {
        FUTURE: "it changes with what was not yet known",
        GOLD: "its gold rows are not what was known at their time",
        TIMES: f"it counts rows that hold a later {item.by!r}: they were not written before the as-of time",
        REWRITTEN: "it reads values that were written anew later, under the same known time"
        + (f", in {item.by!r}" if item.by else ""),
    }[item.check]


def _too_good(strength: float | None, best: float | None, limits: Audit) -> str:
    if strength is None:
        return ""
    if strength >= limits.alone:
        return f"alone it reaches {strength:.4f}, at least {limits.alone:g}"
    if best is not None and strength >= _OUTSTANDING and strength - best >= limits.apart:
        return f"alone it reaches {strength:.4f}, and no other more than {best:.4f}"
    return ""
