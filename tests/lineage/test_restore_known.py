"""The objects of a directory: read once, and then known by what ``stat`` says of them."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import Dvc, Git

from lineage.making import keep, made
from lineage.restoring import bring, tagged
from lineage.test_restore_verified import damage, opened
from mlflow_dvc_plugin.lineage.record import Record

FILES = {"one.csv": b"x\n1\n", "sub/two.csv": b"x\n2\n", "sub/deep/again.csv": b"x\n1\n"}
FOLDER = "data/parts"


@pytest.fixture
def run(repo: Path, tracking_sqlite: str, git: Git, dvc: Dvc) -> Record:
    """A run with a directory of files, one of them twice, with hard links to the cache."""
    dvc("config", "--quiet", "cache.type", "hardlink")
    keep(repo, FOLDER, FILES, git, dvc)
    run = made()
    shutil.rmtree(repo.parent / "remote", ignore_errors=True)
    return run


def objects(repo: Path) -> list[Path]:
    import hashlib

    md5s = {hashlib.md5(data).hexdigest() for data in FILES.values()}
    return [repo / ".dvc/cache/files/md5" / md5[:2] / md5[2:] for md5 in sorted(md5s)]


def read(repo: Path, files: list[str]) -> int:
    return sum(files.count(str(path)) for path in objects(repo))


def remove(folder: Path, git: Git) -> None:
    git("worktree", "remove", "--force", str(folder))


def test_objects_of_a_directory_are_read_once(repo: Path, run: Record, git: Git) -> None:
    for number, count in enumerate((2, 0, 0)):
        with opened() as files:
            assert bring(run, to=f"../at{number}").whole
        assert read(repo, files) == count
        for name, data in FILES.items():
            assert (repo.parent / f"at{number}" / FOLDER / name).read_bytes() == data
    remove(repo.parent / "at0", git)  # one link less
    with opened() as files:
        assert bring(run, to="../at3").whole
    assert read(repo, files) == 0


@pytest.mark.parametrize("how", ["size", "mtime", "inode", "mode"])
def test_an_object_that_changed_since_it_was_read_is_found(
    repo: Path, run: Record, git: Git, how: str
) -> None:
    assert bring(run, to="../before").whole
    source = objects(repo)[0]
    info = source.stat()
    if how == "inode":
        other = source.with_suffix(".new")
        other.write_bytes(b"y" * info.st_size)
        other.chmod(0o444)
        os.utime(other, ns=(info.st_atime_ns, info.st_mtime_ns))
        other.replace(source)
    else:
        source.chmod(0o644)
        source.write_bytes(b"y" * (info.st_size + (how == "size")))
        if how != "mtime":
            os.utime(source, ns=(info.st_atime_ns, info.st_mtime_ns))
        source.chmod(0o644 if how == "mode" else 0o444)
    outcome = bring(run, to="../after")
    assert len(outcome.missing) == 1 and outcome.missing[0].path.startswith(FOLDER)
    assert "damaged" in outcome.missing[0].tried[0] and not (repo.parent / "after").exists()
    assert len(git("worktree", "list").splitlines()) == 2


def test_a_corrupt_object_that_was_never_read_is_found(repo: Path, run: Record) -> None:
    damage(objects(repo)[0], 0o444)
    outcome = bring(run, to="../after")
    assert len(outcome.missing) == 1 and "damaged" in outcome.missing[0].tried[0]


def test_an_object_that_is_gone_is_named(repo: Path, run: Record) -> None:
    assert bring(run, to="../before").whole
    objects(repo)[0].unlink()
    outcome = bring(run, to="../after")
    assert len(outcome.missing) == 1 and "not there" in outcome.missing[0].tried[0]


def test_an_object_as_young_as_the_look_at_it_is_read_again(repo: Path, run: Record) -> None:
    source = objects(repo)[0]
    later = time.time_ns() + 3_600 * 1_000_000_000
    os.utime(source, ns=(later, later))
    for number in range(2):
        with opened() as files:
            assert bring(run, to=f"../at{number}").whole
        assert files.count(str(source)) == 1


def test_an_object_that_may_be_written_to_is_read_until_it_is_protected(
    repo: Path, run: Record
) -> None:
    source = objects(repo)[0]
    source.chmod(0o644)
    counts = []
    for number in range(3):
        with opened() as files:
            assert bring(run, to=f"../at{number}").whole
        counts.append(files.count(str(source)))
    assert counts == [1, 1, 0] and source.stat().st_mode & 0o777 == 0o444


def test_known_objects_are_linked_once_below_patterns_of_dvc_as_well(
    repo: Path, run: Record, git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    (repo / ".dvcignore").write_text("*.tmp\n")
    git("add", ".dvcignore")
    git("commit", "-qm", "patterns")
    run = made()
    assert bring(run, to="../before").whole
    links: list[str] = []
    link = os.link

    def noted(source: str, place: str, **how: Any) -> None:
        links.append(place)
        link(source, place, **how)

    monkeypatch.setattr(os, "link", noted)
    with opened() as files:
        assert bring(run, to="../after").whole
    assert sorted(place for place in links if place in FILES) == sorted(FILES)
    assert read(repo, files) == 0


@pytest.mark.parametrize("data", [b"", b"what is this", None])
def test_a_record_that_is_damaged_costs_a_reading(
    repo: Path, run: Record, data: bytes | None
) -> None:
    assert bring(run, to="../before").whole
    for record in (repo / ".git/mlflow-dvc/objects").iterdir():
        record.write_bytes(record.read_bytes()[:-8] if data is None else data)
    with opened() as files:
        assert bring(run, to="../after").whole
    assert read(repo, files) == 2


def test_a_file_that_is_no_part_of_the_data_is_found(repo: Path, run: Record, git: Git) -> None:
    (repo / FOLDER / "extra.csv").write_text("mine\n")
    git("add", "--force", f"{FOLDER}/extra.csv")
    git("commit", "-qm", "a file of Git's among the data")
    commit = git("rev-parse", "HEAD")
    outcome = bring(tagged(run, mlflow__source__git__commit=commit), to="../after")
    assert "extra.csv is no part of the run's data" in outcome.lacking[FOLDER]


def test_an_object_that_was_not_known_and_is_gone_is_not_taken_for_sound(
    repo: Path, run: Record, dvc: Dvc
) -> None:
    dvc("config", "--quiet", "cache.type", "copy")
    dvc("push", "--quiet")
    for number in range(2):  # what comes from the remote is not known to the record
        for source in objects(repo):
            source.unlink()
        asked = bring(run, dry_run=True)
        assert asked.whole and asked.fetched == 2
        outcome = bring(run, to=f"../at{number}")
        assert outcome.whole and outcome.fetched == 2
