"""The demo world of a use case becomes landing files; a use case whose files are delivered has none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidemill.cli.job import main
from tidemill.cli.result import OK, SKIPPED, Result
from tidemill.demo.generate import MANIFEST, find_manifest, generate, require_known, require_past
from tidemill.demo.world import World

if TYPE_CHECKING:
    from tidemill.cli.context import Context


def run(context: Context) -> Result:
    """Generates the world that the use case names, once: the same settings make the same files, even with --rebuild."""
    name = context.use_case.world
    if name is None:
        return Result(SKIPPED)
    require_known(name)
    settings = context.config.generate
    world = World(settings.accounts, settings.months, settings.seed)
    require_past(world, context.now)
    folder = context.root / "landing" / name
    manifest = find_manifest(folder, world)
    status = OK if manifest is None else SKIPPED
    if manifest is None:
        context.progress.say(f"{world.accounts} accounts over {world.months} months")
        manifest = generate(context.spark, world, folder)
    return Result(status, manifest["rows"], facts={"true_auc_path": str(folder / MANIFEST)})


if __name__ == "__main__":
    main("generate", run)
