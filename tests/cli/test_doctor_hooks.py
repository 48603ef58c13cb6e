"""DVC's merge driver in a subfolder: what it does to a merge, and that doctor sees it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Dvc, Git

from mlflow_dvc_plugin.cli import main
from mlflow_dvc_plugin.cli.checks import Check, dvc_hooks
from mlflow_dvc_plugin.cli.hookcheck import git_hooks, merge_driver


@pytest.fixture
def subfolder(tmp_path: Path, git: Git, dvc: Dvc, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a Git repository whose DVC repository lives in `sub`, with DVC's hooks installed."""
    folder = tmp_path / "outer"
    (folder / "sub").mkdir(parents=True)
    git("init", "--quiet", cwd=folder)
    dvc("init", "--quiet", "--subdir", cwd=folder / "sub")
    dvc("install", cwd=folder / "sub")
    monkeypatch.chdir(folder)
    return folder


def found() -> list[Check]:
    checks: Iterator[Check] = merge_driver()
    return list(checks)


def commit(git: Git, text: str) -> None:
    Path("sub/data.dvc").write_text(text)
    git("add", "--all")
    git("commit", "--quiet", "--no-verify", "--message", text)


@pytest.mark.parametrize("start", [".", "sub"])
def test_a_driver_that_drops_one_side_is_a_problem_that_the_fix_ends(
    subfolder: Path, git: Git, monkeypatch: pytest.MonkeyPatch, start: str
) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    monkeypatch.setenv("PATH", path)
    Path("sub/.gitattributes").write_text("*.dvc merge=dvc\n")
    commit(git, "outs: []\n")
    git("branch", "other")
    commit(git, "outs: [ours]\n")
    git("switch", "--quiet", "other")
    commit(git, "outs: [theirs]\n")
    git("merge", "--quiet", "--no-edit", "main")
    assert Path("sub/data.dvc").read_text() == "outs: [theirs]\n"  # rc 0, and main's is lost

    monkeypatch.chdir(subfolder / start)
    (check,) = found()
    assert (check.level, check.fix) == ("problem", "git config --remove-section merge.dvc")
    git(*check.fix.split()[1:], cwd=subfolder)
    assert found() == []


def test_a_driver_that_no_attribute_asks_for_is_a_note(subfolder: Path, git: Git) -> None:
    commit(git, "outs: []\n")
    assert [check.level for check in found()] == ["note"]


def test_dvcs_merge_driver_at_the_top_is_no_problem(repo: Path, dvc: Dvc) -> None:
    dvc("install", cwd=repo)
    assert found() == []


def test_no_repository_is_no_problem() -> None:
    assert found() == []


def test_doctor_tells_whether_our_hooks_are_whole(
    repo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert [(check.level, check.fix) for check in git_hooks()] == [("note", "mlflow-dvc install")]
    main(["install"])
    assert [check.level for check in git_hooks()] == ["ok"]
    assert [check.text for check in dvc_hooks()] == ["none installed"]
    (repo / ".git/hooks/pre-push").unlink()
    assert [check.text for check in git_hooks()] == ["pre-push not installed"]
