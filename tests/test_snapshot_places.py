"""Snapshots in every kind of repository, in the middle of Git's own work, and where they fail."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import snapshotkinds
from conftest import Dvc, Git
from mounts import Mount, tmpfs
from snapshotting import brought_back, files_in, git_state, start

from mlflow_dvc_plugin.capture import kept


@pytest.mark.parametrize("kind", snapshotkinds.KINDS)
def test_the_git_state_stays_and_the_snapshot_is_exact(  # noqa: PLR0917
    repo: Path, git: Git, tracking_sqlite: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, kind: Callable[[Path, Git], Path],
) -> None:  # fmt: skip
    place = kind(repo, git)
    monkeypatch.chdir(place)
    (place / "data/data.dvc").write_text("outs: []\n")
    (place / "more.py").write_text("more\n")
    if kind not in (snapshotkinds.merge, snapshotkinds.rebase, snapshotkinds.cherry_pick):
        (place / "train.py").write_text("dirty\n")
    before = git_state(place, git)
    tags = start()
    assert git_state(place, git) == before
    assert "git.snapshot.incomplete" not in tags
    wanted = files_in(place)
    back = tmp_path / "back"
    assert brought_back(git, tags["git.snapshot"], back) == wanted
    git("worktree", "remove", "--force", str(back))
    git("gc", "-q", "--prune=now")
    assert git("cat-file", "-t", tags["git.snapshot"]) == "commit"


def test_what_cannot_be_kept_is_named(repo: Path, git: Git, tracking_sqlite: str) -> None:
    snapshotkinds.submodule(repo, git)
    (repo / "library/file").write_text("")
    git("add", "file", cwd=repo / "library")
    (repo / "large.json").write_text(" " * 1_000_001)
    git("update-index", "--assume-unchanged", "train.py")
    (repo / "train.py").write_text("hidden\n")
    tags = start()
    assert tags["git.snapshot.incomplete"] == '["large.json","library","train.py"]'
    assert "git.snapshot" in tags and "git.tree" not in tags  # it is not the tree as it ran


@pytest.mark.parametrize("name", ["ignored.py", "my_secrets.py", "id_rsa.py"])
def test_loaded_code_that_may_not_be_kept_is_named(
    repo: Path, git: Git, tracking_sqlite: str, name: str
) -> None:
    (repo / ".gitignore").write_text("ignored.py\n")
    git("add", ".gitignore")
    git("commit", "-qm", "ignore")
    (repo / name).write_text("import mlflow\n\nwith mlflow.start_run() as run:\n    pass\n"
                             "print(mlflow.get_run(run.info.run_id).data.tags)\n")  # fmt: skip
    out = subprocess.run([sys.executable, name], capture_output=True, text=True, check=True).stdout
    assert f"'git.snapshot.incomplete': '[\"{name}\"]'" in out


def test_a_filter_that_fails_means_no_snapshot_and_no_broken_run(
    repo: Path, git: Git, tracking_sqlite: str
) -> None:
    (repo / ".gitattributes").write_text("*.yaml filter=broken\n")
    git("add", ".gitattributes")
    git("commit", "-qm", "attributes")
    git("config", "filter.broken.clean", "exit 1")
    git("config", "filter.broken.required", "true")
    (repo / "conf.yaml").write_text("a: 1\n")
    (repo / "train.py").write_text("dirty\n")
    tags = start()
    assert tags["git.dirty"] == "true"
    assert "git.snapshot" not in tags and "git.tree" not in tags


@pytest.mark.parametrize("place", ["mlflow-dvc", "logs/MLFLOW_RUN_HEAD", "MLFLOW_RUN_HEAD.lock"])
def test_a_repository_that_takes_nothing_means_no_snapshot(
    repo: Path, git: Git, tracking_sqlite: str, place: str
) -> None:
    (repo / "train.py").write_text("dirty\n")
    blocked = repo / ".git" / place
    if place.startswith("logs"):
        (blocked / "in/the/way").mkdir(parents=True)
        (blocked / "in/the/way/file").write_text("")
    else:
        blocked.write_text("")
    tags = start()
    assert tags["git.dirty"] == "true"
    assert "git.snapshot" not in tags and "git.snapshot.incomplete" not in tags


def test_a_full_disk_means_no_snapshot(
    repo: Path, git: Git, tracking_sqlite: str, tmp_path: Path, mount: Mount
) -> None:
    small = tmpfs(mount, tmp_path / "small", "2m")
    git("clone", "-q", str(repo), str(small / "clone"))
    os.chdir(small / "clone")
    (small / "clone/train.py").write_bytes(os.urandom(300_000))
    with contextlib.suppress(OSError), open(small / "filler", "wb") as file:
        while file.write(bytes(4096)):
            file.flush()
    before = git("fsck")
    tags = start()
    assert tags["git.dirty"] == "true" and "git.snapshot" not in tags
    assert git("fsck") == before and not list(small.rglob("snapshot-*"))
    (small / "filler").unlink()
    assert "git.snapshot" in start()


def test_a_full_repository_keeps_no_more_and_names_prune(
    repo: Path, git: Git, tracking_sqlite: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "LIMIT", 4000)
    (repo / "noise.bin").write_bytes(os.urandom(3000))
    git("add", "noise.bin")
    found = [start()]
    for _ in range(3):
        (repo / "noise.bin").write_bytes(os.urandom(3000))
        found.append(start())
    assert ["git.snapshot" in tags for tags in found] == [True, True, False, False]
    assert "mlflow-dvc prune" in found[-1]["git.snapshot.incomplete"]
    git("commit", "-qam", "noise is in the history now")  # and counts no more


def test_what_git_could_not_keep_in_time_is_left(
    repo: Path, git: Git, tracking_sqlite: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", logger="mlflow_dvc_plugin")
    (repo / "big.bin").write_bytes(b"")
    git("add", "big.bin")
    with open("big.bin", "wb") as file:
        file.truncate(200 * 10**6)
    assert "git.snapshot" not in start()
    assert "too large for that (200 MB)" in caplog.text
    assert not list((repo / ".git/objects").rglob("tmp_obj_*"))


def test_an_experiment_in_a_temporary_folder_is_kept_by_the_repository(
    repo: Path, git: Git, dvc: Dvc, tracking_sqlite: str
) -> None:
    (repo / "dvc.yaml").write_text(
        f"stages:\n  train:\n    cmd: {sys.executable} train.py\n    deps: [train.py]\n"
    )
    (repo / ".gitignore").write_text("/mlruns\n")
    git("add", "-A")
    git("commit", "-qm", "pipeline")
    git("config", "user.name", "Test")  # DVC looks for them here
    git("config", "user.email", "test@example.org")
    (repo / "train.py").write_text(
        "import mlflow\nopen('made.py', 'w').write('1')\nopen('train.py', 'a').write('# more')\n"
        "with mlflow.start_run():\n    pass\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "dvc", "exp", "run", "--temp"], capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    import mlflow

    (run,) = mlflow.MlflowClient().search_runs(["0"])
    snapshot = run.data.tags["git.snapshot"]
    git("gc", "-q", "--prune=now")
    assert "made.py" in git("ls-tree", "-r", "--name-only", snapshot)
    assert git("show", f"{snapshot}:train.py").endswith("# more")
