"""Runs as they were made before the plugin: with a commit, and the name of their script."""

from __future__ import annotations

from typing import Any

from tracing import unmeasured

from mlflow_dvc_plugin.lineage.backfill import Backfilled, backfill
from mlflow_dvc_plugin.lineage.past import place
from mlflow_dvc_plugin.lineage.record import Record
from mlflow_dvc_plugin.lineage.resolve import find
from mlflow_dvc_plugin.lineage.store import experiment_ids, open_client
from mlflow_dvc_plugin.tags import COMMIT

UNSEEN = {"git.dirty", "mlflow.source.git.dirty", "dvc.status", "dvc.changed", "dvc.source"}


def old_run(commit: str, script: str = "", experiment: str = "0", **tags: str) -> str:
    """Make a run that no provider sees; return its id."""
    given = {COMMIT: commit, "mlflow.source.type": "LOCAL", **tags}
    if script:
        given["mlflow.source.name"] = script
    client = open_client()
    with unmeasured():
        run_id: str = client.create_run(experiment, tags=given).info.run_id
        client.set_terminated(run_id)
    return run_id


def filled(*names: str, write: bool = True, **options: Any) -> Backfilled:
    """Do what the command does, in the working directory."""
    toplevel, named = place()
    client = open_client()
    ids = experiment_ids(client, names)
    return backfill(client, toplevel, ids, write=write, named=named, **options)


def run(run_id: str) -> Record:
    return find(open_client(), run_id)


def ours(record: Record) -> dict[str, str]:
    """Return the tags of the contract, less MLflow's own."""
    return {key: value for key, value in record.tags.items() if key.startswith(("git.", "dvc."))}
