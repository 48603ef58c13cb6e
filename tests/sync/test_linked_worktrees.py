"""A linked worktree on a commit without DVC is as Git leaves it, and gets everything back."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Dvc, Git
from versions import ONE, TWO, data_in, git_says, refused, sync

from mlflow_dvc_plugin.gitdir import find_worktree
from mlflow_dvc_plugin.sync.events import state_folder
from mlflow_dvc_plugin.sync.ledger import Ledger


@pytest.fixture
def linked(versions: Path, git: Git, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a linked worktree with its data, the working directory."""
    (versions / ".dvc/config.local").write_text("")
    git("worktree", "add", "-q", "-b", "side", "../linked", "main~1")
    monkeypatch.chdir(tmp_path / "linked")
    assert data_in(Path.cwd()) == ONE
    assert (Path.cwd() / ".dvc/config.local").is_symlink()
    return Path.cwd()


def test_nothing_of_ours_is_shown_stashed_or_added(linked: Path, git: Git) -> None:
    git("revert", "--no-edit", "HEAD")
    assert git("status", "--porcelain", "-uall") == ""
    git("add", "-A")
    git("stash", "-u", "-q")
    assert git("stash", "list") == ""
    git_says("checkout", "-q", "--detach", "HEAD~1")
    assert data_in(linked) == ONE
    assert (linked / ".dvc/cache").is_symlink() and (linked / ".dvc/config.local").is_symlink()


def test_data_that_stays_there_is_named_until_it_is_safe(linked: Path, git: Git, dvc: Dvc) -> None:
    (linked / "data/train.csv").unlink()
    (linked / "data/train.csv").write_text("mine\n")
    said = git_says("revert", "--no-edit", "HEAD")
    assert "data/train.csv has no metadata here any more, and stays" in said
    assert data_in(linked) == {"data/train.csv": "mine\n"}
    worktree = find_worktree(str(linked))
    assert worktree and "data/train.csv" in Ledger.read(state_folder(worktree)).problems
    git_says("checkout", "-q", "--detach", "HEAD~1")
    assert data_in(linked) == ONE | {"data/train.csv": "mine\n"}


def test_a_link_of_ones_own_is_not_taken_away(linked: Path, git: Git, tmp_path: Path) -> None:
    (tmp_path / "other.local").write_text("")
    (linked / ".dvc/config.local").unlink()
    (linked / ".dvc/config.local").symlink_to(tmp_path / "other.local")
    git("revert", "--no-edit", "HEAD")
    assert git("status", "--porcelain", "-uall") == "?? .dvc/config.local"


def test_metadata_without_its_dvc_repository_is_named(linked: Path, git: Git) -> None:
    (linked / "notes.dvc").write_text("a list: of something else\n")  # not DVC's
    git("revert", "--no-edit", "HEAD")
    said = refused("merge", "two")
    assert "data/train.csv.dvc belongs to no DVC repository" in said and "notes" not in said
    assert data_in(linked) == {}
    code, said = sync("--dry-run")
    assert code == 1 and "git checkout COMMIT -- .dvc" in said
    (linked / "notes.dvc").unlink()
    git_says("checkout", "two", "--", ".dvc", "data")
    assert data_in(linked) == TWO
    assert sync()[0] == 0
