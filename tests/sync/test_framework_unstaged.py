"""The pre-commit framework sets unstaged changes aside: the data must not follow it there and back.

Its `git checkout -- .` runs our native hooks, its `git apply` runs none.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Dvc, Git
from versions import TWO, data_in, write_data

NEW = {**TWO, "data/train.csv": "in no commit\n"}
LOCAL = """\
repos:
- repo: local
  hooks:
  - id: theirs
    name: theirs
    language: system
    entry: sh -c 'cat data/*.dvc > ../dvc; cat data/train.csv > ../data; exit $(cat ../code)'
    always_run: true
    pass_filenames: false
"""
OURS = """\
  - id: mlflow-dvc-pre-commit
    name: ours
    language: system
    entry: {python} -m mlflow_dvc_plugin.hook pre-commit {args}
    always_run: true
    verbose: true
    pass_filenames: false
"""


@pytest.fixture
def framework(versions: Path, git: Git) -> Path:
    """Install the framework beside the native hooks, and return a project at ONE."""
    (versions.parent / "code").write_text("0")
    configure(versions, git, LOCAL)
    command = [sys.executable, "-m", "pre_commit", "install"]
    subprocess.run(command, capture_output=True, check=True)
    return versions


def configure(folder: Path, git: Git, text: str) -> None:
    (folder / ".pre-commit-config.yaml").write_text(text)
    git("add", ".pre-commit-config.yaml", cwd=folder)
    git("commit", "--quiet", "--no-verify", "--message", "framework", cwd=folder)


def everything(folder: Path) -> dict[str, str]:
    """Return data and metadata, by path."""
    metadata = {path.name: path.read_text() for path in (folder / "data").glob("*.dvc")}
    return data_in(folder) | metadata


def add_two(folder: Path, git: Git, dvc: Dvc) -> dict[str, str]:
    """Leave a `dvc add` unstaged, and stage a change of code."""
    write_data(folder, NEW)
    dvc("add", "--quiet", "data/train.csv", "data/images", cwd=folder)
    (folder / "code.py").write_text("2\n")
    git("add", "code.py", cwd=folder)
    return everything(folder)


def commit(*args: str) -> subprocess.CompletedProcess[str]:
    command = ["git", "commit", "--message", "code", *args]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("synced", [False, True], ids=["added", "added-and-synced"])
@pytest.mark.parametrize("code", [0, 1], ids=["passes", "blocks"])
def test_an_unstaged_dvc_add_is_as_before_when_other_code_is_committed(
    framework: Path, git: Git, dvc: Dvc, code: int, synced: bool
) -> None:
    before = add_two(framework, git, dvc)
    if synced:  # the hooks know the version that is unstaged
        git("restore", "train.py", cwd=framework)
    staged = git("show", ":data/images.dvc", cwd=framework)
    (framework.parent / "code").write_text(str(code))
    done = commit()
    assert done.returncode == code, done.stderr
    assert staged in (framework.parent / "dvc").read_text(), "the framework has set nothing aside"
    assert (framework.parent / "data").read_text() == NEW["data/train.csv"], "the data has followed"
    assert everything(framework) == before
    assert "mlflow-dvc" not in done.stderr


def test_an_unstaged_dvc_add_of_data_that_is_in_no_cache_is_as_before(
    framework: Path, git: Git, dvc: Dvc
) -> None:
    write_data(framework, NEW)
    dvc("add", "--quiet", "--no-commit", "data/train.csv", "data/images", cwd=framework)
    (framework / "code.py").write_text("2\n")
    git("add", "code.py", cwd=framework)
    before = everything(framework)
    assert commit().returncode == 0
    assert everything(framework) == before


@pytest.mark.parametrize("code", [0, 1], ids=["passes", "blocks"])
def test_a_commit_of_one_path_does_not_disturb_it_either(
    framework: Path, git: Git, dvc: Dvc, code: int
) -> None:
    before = add_two(framework, git, dvc)
    (framework.parent / "code").write_text(str(code))
    assert commit("--", "code.py").returncode == code
    assert (framework.parent / "data").read_text() == NEW["data/train.csv"]
    assert everything(framework) == before


def test_our_check_stops_a_commit_that_leaves_out_the_new_metadata(
    framework: Path, git: Git, dvc: Dvc
) -> None:
    ours = OURS.format(python=sys.executable, args="")
    configure(framework, git, LOCAL + ours)
    before = add_two(framework, git, dvc)
    done = commit()
    assert done.returncode == 1
    assert "data/train.csv differs from data/train.csv.dvc" in done.stderr
    assert "run: dvc add data/train.csv && git add data/train.csv.dvc" in done.stderr
    assert everything(framework) == before
    git("add", "--update", cwd=framework)
    (framework / "code.py").write_text("3\n")  # unstaged
    assert commit().returncode == 0
    assert everything(framework) == before
    assert (framework / "code.py").read_text() == "3\n"


@pytest.mark.parametrize("autostage", [False, True])
def test_fix_stages_nothing_below_changes_that_are_set_aside(
    framework: Path, git: Git, dvc: Dvc, autostage: bool
) -> None:
    ours = OURS.format(python=sys.executable, args="--fix")
    configure(framework, git, LOCAL + ours)
    if autostage:
        dvc("config", "--local", "core.autostage", "true", cwd=framework)
    before = add_two(framework, git, dvc)
    git("restore", "--staged", "data", cwd=framework)
    (framework / "train.py").write_text("unstaged\n")
    done = commit()
    assert done.returncode == 1
    assert everything(framework) == before
    assert (framework / "train.py").read_text() == "unstaged\n"
    assert git("diff", "--cached", "--name-only", cwd=framework) == "code.py"


def test_our_check_passes_a_clean_commit_and_stops_drift(framework: Path, git: Git) -> None:
    configure(framework, git, LOCAL + OURS.format(python=sys.executable, args=""))
    (framework / "code.py").write_text("2\n")
    (framework / "train.py").write_text("unstaged\n")
    git("add", "code.py", cwd=framework)
    assert commit().returncode == 0
    (framework / "data/train.csv").write_text("edited\n")
    before = everything(framework)
    done = commit("--allow-empty")
    assert done.returncode == 1
    assert "data/train.csv differs from data/train.csv.dvc" in done.stderr
    assert everything(framework) == before
