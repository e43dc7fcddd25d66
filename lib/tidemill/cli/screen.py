"""The screen that a run ends with."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table


def show(summary: dict[str, Any]) -> None:
    """Prints one screen: what was read, built, learned and decided, and what to try next."""
    console = Console(highlight=False)
    when = f" as of {summary['as_of']}" if "as_of" in summary else ""
    console.print(f"\n[bold]{summary['use_case']}[/bold]{when}: {summary['status']} in {summary['seconds']:.0f} s")
    grid = Table.grid(padding=(0, 2))
    for name, text in _lines(summary):
        grid.add_row(name, text)
    console.print(grid)
    for note in summary["notes"]:
        console.print(f"  {note}", markup=False)


def _lines(summary: dict[str, Any]) -> list[tuple[str, str]]:
    lines = []
    counts, facts, metrics, model = (summary[k] for k in ("counts", "facts", "metrics", "model"))
    if counts:
        kept = f"{counts['accepted']:,} accepted + {counts['quarantined']:,} quarantined"
        lines.append(("rows", f"{counts['read']:,} read = {kept} + {counts['duplicates']:,} duplicates"))
    if "features" in facts:
        lines.append(("features", f"{facts['features']} in {facts['views']} view(s), online and offline"))
    if "candidates" in facts:
        lines.append(("models", f"{facts['candidates']} candidates of {facts['families']} families compared"))
    lines += [("" if place else "leaderboard", line) for place, line in enumerate(facts.get("leaderboard", ()))]
    if "audit" in facts:
        lines.append(("audit", facts["audit"]))
    if model:
        words = f"{model['name']} version {model['version']} {facts.get('family', '')}"
        lines.append((model.get("alias", "model"), words.rstrip()))
    lines += [(name.replace("_", " "), _number(value)) for name, value in metrics.items()]
    if "drift" in summary:
        lines.append(("drift", summary["drift"]))
    lines += [(name, str(facts[name])) for name in ("decision", "registry") if name in facts]
    if "report" in summary:
        lines.append(("report", summary["report"]))
    lines += [("next", text) for text in facts.get("next", ())]
    return lines


def _number(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
