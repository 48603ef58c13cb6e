"""``mlflow-dvc push``: share runs."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import click

from mlflow_dvc_plugin.cli.datarepo import data_repo_option
from mlflow_dvc_plugin.cli.progress import progress
from mlflow_dvc_plugin.cli.text import counted, printable

if TYPE_CHECKING:
    from mlflow_dvc_plugin.lineage.push import Failure

_NAMED = 5  # runs
_EXAMPLES = """\b
Examples:
  mlflow-dvc push 3f2ab0c9
  mlflow-dvc push models:/wine@champion
"""


@click.command("push", epilog=_EXAMPLES)
@click.argument("runs", metavar="RUN...", nargs=-1, required=True)
@click.option(
    "--remote", metavar="NAME", help="The Git remote; origin, or the only one, when not given."
)
@data_repo_option
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(runs: tuple[str, ...], remote: str | None, data_repo: str | None, as_json: bool) -> int:
    """Share the code and the input data of runs.

    A commit or snapshot that the Git remote lacks is pushed under refs/mlflow-dvc/snapshots/, where
    `mlflow-dvc restore` finds it in any clone. Data that the DVC remote lacks is uploaded from the
    cache.

    RUN is a run id or the beginning of one, the name of a DVC experiment, models:/NAME/VERSION or
    models:/NAME@ALIAS.

    A remote that fails is named, and keeps nothing from the others. Exit code 1 when something
    could not be shared.
    """
    from dataclasses import asdict

    from mlflow_dvc_plugin import gitdir
    from mlflow_dvc_plugin.lineage.push import push
    from mlflow_dvc_plugin.lineage.resolve import find_all
    from mlflow_dvc_plugin.lineage.store import open_client

    worktree = gitdir.require_worktree(os.getcwd())
    found = find_all(open_client(), runs)
    with progress() as show:
        done = push(worktree, found, remote, show, data_repo)
    if as_json:
        click.echo(json.dumps(asdict(done), indent=2))
    else:
        for commit in done.code:
            click.echo(f"pushed {commit} to {printable(done.remote)}")
        for commit in done.there:
            click.echo(f"{printable(done.remote)} has {commit} already")
        for name, count in done.data.items():
            click.echo(f"{counted(count, 'object')} uploaded to DVC remote {printable(name)}")
        for text in done.problems:
            click.echo(f"not shared: {printable(text)}", err=True)
        for one in done.failed:
            click.echo(f"not shared: {printable(one.text)}", err=True)
            _hint(one)
    return 0 if done.whole else 1


def _hint(one: Failure) -> None:
    some = ", ".join(run[:8] for run in one.runs[:_NAMED])
    more = f" and {len(one.runs) - _NAMED} more" if len(one.runs) > _NAMED else ""
    click.echo(f"  which concerns {some}{more}", err=True)
    if one.hint:
        click.echo(f"hint: {printable(one.hint)}", err=True)
