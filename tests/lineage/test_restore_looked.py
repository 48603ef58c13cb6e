"""Objects that are known: another process looks at their links, and nobody reads them."""

from __future__ import annotations

import errno
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import Git

from lineage.restoring import bring
from lineage.test_restore_moved import replace
from lineage.test_restore_verified import damage, opened
from lineage.unread import (
    FILES,
    FOLDER,
    NEEDS_TWO,
    alone,
    each,
    is_back,
    object_of,
    objects,
    read,
    readers,
    run,
    while_linked,
)  # fmt: skip
from mlflow_dvc_plugin.errors import MlflowDvcError
from mlflow_dvc_plugin.lineage import linking, readback
from mlflow_dvc_plugin.lineage.record import Record

__all__ = ["alone", "each", "run"]

pytestmark = [NEEDS_TWO, pytest.mark.usefixtures("alone", "each")]


@pytest.fixture
def known(run: Record) -> Record:
    """The run, after a restore that has read the objects."""
    assert bring(run, to="../before").whole
    return run


def test_they_are_looked_at_by_the_other_process(
    repo: Path, known: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    while_linked(monkeypatch, lambda *_: seen.extend(readers()))
    told = readback.Reader.told
    keys: list[tuple[int, ...]] = []

    def noted(reader: readback.Reader) -> list[tuple[int, int, int, int]]:
        found = told(reader)
        keys.extend(found)
        return found

    monkeypatch.setattr(readback.Reader, "told", noted)
    with opened() as files:
        assert bring(known, to="../back").whole
    assert is_back(repo) and read(repo, files) == 0
    assert len(set(seen)) == 1 and len(seen) == len(FILES)
    assert keys[-len(FILES) :] == [  # those of the other directory come before
        (info.st_ino, info.st_size, info.st_mtime_ns, info.st_mode)
        for info in (object_of(repo, data).stat() for data in FILES.values())
    ]


def test_many_small_directories_start_no_process(
    repo: Path, known: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readback, "WORTH", 5)  # one has 4 objects, the other 3
    seen: list[int] = []
    while_linked(monkeypatch, lambda *_: seen.extend(readers()))
    assert bring(known, to="../back").whole and not seen


@pytest.mark.parametrize("how", ["longer", "time", "another", "mode", "gone", "swapped"])
@pytest.mark.parametrize("which", [0, 1, 2, 3])
def test_one_that_has_changed_since_is_found(
    repo: Path, known: Record, git: Git, how: str, which: int
) -> None:
    source, other = objects(repo)[which], objects(repo)[which - 1]
    if how == "longer":
        source.chmod(0o644)
        source.write_bytes(source.read_bytes() + b"more\n")
        source.chmod(0o444)
    elif how == "time":
        damage(source, 0o444)
        os.utime(source, ns=(0, source.stat().st_mtime_ns + 1))
    elif how == "another":
        replace(source, b"y\n7\n")
    elif how == "mode":
        damage(source, 0o644)
    elif how == "gone":
        source.unlink()
    else:
        (repo / "aside").write_bytes(b"")
        source.rename(repo / "aside")
        other.rename(source)
        (repo / "aside").rename(other)
    outcome = bring(known, to="../back")
    assert len(outcome.missing) == (2 if how == "swapped" else 1)
    assert not (repo.parent / "back").exists()
    assert len(git("worktree", "list").splitlines()) == 2


@pytest.mark.parametrize("what", [signal.SIGKILL, signal.SIGSTOP])
@pytest.mark.parametrize("after", [1, 3])
def test_when_it_is_ended_this_process_looks(
    repo: Path, known: Record, monkeypatch: pytest.MonkeyPatch, after: int, what: signal.Signals
) -> None:
    monkeypatch.setattr(readback, "_SECONDS", 1.0)

    def end(number: int, _: str) -> None:
        for process in readers() if number == after else ():
            os.kill(process, what)

    while_linked(monkeypatch, end)
    with opened() as files:
        assert bring(known, to="../back").whole
    assert is_back(repo) and read(repo, files) == 0


@pytest.mark.parametrize("program", ["/nowhere/python", "/bin/true", "/bin/cat"])
def test_where_it_does_not_work_this_process_looks(
    repo: Path, known: Record, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    monkeypatch.setattr(sys, "executable", program)
    with opened() as files:
        assert bring(known, to="../back").whole
    assert is_back(repo) and read(repo, files) == 0
    objects(repo)[2].unlink()
    assert len(bring(known, to="../again").missing) == 1


@pytest.mark.parametrize("size", [3, 256])
def test_those_before_one_that_cannot_be_linked_are_looked_at(
    repo: Path, known: Record, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(linking, "AT_ONCE", size)
    link = os.link

    def linked(source: Any, place: Any, **how: Any) -> None:
        if str(place).endswith("two.csv"):
            replace(repo.parent / "back" / FOLDER / "one.csv", b"y\n7\n")
            raise OSError(errno.EMLINK, "too many")
        link(source, place, **how)

    monkeypatch.setattr(os, "link", linked)
    with pytest.raises(MlflowDvcError, match=r"one\.csv was not made by this restore"):
        bring(known, to="../back")
