"""What is missing here is fetched, with today's configuration, or named with each place tried."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from conftest import Dvc, Git
from s3 import KEY, S3, SECRET
from versions import ONE, data_in

from lineage.making import made
from lineage.restoring import beside, bring, dirty_run, tagged, verb
from mlflow_dvc_plugin.errors import MlflowDvcError
from mlflow_dvc_plugin.lineage.record import Record


def flip(path: Path) -> None:
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[::-1] + b"!")


def cloned(repo: Path, git: Git, *args: str) -> Path:
    """Clone the project, its `origin` bare, with an empty DVC cache; go there."""
    bare, clone = repo.parent / "origin.git", repo.parent / "clone"
    if not bare.exists():
        git("clone", "-q", "--bare", f"file://{repo}", str(bare))
    git("clone", "-q", *args, f"file://{bare}", str(clone))
    os.chdir(clone)
    return clone


def refs(folder: Path, git: Git) -> str:
    return git("for-each-ref", cwd=folder) + str((folder / ".git/FETCH_HEAD").exists())


def test_a_fresh_clone_fetches_from_a_remote_that_was_renamed_since(
    repo: Path, tracking_sqlite: str, git: Git, dvc: Dvc
) -> None:
    run = made()
    clone = cloned(repo, git)
    (repo.parent / "remote").rename(repo.parent / "storage")
    shutil.rmtree(repo)
    assert not bring(run).made
    dvc("remote", "rename", "--quiet", "local", "store")
    dvc("remote", "modify", "--quiet", "store", "url", "../storage")
    git("commit", "-qam", "the remote has moved")
    outcome = bring(run)
    assert outcome.whole and outcome.fetched == 5
    assert data_in(beside(clone, run)) == ONE
    shown = [path.stat().st_mode & 0o777 for path in (clone / ".dvc/cache").rglob("??*")
             if path.is_file()]  # fmt: skip
    assert shown == [0o444] * 5 and not list((clone / ".dvc/cache").glob("mlflow-dvc-*"))


def test_data_comes_from_s3(
    repo: Path, tracking_sqlite: str, dvc: Dvc, bucket: Path, s3_server: S3
) -> None:
    run = made()
    dvc("remote", "add", "--quiet", "--default", "far", f"s3://{bucket.name}/dvc")
    settings = {"endpointurl": s3_server.url, "region": "us-east-1"}
    settings |= {"access_key_id": KEY, "secret_access_key": SECRET}
    for name, value in settings.items():
        dvc("remote", "modify", "--quiet", "--local", "far", name, value)
    dvc("push", "--quiet")
    shutil.rmtree(repo / ".dvc/cache")
    shutil.rmtree(repo.parent / "remote")
    assert bring(run, dry_run=True).fetched == 5
    outcome = bring(run)
    assert outcome.whole and outcome.fetched == 5 and data_in(beside(repo, run)) == ONE
    shutil.rmtree(repo / ".dvc/cache")
    dvc("remote", "modify", "--quiet", "--local", "far", "secret_access_key", "wrong")
    outcome = bring(run, to="../again")
    assert not outcome.made and not (repo.parent / "again").exists()
    assert "DVC remote 'far': DVC remote 'far' (s3" in str(outcome.missing[0].tried)


def test_a_missing_object_is_named_with_each_place_that_was_tried(
    repo: Path, tracking_sqlite: str, git: Git
) -> None:
    run = made()
    shutil.rmtree(repo / ".dvc/cache")
    value = run.tags["dvc.data.train.csv"]
    (repo.parent / f"remote/files/md5/{value[:2]}/{value[2:]}").unlink()
    code, out, err = verb(run.run_id)
    assert code == 1 and err.startswith("hint: mlflow-dvc restore ")
    assert f"missing: data/train.csv ({value})\n  tried the cache" in out
    assert "  tried DVC remote 'local': not there\n" in out
    assert "nothing was brought back" in out and not beside(repo, run).exists()
    assert len(git("worktree", "list").splitlines()) == 1


@pytest.mark.parametrize("where", ["cache", "remote"])
def test_damaged_objects_are_never_used(
    repo: Path, tracking_sqlite: str, where: str, git: Git
) -> None:
    run = made()
    value = run.tags["dvc.data.train.csv"]
    for folder in ("../remote", ".dvc/cache"):
        if folder.endswith(where) or where == "remote":
            place = repo / folder / "files/md5" / value[:2] / value[2:]
            flip(place) if folder.endswith(where) else place.unlink()
    outcome = bring(run)
    if where == "cache":  # the remote's is taken; the damaged bytes may be a person's, and stay
        assert outcome.whole and outcome.fetched == 1 and data_in(beside(repo, run)) == ONE
        assert len(list((repo / ".dvc/cache/files/md5" / value[:2]).glob("*.damaged"))) == 1
    else:
        assert [one.path for one in outcome.missing] == ["data/train.csv"]
        assert "holds other bytes under this name" in outcome.missing[0].tried[-1]
        assert not (repo / ".dvc/cache/files/md5" / value[:2] / value[2:]).exists()


def test_a_snapshot_comes_from_the_git_remote_and_leaves_no_ref(
    repo: Path, tracking_sqlite: str, git: Git
) -> None:
    (repo / "train.py").write_text("edited\n")
    (repo / "new.py").write_text("new\n")
    run = dirty_run(repo, git)
    clone = cloned(repo, git)
    with pytest.raises(MlflowDvcError, match=r"snapshot .* is missing") as caught:
        bring(run)
    assert "Git remote 'origin'" in caught.value.message and "push RUN" in caught.value.hint
    ref = f"refs/mlflow-dvc/snapshots/{run.snapshot}"
    git("push", "-q", str(repo.parent / "origin.git"), f"{run.snapshot}:{ref}", cwd=repo)
    before = refs(clone, git)
    outcome = bring(run)
    assert outcome.whole and outcome.commits_from == {run.snapshot: "origin"}
    assert (beside(clone, run) / "new.py").read_text() == "new\n"
    assert refs(clone, git) == before


@pytest.mark.parametrize("allowed", ["true", "false"])
def test_a_shallow_clone_fetches_the_commit(
    repo: Path, tracking_sqlite: str, git: Git, allowed: str
) -> None:
    run = made()
    for number in range(3):
        git("commit", "-q", "--allow-empty", "-m", f"{number}")
    git("clone", "-q", "--bare", str(repo), str(repo.parent / "origin.git"))
    git("config", "uploadpack.allowAnySHA1InWant", allowed, cwd=repo.parent / "origin.git")
    clone = cloned(repo, git, "--depth=1")
    before = refs(clone, git), (clone / ".git/shallow").read_text()
    outcome = bring(run)
    assert outcome.whole and outcome.commits_from == {run.commit: "origin"}
    assert (refs(clone, git), (clone / ".git/shallow").read_text()) == before


def test_a_server_that_gives_no_commit_by_its_id_gives_its_branches(
    repo: Path, tracking_sqlite: str, git: Git
) -> None:
    clone = cloned(repo, git)
    git("config", "protocol.version", "0")
    git("commit", "-q", "--allow-empty", "-m", "new", cwd=repo)
    git("commit", "-q", "--allow-empty", "-m", "newer", cwd=repo)
    git("push", "-q", str(repo.parent / "origin.git"), "HEAD:refs/heads/topic", cwd=repo)
    old = git("rev-parse", "HEAD~", cwd=repo)
    run = tagged(made(), **{"mlflow.source.git.commit": old})
    before = refs(clone, git)
    outcome = bring(run)
    assert outcome.whole and outcome.commits_from == {old: "origin"}
    assert refs(clone, git) == before


def test_a_git_remote_that_is_away_is_named(repo: Path, tracking_sqlite: str, git: Git) -> None:
    run = tagged(made(), **{"mlflow.source.git.commit": "1" * 40})
    git("remote", "add", "origin", "https://127.0.0.1:9/nothing.git")
    git("remote", "add", "other", str(repo.parent / "no such folder"))
    with pytest.raises(MlflowDvcError) as caught:
        bring(run)
    assert "Git remote 'origin': git fetch failed" in caught.value.message
    assert "Git remote 'other': git fetch failed" in caught.value.message


def test_a_remote_of_dvc_that_is_away_leaves_nothing(
    repo: Path, tracking_sqlite: str, dvc: Dvc
) -> None:
    run = made()
    shutil.rmtree(repo / ".dvc/cache")
    shutil.rmtree(repo.parent / "remote")
    dvc("remote", "add", "--quiet", "--default", "far", "s3://bucket/dvc")
    dvc("remote", "modify", "--quiet", "far", "endpointurl", "http://127.0.0.1:9")
    outcome = bring(run)
    assert not outcome.made and not beside(repo, run).exists()
    assert all(any("'far'" in text for text in one.tried) for one in outcome.missing)


def test_a_commit_that_was_rebased_away_comes_back_while_git_has_it(
    repo: Path, tracking_sqlite: str, git: Git
) -> None:
    git("commit", "-q", "--allow-empty", "-m", "to be lost")
    run: Record = made()
    git("reset", "-q", "--hard", "HEAD~")
    assert bring(run).whole
    clone = cloned(repo, git)
    with pytest.raises(MlflowDvcError, match="is missing"):
        bring(run)
    assert not beside(clone, run).exists()
