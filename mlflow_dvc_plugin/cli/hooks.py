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
    """Tell whether every hook is installed and current; the exit code is 1 when one is not."""
    from mlflow_dvc_plugin.sync.hooksfolder import find_hooks_folder
    from mlflow_dvc_plugin.sync.hookstatus import hook_status

    folder = find_hooks_folder(os.getcwd())
    found = hook_status(folder)
    fine = all(one.fine for one in found)
    if as_json:
        hooks = [asdict(one) for one in found]
        click.echo(json.dumps({"folder": folder.path, "ok": fine, "hooks": hooks}, indent=2))
        return 0 if fine else 1
    click.echo(f"hooks in {printable(folder.path)}")
    for one in found:
        click.echo(f"{one.event}: {printable(one.text)}")
    if not fine:
        click.echo("hint: mlflow-dvc install", err=True)
    return 0 if fine else 1
