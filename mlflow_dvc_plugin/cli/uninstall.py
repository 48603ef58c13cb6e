"""``mlflow-dvc uninstall``: take the Git hooks away."""

from __future__ import annotations

import os

import click

from mlflow_dvc_plugin.cli.text import printable

_EXAMPLES = """\b
Examples:
  mlflow-dvc uninstall
  mlflow-dvc uninstall --dry-run
"""


@click.command("uninstall", epilog=_EXAMPLES)
@click.option("--dry-run", is_flag=True, help="Say what would be done, and change nothing.")
def command(dry_run: bool) -> int:
    """Remove the Git hooks of this repository, and put back what stood there before.

    A hook that was replaced or changed since is left alone and named; the exit code is then 1.
    """
    from mlflow_dvc_plugin.sync.hooksfolder import find_hooks_folder
    from mlflow_dvc_plugin.sync.install import uninstall

    folder = find_hooks_folder(os.getcwd())
    steps = uninstall(folder, dry_run)
    click.echo(f"{'would remove from' if dry_run else 'hooks in'} {printable(folder.path)}")
    for step in steps:
        click.echo(f"{step.event}: {printable(step.text)}")
    if not steps:
        click.echo("nothing of mlflow-dvc is installed there")
    return 1 if any(step.problem for step in steps) else 0
