"""Links of objects that nobody has read: another process reads each in its place."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import Dvc, Git

from lineage.making import keep, made
from lineage.restoring import bring
from lineage.test_restore_verified import BIG, damage, opened
from lineage.unread import (
    FILES,
    FOLDER,
    NEEDS_TWO,
    alone,
    each,
    forget,
    is_back,
    object_of,
    objects,
    read,
    readers,
    run,
    while_linked,
)  # fmt: skip
from mlflow_dvc_plugin.lineage import readback
from mlflow_dvc_plugin.lineage.record import Record

__all__ = ["alone", "each", "run"]

pytestmark = [NEEDS_TWO, pytest.mark.usefixtures("alone")]


@pytest.mark.usefixtures("each")
def test_each_is_read_by_another_process_and_is_known_then(repo: Path, run: Record) -> None:
    for name in ("back", "again"):
        with opened() as files:
            assert bring(run, to=f"../{name}").whole
        assert read(repo, files) == 0
        assert is_back(repo, name)
    assert (repo.parent / "back" / FOLDER / "one.csv").stat().st_nlink >= 3
    damage(objects(repo)[0], 0o444)
    forget(repo)
    assert len(bring(run, to="../third").missing) == 1


def test_a_thousand_files_of_all_kinds(
    repo: Path, git: Git, dvc: Dvc, tracking_sqlite: str
) -> None:
    dvc("config", "--quiet", "cache.type", "hardlink")
    content = {f"part-{number}.csv": b"x\n%d\n" % number for number in range(1000)}
    content |= {"sub/two\nlines.csv": b"a\n", "sub/d\u00e9.csv": b"b\n", "same.csv": b"x\n5\n"}
    content |= {"big.bin": BIG, "empty": b"", " ": b"c\n"}
    keep(repo, FOLDER, content, git, dvc)
    run = made()
    forget(repo)
    time.sleep(0.02)  # an object as young as the look at it is not written down
    md5s = [hashlib.md5(data).hexdigest() for data in content.values() if data != BIG]
    small = tuple(f"{md5[:2]}/{md5[2:]}" for md5 in md5s)
    for to in ("back", "again"):
        with opened() as files:
            assert bring(run, to=f"../{to}").whole
        assert not [name for name in files if name.endswith(small)]
        for name, data in content.items():
            assert (repo.parent / to / FOLDER / name).read_bytes() == data


@pytest.mark.usefixtures("each")
@pytest.mark.parametrize("after", [1, 2, 3])
def test_when_the_other_process_is_killed_all_is_read_here(
    repo: Path, run: Record, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    def kill(number: int, _: str) -> None:
        if number == after:
            for process in readers():
                os.kill(process, signal.SIGKILL)

    while_linked(monkeypatch, kill)
    with opened() as files:
        assert bring(run, to="../back").whole
    assert is_back(repo)
    assert read(repo, files) == len(objects(repo))


@pytest.mark.usefixtures("each")
def test_one_that_is_stopped_is_ended_in_time(
    repo: Path, run: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readback, "_SECONDS", 1.0)

    def stop(number: int, _: str) -> None:
        for process in readers() if number == 1 else ():
            os.kill(process, signal.SIGSTOP)

    while_linked(monkeypatch, stop)
    with opened() as files:
        assert bring(run, to="../back").whole
    assert is_back(repo)
    assert read(repo, files) == len(objects(repo))


@pytest.mark.usefixtures("each")
@pytest.mark.parametrize("program", ["/nowhere/python", "/bin/true", "/bin/cat"])
def test_where_the_other_process_does_not_work_all_is_read_here(
    repo: Path, run: Record, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    monkeypatch.setattr(sys, "executable", program)
    with opened() as files:
        assert bring(run, to="../back").whole
    assert is_back(repo)
    assert read(repo, files) == len(objects(repo))


@pytest.mark.usefixtures("each")
def test_with_one_processor_all_is_read_here_before(
    repo: Path, run: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    damage(objects(repo)[0], 0o444)
    worktrees: list[int] = []
    while_linked(monkeypatch, lambda number, _: worktrees.append(number))
    assert bring(run, to="../back").missing
    assert not worktrees


@pytest.mark.usefixtures("each")
@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("ending", ["a.csv", "two.csv"])
@pytest.mark.parametrize("error", [errno.EXDEV, errno.EMLINK, errno.EPERM])
def test_what_cannot_be_linked_is_copied(
    repo: Path,
    run: Record,
    monkeypatch: pytest.MonkeyPatch,
    *,
    error: int,
    ending: str,
    known: bool,
) -> None:
    if known:
        assert bring(run, to="../before").whole
    link = os.link

    def refuse(source: Any, name: Any, **how: Any) -> None:
        if str(name).endswith(ending):
            raise OSError(error, os.strerror(error))
        link(source, name, **how)

    monkeypatch.setattr(os, "link", refuse)
    assert bring(run, to="../back").whole
    assert is_back(repo)


@pytest.mark.usefixtures("each")
def test_a_big_file_is_read_here_and_once(
    repo: Path, run: Record, git: Git, dvc: Dvc, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(repo.parent / "site"))  # no record of DVC's own
    (repo / FOLDER / "big.bin").write_bytes(BIG)
    (repo / FOLDER / "huge.bin").write_bytes(BIG + BIG)
    dvc("add", "--quiet", FOLDER)
    git("commit", "-qam", "big")
    run = made()
    forget(repo)
    shutil.rmtree(repo.parent / "site")
    time.sleep(0.02)
    big, huge = (object_of(repo, data) for data in (BIG, BIG + BIG))
    assert bring(run, to="../back").whole
    forget(repo)
    damage(huge, 0o444)
    with opened() as files:
        outcome = bring(run, to="../after")
    assert [one.path for one in outcome.missing] == [f"{FOLDER}/huge.bin"]
    assert files.count(str(big)) <= 2  # opened, and read, for the first try alone
    assert not (repo.parent / "after").exists()


@pytest.mark.usefixtures("each")
def test_two_directories_with_the_same_objects(repo: Path, run: Record, git: Git, dvc: Dvc) -> None:
    for name in ("alike", "more"):
        shutil.copytree(repo / FOLDER, repo / "data" / name)
    (repo / "data/more/own.csv").write_bytes(b"x\n9\n")
    dvc("add", "--quiet", "data/alike", "data/more")
    git("add", "--all")
    git("commit", "-qm", "alike")
    run = made()
    forget(repo)
    assert bring(run, to="../back").whole
    for name in ("alike", "more"):
        for inside, data in FILES.items():
            assert (repo.parent / "back/data" / name / inside).read_bytes() == data


@pytest.mark.usefixtures("each")
def test_what_is_read_in_one_directory_is_not_read_for_a_smaller_one(
    repo: Path, run: Record, git: Git, dvc: Dvc, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its links are made later, though it comes first by its name."""
    monkeypatch.setattr(readback, "WORTH", len(objects(repo)))
    keep(repo, "data/few", {"same.csv": FILES["sub/two.csv"]}, git, dvc)
    run = made()
    with opened() as files:
        assert bring(run, to="../back").whole
    assert is_back(repo) and read(repo, files) == 0
    assert (repo.parent / "back/data/few/same.csv").read_bytes() == FILES["sub/two.csv"]
