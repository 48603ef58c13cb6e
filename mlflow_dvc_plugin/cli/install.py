"""``mlflow-dvc install``: let the data follow Git."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from mlflow_dvc_plugin.cli.text import printable
from mlflow_dvc_plugin.sync.events import EVENTS, SYNC_EVENTS

if TYPE_CHECKING:
    from mlflow_dvc_plugin.sync.hooksfolder import HooksFolder

_EXAMPLES = """\b
Examples:
  mlflow-dvc install
  mlflow-dvc install --dry-run
  mlflow-dvc install --event pre-commit --event pre-push
  mlflow-dvc install --manual        for a hook manager: print the scripts, change nothing
"""


@click.command("install", epilog=_EXAMPLES)
@click.option(
    "--event",
    "events",
    multiple=True,
    type=click.Choice(EVENTS),
    help="Only this hook; repeatable.",
)
@click.option("--manual", is_flag=True, help="Print the scripts instead of installing them.")
@click.option("--force", is_flag=True, help="Install into a hooks folder that others share.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and change nothing.")
def command(events: tuple[str, ...], manual: bool, force: bool, dry_run: bool) -> int:
    """Install the Git hooks of this repository.

    A hook that is there keeps running, before ours; DVC's own hooks are replaced. `mlflow-dvc
    uninstall` puts everything back as it was. The data follows the metadata at once, as with
    `mlflow-dvc sync`.
    """
    from mlflow_dvc_plugin.sync import install
    from mlflow_dvc_plugin.sync.hooksfolder import find_hooks_folder

    folder = find_hooks_folder(os.getcwd())
    if manual:
        _print_scripts(folder.path, events or EVENTS, install.interpreter(folder))
        return 0
    steps = install.install(folder, events, force, dry_run)
    click.echo(f"{'would install' if dry_run else 'hooks'} in {printable(folder.path)}")
    for step in steps:
        click.echo(f"{step.event}: {printable(step.text)}")
    if not install.interpreter(folder):
        click.echo("others may get these files: they look for Python on the PATH, when they run")
    _tell_of_framework(folder)
    if not dry_run and (not events or set(events) & set(SYNC_EVENTS)):
        _begin(folder)
    return 1 if any(step.problem for step in steps) else 0


def _begin(folder: HooksFolder) -> None:
    """Take down what is there: from now on the hooks look only at what changes."""
    from mlflow_dvc_plugin.sync.after import lines
    from mlflow_dvc_plugin.sync.engine import sync

    for line in lines(sync(folder.worktree)):
        click.echo(printable(line))


def _print_scripts(folder: str, events: tuple[str, ...], python: str) -> None:
    from mlflow_dvc_plugin.sync import scripts

    for event in events:
        text = scripts.script(event, python).decode("utf-8", "backslashreplace")
        click.echo(f"# ---- {printable(os.path.join(folder, event))}, mode 755 ----\n{text}")


def _tell_of_framework(folder: HooksFolder) -> None:
    """Say who does what where the pre-commit framework is configured, and what is left to do."""
    from mlflow_dvc_plugin.sync import hookstatus, install

    toplevel = folder.worktree.toplevel
    if not os.path.lexists(os.path.join(toplevel, install.FRAMEWORK_CONFIG)):
        return
    click.echo(
        "pre-commit framework: syncing stays in native hooks, which live beside it "
        "(the framework sets changes aside while it runs, and passes no arguments on)"
    )
    named = install.framework_events(toplevel)
    if not named:
        click.echo("the checks are native hooks, too, as its configuration has no mlflow-dvc-* id")
    for one in hookstatus.hook_status(folder):
        if one.event in named:
            text = one.text
            if one.state not in ("framework", "absent"):
                text = (
                    f"installed, though {install.FRAMEWORK_CONFIG} names it: it may run twice; to "
                    "leave it to the framework: mlflow-dvc uninstall && mlflow-dvc install"
                )
            click.echo(f"{one.event}: {text}")
