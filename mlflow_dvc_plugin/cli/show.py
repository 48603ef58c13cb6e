"""``mlflow-dvc show``: everything about one run."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from mlflow_dvc_plugin.cli.datarepo import data_repo_option
from mlflow_dvc_plugin.cli.progress import progress
from mlflow_dvc_plugin.cli.text import day_and_minute, printable, shortened
from mlflow_dvc_plugin.cli.verify import run_values, verdict_text, where

if TYPE_CHECKING:
    from mlflow_dvc_plugin.lineage.place import Promise
    from mlflow_dvc_plugin.lineage.show import Model, Shown

_LISTED = 30  # entries of one kind
_EXAMPLES = """\b
Examples:
  mlflow-dvc show 3f2ab0c9
  mlflow-dvc show models:/churn@champion --deep
  mlflow-dvc show puffy-fogy --json
"""


@click.command("show", epilog=_EXAMPLES)
@click.argument("run")
@click.option("--deep", is_flag=True, help="Look for every file of every directory.")
@data_repo_option
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(run: str, deep: bool, data_repo: str | None, as_json: bool) -> int:
    """Show everything about one run, and where its code and data are now.

    RUN is a run id or the beginning of one, the name of a DVC experiment, models:/NAME/VERSION or
    models:/NAME@ALIAS. Whether all of it can be brought back is told by `mlflow-dvc verify`, with
    an exit code.
    """
    from mlflow_dvc_plugin import gitdir
    from mlflow_dvc_plugin.lineage.show import show
    from mlflow_dvc_plugin.lineage.store import open_client

    worktree = gitdir.require_worktree(os.getcwd())
    client = open_client()
    with progress() as report:
        found = show(client, worktree, run, report, deep=deep, data_repo=data_repo)
    if as_json:
        click.echo(json.dumps(_values(found), indent=2))
    else:
        _print(found)
    return 0


def _values(found: Shown) -> dict[str, Any]:
    run = found.run
    return {
        **run_values(found.report, {run.experiment_id: found.experiment}),
        "params": dict(run.params), "metrics": dict(run.metrics), "tags": dict(run.tags),
        "models": [
            {"uri": one.uri, "name": one.name, "registered": list(one.registered),
             "packages": None if one.packages is None else list(one.packages)}
            for one in found.models
        ],
    }  # fmt: skip


def _print(found: Shown) -> None:
    run = found.run
    click.echo(f"run {run.run_id} {printable(run.name)}")
    click.echo(f"  experiment {printable(found.experiment)}, {run.status.lower()}{_times(found)}")
    for kind in ("commit", "snapshot", "submodule", "data commit", "code", "tags"):
        for one in found.report.promises:
            if one.kind == kind:
                _line(f"{kind} {one.name[:12] or 'none'}", one)
    data = [one for one in found.report.promises if one.kind == "data"]
    if data:
        click.echo("data")
    for one in data[:_LISTED]:
        _line(f"  {one.name}  {one.hash}", one)
    if len(data) > _LISTED:
        click.echo(f"    and {len(data) - _LISTED} more; all of them: mlflow-dvc show --json")
    _mapping("params", run.params)
    _mapping("metrics", run.metrics)
    for line in _models(found.models):
        click.echo(line)
    click.echo(verdict_text(found.report.verdict))
    for hint in dict.fromkeys(one.place.hint for one in found.report.troubles if one.place.hint):
        click.echo(f"hint: {hint}", err=True)


def _times(found: Shown) -> str:
    run = found.run
    if run.start is None:
        return ""
    text = f", started {day_and_minute(run.start)}"
    return text if run.end is None else f"{text}, {(run.end - run.start) / 1000:.1f} s"


def _line(title: str, one: Promise) -> None:
    reason = f": {printable(one.place.reason)}" if one.verdict != "reproducible" else ""
    click.echo(f"  {printable(title)}  {where(one)}  {verdict_text(one.verdict)}{reason}")


def _mapping(title: str, values: Mapping[str, Any]) -> None:
    if values:
        click.echo(title)
    for key, value in sorted(values.items())[:_LISTED]:
        click.echo(f"  {printable(key)} = {shortened(printable(str(value)))}")
    if len(values) > _LISTED:
        click.echo(f"  and {len(values) - _LISTED} more; all of them: mlflow-dvc show --json")


def _models(models: tuple[Model, ...]) -> Iterator[str]:
    if models:
        yield "models"
    for one in models:
        names = f", registered as {', '.join(map(printable, one.registered))}"
        yield f"  {printable(one.uri)} {printable(one.name)}{names if one.registered else ''}"
        if one.packages is None:
            yield "    packages: MLflow has no list that can be read"
        else:
            yield f"    packages: {shortened(printable(', '.join(one.packages)), 300)}"
