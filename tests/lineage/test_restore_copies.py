"""Copies of a directory's objects: each is read once, straight into its place, and proved."""

from __future__ import annotations

import builtins
import errno
import os
import resource
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Dvc, Git

from lineage.making import made
from lineage.restoring import bring
from lineage.test_restore_known import FILES, FOLDER, objects, run
from lineage.test_restore_verified import damage, opened
from mlflow_dvc_plugin.errors import MlflowDvcError
from mlflow_dvc_plugin.lineage import copying
from mlflow_dvc_plugin.lineage.copying import can_clone
from mlflow_dvc_plugin.lineage.record import Record
from mlflow_dvc_plugin.sync.placing import New, Workshop

__all__ = ["run"]


@pytest.fixture(params=["copy", "reflink,copy"], autouse=True)
def kind(request: pytest.FixtureRequest, run: Record, dvc: Dvc) -> str:
    """DVC's default is the second one."""
    dvc("config", "--quiet", "cache.type", request.param)
    return str(request.param)


def name_of(source: Path) -> str:
    return f"{source.parent.name}/{source.name}"


def test_an_object_is_read_once_for_each_of_its_places(repo: Path, run: Record, kind: str) -> None:
    if "reflink" in kind and can_clone(str(repo)):
        pytest.skip("this file system has reflinks")
    old = os.umask(0o027)
    try:
        with opened() as files:
            assert bring(run, to="../back").whole
    finally:
        os.umask(old)
    read = [file for file in files if file.endswith(tuple(map(name_of, objects(repo))))]
    assert len(read) == len(FILES)
    for name, data in FILES.items():
        path = repo.parent / "back" / FOLDER / name
        assert path.read_bytes() == data
        info = path.stat()
        assert (stat.S_IMODE(info.st_mode), info.st_nlink) == (0o640, 1)


@pytest.mark.parametrize("how", ["bytes", "longer", "gone", "folder", "fifo"])
def test_all_that_cannot_be_copied_is_named_and_nothing_stays(
    repo: Path, run: Record, how: str
) -> None:
    for source in objects(repo):
        if how == "bytes":
            damage(source, 0o444)
        else:
            text = source.read_bytes()
            source.unlink()
        if how == "longer":
            source.write_bytes(text + b"more\n")
        elif how == "folder":
            source.mkdir()
        elif how == "fifo":
            os.mkfifo(source)
    outcome = bring(run, to="../back")
    assert {one.path for one in outcome.missing} >= {f"{FOLDER}/sub/two.csv"}
    assert len(outcome.missing) == len(objects(repo))
    assert not (repo.parent / "back").exists()


def test_a_file_that_git_has_put_in_the_place_is_not_replaced(
    repo: Path, run: Record, git: Git
) -> None:
    (repo / ".gitignore").unlink(missing_ok=True)
    git("rm", "-q", "--cached", "--ignore-unmatch", "-r", FOLDER)
    git("add", "--force", f"{FOLDER}/one.csv")
    git("commit", "-qm", "a file of the data is Git's as well")
    with pytest.raises(MlflowDvcError, match=r"one\.csv is there already"):
        bring(made(), to="../back")
    assert not (repo.parent / "back").exists()


def test_a_file_that_is_edited_while_others_come_is_not_called_checked(
    repo: Path, run: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    back, link = repo.parent / "back", os.link

    def linked(source: str, name: str, **how: Any) -> None:
        link(source, name, **how)
        if name.endswith("two.csv"):
            (back / FOLDER / "one.csv").write_text("mine\n")

    monkeypatch.setattr(os, "link", linked)
    outcome = bring(run, to=str(back))
    assert "one.csv is not what the run's data says" in outcome.lacking[FOLDER]
    assert (back / FOLDER / "one.csv").read_text() == "mine\n"


def test_a_file_that_somebody_puts_in_the_place_meanwhile_stays(
    repo: Path, run: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    back, link = repo.parent / "back", os.link

    def linked(source: str, name: str, **how: Any) -> None:
        if name.endswith("two.csv"):
            (back / FOLDER / name).write_text("mine\n")
        link(source, name, **how)

    monkeypatch.setattr(os, "link", linked)
    with pytest.raises(MlflowDvcError, match=r"two\.csv is there already[^!]*two\.csv was not"):
        bring(run, to=str(back))
    assert (back / FOLDER / "sub/two.csv").read_text() == "mine\n"


def test_one_that_cannot_be_read_is_asked_for_at_the_remote(
    repo: Path, run: Record, dvc: Dvc, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else's, in a cache that is shared; or on a disk that is worn out."""
    dvc("push", "--quiet")
    source = objects(repo)[0]
    inode = source.stat().st_ino

    def refusing(opening: Callable[..., Any]) -> Callable[..., Any]:
        def refuse(path: Any, *args: Any, **how: Any) -> Any:
            if path in {str(source), name_of(source)} and source.stat().st_ino == inode:
                raise PermissionError(13, "Permission denied", path)
            return opening(path, *args, **how)

        return refuse

    monkeypatch.setattr(os, "open", refusing(os.open))
    monkeypatch.setattr(builtins, "open", refusing(open))
    outcome = bring(run, to="../back")
    assert outcome.whole and outcome.fetched == 1


@pytest.mark.skipif(not hasattr(os, "O_TMPFILE"), reason="a file has its name from the beginning")
def test_a_restore_that_is_killed_leaves_no_half_file(repo: Path, run: Record) -> None:
    code = f"""
import os, signal
from mlflow_dvc_plugin.lineage import copying

def half(handle, block):
    os.write(handle, block[:1])
    os.kill(os.getpid(), signal.SIGKILL)

copying.write_all = half
from mlflow_dvc_plugin.cli import main
main(["restore", {run.run_id!r}, "--to", "../back"])
"""
    done = subprocess.run([sys.executable, "-c", code], check=False)
    assert done.returncode == -signal.SIGKILL
    back = repo.parent / "back"
    assert (back / "data/images").is_dir()
    assert not [path for path in (back / "data/images").iterdir() if path.is_file()]
    assert not [path for path in (back / ".dvc/tmp").rglob("*") if path.is_file()]


@pytest.mark.parametrize("how", ["sound", "damaged", "refused", "refused later"])
def test_where_a_file_needs_a_name_from_the_beginning(
    repo: Path, run: Record, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    link = os.link

    def refuse(source: str, name: str, **how_to: Any) -> None:
        if source.startswith("/proc/self/fd/") and (how == "refused" or name.endswith("two.csv")):
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        link(source, name, **how_to)

    if "refused" in how:
        monkeypatch.setattr(os, "link", refuse)
    else:  # as where O_TMPFILE is not known
        monkeypatch.setattr(copying, "_NAMELESS", os.O_DIRECTORY)
    if how == "damaged":
        damage(objects(repo)[0], 0o444)
    outcome = bring(run, to="../back")
    if how == "damaged":
        assert outcome.missing and not (repo.parent / "back").exists()
        return
    assert outcome.whole
    for name, data in FILES.items():
        assert (repo.parent / "back" / FOLDER / name).read_bytes() == data


@pytest.fixture
def small_files() -> Iterator[int]:
    """Let nobody write a file of more than some bytes, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield 1 << 20
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_where_a_file_cannot_be_written_to_its_end_nothing_stays(
    repo: Path, git: Git, dvc: Dvc, small_files: int
) -> None:
    (repo / FOLDER / "z-big.csv").write_bytes(b"1,2\n" * small_files)
    dvc("add", "--quiet", FOLDER)
    git("add", "--all")
    git("commit", "-qm", "a big file")
    run = made()
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2 * small_files, most))
    with pytest.raises((MlflowDvcError, OSError)):
        bring(run, to="../back")
    assert not (repo.parent / "back").exists()


def test_where_reflinks_are_missing_they_are_tried_once(repo: Path, run: Record) -> None:
    if can_clone(str(repo)):
        pytest.skip("this file system has reflinks")
    source = objects(repo)[0]
    with Workshop(str(repo), ("reflink", "copy")) as shop, opened() as files:
        for _ in range(3):
            shop.make(New("", str(source), source.parent.name + source.name, "md5"))
    assert files.count(str(source)) == 4


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="no other file system")
def test_an_object_that_is_elsewhere_takes_no_links_from_others(repo: Path, run: Record) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as elsewhere:
        far, near = Path(elsewhere) / "far", objects(repo)[0]
        shutil.copyfile(near, far)
        if far.stat().st_dev == near.stat().st_dev:
            pytest.skip("one file system for all")
        with Workshop(str(repo), ("hardlink", "symlink", "copy")) as shop:
            made = [shop.make(New("", str(one), "", "md5")) for one in (far, near)]
            assert os.path.islink(made[0]) and os.stat(made[1]).st_ino == near.stat().st_ino


def test_whether_a_file_system_has_reflinks_is_found_without_a_trace(repo: Path) -> None:
    before = sorted(repo.iterdir())
    can_clone(str(repo))
    assert sorted(repo.iterdir()) == before
    assert can_clone(str(repo / "gone"))
