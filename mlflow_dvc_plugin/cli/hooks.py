"""``mlflow-dvc hooks``: look at the Git hooks."""

from __future__ import annotations

import json
import os
from dataclasses import asdict

import click

from mlflow_dvc_plugin.cli.text import printable

_EXAMPLES = """\b
Examples:
  mlflow-dvc hooks status
  mlflow-dvc hooks status --json
"""


@click.group("hooks", epilog=_EXAMPLES)
def command() -> None:
    """Look at the Git hooks that `mlflow-dvc install` has installed."""


@command.command("status", epilog=_EXAMPLES)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def status(as_json: bool) -> int:
    """Tell whether the hooks are installed and current, and what the last sync could not do.

    The exit code is 1 when a hook that was asked for is not installed, or not current. Data that is
    not in sync is named and does not change it: `mlflow-dvc sync --dry-run` is for that.
    """
    from mlflow_dvc_plugin.sync.hooksfolder import find_hooks_folder
    from mlflow_dvc_plugin.sync.hookstatus import hints, hook_status
    from mlflow_dvc_plugin.sync.standing import standing

    folder = find_hooks_folder(os.getcwd())
    found = hook_status(folder)
    problems = standing(folder.worktree)
    fine = all(one.fine for one in found)
    if as_json:
        hooks = [asdict(one) for one in found]
        data = [one._asdict() for one in problems]
        result = {"folder": folder.path, "ok": fine, "hooks": hooks, "problems": data}
        click.echo(json.dumps(result, indent=2))
        return 0 if fine else 1
    click.echo(f"hooks in {printable(folder.path)}")
    for one in found:
        click.echo(f"{one.event}: {printable(one.text)}")
    for problem in problems:
        click.echo(f"not in sync: {printable(problem.text)}\n  {printable(problem.hint)}")
    if not fine:
        click.echo(f"hint: {printable(hints(found))}", err=True)
    return 0 if fine else 1
