"""``mlflow-dvc backfill``: tags for the runs that were made before the plugin."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from mlflow_dvc_plugin.cli.datarepo import data_repo_option
from mlflow_dvc_plugin.cli.progress import progress
from mlflow_dvc_plugin.cli.text import counted, printable

if TYPE_CHECKING:
    from mlflow_dvc_plugin.lineage.backfill import Backfilled

_NAMED = 5  # commits or runs named one by one
_EXAMPLES = """\b
Examples:
  mlflow-dvc backfill                        what would be written
  mlflow-dvc backfill --apply
  mlflow-dvc backfill --experiment wine --limit 100 --apply
  mlflow-dvc backfill --data-repo models/wine --apply
"""


@click.command("backfill", epilog=_EXAMPLES)
@click.option("--experiment", "experiments", multiple=True, metavar="NAME",
              help="Only runs of this experiment; may be repeated.")  # fmt: skip
@click.option("--limit", type=click.IntRange(1), metavar="N", help="At most the N newest runs.")
@click.option("--apply", "write", is_flag=True, help="Write the tags.")
@data_repo_option
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(
    experiments: tuple[str, ...], limit: int | None, write: bool, data_repo: str | None,
    as_json: bool,
) -> int:  # fmt: skip
    """Tag runs that have only a Git commit, from what that commit states.

    The DVC metadata is read from Git objects: nothing is checked out. The tags say what a run
    started from a complete checkout of the commit would carry, with dvc.source = backfill, and
    neither dvc.status nor git.dirty: nobody saw the disk. Without --apply nothing is written.

    No tag that a run has is changed, and a run with dvc.schema is left alone. Where a commit has
    several DVC repositories, and the run's script does not tell which is meant, --data-repo
    names it.

    Exit code 1 when some runs cannot be tagged, such as those whose commit is not here.
    """
    from mlflow_dvc_plugin.lineage.backfill import backfill
    from mlflow_dvc_plugin.lineage.past import place
    from mlflow_dvc_plugin.lineage.store import experiment_ids, open_client

    toplevel, named = place(data_repo)
    client = open_client()
    ids = experiment_ids(client, experiments)
    with progress() as show:
        found = backfill(
            client, toplevel, ids, limit=limit, write=write, named=named, progress=show
        )  # fmt: skip
    if as_json:
        click.echo(json.dumps(_values(found, write), indent=2))
    else:
        _print(found, write)
    return 0 if found.complete else 1


def _values(found: Backfilled, write: bool) -> dict[str, object]:
    return {
        "applied": write, "runs": found.runs, "commits": found.commits, "here": found.here,
        "written": found.written, "tagged_before": found.tagged, "not_here": found.absent,
        "unreadable": found.broken, "several_dvc_repositories": found.several,
        "refused": found.refused,
    }  # fmt: skip


def _print(found: Backfilled, write: bool) -> None:
    absent, several = found.absent.total(), found.several.total()
    click.echo(f"runs without tags: {found.runs}, from {counted(found.commits, 'commit')}")
    click.echo(f"  commit here:     {found.here}")
    click.echo(f"  commit not here: {absent}{_some(found.absent)}")
    if several:
        click.echo(f"  not known which DVC repository: {several}{_some(found.several)}")
    for name, reason in (found.broken | found.refused).items():
        click.echo(f"  {printable(name)}: {printable(reason)}")
    if found.tagged is not None:
        click.echo(f"tagged before: {found.tagged}")
    if write:
        click.echo(f"written: {counted(found.written, 'run')}")
    elif found.here:
        click.echo(f"nothing is written; {counted(found.here, 'run')} would be by --apply")
    if found.absent:
        _hint(found.hint)
    if several:
        _hint("mlflow-dvc backfill --data-repo <the folder of the one that the runs used>")


def _hint(text: str) -> None:
    click.echo(f"hint: {text}", err=True)


def _some(commits: dict[str, int]) -> str:
    """Return the commits with most runs, in brackets."""
    if not commits:
        return ""
    most = sorted(commits.items(), key=lambda item: (-item[1], item[0]))
    names = [f"{printable(commit[:12])} ({counted(runs, 'run')})" for commit, runs in most[:_NAMED]]
    more = [f"{len(most) - _NAMED} more, see --json"] if len(most) > _NAMED else []
    return f", from {counted(len(most), 'commit')}: " + ", ".join(names + more)
