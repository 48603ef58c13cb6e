"""Nothing is written to, or removed from, a place where no data of DVC's can be."""

from __future__ import annotations

import hashlib
import json
import os
import socket
from pathlib import Path

import pytest
from conftest import Dvc, Git
from versions import ONE, TWO, data_in, git_says, sync

EVIL = b"#!/bin/sh\necho evil\n"


def into_cache(project: Path, data: bytes, suffix: str = "") -> str:
    """Put an object into the cache; return its hash."""
    md5 = hashlib.md5(data).hexdigest() + suffix
    place = project / ".dvc/cache/files/md5" / md5[:2] / md5[2:]
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(data)
    place.chmod(0o444)
    return md5


def state_file(path: Path, name: str, md5: str) -> None:
    """Write a .dvc file that states this."""
    path.write_text(f"outs:\n- md5: {md5}\n  hash: md5\n  isexec: true\n  path: {name}\n")


def everything(folder: Path) -> dict[str, bytes]:
    """Return all files of a folder but those that a sync keeps for itself."""
    return {
        str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*")
        if path.is_file() and ".git/mlflow-dvc/" not in str(path) and ".dvc/tmp/" not in str(path)
    }  # fmt: skip


@pytest.mark.parametrize("name", [
    "../../outside", "../outside/x", "/{top}/../outside/y", ".git/hooks/post-merge", ".git/config",
    ".git/new", ".GIT/hooks/pre-commit", ".dvc/config", ".dvc/plots/x", "sub/.git/hooks/x",
    "tracked-link/post-merge", "own-link/new", "loop/x", ".", "./data/..", ".git",
])  # fmt: skip
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_metadata_that_names_a_place_of_no_data_changes_nothing(
    versions: Path, name: str, kind: str
) -> None:
    (versions / "tracked-link").symlink_to(".git/hooks")
    (versions / "src").mkdir()
    (versions / "own-link").symlink_to("src")
    (versions / "loop").symlink_to("loop")
    (versions.parent / "outside").mkdir()
    md5 = into_cache(versions, EVIL)
    into_cache(versions, (versions / ".git/config").read_bytes())
    into_cache(versions, (versions / ".dvc/config").read_bytes())
    if kind == "folder":
        listing = json.dumps([{"md5": md5, "relpath": "evil"}]).encode()
        md5 = into_cache(versions, listing, ".dir")
    state_file(versions / "evil.dvc", name.format(top=versions), md5)
    before = everything(versions.parent)
    sync()
    sync()
    assert everything(versions.parent) == before
    (versions / "evil.dvc").unlink()
    sync()
    before.pop("project/evil.dvc")
    assert everything(versions.parent) == before


@pytest.mark.parametrize("member", [".git/config", "sub/.git/hooks/x", ".dvc/config", ".GIT/x"])
def test_a_listing_with_a_repository_in_it_is_not_followed(versions: Path, member: str) -> None:
    md5 = into_cache(versions, EVIL)
    listing = json.dumps([{"md5": md5, "relpath": member}]).encode()
    state_file(versions / "evil.dvc", "evil", into_cache(versions, listing, ".dir"))
    code, said = sync()
    assert code == 1 and "evil" in said
    assert not (versions / "evil").exists()


@pytest.mark.parametrize("name", ["mlflow_dvc_plugin", "subprocess", "yaml", "gc"])
def test_a_module_of_the_project_is_not_taken_for_the_library(
    versions: Path, git: Git, name: str
) -> None:
    (versions / f"{name}.py").write_text("open('imported', 'w').close()\n")
    git("checkout", "-q", "two")
    assert data_in(versions) == TWO
    assert not (versions / "imported").exists()


def test_a_folder_of_the_data_that_became_a_link_is_not_written_through(versions: Path) -> None:
    (versions / "src").mkdir()
    (versions / "data/images/sub").symlink_to("../../src")
    said = git_says("checkout", "-q", "two")
    assert "data/images" in said
    assert list((versions / "src").iterdir()) == []
    assert (versions / "data/images/sub").is_symlink()


def test_a_file_that_git_tracks_as_well_is_never_replaced(versions: Path, git: Git) -> None:
    git("add", "--force", "data/train.csv", "data/images/cat.png")
    git("commit", "-qm", "both")
    text = (versions / "data/train.csv.dvc").read_text()
    md5 = hashlib.md5(TWO["data/train.csv"].encode()).hexdigest()
    head = next(line for line in text.splitlines() if "md5: " in line).split()[-1]
    (versions / "data/train.csv.dvc").write_text(text.replace(head, md5))
    code, said = sync()
    assert code == 1
    assert "data/train.csv is not in sync: Git tracks" in said
    assert "git rm --cached -r -- data/train.csv" in said
    git("checkout", "two", "--", "data/images.dvc")
    assert data_in(versions) == ONE
    assert git("status", "--porcelain", "data/images/cat.png", "data/train.csv") == ""


@pytest.mark.parametrize("kind", ["fifo", "socket", "device", "loop", "fifo inside", "dangling"])
def test_an_output_that_is_no_file_stays(
    versions: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = versions / ("data/images/cat.png" if kind == "fifo inside" else "data/train.csv")
    place.unlink()
    if kind.startswith("fifo"):
        os.mkfifo(place)
    elif kind == "socket":
        monkeypatch.chdir(place.parent)  # the address of a socket is short
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(place.name)
        monkeypatch.chdir(versions)
    elif kind == "device":
        try:
            os.mknod(place, 0o600 | 0o020000, os.makedev(1, 3))
        except PermissionError:
            pytest.skip("devices are the system's administrator's")
    else:
        place.symlink_to("train.csv" if kind == "loop" else "own/../nowhere")
    before = os.lstat(place)
    said = git_says("checkout", "-q", "two")
    assert str(place.relative_to(versions)).rpartition("/cat")[0] in said
    assert (os.lstat(place).st_ino, os.lstat(place).st_mode) == (before.st_ino, before.st_mode)
    git_says("checkout", "-q", "main")
    place.unlink()
    assert sync()[0] == 0
    assert data_in(versions) == ONE


def test_an_output_that_is_a_link_to_ones_own_file_leaves_that_file(
    versions: Path, git: Git
) -> None:
    (versions / "own.csv").write_text(ONE["data/train.csv"])
    (versions / "data/train.csv").unlink()
    (versions / "data/train.csv").symlink_to(versions / "own.csv")
    git("checkout", "-q", "two")
    assert (versions / "own.csv").read_text() == ONE["data/train.csv"]
    assert data_in(versions) == TWO


@pytest.mark.parametrize("kind", ["fifo", "folder", "loop", "truncated", "zeros", "writable"])
@pytest.mark.parametrize("which", ["object", "listing"])
@pytest.mark.parametrize("link", ["copy", "hardlink", "symlink"])
def test_a_cache_object_that_is_none_is_not_used(
    versions: Path, dvc: Dvc, kind: str, which: str, link: str
) -> None:
    dvc("config", "--local", "cache.type", link)
    if which == "object":
        path = _object(versions, TWO["data/images/cat.png"].encode())
    else:
        md5 = git_says_file(versions, "two:data/images.dvc")
        path = versions / ".dvc/cache/files/md5" / md5[:2] / md5[2:]
    _spoil(path, kind)
    said = git_says("checkout", "-q", "two")
    assert "dvc pull data/images" in said
    assert data_in(versions) == ONE | {"data/train.csv": TWO["data/train.csv"]}


def git_says_file(project: Path, name: str) -> str:
    """Return the md5 that a .dvc file of a commit states."""
    import subprocess

    text = subprocess.check_output(["git", "show", name], cwd=project, text=True)
    return next(line.split()[-1] for line in text.splitlines() if "md5: " in line)


def _object(project: Path, data: bytes) -> Path:
    md5 = hashlib.md5(data).hexdigest()
    return project / ".dvc/cache/files/md5" / md5[:2] / md5[2:]


def _spoil(path: Path, kind: str) -> None:
    size = path.stat().st_size
    path.chmod(0o644)
    if kind in ("truncated", "zeros", "writable"):
        data = {"truncated": b"", "zeros": b"\0" * size, "writable": b"x" * size}[kind]
        path.write_bytes(data)
        path.chmod(0o644 if kind == "writable" else 0o444)
        return
    path.unlink()
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(path.name)
