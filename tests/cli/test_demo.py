from __future__ import annotations

import os
import re
import time
from pathlib import Path

import mlflow
import pytest
from conftest import Git

from mlflow_dvc_plugin.cli import demo_project

from .conftest import Command, Done

HOSTILE_SETTINGS = """\
[commit]
    gpgSign = true
[gpg]
    program = /bin/false
[core]
    hooksPath = {hooks}
    excludesFile = {hooks}/ignore
[init]
    defaultBranch = trunk
    templateDir = {hooks}/none
"""


@pytest.fixture
def hostile_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No Git identity, a hook that always fails, signing that cannot work, a shared DVC cache."""
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    (hooks / "pre-commit").write_text("#!/bin/sh\nexit 1\n")
    (hooks / "pre-commit").chmod(0o755)
    (hooks / "ignore").write_text("*.dvc\n*.py\n")
    settings = tmp_path / "hostile-gitconfig"
    settings.write_text(HOSTILE_SETTINGS.format(hooks=hooks))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    dvc = tmp_path / "hostile-dvc"
    dvc.mkdir()
    shared = f"[cache]\n    dir = {tmp_path}/shared\n[core]\n    autostage = true\n"
    (dvc / "config").write_text(shared)
    monkeypatch.setenv("DVC_GLOBAL_CONFIG_DIR", str(dvc))
    monkeypatch.setenv("MLFLOW_DVC_DISABLE", "1")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")


@pytest.mark.slow
def test_it_builds_a_project_whose_runs_are_found(
    tmp_path: Path, process: Command, git: Git, hostile_settings: None
) -> None:
    start, before = time.monotonic(), os.times()
    done: Done = process("demo", "a folder")
    seconds = time.monotonic() - start
    cpu_seconds = os.times().children_user - before.children_user
    assert done.code == 0, done.err
    folder = tmp_path / "empty/a folder"
    _assert_it_ends_with_the_line_that_opens_it(done, folder)
    _assert_the_runs_are_found(done, folder)
    assert git("branch", "--show-current", cwd=folder) == "main"
    assert git("status", "--porcelain", cwd=folder) == " M train.py"
    assert not (tmp_path / "shared").exists()
    # On a machine that does nothing else this is the time a person waits.
    assert min(seconds, cpu_seconds) < 60


def _assert_the_runs_are_found(done: Done, folder: Path) -> None:
    runs = mlflow.MlflowClient(f"sqlite:///{folder}/mlflow.db").search_runs(
        ["0"], order_by=["attributes.start_time ASC"]
    )
    tags = [run.data.tags for run in runs]
    assert [one["git.dirty"] for one in tags] == ["false", "false", "false", "true"]
    assert [one["dvc.status"] for one in tags] == ["clean"] * 4
    assert tags[0]["dvc.hash"] == tags[1]["dvc.hash"] != tags[2]["dvc.hash"] == tags[3]["dvc.hash"]
    assert re.findall(r"-> run (.*)", done.out) == ["3, 4", "1, 2", "3, 4", "1, 2, 3"]


def _assert_it_ends_with_the_line_that_opens_it(done: Done, folder: Path) -> None:
    last = done.out.splitlines()[-1]
    assert last == f"  mlflow ui --backend-store-uri 'sqlite:///{folder}/mlflow.db'"


def test_the_training_script_has_no_line_about_git_or_dvc() -> None:
    assert not re.search("git|dvc|commit|hash", demo_project.TRAIN, re.IGNORECASE)


@pytest.mark.parametrize("name", ["file", ".hidden"])
def test_a_folder_with_something_in_it_is_left_as_it_is(command: Command, name: str) -> None:
    Path("mine").mkdir()
    Path("mine", name).write_text("mine")
    done = command("demo", "mine")
    assert done.code == 1
    assert "is not empty, and is left as it is" in done.err
    assert os.listdir("mine") == [name]


def test_a_file_in_the_way_is_an_error(command: Command) -> None:
    Path("mine").write_text("mine")
    done = command("demo", "mine")
    assert done.code == 1
    assert done.err.startswith("error: ")
    assert Path("mine").read_text() == "mine"


def test_without_scikit_learn_it_names_the_install_line(process: Command) -> None:
    done = process("demo", without=("sklearn",))
    assert done.code == 1
    assert "error: the demo needs scikit-learn" in done.err
    assert "-m pip install scikit-learn" in done.err
    assert os.listdir() == []
