"""Run by the pre-commit framework, which passes neither Git's arguments nor its standard input."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import CHECKOUT, Git

from mlflow_dvc_plugin.cli import main
from sync.conftest import Commit, Push, stored

from .test_prepush import lose, md5

LOCAL = f"""\
repos:
- repo: local
  hooks:
  - id: mlflow-dvc-pre-push
    name: ours
    language: system
    entry: {sys.executable} -m mlflow_dvc_plugin.hook pre-push
    stages: [pre-push]
    always_run: true
    verbose: true
    pass_filenames: false
"""


def framework(*args: str) -> str:
    command = [sys.executable, "-m", "pre_commit", *args]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def answer(*args: str) -> tuple[int, str]:
    """Run Git; return its exit code, and what it and the framework, on standard output, say."""
    done = subprocess.run(
        ["git", *args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    return done.returncode, done.stdout


def installed(repo: Path, git: Git, config: str) -> None:
    """Commit the configuration, and let the framework take the place of our hooks."""
    (repo / ".git/hooks/pre-push").unlink()
    (repo / ".pre-commit-config.yaml").write_text(config)
    git("add", "--all", cwd=repo)
    git("commit", "--quiet", "--message", "framework", cwd=repo)
    framework("install", "--hook-type", "pre-commit", "--hook-type", "pre-push")


@pytest.fixture
def framed(repo: Path, origin: Path, git: Git) -> Path:
    installed(repo, git, LOCAL)
    return repo


def test_the_first_push_of_a_history_uploads_its_data(
    framed: Path, push: Push, commit_data: Commit
) -> None:
    shutil.rmtree(framed.parent / "remote")
    commit_data("data/train.csv", "second\n")
    done = push("origin", "HEAD~0:refs/heads/main")
    assert done.code == 0, done.err
    assert stored(framed.parent / "remote") == stored(framed / ".dvc/cache")


@pytest.mark.parametrize("target", ["main", "HEAD:refs/heads/new"])
def test_later_pushes_upload_what_is_new(
    framed: Path, push: Push, commit_data: Commit, target: str
) -> None:
    assert push().code == 0
    shutil.rmtree(framed.parent / "remote")
    for number in range(3):
        commit_data("data/train.csv", f"{number}\n")
    done = push("origin", target)
    assert done.code == 0, done.err
    assert stored(framed.parent / "remote") == {md5(f"{number}\n") for number in range(3)}


def test_data_that_is_nowhere_stops_the_push(
    framed: Path, git: Git, commit_data: Commit, origin: Path
) -> None:
    commit_data("data/train.csv", "lost\n")
    lose(framed, md5("lost\n"))
    code, said = answer("push", "origin", "main")
    assert code != 0
    assert "in neither the cache nor the DVC remote" in said
    assert git("for-each-ref", cwd=origin) == ""


def test_a_run_by_hand_takes_the_refs_that_it_is_given(framed: Path, commit_data: Commit) -> None:
    commit_data("data/train.csv", "second\n")
    by_hand = ("run", "--hook-stage", "pre-push")
    assert "names no pushed commit: no data was looked at" in framework(*by_hand)
    assert md5("second\n") not in stored(framed.parent / "remote")
    framework(*by_hand, "--from-ref", "HEAD~1", "--to-ref", "main")
    assert md5("second\n") in stored(framed.parent / "remote")


def test_a_plain_push_is_not_misled_by_variables_of_the_framework(
    repo: Path, git: Git, push: Push, commit_data: Commit
) -> None:
    first = git("rev-parse", "HEAD", cwd=repo)
    commit_data("data/train.csv", "second\n")
    told = {"PRE_COMMIT": "1", "PRE_COMMIT_TO_REF": first, "PRE_COMMIT_FROM_REF": first}
    assert push("origin", "main", "main:gone", **told).code == 0
    assert md5("second\n") in stored(repo.parent / "remote")
    commit_data("data/train.csv", "third\n")
    assert push("origin", ":gone", **told | {"PRE_COMMIT_TO_REF": "HEAD"}).code == 0
    assert md5("third\n") not in stored(repo.parent / "remote")


def test_a_native_hook_beside_the_framework_sees_all_refs(
    repo: Path, origin: Path, git: Git, commit_data: Commit
) -> None:
    assert origin.is_dir()
    theirs = LOCAL.replace("mlflow-dvc-pre-push", "theirs")
    command = f"{sys.executable} -m mlflow_dvc_plugin.hook pre-push"
    installed(repo, git, theirs.replace(command, "echo theirs"))
    assert main(["install", "--event", "pre-push"]) == 0
    commit_data("data/train.csv", "second\n")
    git("switch", "--quiet", "--create", "other", cwd=repo)
    commit_data("data/train.csv", "third\n")
    code, said = answer("push", "origin", "main", "other")
    assert code == 0, said
    assert "theirs" in said
    assert {md5("second\n"), md5("third\n")} <= stored(repo.parent / "remote")


@pytest.fixture
def built(repo: Path, origin: Path, git: Git) -> Path:
    """Use our hook ids from a clone, in the environment that the framework makes with pip."""
    assert origin.is_dir()
    ours = repo.parent / "ours"
    git("clone", "--quiet", str(CHECKOUT), str(ours))
    rev = git("rev-parse", "HEAD", cwd=ours)
    ids = "\n".join(f"  - id: mlflow-dvc-{event}" for event in ("pre-commit", "pre-push"))
    installed(repo, git, f"repos:\n- repo: {ours}\n  rev: {rev}\n  hooks:\n{ids}\n")
    return repo


@pytest.mark.slow
def test_our_hook_ids_work_in_the_environment_that_the_framework_builds(
    built: Path, commit_data: Commit
) -> None:
    """A minute: pip installs MLflow and DVC once more."""
    commit_data("data/train.csv", "second\n")
    (built / "data/train.csv").write_text("drifted\n")
    code, said = answer("commit", "--allow-empty", "--message", "drifted")
    assert code == 1
    assert "data/train.csv differs from data/train.csv.dvc" in said
    code, said = answer("push", "origin", "main")
    assert code == 0, said
    assert "uploaded to DVC remote 'local'" in said
    assert md5("second\n") in stored(built.parent / "remote")
    commit_data("data/train.csv", "lost\n")
    lose(built, md5("lost\n"))
    code, said = answer("push", "origin", "main")
    assert code == 1
    assert "in neither the cache nor the DVC remote" in said
