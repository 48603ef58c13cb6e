"""``mlflow-dvc tag``: put the tags on a run that no provider saw."""

from __future__ import annotations

import json
import os

import click

from mlflow_dvc_plugin.cli.text import printable, shortened

_EXAMPLES = """\b
Examples:
  mlflow-dvc tag 3f2ab0c9e5d84a7f9d1f0a2b4c6d8e0f
  MLFLOW_TRACKING_URI=http://localhost:5000 mlflow-dvc tag 3f2ab0c9e5d84a7f9d1f0a2b4c6d8e0f
  python -c "import mlflow_dvc_plugin as p; p.tag_run('3f2ab0c9e5d84a7f9d1f0a2b4c6d8e0f')"
"""


@click.command("tag", epilog=_EXAMPLES)
@click.argument("run_id", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(run_id: str | None, as_json: bool) -> int:
    """Tag a run that was started without the plugin.

    For resumed runs, `mlflow run`, MlflowClient.create_run and runs that are finished. Without
    RUN_ID the run is the one that MLFLOW_RUN_ID names. The tags state the code and data that are
    here NOW: run it where, and while, these are what the run was made from.

    Tags that the run has are kept. A run that carries dvc.schema was tagged before and is left
    alone. A run whose mlflow.source.git.commit is another than the one checked out here is refused.
    """
    from mlflow_dvc_plugin import tracking
    from mlflow_dvc_plugin.tagging import Tagged, tag

    if not run_id and not os.environ.get("MLFLOW_RUN_ID"):
        raise click.UsageError("which run? name it: mlflow-dvc tag RUN_ID")
    tracking.require(tracking.tracking_uri())
    done: Tagged = tag(run_id)
    for _, text in done.warnings:
        click.echo(f"warning: {text}", err=True)
    if as_json:
        click.echo(json.dumps({
            "run_id": done.run_id, "added": done.added, "kept": done.kept,
            "tagged_before": done.before,
        }, indent=2))  # fmt: skip
        return 0
    if done.before is not None:
        click.echo(f"unchanged: it was tagged before (dvc.source = {done.before})")
    for key, value in done.added.items():
        click.echo(f"{key} = {shortened(printable(value))}")
    for key, value in done.kept.items():
        click.echo(f"kept, though it differs here: {key} = {shortened(printable(value))}")
    return 0
