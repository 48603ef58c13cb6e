"""What may stand in a worktree, and in the user's Git settings, and what it does to the tags."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

import pytest
from conftest import Git
from providing import DIRTY, code_of, tags, warnings_in

# ---- the user's settings ----


@pytest.fixture
def messy(repo: Path, git: Git, tmp_path: Path) -> Path:
    """Return `repo` with a dirty submodule, odd names, a rename and files of every kind."""
    git("init", "-q", str(tmp_path / "lib"))
    (tmp_path / "lib/lib.py").write_text("pass\n")
    git("add", "--all", cwd=tmp_path / "lib")
    git("commit", "-q", "--message", "lib", cwd=tmp_path / "lib")
    git("submodule", "--quiet", "add", str(tmp_path / "lib"), "lib")
    (repo / "größe.txt").write_text("a long enough text\n" * 9)
    git("add", "--all")
    git("commit", "-q", "--message", "with submodule")
    (repo / "lib/lib.py").write_text("changed\n")
    git("mv", "größe.txt", "naïve.txt")
    (repo / "data/untracked ü.txt").write_text("x\n")
    (repo / "folder").mkdir()
    (repo / "folder/a").write_text("x\n")
    (repo / "folder/b").write_text("x\n")
    git("remote", "add", "origin", "https://host.example/r")
    return repo


@pytest.mark.parametrize(
    "setting",
    [
        "core.fsmonitor=/no/such/program",
        "core.fsmonitor=true",
        "core.untrackedCache=true",
        "core.quotePath=true",
        "core.quotePath=false",
        "core.preloadIndex=false",
        "status.showUntrackedFiles=no",
        "status.showUntrackedFiles=normal",
        "status.short=true",
        "status.branch=true",
        "status.relativePaths=true",
        "status.showStash=true",
        "status.aheadBehind=false",
        "status.renames=copies",
        "status.submoduleSummary=true",
        "diff.ignoreSubmodules=all",
        "diff.external=/no/such/program",
        "diff.mnemonicPrefix=true",
        "diff.noprefix=true",
        "color.ui=always",
        "color.status=always",
        "column.ui=always",
        "submodule.recurse=true",
        "submodule.lib.ignore=all",
        "log.showSignature=true",
        "i18n.logOutputEncoding=latin1",
        "core.pager=/no/such/program",
        "alias.status=log",
        "safe.directory=/elsewhere",
        "advice.statusHints=true",
        "feature.manyFiles=true",
        "core.checkStat=minimal",
        "ls-files.recurseSubmodules=true",
        "extensions.worktreeConfig=true",
    ],
)
def test_a_users_git_settings_do_not_change_the_tags(messy: Path, git: Git, setting: str) -> None:
    expected = tags()
    assert expected[DIRTY] == "true" and expected["git.untracked"] == "3"
    git("config", *setting.split("="))
    found = tags()
    git("config", "--unset", setting.partition("=")[0])
    assert found == expected


def test_settings_in_the_environment_do_not_change_the_tags(
    messy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `git -c name=value` hands them to an alias or a hook."""
    expected = tags()
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "status.showUntrackedFiles")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "no")
    monkeypatch.setenv("GIT_CONFIG_PARAMETERS", "'status.short=true'")
    assert tags() == expected


# ---- what differs from HEAD ----


def test_a_change_of_the_mode_alone_makes_the_tree_dirty(repo: Path, git: Git) -> None:
    (repo / "train.py").chmod(0o755)
    assert tags()[DIRTY] == "true"
    git("config", "core.fileMode", "false")  # the user's word for: modes mean nothing here
    assert tags()[DIRTY] == "false"


def test_a_touched_file_is_not_dirty(repo: Path) -> None:
    os.utime(repo / "train.py", (1, 1))
    assert tags()[DIRTY] == "false"


def test_staged_removed_and_reverted_changes(repo: Path, git: Git) -> None:
    text = (repo / "train.py").read_text()
    (repo / "train.py").write_text("staged\n")
    git("add", "train.py")
    assert tags()[DIRTY] == "true"
    (repo / "train.py").write_text(text)  # the worktree is as HEAD, the index is not
    assert tags()[DIRTY] == "true"
    git("reset", "-q", "--hard")
    (repo / "train.py").unlink()
    assert tags()[DIRTY] == "true"
    git("reset", "-q", "--hard")
    found = tags()
    assert found[DIRTY] == "false" and found["git.tree"] == git("rev-parse", "HEAD^{tree}")


def test_untracked_files_are_counted_and_make_nothing_dirty(repo: Path, git: Git) -> None:
    for name in ("mlflow.db", "train.log", "out/a", "out/b", "new.csv"):
        (repo / name).parent.mkdir(exist_ok=True)
        (repo / name).write_text("x\n")
    (repo / ".git/info/exclude").write_text("*.log\n")
    found = tags()
    assert found[DIRTY] == "false" and found["git.untracked"] == "4" and "git.tree" in found


@pytest.mark.parametrize("flag", ["--assume-unchanged", "--skip-worktree"])
def test_a_loaded_file_whose_changes_git_was_told_to_overlook_makes_it_dirty(
    repo: Path, git: Git, monkeypatch: pytest.MonkeyPatch, flag: str
) -> None:
    (repo / "overlooked.py").write_text("X = 1\n")
    git("add", "--all")
    git("commit", "-q", "--message", "overlooked")
    git("update-index", flag, "overlooked.py")
    monkeypatch.syspath_prepend(repo)
    monkeypatch.delitem(sys.modules, "overlooked", raising=False)
    importlib.import_module("overlooked")
    assert tags()[DIRTY] == "false"
    (repo / "overlooked.py").write_text("X = 2\n")
    assert "overlooked" not in git("status", "--porcelain")
    assert tags()[DIRTY] == "true"
    monkeypatch.delitem(sys.modules, "overlooked")


# ---- in the middle of something ----


def test_a_lock_of_another_git_changes_nothing_and_stays(
    repo: Path, caplog: pytest.LogCaptureFixture
) -> None:
    expected = tags()
    os.utime(repo / "train.py", (1, 1))  # what makes `git status` want to write the index
    (repo / ".git/index.lock").touch()
    (repo / ".git/HEAD.lock").touch()
    assert tags() == expected
    assert (repo / ".git/index.lock").exists()
    assert warnings_in(caplog) == []


def test_a_capture_writes_nothing_into_the_git_folder(repo: Path) -> None:
    def listing() -> dict[str, int]:
        return {
            os.path.join(where, name): os.stat(os.path.join(where, name)).st_mtime_ns
            for where, folders, files in os.walk(repo / ".git")
            for name in (*folders, *files)
        }

    os.utime(repo / "train.py", (1, 1))
    before = listing()
    tags()
    assert listing() == before


def test_a_merge_with_conflicts_is_dirty_and_its_data_unknown(
    repo: Path, git: Git, caplog: pytest.LogCaptureFixture
) -> None:
    pointer = repo / "data/train.csv.dvc"
    text = pointer.read_text()
    for branch, digit in (("one", "1"), ("two", "2")):
        git("checkout", "-q", "-b", branch, "main")
        (repo / "train.py").write_text(f"# {branch}\n")
        pointer.write_text(text.replace("md5: ", f"md5: {digit}", 1))
        git("commit", "-q", "--all", "--message", branch)
    with pytest.raises(AssertionError):
        git("merge", "--quiet", "one")
    assert "<<<<<<<" in pointer.read_text() and (repo / ".git/MERGE_HEAD").exists()
    found = tags()
    assert code_of(found) == (git("rev-parse", "HEAD"), "two", "true")
    assert found["dvc.status"] == "unknown" and "dvc.hash" not in found
    assert found["dvc.changed"] == '["data/train.csv.dvc"]'
    assert "dvc.data.images" in found and "dvc.data.train.csv" not in found
    (warning,) = warnings_in(caplog)
    assert "data/train.csv.dvc" in warning and "conflict" in warning
