"""``mlflow-dvc sync``: let the data follow the metadata, by hand."""

from __future__ import annotations

import json
import os

import click

from mlflow_dvc_plugin.cli.text import printable

_EXAMPLES = """\b
Examples:
  mlflow-dvc sync --dry-run        what would change, and what stands against it?
  mlflow-dvc sync
  mlflow-dvc sync --json
"""


@click.command("sync", epilog=_EXAMPLES)
@click.option("--dry-run", is_flag=True, help="Change nothing; say what would be changed.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(dry_run: bool, as_json: bool) -> int:
    """Make the data what the .dvc and dvc.lock files on disk say.

    The Git hooks do the same after every operation that changes them. Data comes from the DVC
    cache. Data with changes that are in no cache is never touched, and what a running job uses is
    left alone.

    Exit code 1 when something is not in sync.
    """
    from mlflow_dvc_plugin import gitdir
    from mlflow_dvc_plugin.sync.engine import sync

    worktree = gitdir.require_worktree(os.getcwd())
    report = sync(worktree, dry_run=dry_run, every=True)
    if as_json:
        click.echo(json.dumps({
            "in_sync": report.in_sync and not (dry_run and report.done), "dry_run": dry_run,
            "done": report.done, "notes": report.notes,
            "problems": [{"path": one.path, "text": one.text, "hint": one.hint}
                         for one in report.problems.values()],
        }, indent=2))  # fmt: skip
    else:
        for path, what in sorted(report.done.items()):
            click.echo(f"{'would be ' if dry_run else ''}{what}: {printable(path)}")
        for note in report.notes:
            click.echo(f"warning: {printable(note)}", err=True)
        for one in report.problems.values():
            click.echo(f"not in sync: {printable(one.text)}\n  {printable(one.hint)}")
        if report.in_sync and not report.done:
            click.echo("in sync: the data is what its metadata says")
    return 0 if report.in_sync and not (dry_run and report.done) else 1
