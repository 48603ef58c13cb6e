"""Data of odd kinds: empty, nested, executable, linked, with names that nobody would choose."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from conftest import Dvc, Git
from versions import ONE, TWO, data_in, git_says, sync, write_data


def tree(folder: Path) -> dict[bytes, bytes | None]:
    """Return the content of all files of a folder, None for an empty folder."""
    found: dict[bytes, bytes | None] = {}
    for above, folders, names in os.walk(os.fsencode(folder)):
        below = os.path.relpath(above, os.fsencode(folder))
        for name in names:
            with open(os.path.join(above, name), "rb") as file:
                found[os.path.join(below, name)] = file.read()
        if not names and not folders:
            found[below] = None
    return found


def make(place: Path, kind: str) -> None:
    """Make data of a kind at the place, whatever was there."""
    if place.is_dir():
        for path in sorted(place.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        place.rmdir()
    place.unlink(missing_ok=True)
    if kind == "file":
        place.write_text("a file\n")
    elif kind == "no bytes":
        place.write_bytes(b"")
    elif kind != "nothing":
        place.mkdir()
    if kind == "folder":
        (place / "deep/er").mkdir(parents=True)
        (place / "deep/er/file").write_text("below\n")
        (place / "none").write_bytes(b"")


KINDS = ("file", "no bytes", "empty folder", "folder", "nothing")


@pytest.mark.slow
@pytest.mark.parametrize("link", ["copy", "hardlink", "symlink"])
def test_an_output_turns_from_every_kind_into_every_other(
    versions: Path, git: Git, dvc: Dvc, link: str, tmp_path: Path
) -> None:
    dvc("config", "--local", "cache.type", link)
    (versions / ".dvc/cache").rename(tmp_path / "cache")
    dvc("config", "--local", "cache.dir", str(tmp_path / "cache"))
    place = versions / "data/thing"
    trees = {}
    for kind in KINDS:
        git("checkout", "-q", "-B", kind.replace(" ", "-"), "main")
        make(place, kind)
        if kind != "nothing":
            dvc("add", "--quiet", "data/thing")
        git("add", "--all")
        git("commit", "-q", "--allow-empty", "-m", kind)
        trees[kind] = tree(versions / "data")
    for one in KINDS:
        for other in KINDS:
            if one == other:
                continue
            for kind in (one, other):
                said = git_says("checkout", "-q", kind.replace(" ", "-"))
                now = tree(versions / "data")
                assert (kind, now, "not in sync" in said) == (kind, trees[kind], False), said
    assert sync()[0] == 0


def test_empty_folders_of_ones_own_do_not_stand_against_a_file(
    versions: Path, git: Git, dvc: Dvc
) -> None:
    git("checkout", "-q", "-b", "file")
    make(versions / "data/images", "file")
    dvc("add", "--quiet", "data/images")
    git("commit", "-qam", "a file")
    git("checkout", "-q", "main")
    (versions / "data/images/mine/deep").mkdir(parents=True)
    assert "not in sync" not in git_says("checkout", "-q", "file")
    assert (versions / "data/images").read_text() == "a file\n"
    git("checkout", "-q", "main")
    (versions / "data/images/mine").mkdir()
    (versions / "data/images/mine/link").symlink_to(versions)
    assert "data/images" in git_says("checkout", "-q", "file")
    assert (versions / "data/images/mine/link").is_symlink()
    assert (versions / "data/images/cat.png").read_text() == ONE["data/images/cat.png"]


def test_an_output_of_the_parent_folder_and_back(versions: Path, git: Git, dvc: Dvc) -> None:
    git("checkout", "-q", "-b", "parent")
    (versions / "more").mkdir()
    git("rm", "-q", "data/train.csv.dvc", "data/images.dvc", "data/.gitignore")
    write_data(versions, TWO)
    dvc("add", "--quiet", "data")
    git("add", "--all")
    git("commit", "-qm", "one output")
    for _ in range(2):
        assert "not in sync" not in git_says("checkout", "-q", "main")
        assert data_in(versions) == ONE
        assert "not in sync" not in git_says("checkout", "-q", "parent")
        assert data_in(versions) == TWO
    assert "up to date" in dvc("status")


@pytest.mark.parametrize("link", ["copy", "hardlink", "symlink"])
def test_an_executable_file_stays_one(versions: Path, git: Git, dvc: Dvc, link: str) -> None:
    dvc("config", "--local", "cache.type", link)
    (versions / "data/tool").write_text("#!/bin/sh\n")
    (versions / "data/tool").chmod(0o755)
    dvc("add", "--quiet", "data/tool")
    assert "isexec" in (versions / "data/tool.dvc").read_text()
    git("checkout", "-q", "-b", "tool")
    git("add", "--all")
    git("commit", "-qm", "tool")
    git("checkout", "-q", "main")
    assert not os.path.lexists(versions / "data/tool")
    git("checkout", "-q", "tool")
    assert os.access(versions / "data/tool", os.X_OK)


@pytest.mark.parametrize("link", ["hardlink", "symlink"])
def test_a_link_to_a_writable_object_is_not_given_away(
    versions: Path, git: Git, dvc: Dvc, link: str
) -> None:
    """Somebody would edit the data and so the cache: `cp -r` makes such caches."""
    dvc("config", "--local", "cache.type", link)
    objects = [path for path in (versions / ".dvc/cache/files").rglob("*") if path.is_file()]
    for path in objects:
        path.chmod(0o644)
    git("checkout", "-q", "two")
    for name in TWO:
        info = (versions / name).stat()
        if info.st_nlink > 1 or (versions / name).is_symlink():
            assert stat.S_IMODE(info.st_mode) & 0o222 == 0


@pytest.mark.parametrize("link", ["hardlink", "symlink"])
def test_data_that_dvc_unprotected_can_be_edited_and_stays(
    versions: Path, git: Git, dvc: Dvc, link: str
) -> None:
    dvc("config", "--local", "cache.type", link)
    git("checkout", "-q", "two")
    dvc("unprotect", "data/train.csv")
    (versions / "data/train.csv").write_text("mine\n")
    assert "data/train.csv stays" in git_says("checkout", "-q", "main")
    assert data_in(versions) == ONE | {"data/train.csv": "mine\n"}
    dvc("unprotect", "data/images")
    git_says("checkout", "-q", "two")
    assert data_in(versions) == TWO | {"data/train.csv": "mine\n"}


def test_another_name_of_the_same_file_keeps_its_bytes(versions: Path, git: Git) -> None:
    os.link(versions / "data/train.csv", versions / "keep.csv")
    os.link(versions / "data/images/cat.png", versions / "keep.png")
    git("checkout", "-q", "two")
    assert data_in(versions) == TWO
    assert (versions / "keep.csv").read_text() == ONE["data/train.csv"]
    assert (versions / "keep.png").read_text() == ONE["data/images/cat.png"]


def test_names_that_nobody_would_choose(versions: Path, git: Git, dvc: Dvc) -> None:
    folder = os.fsencode(versions / "data/images")
    names = [b"new\nline", b"'quo\"te'", b"-rf", b"--", b"a b\t\\", "ä€😀".encode(), b"n" * 200,
             b"\x1b[31mred", b"*", b"$(id)"]  # fmt: skip
    for name in names:
        with open(os.path.join(folder, name), "wb") as file:
            file.write(b"bytes of " + name)
    dvc("add", "--quiet", "data/images")
    for odd in ("-r.csv", "it's.csv", "a\x1b[31mb.csv", "[x]*.csv", "n" * 240):
        (versions / "data" / odd).write_text(odd)
        dvc("add", "--quiet", f"data/{odd}")
    git("checkout", "-q", "-b", "odd")
    git("add", "--all")
    git("commit", "-qm", "odd names")
    full = tree(versions / "data")
    said = git_says("checkout", "-q", "two")
    assert "\x1b" not in said
    assert data_in(versions) == TWO
    said = git_says("checkout", "-q", "odd")
    assert "\x1b" not in said
    assert tree(versions / "data") == full
    (versions / "data/a\x1b[31mb.csv").unlink()
    (versions / "data/a\x1b[31mb.csv").write_text("mine")
    said = git_says("checkout", "-q", "main")
    assert "stays" in said and "\x1b" not in said


def test_a_name_that_is_no_text_stays_and_does_not_disturb(versions: Path, git: Git) -> None:
    own = os.fsencode(versions / "data/images/caf") + b"\xe9"
    with open(own, "wb") as file:
        file.write(b"mine\n")
    for branch, expected in (("two", TWO), ("main", ONE)):
        git("checkout", "-q", branch)
        os.rename(own, own + b"\xff")
        assert data_in(versions).items() >= expected.items()
        os.rename(own + b"\xff", own)
        with open(own, "rb") as file:
            assert file.read() == b"mine\n"
    os.unlink(own)
    assert sync()[0] == 0
