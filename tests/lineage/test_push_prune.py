"""Snapshots are shared when asked for, and dropped with their runs."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import Dvc, Git
from inprocess import mlflow_dvc
from snapshotting import NOT_KEPT, files_in

from lineage.making import made
from mlflow_dvc_plugin.gitdir import require_worktree
from mlflow_dvc_plugin.gitrepo import snapshot as repository
from mlflow_dvc_plugin.lineage.record import Record


@pytest.fixture
def upstream(dirty: Path, git: Git, tmp_path: Path) -> Path:
    """Return the project's Git remote, which has its first commit only."""
    git("init", "-q", "--bare", str(tmp_path / "up.git"))
    git("remote", "add", "origin", str(tmp_path / "up.git"))
    git("push", "-q", "origin", "HEAD~1:refs/heads/main")
    return tmp_path / "up.git"


def there(upstream: Path, git: Git) -> list[str]:
    return git("for-each-ref", "--format=%(refname)", cwd=upstream).splitlines()


def test_a_dirty_run_is_exact_in_a_fresh_clone(
    dirty: Path, upstream: Path, git: Git, dvc: Dvc, tmp_path: Path
) -> None:
    (dirty / "data/train.csv").write_text("x,y\n7,8\n")
    dvc("add", "--quiet", "data/train.csv")
    wanted = {name: what for name, what in files_in(dirty).items() if name not in NOT_KEPT}
    run = made()
    code, out, err = mlflow_dvc("push", run.run_id[:12])
    assert (code, err) == (0, "") and f"pushed {run.snapshot} to origin" in out
    assert "1 object uploaded to DVC remote local" in out
    assert there(upstream, git) == ["refs/heads/main", f"refs/mlflow-dvc/snapshots/{run.snapshot}"]
    git("clone", "-q", str(upstream), str(tmp_path / "clone"))
    name = f"refs/mlflow-dvc/snapshots/{run.snapshot}"
    git("fetch", "-q", "origin", name, cwd=tmp_path / "clone")
    git("checkout", "-q", str(run.snapshot), cwd=tmp_path / "clone")
    assert files_in(tmp_path / "clone") == wanted
    dvc("pull", "--quiet", "data/train.csv", cwd=tmp_path / "clone")
    assert (tmp_path / "clone/data/train.csv").read_text() == "x,y\n7,8\n"


def test_what_is_there_is_not_pushed_again(dirty: Path, upstream: Path, git: Git) -> None:
    git("stash", "-q")
    run = made()
    assert mlflow_dvc("push", run.run_id)[0] == 0
    assert there(upstream, git)[1:] == [f"refs/mlflow-dvc/snapshots/{run.commit}"]
    git("push", "-q", "origin", "main")
    assert f"origin has {run.commit} already" in mlflow_dvc("push", run.run_id)[1]


def test_what_cannot_be_shared_is_named(dirty: Path, upstream: Path, git: Git) -> None:
    import mlflow

    run = made()
    objects = list((dirty / ".dvc/cache/files/md5").glob("*/*"))
    for path in objects:
        path.unlink()
    shutil.rmtree(dirty.parent / "remote")
    mlflow.MlflowClient().set_tag(run.run_id, "git.snapshot", "0" * 40)
    code, _, err = mlflow_dvc("push", run.run_id)
    assert code == 1 and f"its commit {'0' * 10} is not here" in err
    assert "data/train.csv is in neither the cache nor 'local'" in err
    mlflow.MlflowClient().delete_tag(run.run_id, "git.snapshot")
    assert "was dirty, and was not kept" in mlflow_dvc("push", run.run_id)[2]
    git("remote", "remove", "origin")
    assert "hint: git remote add origin URL" in mlflow_dvc("push", run.run_id)[2]


def _three(dirty: Path) -> list[Record]:
    runs = []
    for number in range(3):
        (dirty / "kept.py").write_text(f"run {number}\n")
        runs.append(made())
    return runs


@pytest.mark.parametrize("gone", [0, 1, 2])
def test_the_snapshot_of_a_deleted_run_goes_and_the_others_stay(
    dirty: Path, git: Git, gone: int
) -> None:
    import mlflow

    runs = _three(dirty)
    same = made()  # shares the last one's
    mlflow.delete_run(runs[gone].run_id)
    before = repository.kept(str(dirty / ".git"))
    assert f"dropped, {3 if gone == 2 else 2} in use" in mlflow_dvc("prune", "--dry-run")[1]
    assert repository.kept(str(dirty / ".git")) == before
    used = {str(run.snapshot) for run in [*runs[:gone], *runs[gone + 1 :], same]}
    found = json.loads(mlflow_dvc("prune", "--json")[1])
    assert set(found["used"]) == used and set(found["dropped"]) == set(before) - used
    assert set(repository.kept(str(dirty / ".git"))) == used
    git("gc", "-q", "--prune=now")
    alive = {commit for commit in before if not _is_gone(commit)}
    assert alive == used
    assert git("fsck", "--no-dangling") == ""
    again = made()
    assert again.snapshot == same.snapshot


def _is_gone(commit: str) -> bool:
    return subprocess.run(["git", "cat-file", "-e", commit], check=False).returncode != 0


def test_a_snapshot_of_another_store_stays_unless_asked_for(
    dirty: Path, git: Git, tracking_sqlite: str
) -> None:
    import mlflow

    runs = _three(dirty)
    mlflow.MlflowClient().delete_tag(runs[0].run_id, "git.snapshot")
    assert "1 snapshot kept that no run of this tracking store names" in mlflow_dvc("prune")[1]
    assert mlflow_dvc("prune", "--strangers")[1].startswith("1 snapshot dropped, 2 in use")
    for run in runs:
        mlflow.delete_run(run.run_id)
    assert mlflow_dvc("prune")[1].startswith("2 snapshots dropped, 0 in use")
    assert repository.kept(require_worktree(str(dirty)).common_dir) == []
    assert not (dirty / ".git/MLFLOW_RUN_HEAD").exists()
    git("gc", "-q", "--prune=now")
    assert _is_gone(str(runs[1].snapshot))


def test_the_snapshot_of_a_registered_model_stays(dirty: Path, git: Git) -> None:
    import mlflow

    run = made()
    client = mlflow.MlflowClient()
    client.create_registered_model("wine")
    client.create_model_version("wine", f"runs:/{run.run_id}/model", run.run_id)
    mlflow.delete_run(run.run_id)
    assert mlflow_dvc("prune", "--strangers")[1].startswith("0 snapshots dropped, 1 in use")
    client.delete_model_version("wine", "1")
    assert mlflow_dvc("prune")[1].startswith("1 snapshot dropped, 0 in use")
