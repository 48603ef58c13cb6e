"""``mlflow-dvc diff``: what differs between two runs, or between a run and what is here now."""

from __future__ import annotations

import json
import math
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import click

from mlflow_dvc_plugin.cli.datarepo import data_repo_option
from mlflow_dvc_plugin.cli.progress import COMPARING, spinner
from mlflow_dvc_plugin.cli.runjson import run_json
from mlflow_dvc_plugin.cli.text import printable

if TYPE_CHECKING:
    from mlflow_dvc_plugin.lineage.diff import Diff

_PARTS = ("code", "data", "params", "metrics")  # as in lineage.diff, which loads too much for help
_EXAMPLES = """\b
Examples:
  mlflow-dvc diff 3f2a 91bc                  two runs
  mlflow-dvc diff 3f2a                       a run and what is here now
  mlflow-dvc diff 3f2a models:/wine@champion --patch
  mlflow-dvc diff 3f2a --only data --files   each file that changed
  mlflow-dvc diff 3f2a --only code --only data --exit-code && python train.py
"""


@click.command("diff", epilog=_EXAMPLES)
@click.argument("first", metavar="RUN")
@click.argument("second", metavar="[RUN]", required=False)
@click.option("--patch", "-p", is_flag=True, help="Show the changed lines of the code.")
@click.option("--files", is_flag=True, help="Name each changed file of the data.")
@click.option("--all", "everything", is_flag=True, help="Compare all outputs, not only inputs.")
@click.option("--only", type=click.Choice(_PARTS), multiple=True,
              help="Compare this part; may be repeated.")  # fmt: skip
@click.option("--exit-code", is_flag=True,
              help="Exit with 1 unless everything is known to be the same.")  # fmt: skip
@data_repo_option
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(  # noqa: PLR0913, PLR0917
    first: str, second: str | None, patch: bool, files: bool, everything: bool,
    only: tuple[str, ...], exit_code: bool, data_repo: str | None, as_json: bool,
) -> int:  # fmt: skip
    """Show what differs between two runs: code, data, parameters, metrics.

    With one RUN: what differs here, on disk, now. RUN is a run id or the beginning of one, the name
    of a DVC experiment, models:/NAME/VERSION or models:/NAME@ALIAS.

    Code is the tree that a run was made from: of a dirty run its snapshot. Data are the inputs,
    inside directories file by file. What cannot be told is said to be unknown.

    Exit code 0, also when something differs, unless --exit-code is given.
    """
    from mlflow_dvc_plugin.cli.diff_text import show
    from mlflow_dvc_plugin.lineage.diff import diff
    from mlflow_dvc_plugin.lineage.resolve import find
    from mlflow_dvc_plugin.lineage.store import experiment_names, open_client

    client = open_client()
    one = find(client, first)
    other = find(client, second) if second else None
    parts = only or _PARTS
    with spinner(COMPARING) if other is None and "data" in parts else nullcontext():
        found = diff(
            one, other, parts=parts, everything=everything, patch=patch, data_repo=data_repo
        )
    for text in found.warnings:
        click.echo(f"warning: {printable(text)}", err=True)
    names = experiment_names(client)
    if as_json:
        click.echo(json.dumps(_report(found, names), indent=2))
    else:
        show(found, names, files=files)
    return 1 if exit_code and found.same is not True else 0


def _report(found: Diff, names: dict[str, str]) -> dict[str, Any]:
    """Return everything as plain values."""
    from dataclasses import asdict

    code, data = found.code, found.data
    return {
        "same": found.same,
        "first": run_json(found.first, names),
        "second": run_json(found.second, names) if found.second else None,
        "code": None if code is None else {
            "same": code.same, "unknown": code.unknown or None, "notes": code.notes,
            "files": [asdict(one) for one in code.files],
            "commits": None if code.only is None else {
                "only_first": code.only[0], "only_second": code.only[1],
                "newest": [asdict(one) for one in code.commits],
            },
            "patch": code.patch.decode("utf-8", "surrogateescape") or None,
        },
        "data": None if data is None else {
            "same": data.same, "unknown": data.gaps, "equal": data.equal,
            "outputs": [asdict(one) for one in data.outputs],
        },
        "params": _pairs(found.params),
        "metrics": _pairs(found.metrics),
    }  # fmt: skip


def _pairs(values: Any) -> list[dict[str, Any]] | None:
    if values is None:
        return None
    return [
        {"name": name, "first": _finite(one), "second": _finite(other)}
        for name, (one, other) in values.items()
    ]


def _finite(value: Any) -> Any:
    """Return a number that JSON has: nan and the infinities become text."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
