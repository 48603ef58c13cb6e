"""``mlflow-dvc prune``: drop the snapshots of deleted runs."""

from __future__ import annotations

import json
import os

import click

from mlflow_dvc_plugin.cli.text import counted

_EXAMPLES = """\b
Examples:
  mlflow-dvc prune --dry-run
  mlflow-dvc prune
"""


@click.command("prune", epilog=_EXAMPLES)
@click.option("--dry-run", is_flag=True, help="Change nothing; say what would be dropped.")
@click.option("--strangers", is_flag=True,
              help="Drop those as well that no run of this tracking store names.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(dry_run: bool, strangers: bool, as_json: bool) -> int:
    """Drop the snapshots of deleted runs.

    A snapshot keeps the tree of a run that was started with uncommitted changes. One that an active
    run or a registered model needs is never dropped. Those that no run of this store names stay as
    well: their runs may be in another store. Git frees the space at its next garbage collection.
    """
    from mlflow_dvc_plugin import gitdir
    from mlflow_dvc_plugin.lineage.prune import prune
    from mlflow_dvc_plugin.lineage.store import open_client

    worktree = gitdir.require_worktree(os.getcwd())
    done = prune(open_client(), worktree, strangers=strangers, dry_run=dry_run)
    if as_json:
        found = {"dropped": done.dropped, "used": done.used, "strangers": done.strangers}
        click.echo(json.dumps({"dry_run": dry_run, **found}, indent=2))
        return 0
    word = "would be dropped" if dry_run else "dropped"
    click.echo(f"{counted(len(done.dropped), 'snapshot')} {word}, {len(done.used)} in use")
    if done.strangers:
        click.echo(
            f"{counted(len(done.strangers), 'snapshot')} kept that no run of this tracking store "
            "names; to drop them too: mlflow-dvc prune --strangers"
        )
    return 0
