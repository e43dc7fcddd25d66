"""Features are computed again from what was known; training is refused where one has seen more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidemill.cli.auditing import audit, refuse_leaks
from tidemill.cli.job import main
from tidemill.cli.result import OK, SKIPPED, Result
from tidemill.features.audit import WARN, summarise

if TYPE_CHECKING:
    from tidemill.cli.context import Context


def run(context: Context) -> Result:
    """Audits the rows that would be trained on at T, once; the same rows are not audited again."""
    found = audit(context)
    findings = found.findings
    if not findings:
        return Result(SKIPPED, notes=("no label has matured yet: there is nothing to audit",))
    refuse_leaks(context, findings)
    warned = [f for f in findings if f.verdict == WARN]
    notes = tuple(f"{f.feature}: {f.reason}" for f in warned)
    counts = {"checks": len(findings), "warnings": len(warned)}
    return Result(OK if found.made else SKIPPED, counts, notes=notes, facts={"audit": summarise(findings)})


if __name__ == "__main__":
    main("audit", run)
