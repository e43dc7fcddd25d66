"""`tidemill contract`: drafts a contract from data, checks it, and says what a change of it breaks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tidemill.cli.shown import REPO, Json, Repo, show_rows
from tidemill.core.errors import Exit, TidemillError
from tidemill.data.contract_diff import compare_contracts
from tidemill.data.contract_draft import draft_contract
from tidemill.data.contract_file import read_contract_file
from tidemill.data.kinds import kind_of
from tidemill.data.kinds.kind import FileKind

Contracts = Annotated[list[Path] | None, typer.Argument(help="Contract files (default: all of the repository).")]
app = typer.Typer(no_args_is_help=True, help=__doc__)


@app.command()
def infer(
    file: Annotated[Path, typer.Argument(help="CSV with a header, JSON lines or Parquet; .gz too.")],
    name: Annotated[str | None, typer.Option(help="Of the table (default: the file's name).")] = None,
) -> None:
    """Prints the draft of a contract that the first rows of a file satisfy."""
    print(draft_contract(file, name or file.name.partition(".")[0]), end="")


@app.command()
def check(
    contracts: Contracts = None,
    file: Annotated[Path | None, typer.Option(help="A file to judge by the one contract.")] = None,
    repo: Repo = REPO,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Reads contracts as the jobs do; with --file also says whether a file would be accepted."""
    paths = contracts or sorted((repo / "contracts").rglob("*.yaml"))
    rows = []
    for path in paths:
        contract = read_contract_file(path)
        rows.append({"contract": str(path), "table": contract.name, "columns": len(contract.columns), "file": "ok"})
        if file is not None:
            kind = kind_of(contract.format)
            if not isinstance(kind, FileKind):
                raise TidemillError(
                    "E_USAGE",
                    f"the source of {contract.name!r} has no files: it is of kind {contract.format!r}",
                    where="--file",
                    next_step="leave --file out",
                    exit_code=Exit.USAGE,
                )
            found = kind.inspect(file, contract)
            if found.reason is not None:
                raise TidemillError(
                    "E_FILE",
                    f"the file would be rejected as a whole, {found.reason}: {found.detail}",
                    where=str(file),
                    next_step="correct the file or the contract",
                    exit_code=Exit.DATA,
                )
    show_rows(rows, ("contract", "table", "columns"), as_json=as_json)


@app.command()
def diff(
    old: Annotated[Path, typer.Argument(help="The contract as it was.")],
    new: Annotated[Path, typer.Argument(help="The contract as it shall be.")],
    as_json: Json = False,
) -> None:
    """Lists what differs; ends with 65 where a reader of the table may break."""
    changes = compare_contracts(read_contract_file(old), read_contract_file(new))
    rows = [{"effect": "breaks" if c.breaking else "compatible", "change": c.what} for c in changes]
    show_rows(rows, ("effect", "change"), as_json=as_json)
    if any(change.breaking for change in changes):
        raise TidemillError(
            "E_BREAKING",
            f"{sum(c.breaking for c in changes)} change(s) may break readers",
            where=str(new),
            next_step="keep the old column beside the new one, or agree with the readers first",
            exit_code=Exit.DATA,
        )
