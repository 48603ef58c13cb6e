"""Links, worktrees, switches, the command, and a sync that is killed."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import Dvc, Git
from versions import ONE, TWO, count_starts, data_in, git_says, sync, write_data


@pytest.mark.parametrize("link", ["copy", "hardlink", "symlink", "reflink,hardlink,copy"])
def test_every_kind_of_link(versions: Path, git: Git, dvc: Dvc, link: str) -> None:
    dvc("config", "--local", "cache.type", link)
    for branch, expected in (("two", TWO), ("main", ONE), ("two", TWO)):
        git("checkout", "-q", branch)
        assert data_in(versions) == expected
    if link == "symlink":
        assert (versions / "data/train.csv").is_symlink()
    assert "up to date" in dvc("status")


def test_a_linked_worktree_uses_the_cache_of_the_main_one(
    versions: Path, git: Git, tmp_path: Path, dvc: Dvc
) -> None:
    git("worktree", "add", "-q", str(tmp_path / "linked"), "two")
    assert data_in(tmp_path / "linked") == TWO
    assert data_in(versions) == ONE
    assert git("status", "--porcelain", cwd=tmp_path / "linked") == ""
    assert "up to date" in dvc("status", cwd=tmp_path / "linked")
    git("checkout", "-q", "--detach", "main", cwd=tmp_path / "linked")
    assert data_in(tmp_path / "linked") == ONE


def test_nothing_changed_starts_no_python(versions: Path, git: Git) -> None:
    noted = count_starts(versions)
    git("checkout", "-q", "main~1")
    (versions / "code.py").write_text("2\n")
    assert git_says("checkout", "-q", "--force", "main") == ""
    git("commit", "-q", "--allow-empty", "-m", "no change")
    assert noted.read_text() == ""


def test_the_switch_skips_all_or_some_hooks(
    versions: Path, git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_DVC_SKIP_HOOKS", "1")
    git("checkout", "-q", "two")
    assert data_in(versions) == ONE
    monkeypatch.delenv("MLFLOW_DVC_SKIP_HOOKS")
    git("checkout", "-q", "main")
    git("checkout", "-q", "two")
    assert data_in(versions) == TWO


def test_post_hooks_fail_only_when_strict(versions: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (versions / "data/train.csv").write_text("mine\n")
    git_says("checkout", "-q", "two")
    monkeypatch.setenv("MLFLOW_DVC_STRICT_HOOKS", "true")
    done = subprocess.run(["git", "checkout", "-q", "main"], capture_output=True, check=False)
    assert done.returncode == 1


def test_a_crash_of_ours_stops_no_git_operation(versions: Path, git: Git, tmp_path: Path) -> None:
    crashing = tmp_path / "python"
    crashing.write_text("#!/bin/sh\nexit 1\n")
    crashing.chmod(0o755)
    for script in (versions / ".git/hooks").glob("post-*"):
        script.write_text(script.read_text().replace(sys.executable, str(crashing)))
    git("checkout", "-q", "two")
    git("bisect", "start", "two", "main~1")
    assert data_in(versions) == ONE
    git("bisect", "reset")


def test_a_dry_run_changes_nothing(versions: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_DVC_SKIP_HOOKS", "1")
    git_says("checkout", "-q", "two")
    monkeypatch.delenv("MLFLOW_DVC_SKIP_HOOKS")
    code, said = sync("--dry-run", "--json")
    assert (code, json.loads(said)["done"]) == (
        1, {"data/train.csv": "updated", "data/images": "updated"},
    )  # fmt: skip
    assert data_in(versions) == ONE
    assert sync()[0] == 0
    assert data_in(versions) == TWO
    assert sync() == (0, "in sync: the data is what its metadata says\n")


@pytest.mark.slow
def test_a_sync_killed_at_any_moment_loses_nothing_and_the_next_one_repairs(
    versions: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_DVC_SKIP_HOOKS", "1")
    cache = {path: path.read_bytes() for path in (versions / ".dvc/cache").rglob("*")
             if path.is_file()}  # fmt: skip
    began = time.monotonic()
    assert sync()[0] == 0
    longest = time.monotonic() - began
    for number in range(16):
        branch, expected = (("two", TWO), ("main", ONE))[number % 2]
        git_says("checkout", "-q", branch)
        process = subprocess.Popen(
            [sys.executable, "-m", "mlflow_dvc_plugin.hook", "post-checkout"],
            stderr=subprocess.DEVNULL,
        )
        time.sleep(longest * (0.3 + 0.7 * number / 16))
        process.send_signal(signal.SIGKILL)
        process.wait()
        code, said = sync()
        assert code == 0, said
        assert data_in(versions) == expected
    assert {path: path.read_bytes() for path in cache} == cache
    assert not list((versions / ".dvc/tmp/mlflow-dvc").glob("sync-*"))


def test_stashing_untracked_metadata_takes_its_data_along_and_back(
    versions: Path, git: Git, dvc: Dvc
) -> None:
    (versions / "data/more.csv").write_text("more\n")
    dvc("add", "--quiet", "data/more.csv")
    git("stash", "-q", "-u")
    git("stash", "pop", "-q")
    assert data_in(versions) == ONE | {"data/more.csv": "more\n"}
    write_data(versions, ONE | {"data/more.csv": "other\n"})
    dvc("add", "--quiet", "data/more.csv")
    git("stash", "-q", "-u")
    git("stash", "pop", "-q")
    assert data_in(versions) == ONE | {"data/more.csv": "other\n"}


def test_install_begins_with_a_sync(versions: Path, git: Git) -> None:
    """Of data that no sync has seen nothing would be known on a branch without metadata."""
    shutil.rmtree(versions / ".git/mlflow-dvc")
    shutil.rmtree(versions / ".git/hooks")
    git("checkout", "-q", "two")
    done = subprocess.run(
        [sys.executable, "-m", "mlflow_dvc_plugin.cli", "install"], capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert "updated data/images, data/train.csv" in done.stdout
    assert data_in(versions) == TWO
    git("checkout", "-q", "--orphan", "bare")
    git("rm", "-rqf", ".")
    git("commit", "-q", "--allow-empty", "-m", "bare")
    assert data_in(versions) == {}
