"""``mlflow-dvc restore``: bring back the code and the data of a run."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import click

from mlflow_dvc_plugin.cli.datarepo import data_repo_option
from mlflow_dvc_plugin.cli.progress import progress
from mlflow_dvc_plugin.cli.text import amount, counted, printable

if TYPE_CHECKING:
    from mlflow_dvc_plugin.lineage.outcome import Outcome

_LISTED = 20  # checked pieces named one by one
_EXAMPLES = """\b
Examples:
  mlflow-dvc restore 3f2ab0c9
  mlflow-dvc restore 3f2ab0c9 --dry-run          what would be fetched?
  mlflow-dvc restore models:/wine@champion --to ../champion
  mlflow-dvc restore 3f2ab0c9 --only data --to ../its-data
  mlflow-dvc restore 3f2ab0c9 --in-place         in this worktree, when it is clean
"""


@click.command("restore", epilog=_EXAMPLES)
@click.argument("run")
@click.option("--to", metavar="DIR", help="Where to: a new or empty folder.")
@click.option("--in-place", is_flag=True, help="In this worktree; only when nothing is unsaved.")
@click.option("--only", type=click.Choice(["code", "data"]), help="Leave out the other one.")
@click.option("--all", "everything", is_flag=True, help="Every output, not the run's inputs alone.")
@data_repo_option
@click.option("--dry-run", is_flag=True, help="Change nothing; say what would be fetched.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(  # noqa: PLR0913, PLR0917
    run: str, to: str | None, in_place: bool, only: str | None, everything: bool,
    data_repo: str | None, dry_run: bool, as_json: bool,
) -> int:  # fmt: skip
    """Bring back the code and the data of RUN.

    Into a linked Git worktree beside the repository, which shares its DVC cache: the current work
    is not touched. RUN is a run id or the beginning of one, the name of a DVC experiment,
    models:/NAME/VERSION or models:/NAME@ALIAS.

    A commit or snapshot that is not here is fetched from the Git remotes, data that is not in the
    cache from the DVC remotes of today's configuration. The hashes are those of the run's tags, and
    all that came back is compared with them.

    Exit code 1 when a piece is missing or differs; each place that was tried is named.
    """
    from mlflow_dvc_plugin.lineage.parts import How
    from mlflow_dvc_plugin.lineage.resolve import find
    from mlflow_dvc_plugin.lineage.restore import restore
    from mlflow_dvc_plugin.lineage.store import open_client

    if to and in_place:
        raise click.UsageError("--to and --in-place exclude each other")
    how = How(to, in_place, only, everything, dry_run, data_repo)
    with progress() as show:
        outcome = restore(find(open_client(), run), how, os.getcwd(), show)
    if as_json:
        click.echo(json.dumps(_plain(outcome, dry_run), indent=2))
    else:
        _print(outcome, dry_run)
    return 0 if outcome.whole else 1


def _plain(outcome: Outcome, dry_run: bool) -> dict[str, object]:
    return {
        "run_id": outcome.run_id, "dry_run": dry_run, "whole": outcome.whole, "made": outcome.made,
        "folders": outcome.folders, "commits_from": outcome.commits_from,
        "fetched": {"objects": outcome.fetched, "bytes": outcome.size},
        "checked": outcome.checked, "lacking": outcome.lacking,
        "missing": [{"path": one.path, "hash": one.hash, "tried": list(one.tried)}
                    for one in outcome.missing],
        "notes": outcome.notes, "back": outcome.back,
    }  # fmt: skip


def _print(outcome: Outcome, dry_run: bool) -> None:
    for note in outcome.notes:
        click.echo(f"note: {printable(note)}", err=True)
    for commit, remote in outcome.commits_from.items():
        click.echo(f"fetched commit {commit} from Git remote '{printable(remote)}'")
    if outcome.fetched or dry_run:
        size = "size unknown" if outcome.size is None else amount(outcome.size)
        what = "would be fetched" if dry_run else "fetched"
        click.echo(f"{what}: {counted(outcome.fetched, 'object')}, {size}")
    for one in outcome.missing:
        click.echo(f"missing: {printable(one.path)} ({one.hash})")
        for tried in one.tried:
            click.echo(f"  tried {printable(tried)}")
    for path, why in sorted(outcome.lacking.items()):
        click.echo(f"not brought back: {printable(path)}: {printable(why)}")
    checked = sorted(outcome.checked.items())
    for path, value in checked[:_LISTED]:
        click.echo(f"as the run had it: {printable(path)} ({value})")
    if len(checked) > _LISTED:
        click.echo(f"as the run had it: {len(checked) - _LISTED} more")
    _print_folders(outcome, dry_run)


def _print_folders(outcome: Outcome, dry_run: bool) -> None:
    if outcome.missing:
        click.echo("nothing was brought back" if not dry_run else "it could not be brought back")
        click.echo(f"hint: mlflow-dvc restore {outcome.run_id} --only code", err=True)
        return
    for folder, commit in outcome.folders.items():
        what = f"commit {commit}" if commit else "data"
        click.echo(f"{'would be' if dry_run else 'is'} in {printable(folder)}: {what}")
    if outcome.back:
        click.echo(f"to go back: git checkout {printable(outcome.back)} && mlflow-dvc sync")
