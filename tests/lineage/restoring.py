"""What the tests of `restore` share: running it, and runs with tags of the test's choice."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

from conftest import Git
from inprocess import mlflow_dvc

from lineage.making import made
from mlflow_dvc_plugin.lineage.outcome import Outcome
from mlflow_dvc_plugin.lineage.parts import How
from mlflow_dvc_plugin.lineage.record import Record
from mlflow_dvc_plugin.lineage.resolve import find
from mlflow_dvc_plugin.lineage.restore import restore
from mlflow_dvc_plugin.lineage.store import open_client


def bring(run: Record, start: Path | None = None, **how: Any) -> Outcome:
    """Restore the run, looking from ``start`` or the working directory."""
    return restore(run, How(**how), str(start or os.getcwd()), lambda *_: None)


def tagged(run: Record, **tags: str) -> Record:
    """Return the run as if it had these tags, ``__`` in the names for dots."""
    named = {key.replace("__", "."): value for key, value in tags.items()}
    return replace(run, tags={**run.tags, **named})


def manifest(run: Record, **paths: str) -> Record:
    return tagged(run, dvc__manifest=json.dumps(paths))


def beside(repo: Path, run: Record) -> Path:
    return repo.parent / f"{repo.name}-{run.run_id[:8]}"


def dirty_run(repo: Path, git: Git) -> Record:
    """Make a run in the dirty tree, and its snapshot as a commit."""
    run = made()
    assert run.dirty
    index = {"GIT_INDEX_FILE": str(repo / ".git/snapshot-index")}
    for command in (["read-tree", "HEAD"], ["add", "--all"]):
        subprocess.run(["git", *command], cwd=repo, env={**os.environ, **index}, check=True)
    tree = subprocess.run(
        ["git", "write-tree"], cwd=repo, env={**os.environ, **index}, check=True,
        capture_output=True, text=True,
    ).stdout.strip()  # fmt: skip
    commit = git("commit-tree", "-p", "HEAD", "-m", "snapshot", tree, cwd=repo)
    (repo / ".git/snapshot-index").unlink()
    client = open_client()
    client.set_tag(run.run_id, "git.snapshot", commit)
    client.set_tag(run.run_id, "git.tree", tree)
    return find(client, run.run_id)


def verb(*args: str) -> tuple[int, str, str]:
    """Run `mlflow-dvc restore` in the working directory."""
    return mlflow_dvc("restore", *args)
