"""Git's objects through one process: it ends with its reader, and may end before."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mlflow_dvc_plugin.gitrepo import GitError, GitObjects

from .conftest import Write, commit, run_git

FILES = {f"{number}.txt": f"content {number}\n" * 1000 for number in range(30)}


def ids(root: Path) -> list[str]:
    return run_git(root, "rev-parse", *(f"HEAD:{name}" for name in FILES)).split()


def children() -> set[str]:
    """Return the Git processes that this one has started and not waited for."""
    listed = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return {pid for pid in listed if Path(f"/proc/{pid}/comm").read_text() in {"git\n", ""}}


@contextmanager
def none_left() -> Iterator[None]:
    before = children()
    yield
    gc.collect()
    assert children() <= before


def loose(root: Path, name: str) -> Path:
    return root / ".git/objects" / name[:2] / name[2:]


def test_contents_come_in_the_order_of_their_names(make: Write) -> None:
    root = make(FILES)
    commit(root)
    names = ids(root)
    with none_left():
        known = GitObjects(str(root), 60)
        found = list(known.read([*names, "0" * 40, names[0], "HEAD^{tree}"]))
        assert len(children()) >= 1
        assert [one and one[0] for one in found[:-1]] == [*names, None, names[0]]
        assert {one[1].decode() for one in found[:30] if one} == {*FILES.values()}
        assert found[-1] and found[-1][0] == run_git(root, "rev-parse", "HEAD^{tree}")
        (root / "later.txt").write_text("later\n")
        later = run_git(root, "hash-object", "-w", "later.txt")
        assert list(known.read([later])) == [(later, b"later\n")]
        del known


def test_a_git_that_was_ended_is_said_and_started_again(make: Write) -> None:
    root = make(FILES)
    commit(root)
    with none_left():
        known, before = GitObjects(str(root), 60), children()
        name = ids(root)[0]
        assert all(known.read([name]))
        (git,) = children() - before
        os.kill(int(git), 9)
        with pytest.raises(GitError, match="git cat-file failed"):
            list(known.read(ids(root)))
        assert all(known.read(ids(root)))
        del known


def test_a_damaged_object_is_said_and_harms_no_other(make: Write) -> None:
    root = make(FILES)
    commit(root)
    first, second, *_ = ids(root)
    loose(root, first).chmod(0o644)
    loose(root, first).write_bytes(loose(root, first).read_bytes()[:40])
    with none_left():
        known = GitObjects(str(root), 60)
        with pytest.raises(GitError, match=r"git cat-file failed \(128\): .*\w"):
            list(known.read([first]))
        assert all(known.read([second]))
        del known


def test_git_is_not_waited_for_without_end(make: Write) -> None:
    root = make(FILES)
    commit(root)
    first, second, *_ = ids(root)
    loose(root, first).unlink()
    os.mkfifo(loose(root, first))  # opening it waits for somebody who writes
    with none_left():
        known, began = GitObjects(str(root), 0.3), time.monotonic()
        with pytest.raises(GitError, match=r"did not answer within 0\.3 s"):
            list(known.read([first]))
        assert time.monotonic() - began < 20
        assert all(known.read([second]))
        del known


def test_no_git_and_no_repository(
    make: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "nothing").mkdir()
    with pytest.raises(GitError, match="not a git repository"):
        list(GitObjects(str(tmp_path / "nothing"), 60).read(["0" * 40]))
    root = make(FILES)
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    with pytest.raises(GitError, match="the git program was not found"):
        list(GitObjects(str(root), 60).read(["0" * 40]))
