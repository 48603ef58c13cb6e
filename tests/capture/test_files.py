"""Bytes and identities of files, in a worktree and in a commit, under every name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mlflow_dvc_plugin.capture.files import MAX_BYTES, CommitFiles, Files, WorktreeFiles
from mlflow_dvc_plugin.gitrepo import GitError

from .conftest import Write, commit

NAMES = ["plain.dvc", "a b/c'\"d.dvc", "new\nline\t.dvc", "ü/中.dvc", os.fsdecode(b"raw\xff.dvc")]


@pytest.fixture(params=["worktree", "commit"])
def files(request: pytest.FixtureRequest, make: Write) -> Files:
    root = make({name: f"content of {index}" for index, name in enumerate(NAMES)})
    (root / "link.dvc").symlink_to("plain.dvc")
    (root / "dangling.dvc").symlink_to("gone")
    if request.param == "worktree":
        return WorktreeFiles(str(root))
    return CommitFiles(str(root), commit(root))


@pytest.mark.parametrize("index", range(len(NAMES)))
def test_a_file_is_read_under_any_name(files: Files, index: int) -> None:
    name = NAMES[index]
    assert files.read(name) == f"content of {index}".encode()
    assert files.exists(name)
    assert files.identity(name)
    assert not files.is_dir(name)


def test_what_is_no_regular_file_has_no_content_and_no_identity(files: Files) -> None:
    for name in ("gone", "a b", "dangling.dvc", "../outside", "a\0b"):
        assert files.read(name) is None
        assert files.identity(name) is None
    assert files.is_dir("a b")
    assert files.exists("dangling.dvc")
    assert not files.exists("gone")


def test_a_commit_does_not_follow_links_as_dvc_does_not(make: Write) -> None:
    root = make({"x": "1"})
    (root / "link").symlink_to("x")
    assert CommitFiles(str(root), commit(root)).read("link") is None
    assert WorktreeFiles(str(root)).read("link") == b"1"


def test_identities_of_a_commit_are_blob_ids_and_follow_the_content(make: Write) -> None:
    root = make({"x.dvc": "1", "y.dvc": "1"})
    first = commit(root)
    (root / "x.dvc").write_text("2")
    before, after = CommitFiles(str(root), first), CommitFiles(str(root), commit(root))
    assert before.identity("x.dvc") == before.identity("y.dvc") == after.identity("y.dvc")
    assert before.identity("x.dvc") != after.identity("x.dvc")
    assert (before.read("x.dvc"), after.read("x.dvc")) == (b"1", b"2")


def test_many_blobs_are_read_at_once_with_any_content(make: Write) -> None:
    contents = {f"d/{n}.dvc": bytes([n]) * n + b"\n\0missing\n" for n in range(200)}
    root = make(contents)
    files = CommitFiles(str(root), commit(root))
    files.prefetch(contents)
    assert {name: files.read(name) for name in contents} == contents


def test_a_blob_missing_from_the_repository_is_an_error_not_an_absent_file(make: Write) -> None:
    root = make({"x.dvc": "unique"})
    files = CommitFiles(str(root), commit(root))
    blob = files.identity("x.dvc")
    assert blob
    (root / ".git/objects" / blob[:2] / blob[2:]).unlink()
    with pytest.raises(OSError, match="missing"):
        files.read("x.dvc")


def test_an_unknown_commit_is_an_error(make: Write) -> None:
    with pytest.raises(GitError):
        CommitFiles(str(make({})), "f" * 40)


@pytest.mark.timeout(2, func_only=True)
def test_a_pipe_is_never_waited_for(make: Write) -> None:
    root = make({})
    os.mkfifo(root / "x.dvc")
    files = WorktreeFiles(str(root))
    assert files.read("x.dvc") is None
    assert files.identity("x.dvc") is None
    assert files.exists("x.dvc")


def test_the_identity_changes_with_content_of_the_same_length_and_time(make: Write) -> None:
    root = make({"x": "1"})
    files = WorktreeFiles(str(root))
    before, times = files.identity("x"), os.stat(root / "x").st_mtime_ns
    (root / "x").write_text("2")
    os.utime(root / "x", ns=(times, times))
    assert files.identity("x") != before


def test_a_file_touched_now_or_in_the_future_is_not_settled(make: Write) -> None:
    root = make({"x": "1"})
    files = WorktreeFiles(str(root))
    assert not files.settled("x")  # its ctime is now
    assert files.settled("gone")


def test_a_huge_file_is_not_read_into_memory(make: Write, tmp_path: Path) -> None:
    root = make({"x.dvc": "1"})
    os.truncate(root / "x.dvc", MAX_BYTES + 1)
    with pytest.raises(OSError, match="larger"):
        WorktreeFiles(str(root)).read("x.dvc")
