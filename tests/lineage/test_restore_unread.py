"""Objects that nobody has read, and are not what they should be once they are linked."""

from __future__ import annotations

import itertools
import os
import stat
import time
from pathlib import Path

import pytest
from conftest import Dvc, Git

from lineage.making import keep, made
from lineage.restoring import bring
from lineage.test_restore_moved import replace
from lineage.test_restore_verified import damage
from lineage.unread import (
    FILES,
    FOLDER,
    NEEDS_TWO,
    alone,
    each,
    is_back,
    object_of,
    objects,
    run,
    while_linked,
)  # fmt: skip
from mlflow_dvc_plugin.errors import MlflowDvcError
from mlflow_dvc_plugin.lineage.record import Record

__all__ = ["alone", "each", "run"]

pytestmark = [NEEDS_TWO, pytest.mark.usefixtures("alone")]

CHANGES = ["longer", "another", "same", "link", "alias", "gone"]


@pytest.mark.parametrize(
    "how", ["bytes", "longer", "gone", "folder", "fifo", "swapped", "writable"]
)
@pytest.mark.parametrize("which", [0, 1, 2, 3])
@pytest.mark.usefixtures("each")
def test_what_is_not_sound_is_named_and_nothing_stays(
    repo: Path, run: Record, git: Git, how: str, which: int
) -> None:
    source, other = objects(repo)[which], objects(repo)[which - 1]
    text = source.read_bytes()
    if how in {"bytes", "writable"}:
        damage(source, 0o444 if how == "bytes" else 0o644)
    elif how == "swapped":
        (repo / "aside").write_bytes(b"")
        source.rename(repo / "aside")
        other.rename(source)
        (repo / "aside").rename(other)
    else:
        source.unlink()
    if how == "longer":
        source.write_bytes(text + b"more\n")
        source.chmod(0o444)
    elif how == "folder":
        source.mkdir()
    elif how == "fifo":
        os.mkfifo(source)
    outcome = bring(run, to="../back")
    assert outcome.missing and all(one.path.startswith(FOLDER) for one in outcome.missing)
    assert len(outcome.missing) == (2 if how == "swapped" else 1)
    assert not (repo.parent / "back").exists()
    assert len(git("worktree", "list").splitlines()) == 1


@pytest.mark.usefixtures("each")
@pytest.mark.parametrize("which", [0, 1, 2, 3])
def test_an_object_that_anybody_may_write_to_is_not_left_so(
    repo: Path, run: Record, which: int
) -> None:
    source = objects(repo)[which]
    source.chmod(0o644)
    assert bring(run, to="../back").whole
    assert is_back(repo) and stat.S_IMODE(source.stat().st_mode) == 0o444


@pytest.mark.usefixtures("each")
@pytest.mark.parametrize(
    ("how", "known"),
    # With inode, size, mtime and mode put back nothing tells of the bytes but a reading.
    [("bytes", False), *itertools.product(CHANGES, [False, True])],
)
def test_what_changes_after_its_link_was_made_is_never_called_checked(
    repo: Path, run: Record, monkeypatch: pytest.MonkeyPatch, how: str, known: bool
) -> None:
    if known:
        assert bring(run, to="../before").whole
    back = repo.parent / "back" / FOLDER

    def change(number: int, name: str) -> None:
        if number != 1:
            return
        if how == "bytes":
            damage(back / name, 0o444)
        elif how == "longer":
            (back / name).chmod(0o644)
            (back / name).write_bytes(FILES[name] + b"more\n")
            (back / name).chmod(0o444)
        elif how in {"another", "same"}:
            replace(back / name, b"y\n7\n" if how == "another" else FILES[name])
        else:
            (back / name).unlink()
        if how in {"link", "alias"}:
            (back / name).symlink_to(object_of(repo, FILES[name]) if how == "alias" else repo)

    while_linked(monkeypatch, change)
    if how in {"bytes", "longer"}:  # it is the object's, too
        outcome = bring(run, to="../back")
        assert len(outcome.missing) == 1 and "damaged" in outcome.missing[0].tried[0]
        assert not back.exists()
    elif how in {"alias", "gone"}:
        assert bring(run, to="../back").whole and is_back(repo)
        assert not [path for path in back.rglob("*") if path.is_symlink()]
    else:  # somebody's own, which stays
        with pytest.raises(MlflowDvcError, match="was not made by this restore"):
            bring(run, to="../back")
        assert back.exists()


@pytest.mark.usefixtures("each")
@pytest.mark.parametrize("when", ["first", "third", "third of known ones"])
def test_an_interrupted_restore_leaves_nothing(
    repo: Path, run: Record, git: Git, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    if known := "known" in when:
        assert bring(run, to="../before").whole

    def interrupt(number: int, _: str) -> None:
        if number == (1 if when == "first" else 3):
            raise KeyboardInterrupt

    while_linked(monkeypatch, interrupt)
    with pytest.raises(KeyboardInterrupt):
        bring(run, to="../back")
    assert not (repo.parent / "back").exists()
    assert len(git("worktree", "list").splitlines()) == 1 + known


@pytest.mark.usefixtures("each")
@pytest.mark.parametrize("how", ["file", "link"])
def test_what_somebody_puts_in_the_place_meanwhile_stays(
    repo: Path, run: Record, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    back = repo.parent / "back" / FOLDER
    link = os.link

    def put(number: int, _: str) -> None:
        if number == 1 and how == "file":
            (back / "z.csv").write_bytes(b"mine\n")
        elif number == 1:
            link(object_of(repo, FILES["z.csv"]), back / "z.csv")

    while_linked(monkeypatch, put)
    with pytest.raises(MlflowDvcError, match="there already"):
        bring(run, to="../back")
    assert (back / "z.csv").read_bytes() == (b"mine\n" if how == "file" else FILES["z.csv"])


@pytest.mark.usefixtures("each")
def test_an_object_as_young_as_the_look_at_it_is_read_again(repo: Path, run: Record) -> None:
    source = objects(repo)[1]
    later = time.time_ns() + 10**12
    os.utime(source, ns=(later, later))
    assert bring(run, to="../back").whole
    damage(source, 0o444)  # within the same tick of the clock
    assert len(bring(run, to="../again").missing) == 1


@pytest.mark.usefixtures("each")
def test_what_was_read_and_is_damaged_is_not_believed_from_a_record(
    repo: Path, run: Record, git: Git, dvc: Dvc
) -> None:
    """Another directory with the same object has been read before."""
    keep(repo, "data/more", FILES | {"own.csv": b"x\n9\n"}, git, dvc)
    run = made()
    assert bring(run, to="../before").whole
    records = {p.name: p for p in (repo / ".git/mlflow-dvc/objects").iterdir()}
    text = (repo / "data/more.dvc").read_text()
    next(path for name, path in records.items() if name in text).unlink()
    damage(objects(repo)[2], 0o444)  # size, times and mode are as they were
    outcome = bring(run, to="../back")
    assert outcome.missing and not (repo.parent / "back").exists()
