"""What could make the scripts see nothing where something changed, or start Python for nothing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from conftest import Dvc, Git
from versions import ONE, TWO, count_starts, data_in, git_says, sync


@pytest.mark.parametrize("name", ["LITERAL", "GLOB", "NOGLOB", "ICASE"])
def test_what_pathspecs_mean_to_the_user_changes_nothing(
    versions: Path, git: Git, dvc: Dvc, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    git("checkout", "-q", "-b", "more")
    (versions / "more.csv").write_text("1")
    dvc("add", "--quiet", "more.csv")
    git("add", "-A")
    git("commit", "-qm", "more")
    git("checkout", "-q", "main")
    assert not (versions / "more.csv").exists()
    monkeypatch.setenv(f"GIT_{name}_PATHSPECS", "1")
    starts = count_starts(versions)
    git("checkout", "-q", "more")
    assert (versions / "more.csv").exists()
    count = len(starts.read_text().splitlines())
    git("checkout", "-q", "-b", "same")
    git("commit", "-q", "--allow-empty", "-m", "x")
    assert len(starts.read_text().splitlines()) == count


@pytest.mark.parametrize(
    "name", ["index.new.lock", "tracked.index.lock", "index.lock", "tracked.index"]
)
def test_a_lock_that_a_killed_git_left_behind_stops_no_sync(versions: Path, name: str) -> None:
    (versions / ".git/mlflow-dvc" / name).write_bytes(b"")
    said = git_says("checkout", "-q", "two")
    assert data_in(versions) == TWO, said
    assert "not looked at" not in said


def test_metadata_below_a_folder_that_became_a_link_stops_no_sync(versions: Path, git: Git) -> None:
    (versions / "other").mkdir()
    shutil.copyfile(versions / "data/train.csv.dvc", versions / "other/x.dvc")
    git("add", "-A")
    git("commit", "-qm", "other")
    shutil.move(versions / "other", versions.parent / "moved")
    (versions / "other").symlink_to(versions.parent / "moved")
    assert "failed" not in sync()[1]
    git("checkout", "-q", "--force", "two")
    assert data_in(versions) == TWO


SETTINGS = {
    "stat": ["core.checkStat=minimal", "core.trustctime=false"],
    "many": ["feature.manyFiles=true", "core.splitIndex=true", "index.skipHash=true"],
    "monitor": ["core.fsmonitor=false", "core.untrackedCache=true", "index.threads=1"],
    "ends": ["core.autocrlf=true", "core.quotePath=false", "diff.noprefix=true"],
    "own": ["extensions.worktreeConfig=true", "status.showUntrackedFiles=no"],
}


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_of_git_change_nothing(versions: Path, git: Git, name: str) -> None:
    for setting in SETTINGS[name]:
        git("config", *setting.split("="))
    for branch, data in (("two", TWO), ("main", ONE)) * 3:
        git("checkout", "-q", branch)
        assert data_in(versions) == data
    starts = count_starts(versions)
    git("commit", "-q", "--allow-empty", "-m", "x")
    git("checkout", "-q", "-b", "same")
    git("reset", "-q", "--hard")
    assert starts.read_text() == ""


def test_metadata_added_for_later_starts_no_python(versions: Path, git: Git, dvc: Dvc) -> None:
    (versions / "later.csv").write_text("1")
    dvc("add", "--quiet", "later.csv")
    git("add", "-N", "later.csv.dvc")
    sync()
    starts = count_starts(versions)
    git("commit", "-q", "--allow-empty", "-m", "x")
    git("checkout", "-q", "-b", "same")
    assert starts.read_text() == ""


@pytest.mark.parametrize("settings", [[], ["core.trustctime=false"], ["core.checkStat=minimal"]])
def test_a_patch_within_the_second_is_seen(versions: Path, git: Git, settings: list[str]) -> None:
    for setting in settings:
        git("config", *setting.split("="))
    patch = git("diff", "main", "two", "--", "data/train.csv.dvc") + "\n"
    for _ in range(2):
        sync()
        git("apply", stdin=patch.encode())
        git("commit", "-q", "--allow-empty", "-m", "x")
        assert data_in(versions)["data/train.csv"] == TWO["data/train.csv"]
        sync()
        git("apply", "-R", stdin=patch.encode())
        git("commit", "-q", "--allow-empty", "-m", "x")
        assert data_in(versions) == ONE


def test_another_comment_character(series: Path, git: Git) -> None:
    git("config", "core.commentChar", ";")
    git("rebase", "-q", "base")
    assert data_in(series)["data/train.csv"] == "x,y\n5,5\n"
    git("rebase", "-q", "-i", "--force-rebase", "HEAD~3")
    assert data_in(series)["data/train.csv"] == "x,y\n5,5\n"


def test_a_git_folder_with_an_odd_name(versions: Path, git: Git) -> None:
    odd = versions.parent / 'it\'s "odd" $HOME\n*'
    git("init", "-q", "--separate-git-dir", str(odd))
    git_says("checkout", "-q", "two")
    assert data_in(versions) == TWO
    assert git_says("commit", "-q", "--allow-empty", "-m", "x") == ""


def test_a_tree_that_git_has_pruned_is_made_again(versions: Path, git: Git) -> None:
    git("gc", "-q", "--prune=now")
    git("commit", "-q", "--allow-empty", "-m", "x")
    starts = count_starts(versions)
    git("commit", "-q", "--allow-empty", "-m", "x")
    assert starts.read_text() == ""
    git("checkout", "-q", "two")
    assert data_in(versions) == TWO


def test_metadata_that_is_a_link_is_followed(versions: Path, git: Git) -> None:
    (versions / "meta").mkdir()
    shutil.move(versions / "data/train.csv.dvc", versions / "meta/version")
    (versions / "data/train.csv.dvc").symlink_to("../meta/version")
    git("add", "-A")
    git("commit", "-qm", "link")
    assert sync()[0] == 0
    (versions / "meta/version").write_text(git("show", "two:data/train.csv.dvc") + "\n")
    git("commit", "-qam", "the file behind the link")
    assert data_in(versions)["data/train.csv"] == TWO["data/train.csv"]
    git("checkout", "-q", "HEAD~1")
    assert data_in(versions) == ONE


def test_plumbing_and_restored_paths(versions: Path, git: Git) -> None:
    git("update-index", "--refresh")
    git("read-tree", "-m", "-u", "two")
    assert data_in(versions) == TWO
    git("reset", "-q", "--hard", "main")
    assert data_in(versions) == ONE
    git("restore", "-q", "--source", "two", "--", "data")
    assert data_in(versions) == TWO
    git("restore", "-q", "data")
    assert data_in(versions) == ONE


def test_patterns_that_a_sync_has_seen_start_no_python(versions: Path, git: Git) -> None:
    starts = count_starts(versions)
    counts = []
    for change in (lambda: (versions / "data/.dvcignore").write_text("x\n"), lambda: None,
                   (versions / "data/.dvcignore").unlink, lambda: None):  # fmt: skip
        change()
        sync()
        git("commit", "-q", "--allow-empty", "-m", "x")
        counts.append(len(starts.read_text().splitlines()))
    assert counts == [0, 0, 0, 0]
