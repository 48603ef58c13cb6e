"""Outside any repository, MLflow behaves as if the plug-in were not installed."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from conftest import Git, PythonIn
from tagrules import OURS

# What a user sees of a run, less what differs from run to run.
SCRIPT = """
import json, logging, sys, warnings
warnings.simplefilter("always")
import mlflow
logging.captureWarnings(True)
from mlflow.tracking.context import registry
providers = registry._run_context_provider_registry
ours = [p for p in providers if type(p).__module__.startswith("mlflow_dvc_plugin")]
assert len(ours) == 1, ours
if sys.argv[1] == "without":
    providers._registry = [p for p in providers if p not in ours]
with mlflow.start_run(run_name="same") as run:
    mlflow.log_metric("m", 1)
    with mlflow.start_run(run_name="child", nested=True) as child:
        pass
tags = mlflow.get_run(child.info.run_id).data.tags
tags.pop("mlflow.parentRunId")
print(json.dumps([mlflow.get_run(run.info.run_id).data.tags, tags, run.info.status]))
"""
# Standard error with standard output, so that a warning fails the comparison.
BOTH = "import os, sys; os.dup2(1, 2)\n" + SCRIPT


def said(output: str) -> list[str]:
    """Return the lines a user sees, less MLflow's own progress messages with their times."""
    return [line for line in output.splitlines() if " INFO " not in line and "INFO  [" not in line]


@pytest.mark.usefixtures("tracking_sqlite")
def test_a_run_outside_any_repository_is_as_without_the_plugin(
    tmp_path: Path, python_in: PythonIn
) -> None:
    folders = {name: tmp_path / name / "folder" for name in ("with", "without")}
    for folder in folders.values():
        folder.mkdir(parents=True)
    seen = {name: said(python_in(folder, BOTH, name)) for name, folder in folders.items()}
    assert seen["with"] == seen["without"]
    tags, child_tags, _ = json.loads(seen["with"][-1])
    assert not [key for key in (*tags, *child_tags) if key.startswith(OURS)]
    left = {name: os.listdir(folder) for name, folder in folders.items()}
    assert left["with"] == left["without"]


@pytest.mark.usefixtures("tracking_sqlite")
def test_a_disabled_plugin_leaves_mlflows_own_tags(repo: Path, python_in: PythonIn) -> None:
    disabled = said(python_in(repo, BOTH, "with", MLFLOW_DVC_DISABLE="1"))
    assert disabled == said(python_in(repo, BOTH, "without"))


@pytest.mark.usefixtures("tracking_sqlite")
def test_a_git_repository_without_dvc_is_silent_and_has_the_git_tags_only(
    tmp_path: Path, git: Git, python_in: PythonIn
) -> None:
    folder = tmp_path / "plain"
    folder.mkdir()
    git("init", "-q", cwd=folder)
    git("commit", "-q", "--allow-empty", "--message", "first", cwd=folder)
    seen = said(python_in(folder, BOTH, "with"))
    assert seen[:-1] == said(python_in(folder, BOTH, "without"))[:-1]
    tags = json.loads(seen[-1])[0]
    assert tags["mlflow.source.git.commit"] == git("rev-parse", "HEAD", cwd=folder)
    assert not [
        key for key in tags if key.startswith("dvc.") and key not in {"dvc.schema", "dvc.source"}
    ]


@pytest.mark.usefixtures("tracking_sqlite")
def test_a_run_in_a_repository_prints_nothing_more(repo: Path, python_in: PythonIn) -> None:
    """Clean or dirty: the tags say it, the terminal stays as it was."""
    (repo / "train.py").write_text("changed\n")
    (repo / "data/train.csv").write_text("changed\n")
    seen = said(python_in(repo, BOTH, "with"))
    assert seen[:-1] == said(python_in(repo, BOTH, "without"))[:-1]
    assert json.loads(seen[-1])[0]["git.dirty"] == "true"
