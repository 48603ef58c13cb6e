"""Runs made by MLflow in the working directory, with the tags of the real provider."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from conftest import Dvc, Git
from tracing import unmeasured

from mlflow_dvc_plugin.gitdir import find_worktree
from mlflow_dvc_plugin.lineage.find import find_runs
from mlflow_dvc_plugin.lineage.hits import Answer, Scope
from mlflow_dvc_plugin.lineage.record import Record
from mlflow_dvc_plugin.lineage.resolve import find
from mlflow_dvc_plugin.lineage.store import experiment_ids, open_client
from mlflow_dvc_plugin.lineage.what import meaning


def made(name: str = "run", **params: str) -> Record:
    """Start and end a run here and now; return it as the store has it."""
    import mlflow

    # The tests of the provider are others.
    with unmeasured(), mlflow.start_run(run_name=name) as run:
        mlflow.log_params(params)
        mlflow.log_metric("loss", len(params))
    return find(open_client(), run.info.run_id)


def keep(repo: Path, folder: str, files: Mapping[str, bytes], git: Git, dvc: Dvc) -> None:
    """Write the files into the folder, add it to DVC, and commit all of the repository."""
    for name, data in files.items():
        (repo / folder / name).parent.mkdir(parents=True, exist_ok=True)
        (repo / folder / name).write_bytes(data)
    dvc("add", "--quiet", folder)
    git("add", "--all")
    git("commit", "-qm", folder)


def answered(text: str, *, order: Sequence[str] = ()) -> Answer:
    """Ask for the runs of this, here."""
    client = open_client()
    worktree = find_worktree(os.getcwd())
    scope = Scope(client, experiment_ids(client), order)
    return find_runs(scope, worktree, meaning(worktree, text, os.getcwd()))
