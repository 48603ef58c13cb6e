"""Syncs that are killed, interrupted, or at work at the same time."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import Dvc, Git
from mounts import Mount, tmpfs
from versions import ONE, TWO, data_in, git_says, sync

SCRATCH = ".dvc/tmp/mlflow-dvc"
ROUNDS = int(os.environ.get("MLFLOW_DVC_TEST_ROUNDS", "1"))
VERSIONS = {"main": ONE, "two": TWO}


def objects(project: Path) -> dict[Path, bytes]:
    """Return what is in the cache."""
    return {path: path.read_bytes() for path in (project / ".dvc/cache").rglob("*")
            if path.is_file()}  # fmt: skip


def sync_killed_after(seconds: float, kind: signal.Signals, cwd: Path) -> bool:
    """Start the sync of a hook and send it a signal; tell whether it was still at work."""
    process = subprocess.Popen(
        [sys.executable, "-m", "mlflow_dvc_plugin.hook", "post-checkout"], cwd=cwd,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    time.sleep(seconds)
    process.send_signal(kind)
    return process.wait() != 0


@pytest.mark.slow
@pytest.mark.parametrize("link", ["copy", "hardlink", "symlink"])
@pytest.mark.parametrize("kind", [signal.SIGKILL, signal.SIGINT], ids=["kill", "interrupt"])
def test_a_sync_that_ends_anywhere_is_repaired_wherever_one_goes_next(
    versions: Path, dvc: Dvc, monkeypatch: pytest.MonkeyPatch, link: str, kind: signal.Signals
) -> None:
    """Back, on, or to a branch without the data; a directory of many files among it."""
    dvc("config", "--local", "cache.type", link)
    trees = dict(VERSIONS)
    for branch in ("two", "main"):
        git_says("checkout", "-q", branch)
        more = {f"data/many/{branch}{number}": f"{branch} {number}\n" for number in range(150)}
        more |= {f"data/many/both{number}": f"{branch[:1]} {number}\n" for number in range(50)}
        for name, text in more.items():
            (versions / name).parent.mkdir(exist_ok=True)
            (versions / name).write_text(text)
        dvc("add", "--quiet", "data/many")
        git_says("add", "--all")
        git_says("commit", "-qm", "many")
        trees[branch] = trees[branch] | more
    git_says("checkout", "-q", "-b", "none")
    git_says("rm", "-q", "data/many.dvc", "data/images.dvc", "data/train.csv.dvc")
    git_says("commit", "-qm", "no data")
    trees["none"] = {}
    cache = objects(versions)
    began = time.monotonic()
    subprocess.run([sys.executable, "-m", "mlflow_dvc_plugin.hook", "post-checkout"], check=True)
    longest = time.monotonic() - began
    monkeypatch.setenv("MLFLOW_DVC_SKIP_HOOKS", "1")
    dice = random.Random(7)
    for number in range(12 * ROUNDS):
        for _ in range(dice.choice((1, 1, 2))):
            git_says("checkout", "-q", dice.choice(("main", "two", "none")))
            sync_killed_after(longest * dice.uniform(0.3, 1.0), kind, versions)
        branch = dice.choice(("main", "two", "none"))
        git_says("checkout", "-q", branch)
        code, said = sync()
        assert (number, code) == (number, 0), said
        assert data_in(versions) == trees[branch], number
        assert not list((versions / SCRATCH).glob("sync-*"))
    assert objects(versions) == cache


@pytest.mark.slow
@pytest.mark.parametrize("then", ["main", "none"])
def test_what_a_killed_sync_has_put_in_place_goes_with_the_version_it_belongs_to(
    versions: Path, git: Git, dvc: Dvc, monkeypatch: pytest.MonkeyPatch, then: str
) -> None:
    git("checkout", "-q", "-b", "none", "main")
    git("rm", "-q", "data/images.dvc", "data/train.csv.dvc")
    git("commit", "-qm", "no data")
    git("checkout", "-q", "two")
    for number in range(3000):
        (versions / f"data/images/new{number:04}").write_text(f"{number}\n")
    dvc("add", "--quiet", "data/images")
    git("commit", "-qam", "many")
    git("checkout", "-q", "main")
    monkeypatch.setenv("MLFLOW_DVC_SKIP_HOOKS", "1")
    git("checkout", "-q", "two")
    process = subprocess.Popen([sys.executable, "-m", "mlflow_dvc_plugin.hook", "post-checkout"])
    while process.poll() is None and not (versions / "data/images/new0001").exists():
        time.sleep(0.001)
    process.kill()
    process.wait()
    assert (versions / "data/images/new0001").exists()
    git("checkout", "-q", then)
    code, said = sync()
    assert code == 0, said
    assert data_in(versions) == (ONE if then == "main" else {})


@pytest.mark.slow
@pytest.mark.parametrize("link", ["copy", "hardlink"])
def test_git_operations_in_two_worktrees_at_once(
    versions: Path, git: Git, dvc: Dvc, link: str
) -> None:
    dvc("config", "--local", "cache.type", link)
    linked = versions.parent / "linked"
    git("worktree", "add", "-q", "--detach", str(linked), "main")
    cache = objects(versions)
    dice = random.Random(1)
    for _ in range(8 * ROUNDS):
        wanted = {folder: dice.choice(("main", "two", "main~1")) for folder in (versions, linked)}
        running = [
            subprocess.Popen(["git", "checkout", "-q", "--detach", rev], cwd=folder,
                             stderr=subprocess.PIPE, text=True)
            for folder, rev in wanted.items()
        ]  # fmt: skip
        said = [process.communicate()[1] for process in running]
        assert all(process.returncode == 0 for process in running)
        for folder, rev in wanted.items():
            assert data_in(folder) == VERSIONS[rev.partition("~")[0]], said
        assert "not in sync" not in "".join(said)
    assert objects(versions) == cache


@pytest.mark.slow
def test_syncs_of_one_worktree_at_once(versions: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_DVC_SKIP_HOOKS", "1")
    hook = [sys.executable, "-m", "mlflow_dvc_plugin.hook", "post-checkout"]
    by_hand = [sys.executable, "-m", "mlflow_dvc_plugin.cli", "sync"]
    for number in range(4 * ROUNDS):
        branch = ("two", "main")[number % 2]
        git_says("checkout", "-q", branch)
        running = [
            subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            for command in (hook, by_hand, hook)
        ]
        said = [process.communicate() for process in running]
        assert [process.returncode for process in running] == [0, 0, 0], said
        assert data_in(versions) == VERSIONS[branch]
        assert not list((versions / SCRATCH).glob("sync-*"))


def test_an_old_file_that_is_the_only_copy_is_named_until_somebody_takes_it(
    versions: Path, git: Git
) -> None:
    left = versions / SCRATCH / "sync-killed"
    left.mkdir(parents=True)
    (left / "old-1").write_text("written while it was replaced\n")
    (left / "old-2").write_text(ONE["data/train.csv"])
    (left / "old-3").symlink_to(versions / ".dvc/cache/files/md5/aa/gone")
    (left / "new-1").write_text("half of")
    os.mkfifo(left / "old-4")
    said = git_says("checkout", "-q", "two")
    assert "sync-killed/old-1 holds bytes that are nowhere else" in said
    assert data_in(versions) == TWO
    assert sorted(path.name for path in left.iterdir()) == ["old-1", "old-4"]
    assert "sync-killed/old-1 holds bytes" in sync()[1]
    (left / "old-1").unlink()
    (left / "old-4").unlink()
    assert sync()[0] == 0
    assert not left.exists()
    assert git("status", "--porcelain") == ""


def test_a_worktree_on_another_file_system_than_the_cache(
    versions: Path, git: Git, dvc: Dvc, mount: Mount
) -> None:
    dvc("config", "--local", "cache.type", "hardlink,symlink")
    linked = tmpfs(mount, versions.parent / "other", "8m") / "linked"
    git("worktree", "add", "-q", "--detach", str(linked), "two")
    assert data_in(linked) == TWO
    git("checkout", "-q", "--detach", "main", cwd=linked)
    assert data_in(linked) == ONE
    assert not list((linked / SCRATCH).glob("sync-*"))


def test_a_data_folder_with_files_that_cannot_be_read_stays(versions: Path) -> None:
    """Of another user, or after `chmod`; root reads all, unless that is taken from it."""
    setpriv = shutil.which("setpriv")
    if os.geteuid() == 0 and setpriv is None:
        pytest.skip("root can read everything, and there is no setpriv")
    (versions / "data/images/cat.png").chmod(0)
    (versions / "data/images/cat.png").write_text("mine\n") if os.geteuid() == 0 else None
    weak = [setpriv or "", "--bounding-set=-dac_override,-dac_read_search"]
    command = [*(weak if os.geteuid() == 0 else ()), "git", "checkout", "-q", "two"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "data/images" in done.stderr and "Permission denied" in done.stderr
    (versions / "data/images/cat.png").chmod(0o644)
    assert (versions / "data/images/fox.png").exists()
    assert (versions / "data/train.csv").read_text() == TWO["data/train.csv"]
