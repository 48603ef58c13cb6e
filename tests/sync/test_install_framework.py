"""Beside the real pre-commit framework, whichever of the two was installed first."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import CHECKOUT, Git

from mlflow_dvc_plugin.cli import main

from .test_install import commit, files, put_in, states, taken_out_of
from .test_install_foreign import noted, plain

__all__ = ["noted", "plain"]

CONFIG = """\
repos:
- repo: local
  hooks:
  - id: note
    name: note
    language: system
    entry: sh -c 'echo framework >> "{noted}"'
    always_run: true
    pass_filenames: false
"""


def framework(*args: str) -> None:
    command = [FRAMEWORKS_PYTHON, "-m", "pre_commit", *args]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


FRAMEWORKS_PYTHON = sys.executable  # the fixture puts another program there


@pytest.mark.parametrize("first", ["framework", "ours"])
def test_both_run_and_each_can_be_taken_away(
    plain: Path, noted: Path, git: Git, first: str
) -> None:
    (plain / ".pre-commit-config.yaml").write_text(CONFIG.format(noted=noted))
    git("add", "--all", cwd=plain)
    hooks = plain / ".git/hooks"
    if first == "framework":
        framework("install")
        before = files(hooks)
        put_in(plain)
    else:
        put_in(plain)
        framework("install")
        put_in(plain)
    assert states(plain) == {"current"}
    commit(git, plain)
    lines = noted.read_text().splitlines()
    assert (lines.count("framework"), lines.count("ours pre-commit:")) == (1, 1)
    taken_out_of(plain)
    assert states(plain) == {"absent"}
    assert first == "ours" or files(hooks) == before
    noted.unlink()
    commit(git, plain)
    assert noted.read_text() == "framework\n"


def test_the_framework_accepts_our_hook_ids() -> None:
    framework("validate-manifest", str(CHECKOUT / ".pre-commit-hooks.yaml"))


def test_install_says_who_runs_the_checks_and_what_is_left_to_do(
    plain: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = plain / ".pre-commit-config.yaml"
    config.write_text("repos: []\n")
    assert main(["install"]) == 0
    assert "the checks are native hooks, too" in capsys.readouterr().out
    config.write_text("repos: []  # mlflow-dvc-pre-commit\n")
    assert main(["install"]) == 0
    assert "pre-commit: installed, though .pre-commit-config.yaml" in capsys.readouterr().out
    assert main(["uninstall"]) == 0
    assert main(["install"]) == 0
    install_it = "pre-commit install --hook-type pre-commit"
    assert f"pre-commit: not installed: run {install_it}" in capsys.readouterr().out
    assert main(["hooks", "status"]) == 1
    assert capsys.readouterr().err == f"hint: {install_it}\n"
    framework("install")
    assert main(["install"]) == 0
    assert "pre-commit: run by the pre-commit framework" in capsys.readouterr().out
    assert main(["hooks", "status"]) == 0
