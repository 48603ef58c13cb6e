"""In place nothing is forced: not over changes, unsaved data, or files in the way."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from conftest import Dvc, Git
from versions import ONE, TWO, data_in, write_data

from lineage.making import made
from lineage.restoring import bring, dirty_run, tagged, verb
from mlflow_dvc_plugin.errors import MlflowDvcError


def test_code_and_data_come_back_and_the_way_back_is_told(
    versions: Path, tracking_sqlite: str, git: Git
) -> None:
    run = made()
    git("checkout", "-q", "two")
    assert data_in(versions) == TWO
    code, out, err = verb(run.run_id, "--in-place")
    assert code == 0, out + err
    assert data_in(versions) == ONE and git("rev-parse", "HEAD") == run.commit
    assert "to go back: git checkout two && mlflow-dvc sync" in out
    assert git("status", "--porcelain") == ""
    git("checkout", "-q", "two")
    assert data_in(versions) == TWO


def test_a_dirty_tree_is_refused(versions: Path, tracking_sqlite: str, git: Git) -> None:
    run = made()
    git("checkout", "-q", "two")
    (versions / "train.py").write_text("unsaved\n")
    with pytest.raises(MlflowDvcError, match="the tree is dirty"):
        bring(run, in_place=True)
    assert (versions / "train.py").read_text() == "unsaved\n" and data_in(versions) == TWO
    assert git("symbolic-ref", "HEAD") == "refs/heads/two"


@pytest.mark.parametrize("path", ["data/train.csv", "data/images/cat.png", "data/images/mine.png"])
def test_unsaved_data_is_refused(versions: Path, tracking_sqlite: str, git: Git, path: str) -> None:
    run = made()
    git("checkout", "-q", "two")
    (versions / path).unlink(missing_ok=True)
    (versions / path).write_text("unsaved\n")
    with pytest.raises(MlflowDvcError, match="has unsaved data"):
        bring(run, in_place=True)
    assert (versions / path).read_text() == "unsaved\n"
    assert git("symbolic-ref", "HEAD") == "refs/heads/two"


@pytest.mark.parametrize("ignored", [False, True])
def test_a_file_in_the_way_stays(repo: Path, tracking_sqlite: str, git: Git, ignored: bool) -> None:
    (repo / "new.py").write_text("new\n")
    (repo / "train.py").write_text("edited\n")
    run = dirty_run(repo, git)
    git("checkout", "-q", "train.py")
    (repo / "new.py").write_text("mine\n")
    if ignored:
        (repo / ".git/info/exclude").write_text("new.py\n")
    with pytest.raises(MlflowDvcError, match="git checkout failed"):
        bring(run, in_place=True)
    assert (repo / "new.py").read_text() == "mine\n"
    assert git("symbolic-ref", "HEAD") == "refs/heads/main"


def test_a_merge_that_is_not_finished_is_refused(
    versions: Path, tracking_sqlite: str, git: Git
) -> None:
    run = made()
    git("merge", "-q", "--no-commit", "--no-ff", "-s", "ours", "two")
    with pytest.raises(MlflowDvcError, match="unfinished"):
        bring(run, in_place=True)


def test_a_missing_piece_leaves_the_worktree_as_it_was(
    versions: Path, tracking_sqlite: str, git: Git
) -> None:
    run = made()
    git("checkout", "-q", "two")
    value = run.tags["dvc.data.train.csv"]
    for folder in (".dvc/cache", "../remote"):
        (versions / folder / f"files/md5/{value[:2]}/{value[2:]}").unlink()
    outcome = bring(run, in_place=True)
    assert not outcome.made and len(outcome.missing) == 1
    assert data_in(versions) == TWO and git("symbolic-ref", "HEAD") == "refs/heads/two"


def test_data_alone_comes_into_the_worktree_under_the_present_code(
    versions: Path, tracking_sqlite: str, git: Git
) -> None:
    run = made()
    git("checkout", "-q", "two")
    (versions / "train.py").write_text("my work\n")
    outcome = bring(run, in_place=True, only="data")
    assert outcome.whole and data_in(versions) == ONE
    assert (versions / "train.py").read_text() == "my work\n"
    assert git("symbolic-ref", "HEAD") == "refs/heads/two"


def test_modified_data_comes_back_in_place(
    versions: Path, tracking_sqlite: str, git: Git, dvc: Dvc
) -> None:
    write_data(versions, TWO)
    run = made()
    assert run.tags["dvc.status"] == "modified"
    write_data(versions, ONE)
    git("checkout", "-q", "two")
    outcome = bring(run, in_place=True)
    assert outcome.whole, outcome
    assert data_in(versions) == TWO and git("rev-parse", "HEAD") == run.commit
    git("commit", "-q", "--allow-empty", "-m", "go on")
    assert data_in(versions) == TWO


def test_a_linked_worktree_shares_the_cache_of_the_main_one(
    versions: Path, tracking_sqlite: str, git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = made()
    shutil.rmtree(versions / ".dvc/cache")
    linked = versions.parent / "linked"
    git("worktree", "add", "-q", "--detach", str(linked), "two")
    monkeypatch.chdir(linked)
    outcome = bring(run)
    folder = versions.parent / f"project-{run.run_id[:8]}"
    assert outcome.whole and outcome.fetched == 5 and data_in(folder) == ONE
    assert (folder / ".dvc/cache").samefile(versions / ".dvc/cache")
    outcome = bring(run, in_place=True)
    assert outcome.whole and data_in(linked) == ONE, outcome
    assert git("symbolic-ref", "HEAD", cwd=versions) == "refs/heads/main"


def test_code_alone_leaves_the_data(versions: Path, tracking_sqlite: str, git: Git) -> None:
    run = made()
    git("checkout", "-q", "two")
    outcome = bring(run, in_place=True, only="code")
    assert outcome.whole and data_in(versions) == TWO
    assert git("rev-parse", "HEAD") == run.commit
    with pytest.raises(MlflowDvcError, match="names no commit"):
        bring(tagged(run, **{"mlflow.source.git.commit": "-f"}), in_place=True)
