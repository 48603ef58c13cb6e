"""HEAD read from files, beside what Git says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mlflow_dvc_plugin.gitdir import find_worktree, read_head


def head_of(folder: Path) -> tuple[str | None, str | None]:
    worktree = find_worktree(str(folder))
    assert worktree is not None
    return read_head(worktree)


def test_head_is_what_git_says_in_every_form(repo: Path, git: Any, tmp_path: Path) -> None:
    commit = git("rev-parse", "HEAD")
    assert head_of(repo / "data") == (commit, "main")
    git("switch", "--quiet", "--create", "feature/ünï")
    assert head_of(repo) == (commit, "feature/ünï")
    git("pack-refs", "--all")
    assert head_of(repo) == (commit, "feature/ünï")
    git("commit", "--quiet", "--allow-empty", "--message", "loose over packed")
    assert head_of(repo) == (git("rev-parse", "HEAD"), "feature/ünï")
    git("worktree", "add", "--quiet", str(tmp_path / "linked"), "main")
    assert head_of(tmp_path / "linked/data") == (commit, "main")
    git("switch", "--quiet", "--detach", "main")
    assert head_of(repo) == (commit, None)
    git("switch", "--quiet", "--orphan", "empty")
    assert head_of(repo) == (None, "empty")


def test_a_submodule_has_its_own_head(repo: Path, git: Any, tmp_path: Path) -> None:
    git("init", "--quiet", str(tmp_path / "super"))
    git("submodule", "--quiet", "add", str(repo), "sub", cwd=tmp_path / "super")
    assert head_of(tmp_path / "super/sub/data")[0] == git("rev-parse", "HEAD")
    assert head_of(tmp_path / "super") == (None, "main")


@pytest.mark.parametrize(
    "content", [None, "", "gitdir: nowhere\n", "nonsense", "ref: refs/heads/x"]
)
def test_what_is_no_repository_is_passed_over(repo: Path, git: Any, content: str | None) -> None:
    if content is None:
        (repo / "data/.git").mkdir()
    else:
        (repo / "data/.git").write_text(content)
    worktree = find_worktree(str(repo / "data"))
    assert worktree is not None
    assert worktree.toplevel == git("rev-parse", "--show-toplevel", cwd=repo)


def test_outside_any_repository_there_is_none(tmp_path: Path) -> None:
    assert find_worktree(str(tmp_path)) is None
