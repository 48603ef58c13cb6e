"""Worktrees, submodules, sparse checkouts, nested DVC repositories, and an old Git."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import Dvc, Git
from versions import ONE, TWO, data_in, git_says, install_scripts, number, sync

MORE = "data/more.csv"


def without_dvc(git: Git, project: Path) -> None:
    """Make a branch `bare` that has no DVC, in a worktree that is removed again."""
    tree = git("mktree", stdin=b"")
    git("branch", "bare", git("commit-tree", tree, "-m", "nothing"), cwd=project)


# ---- what fires no hook ----


def test_what_fires_no_hook_is_found_by_sync(versions: Path, git: Git) -> None:
    patch = git("diff", "main", "two", "--", "data") + "\n"
    git("apply", stdin=patch.encode())
    assert data_in(versions) == ONE
    code, said = sync("--dry-run")
    assert (code, "data/train.csv" in said) == (1, True)
    assert sync()[0] == 0
    assert data_in(versions) == TWO
    git("apply", "-R", stdin=patch.encode())
    assert sync()[0] == 0
    assert data_in(versions) == ONE


def test_a_patch_that_is_checked_out_in_part_brings_data_at_the_commit(
    versions: Path, git: Git
) -> None:
    subprocess.run(["git", "checkout", "-p", "two", "--", "data/train.csv.dvc"], input=b"y\ny\ny\n",
                   capture_output=True, check=True)  # fmt: skip
    assert data_in(versions) == ONE  # Git tells the hook no more than after `git add`
    git("commit", "-qm", "a part of two")
    assert data_in(versions) == ONE | {"data/train.csv": TWO["data/train.csv"]}


# ---- worktrees and submodules ----


def test_a_new_worktree_shares_cache_and_local_settings_by_links(
    versions: Path, git: Git, dvc: Dvc, tmp_path: Path
) -> None:
    dvc("remote", "modify", "--local", "local", "verify", "true")
    git("worktree", "add", "-q", str(tmp_path / "linked"), "two")
    assert data_in(tmp_path / "linked") == TWO
    for name in ("cache", "config.local"):
        link = tmp_path / "linked/.dvc" / name
        assert link.is_symlink()
        assert link.samefile(versions / ".dvc" / name)
    assert git("status", "--porcelain", cwd=tmp_path / "linked") == ""
    git("worktree", "remove", str(tmp_path / "linked"))
    assert (versions / ".dvc/config.local").exists()
    git("checkout", "-q", "two")
    assert data_in(versions) == TWO


def test_a_worktree_that_begins_without_dvc(versions: Path, git: Git, tmp_path: Path) -> None:
    without_dvc(git, versions)
    linked = tmp_path / "linked"
    assert git_says("worktree", "add", "-q", str(linked), "bare") == ""
    assert sorted(path.name for path in linked.iterdir()) == [".git"]
    git("checkout", "-q", "two", cwd=linked)
    assert data_in(linked) == TWO
    git("checkout", "-q", "bare", cwd=linked)
    assert data_in(linked) == {}
    assert git("status", "--porcelain", "--", "data", cwd=linked) == ""
    assert data_in(versions) == ONE


def test_a_submodule_follows_its_superproject(
    versions: Path, git: Git, dvc: Dvc, tmp_path: Path
) -> None:
    above = tmp_path / "above"
    git("init", "-q", str(above))
    git("submodule", "--quiet", "add", str(versions), "inner", cwd=above)
    git("commit", "-qm", "one", cwd=above)
    inner = above / "inner"
    hooks = Path(git("rev-parse", "--path-format=absolute", "--git-path", "hooks", cwd=inner))
    install_scripts(versions)
    shutil.copytree(versions / ".git/hooks", hooks, dirs_exist_ok=True)
    dvc("cache", "dir", "--local", str(versions / ".dvc/cache"), cwd=inner)
    git("checkout", "-q", "origin/two", cwd=inner)
    assert data_in(inner) == TWO
    git("commit", "-qam", "two", cwd=above)
    git("checkout", "-q", "HEAD~1", cwd=above)
    git("submodule", "--quiet", "update", cwd=above)
    assert data_in(inner) == ONE
    git("checkout", "-q", "--recurse-submodules", "main", cwd=above)
    assert data_in(inner) == TWO


# ---- parts of a repository ----


@pytest.fixture
def src(versions: Path, git: Git) -> Path:
    """Add a folder with code."""
    (versions / "src").mkdir()
    (versions / "src/a.py").write_text("1\n")
    git("add", "src")
    git("commit", "-qm", "src")
    return versions


@pytest.mark.parametrize("args", ["--cone src .dvc", "--no-cone src .dvc"])
def test_data_goes_with_a_sparse_checkout_and_comes_back(src: Path, git: Git, args: str) -> None:
    git("sparse-checkout", "set", *args.split())
    assert data_in(src) == {}
    assert git("status", "--porcelain") == ""
    git("sparse-checkout", "add", "data")
    assert data_in(src) == ONE
    git("sparse-checkout", "set", *args.split())
    assert data_in(src) == {}
    git("sparse-checkout", "disable")
    assert data_in(src) == ONE


def test_data_outside_a_sparse_checkout_stays_when_it_is_only_there(src: Path) -> None:
    (src / "data/train.csv").write_text("only here\n")
    (src / "data/images/mine.png").write_text("mine\n")
    said = git_says("sparse-checkout", "set", "--no-cone", "src", ".dvc")
    assert "data/train.csv has no metadata here any more, and stays" in said
    assert (src / "data/train.csv").read_text() == "only here\n"
    assert (src / "data/images/mine.png").read_text() == "mine\n"
    git_says("sparse-checkout", "disable")
    assert (src / "data/train.csv").read_text() == "only here\n"


def test_no_data_is_removed_when_git_is_about_to_delete_the_cache(src: Path) -> None:
    """Git deletes ignored files outside the cone itself, but in no folder that holds others."""
    (src / "data/notes").write_text("this folder stays\n")
    said = git_says("sparse-checkout", "set", "--cone", "src")
    assert "data/train.csv has no metadata here any more, and stays" in said
    assert not (src / ".dvc/cache").exists()
    assert data_in(src) == ONE | {"data/notes": "this folder stays\n"}
    git_says("sparse-checkout", "disable")
    assert data_in(src) == ONE | {"data/notes": "this folder stays\n"}


def test_nested_dvc_repositories_are_each_followed(versions: Path, git: Git, dvc: Dvc) -> None:
    sub = versions / "sub"
    (sub / "data").mkdir(parents=True)
    dvc("init", "--quiet", "--subdir", cwd=sub)
    for text in ("one\n", "two\n"):
        (sub / "data/in.csv").write_text(text)
        dvc("add", "--quiet", "data/in.csv", cwd=sub)
        git("add", "-A")
        git("commit", "-qm", text)
    git("checkout", "-q", "HEAD~1")
    assert (data_in(sub), data_in(versions)) == ({"data/in.csv": "one\n"}, ONE)
    git("checkout", "-q", "two")
    assert not (sub / "data/in.csv").exists()
    assert data_in(versions) == TWO
    git("checkout", "-q", "main")
    assert (data_in(sub), data_in(versions)) == ({"data/in.csv": "two\n"}, ONE)
    assert git("status", "--porcelain") == ""


# ---- an old Git, and no hooks ----


@pytest.mark.parametrize("installed", [False, True])
@pytest.mark.parametrize(
    "command",
    ["checkout -q two", "checkout two -- .", "merge -q --no-edit two", "rebase -q two",
     "rebase -q --apply two", "cherry-pick two~1", "pull -q . two --no-rebase"],
)  # fmt: skip
def test_a_git_without_post_index_change_is_followed_too(
    versions: Path, git: Git, command: str, installed: bool
) -> None:
    """It stands there, and was even called by a newer Git before; or it is not installed."""
    git("checkout", "-q", "main~1")
    git("checkout", "-q", "main")
    hook = versions / ".git/hooks/post-index-change"
    if installed:
        hook.chmod(0o644)
    else:
        hook.unlink()
    git(*command.split())
    assert data_in(versions) == TWO


def test_a_clone_that_was_never_synced_can_be_rebased(series: Path, git: Git) -> None:
    shutil.rmtree(series / ".git/mlflow-dvc")
    git("rebase", "-q", "base")
    assert data_in(series) == number(5)
    shutil.rmtree(series / ".git/mlflow-dvc")
    said = git_says("rebase", "-q", "-i", "--force-rebase", "main")
    assert {line.split(":")[0] for line in said.splitlines()} <= {"mlflow-dvc"}
    assert data_in(series) == number(5)


def test_metadata_that_was_deleted_by_hand_brings_its_data_back(versions: Path, git: Git) -> None:
    (versions / "data/train.csv.dvc").unlink()
    git("commit", "-q", "--allow-empty", "-m", "something else")
    assert "data/train.csv" not in data_in(versions)
    git("checkout", "--", "data/train.csv.dvc")
    assert data_in(versions) == ONE


def test_after_skipped_hooks_the_next_one_brings_the_data(
    versions: Path, git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    for skip in ("1", "post-checkout,post-index-change"):
        monkeypatch.setenv("MLFLOW_DVC_SKIP_HOOKS", skip)
        git("checkout", "-q", "two")
        assert data_in(versions) == ONE
        monkeypatch.delenv("MLFLOW_DVC_SKIP_HOOKS")
        git("commit", "-q", "--allow-empty", "-m", "something else")
        assert data_in(versions) == TWO
        git("checkout", "-q", "main")
    monkeypatch.setenv("MLFLOW_DVC_SKIP_HOOKS", "post-index-change")
    git("checkout", "-q", "two")
    assert data_in(versions) == TWO
