"""``mlflow-dvc doctor``: each line is ok, or names the command that mends it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import click

from mlflow_dvc_plugin.cli.text import printable
from mlflow_dvc_plugin.errors import MlflowDvcError

if TYPE_CHECKING:
    from mlflow_dvc_plugin.cli.checks import Check

_COLOURS = {"ok": "green", "note": "yellow", "problem": "red"}
_EXAMPLES = """\b
Examples:
  mlflow-dvc doctor
  MLFLOW_TRACKING_URI=http://localhost:5000 mlflow-dvc doctor
  mlflow-dvc doctor --json
"""


@click.command("doctor", epilog=_EXAMPLES)
@click.option("--json", "as_json", is_flag=True, help="Print the checks as JSON.")
def command(as_json: bool) -> int:
    """Check the set-up: each line is ok or names the fix.

    Run it in the folder, and with the Python environment, in which you start your runs. A note is
    worth knowing; a problem makes the exit code 1. No tracking store is created or changed.
    """
    found = []
    for check in _checks():
        found.append(check)
        if not as_json:
            _print(check)
            sys.stdout.flush()
    if as_json:
        click.echo(json.dumps([vars(check) for check in found], indent=2))
    return 1 if any(check.level == "problem" for check in found) else 0


def _checks() -> Iterator[Check]:
    """Run every check; one that cannot be made is itself a problem, and the others go on."""
    from mlflow_dvc_plugin.cli import checks, dvccheck, hookcheck

    todo: list[tuple[str, Callable[[], Iterator[Check]]]] = [
        ("versions", checks.versions),
        ("plugin", checks.plugin),
        ("switches", checks.switches),
        ("repositories", checks.repositories),
        ("dvc formats", dvccheck.formats),
        ("git hooks", hookcheck.git_hooks),
        ("dvc hooks", checks.dvc_hooks),
        ("merge driver", hookcheck.merge_driver),
        ("tracking", checks.tracking_store),
    ]
    for name, check in todo:
        yield from _made(name, check)


def _made(name: str, check: Callable[[], Iterator[Check]]) -> Iterator[Check]:
    from mlflow_dvc_plugin.cli.checks import Check

    try:
        yield from check()
    except MlflowDvcError as error:
        yield Check(name, "problem", error.message, error.hint)
    except ImportError as error:
        yield Check(name, "problem", f"cannot be checked: {error}")


def _print(check: Check) -> None:
    level = click.style(f"{check.level:8}", fg=_COLOURS[check.level])
    click.echo(f"{level}{check.name}: {printable(check.text)}")
    if check.fix:
        click.echo(f"        fix: {check.fix}")
