"""A dirty run is as good as a commit: its tree is kept, and nobody sees where."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from conftest import Git
from snapshotting import NOT_KEPT, brought_back, files_in, git_state, start


def test_every_change_to_the_code_is_kept(dirty: Path, git: Git, tmp_path: Path) -> None:
    tags = start()
    assert tags["git.dirty"] == "true" and "git.snapshot.incomplete" not in tags
    assert tags["git.tree"] == git("rev-parse", f"{tags['git.snapshot']}^{{tree}}")
    wanted = {name: what for name, what in files_in(dirty).items() if name not in NOT_KEPT}
    assert brought_back(git, tags["git.snapshot"], tmp_path / "back") == wanted
    assert git("rev-parse", f"{tags['git.snapshot']}^") == git("rev-parse", "HEAD")


def test_nothing_that_a_person_sees_of_git_changes(dirty: Path, git: Git) -> None:
    git("stash", "push", "-q", "staged.py")
    for event in ("post-index-change", "reference-transaction", "post-commit"):
        hook = dirty / ".git/hooks" / event
        hook.write_text("#!/bin/sh\ntouch ../hook-was-called\n")
        hook.chmod(0o755)
    before = git_state(dirty, git)
    (dirty.parent / "hook-was-called").unlink(missing_ok=True)
    assert "git.snapshot" in start()
    assert not (dirty.parent / "hook-was-called").exists()
    assert git_state(dirty, git) == before


def test_it_outlives_a_garbage_collection(dirty: Path, git: Git) -> None:
    snapshot = start()["git.snapshot"]
    log = dirty / ".git/logs/MLFLOW_RUN_HEAD"
    log.write_text(re.sub(r"> \d+ ", "> 1000000000 ", log.read_text()))  # of 2001
    git("gc", "-q", "--prune=now")
    git("-c", "gc.auto=1", "gc", "-q", "--auto")
    assert git("cat-file", "-t", snapshot) == "commit"
    assert git("fsck", "--connectivity-only", snapshot) == ""


def test_equal_trees_share_one_commit_and_logs_make_no_other(dirty: Path, git: Git) -> None:
    found = set()
    for number in range(4):
        (dirty / f"run-{number}.log").write_text("lines\n")
        (dirty / f"predictions-{number}.csv").write_text("1\n")
        found.add(start()["git.snapshot"])
    assert len(found) == 1
    git("commit", "-qam", "all of it")
    (dirty / "kept.py").write_text("another\n")
    assert start()["git.snapshot"] not in found
    assert git("rev-parse", "HEAD^{tree}") != git("rev-parse", f"{found.pop()}^{{tree}}")


def test_the_commit_of_exactly_this_has_the_tree_of_the_run(
    repo: Path, git: Git, tracking_sqlite: str
) -> None:
    (repo / "train.py").write_text("# better\n")
    (repo / "model.py").write_text("# new\n")
    tags = start()
    git("add", "train.py", "model.py")
    git("commit", "-qm", "better")
    assert tags["git.tree"] == git("rev-parse", "HEAD^{tree}")


def test_many_processes_at_once_make_the_same(dirty: Path, git: Git) -> None:
    import sys

    code = (
        "from mlflow_dvc_plugin.capture.live import Facts, capture;"
        "print(capture(Facts(), keep='new')[0].code.snapshot)"
    )
    many = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        for _ in range(8)
    ]
    found = {process.communicate(timeout=60)[0].strip() for process in many}
    assert len(found) == 1 and found != {"None"}
    assert found == {start()["git.snapshot"]}
    assert not list((dirty / ".git/mlflow-dvc").glob("snapshot-*"))


@pytest.mark.parametrize("kind", ["tracked", "off"])
def test_the_setting_says_what_is_kept(
    dirty: Path, git: Git, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_DVC_SNAPSHOT", kind)
    tags = start()
    assert ("git.snapshot" in tags) == (kind == "tracked")
    if kind == "tracked":
        names = git("ls-tree", "-r", "--name-only", tags["git.snapshot"]).splitlines()
        assert "new/code.py" not in names and "moved-to.py" in names


def test_only_the_start_of_a_run_makes_one(dirty: Path, git: Git) -> None:
    import mlflow
    from providing import tags as asked

    assert "git.snapshot" not in asked()
    with mlflow.start_run():
        (dirty / "kept.py").write_text("changed while it ran\n")
    assert len(git("log", "-g", "--format=%H", "MLFLOW_RUN_HEAD").splitlines()) == 1


def test_a_repository_without_a_commit_keeps_what_is_there(
    repo: Path, git: Git, tracking_sqlite: str
) -> None:
    git("checkout", "-q", "--orphan", "new")
    tags = start()
    assert git("rev-list", "--count", tags["git.snapshot"]) == "1"
    assert "train.py" in git("ls-tree", "-r", "--name-only", tags["git.snapshot"])
