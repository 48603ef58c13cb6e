"""Outside any repository, MLflow behaves as if the plug-in were not installed."""

from __future__ import annotations

import json
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


@pytest.mark.usefixtures("tracking_sqlite")
def test_a_run_outside_any_repository_is_as_without_the_plugin(
    tmp_path: Path, python_in: PythonIn
) -> None:
    with_plugin = python_in(tmp_path / "empty", BOTH, "with")
    without_plugin = python_in(tmp_path / "empty", BOTH, "without")
    assert with_plugin == without_plugin
    tags = json.loads(with_plugin)[0]
    assert not [key for key in tags if key.startswith(OURS)]
    assert list((tmp_path / "empty").iterdir()) == []


@pytest.mark.usefixtures("tracking_sqlite")
def test_a_disabled_plugin_leaves_mlflows_own_tags(repo: Path, python_in: PythonIn) -> None:
    disabled = python_in(repo, BOTH, "with", MLFLOW_DVC_DISABLE="1")
    assert disabled == python_in(repo, BOTH, "without")


@pytest.mark.usefixtures("tracking_sqlite")
def test_a_git_repository_without_dvc_is_silent_and_has_the_git_tags_only(
    tmp_path: Path, git: Git, python_in: PythonIn
) -> None:
    folder = tmp_path / "plain"
    folder.mkdir()
    git("init", "-q", cwd=folder)
    git("commit", "-q", "--allow-empty", "--message", "first", cwd=folder)
    tags = json.loads(python_in(folder, BOTH, "with"))[0]
    assert tags["mlflow.source.git.commit"] == git("rev-parse", "HEAD", cwd=folder)
    assert not [
        key for key in tags if key.startswith("dvc.") and key not in {"dvc.schema", "dvc.source"}
    ]


@pytest.mark.usefixtures("tracking_sqlite")
def test_a_run_in_a_repository_prints_nothing_more(repo: Path, python_in: PythonIn) -> None:
    """Clean or dirty: the tags say it, the terminal stays as it was."""
    (repo / "train.py").write_text("changed\n")
    (repo / "data/train.csv").write_text("changed\n")
    lines = python_in(repo, BOTH, "with").splitlines()
    assert len(lines) == 1 and json.loads(lines[0])[0]["git.dirty"] == "true"
