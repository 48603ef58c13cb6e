"""A run comes back beside the current work: its code, its data, and nothing else changes."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import Dvc, Git
from versions import ONE, TWO, data_in, write_data

from lineage.making import made
from lineage.restoring import beside, bring, dirty_run, tagged, verb
from mlflow_dvc_plugin.errors import MlflowDvcError


def test_a_run_comes_back_beside_the_current_work(
    versions: Path, tracking_sqlite: str, git: Git
) -> None:
    run = made()
    git("checkout", "-q", "two")
    before = git("status", "--porcelain=v2", "--branch"), data_in(versions)
    outcome = bring(run)
    folder = beside(versions, run)
    assert outcome.whole and outcome.made and outcome.folders == {str(folder): run.commit}
    assert data_in(folder) == ONE
    assert set(outcome.checked) == {"data/images", "data/train.csv"}
    assert git("rev-parse", "HEAD", cwd=folder) == run.commit
    assert git("symbolic-ref", "-q", "HEAD") == "refs/heads/two"
    assert git("status", "--porcelain", "--untracked-files=all", cwd=folder) == ""
    assert (git("status", "--porcelain=v2", "--branch"), data_in(versions)) == before
    assert data_in(versions) == TWO


def test_in_the_new_worktree_dvc_and_the_hooks_find_nothing_to_do(
    versions: Path, tracking_sqlite: str, git: Git, dvc: Dvc
) -> None:
    run = made()
    bring(run)
    folder = beside(versions, run)
    assert "up to date" in dvc("status", cwd=folder)
    git("commit", "-q", "--allow-empty", "-m", "go on", cwd=folder)
    git("checkout", "-q", "-b", "more", cwd=folder)
    assert data_in(folder) == ONE


def test_the_verb_says_what_it_did(repo: Path, tracking_sqlite: str) -> None:
    run = made()
    code, out, err = verb(run.run_id[:10])
    assert (code, err) == (0, "")
    assert f"is in {beside(repo, run)}: commit {run.commit}" in out
    assert f"as the run had it: data/train.csv ({run.tags['dvc.data.train.csv']})" in out
    code, out, _ = verb(run.run_id, "--to", "../again", "--json")
    found = json.loads(out)
    assert code == 0 and found["whole"] and found["fetched"] == {"objects": 0, "bytes": 0}
    code, _, err = verb(run.run_id, "--to", "../again")
    assert code == 1 and "is not empty" in err and "hint: name another one" in err
    shutil.move(repo.parent / "again", repo.parent / "moved")
    code, _, err = verb(run.run_id, "--to", "../again")
    assert code == 1 and f"Git knows a worktree at {repo.parent / 'again'}, which is away" in err
    assert not (repo.parent / "again").exists()
    assert verb(run.run_id, "--to", "x", "--in-place")[0] == 2


def test_a_dirty_run_comes_back_as_it_was(repo: Path, tracking_sqlite: str, git: Git) -> None:
    (repo / "old.bin").write_bytes(bytes(range(256)))
    (repo / "tool.sh").write_text("#!/bin/sh\n")
    (repo / "gone.py").write_text("gone\n")
    git("add", "-A")
    git("commit", "-qm", "more")
    (repo / "old.bin").write_bytes(bytes(range(255, -1, -1)))
    (repo / "tool.sh").chmod(0o755)
    git("rm", "-q", "gone.py")
    git("mv", "train.py", "run.py")
    (repo / "new.py").write_text("new\n")
    (repo / "link").symlink_to("new.py")
    run = dirty_run(repo, git)
    git("stash", "-q", "-u")
    outcome = bring(run)
    folder = beside(repo, run)
    assert outcome.whole, outcome
    assert (folder / "old.bin").read_bytes() == bytes(range(255, -1, -1))
    assert (folder / "tool.sh").stat().st_mode & 0o111
    assert not (folder / "gone.py").exists() and not (folder / "train.py").exists()
    assert (folder / "run.py").exists() and (folder / "link").readlink() == Path("new.py")
    assert git("rev-parse", "HEAD^{tree}", cwd=folder) == run.tree


def test_what_no_snapshot_has_is_named(repo: Path, tracking_sqlite: str, git: Git) -> None:
    (repo / "train.py").write_text("edited\n")
    run = made()
    git("checkout", "-q", "train.py")
    if run.snapshot is None:
        outcome = bring(run)
        assert outcome.made and list(outcome.lacking) == ["uncommitted changes"]
    left_out = tagged(run, git__snapshot__incomplete='["big.bin"]')
    outcome = bring(left_out, to="../other")
    assert outcome.lacking["big.bin"] == "it is not in the snapshot"


def test_modified_data_comes_back_as_the_tag_says(
    repo: Path, tracking_sqlite: str, git: Git, dvc: Dvc
) -> None:
    write_data(repo, TWO)
    run = made()
    assert run.tags["dvc.status"] == "modified"
    lost = bring(run, to="../lost")
    assert not lost.made and len(lost.missing) == 2 and not (repo.parent / "lost").exists()
    dvc("add", "--quiet", "data/train.csv", "data/images")
    git("checkout", "-q", ".")
    dvc("checkout", "--quiet")
    outcome = bring(run)
    folder = beside(repo, run)
    assert outcome.whole and data_in(folder) == TWO and data_in(repo) == ONE
    assert sum("was modified when the run started" in note for note in outcome.notes) == 2
    # No hook and no Git operation takes it back.
    git("commit", "-q", "--allow-empty", "-m", "go on", cwd=folder)
    assert data_in(folder) == TWO


def test_only_the_inputs_come_back_unless_all_is_asked_for(
    repo: Path, tracking_sqlite: str, git: Git, dvc: Dvc
) -> None:
    (repo / "models").mkdir()
    (repo / "models/m.pkl").write_text("model")
    dvc("add", "--quiet", "models/m.pkl")
    git("add", "-A")
    git("commit", "-qm", "a model")
    (repo / "data/train.csv").unlink()
    run = made()
    assert "data/train.csv" in run.tags["dvc.missing"]
    folder = beside(repo, run)
    assert bring(run).whole
    assert not (folder / "models/m.pkl").exists() and not (folder / "data/train.csv").exists()
    outcome = bring(run, to="../all", everything=True)
    assert outcome.whole and len(outcome.checked) == 3
    assert (repo.parent / "all/models/m.pkl").read_text() == "model"


def test_code_and_data_can_be_had_alone(repo: Path, tracking_sqlite: str, git: Git) -> None:
    run = made()
    assert bring(run, to="../code", only="code").whole
    assert data_in(repo.parent / "code") == {}
    assert bring(run, to="../data", only="data").whole
    files = [path for path in (repo.parent / "data").rglob("*") if path.is_file()]
    assert data_in(repo.parent / "data") == ONE and len(files) == len(ONE)
    assert len(git("worktree", "list").splitlines()) == 2


def test_a_dry_run_changes_nothing(repo: Path, tracking_sqlite: str, dvc: Dvc) -> None:
    run = made()
    shutil.rmtree(repo / ".dvc/cache")
    before = sorted(path for path in repo.parent.rglob("*") if "/home/" not in str(path))
    outcome = bring(run, dry_run=True)
    assert outcome.whole and not outcome.made and outcome.fetched == 5
    assert outcome.size == sum(len(text) for text in ONE.values())
    after = sorted(path for path in repo.parent.rglob("*") if "/home/" not in str(path))
    assert before == after
    dvc("fetch", "--quiet")
    lost = hashlib.md5(ONE["data/images/cat.png"].encode()).hexdigest()
    (repo / ".dvc/cache/files/md5" / lost[:2] / lost[2:]).unlink()
    outcome = bring(run, dry_run=True)
    assert (outcome.fetched, outcome.size) == (1, None)
    shutil.rmtree(repo / ".dvc/cache")
    (repo.parent / "remote").rename(repo.parent / "elsewhere")
    outcome = bring(run, dry_run=True)
    assert {one.path for one in outcome.missing} == {"data/images", "data/train.csv"}


def test_a_run_without_a_commit_or_from_elsewhere_is_refused(
    repo: Path, tracking_sqlite: str
) -> None:
    run = made()
    with pytest.raises(MlflowDvcError, match="names no commit"):
        bring(tagged(run, **{"mlflow.source.git.commit": "no id"}))
    with pytest.raises(MlflowDvcError, match="is missing") as caught:
        bring(tagged(run, **{"mlflow.source.git.commit": "0" * 40}))
    assert "tried this repository" in caught.value.message
    assert not beside(repo, run).exists()


def test_a_run_that_cannot_be_read_is_an_error_with_a_hint(
    repo: Path, tracking_sqlite: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    run = made()
    mlflow.delete_run(run.run_id)
    code, _, err = verb(run.run_id)
    assert code == 1 and "is deleted" in err and "hint: mlflow runs restore" in err
    code, _, err = verb("0" * 32)
    assert code == 1 and "there is no run" in err and "hint: " in err
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    code, _, err = verb(run.run_id)
    assert code == 1 and "hint: " in err
    assert not beside(repo, run).exists()


def test_outside_a_repository_nothing_is_restored(
    repo: Path, tracking_sqlite: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = made()
    monkeypatch.chdir(repo.parent / "empty")
    with pytest.raises(MlflowDvcError, match="no Git worktree"):
        bring(run)


def test_a_run_without_tags_brings_back_its_commit_alone(repo: Path, tracking_sqlite: str) -> None:
    run = made()
    bare = replace(run, tags={"mlflow.source.git.commit": run.commit or ""})
    outcome = bring(bare)
    assert outcome.made and outcome.notes == ["the run's tags state no data"]
    assert data_in(beside(repo, run)) == {}
