"""HEAD read from files, beside what Git says."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from mlflow_dvc_plugin.gitdir import find_worktree, linked_folders, read_head


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


def listed(folder: Path, git: Any) -> set[str]:
    lines = git("worktree", "list", "--porcelain", "-z", cwd=folder).split("\0")
    return {line.removeprefix("worktree ") for line in lines if line.startswith("worktree ")}


def test_linked_worktrees_are_those_that_git_lists(repo: Path, git: Any, tmp_path: Path) -> None:
    worktree = find_worktree(str(repo))
    assert worktree is not None
    assert linked_folders(worktree) == set()
    (tmp_path / "link").symlink_to(tmp_path)
    for name in ("plain", "link/behind", "li ne\nbreak", "ünï", "away"):
        git("worktree", "add", "--quiet", "--detach", str(tmp_path / name))
    shutil.rmtree(tmp_path / "away")
    assert linked_folders(worktree) == listed(repo, git) - {str(repo)}
    inside = find_worktree(str(tmp_path / "plain"))
    assert inside is not None
    assert linked_folders(inside) == linked_folders(worktree)
    # As Git 2.48 and newer write it when they are told to.
    (repo / ".git/worktrees/plain/gitdir").write_text("../../../../plain/.git\n")
    assert str(tmp_path / "plain") in linked_folders(worktree)


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
