"""The script that reads files for a restore: what it says of them, and of messages."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mlflow_dvc_plugin.lineage import readfiles
from mlflow_dvc_plugin.lineage.readfiles import LENGTH, MD5, RECORD, SMALL

NOTHING = (0, 0, 0, 0)
OBJECTS = "objects"
Message = tuple[Path, list[tuple[str, str]]]


def md5_of(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


def message(folder: Path, files: list[tuple[str, str]], *, read: bool = True) -> bytes:
    parts = [os.fsencode(folder.parent / OBJECTS) if read else b"", os.fsencode(folder)]
    parts += [os.fsencode(md5 + name) for name, md5 in files]
    text = b"\0".join(parts)
    return LENGTH.pack(len(text)) + text


def answers(*messages: bytes) -> list[tuple[int, ...]]:
    """Return the records of all answers."""
    out = io.BytesIO()
    readfiles.main(io.BytesIO(b"".join(messages)), out)
    data = out.getvalue()
    found: list[tuple[int, ...]] = []
    while data:
        (length,) = LENGTH.unpack(data[: LENGTH.size])
        found += RECORD.iter_unpack(data[LENGTH.size :][:length])
        data = data[LENGTH.size + length :]
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "links").mkdir()
    return tmp_path / "links"


def put(folder: Path, name: str, data: bytes, named: bytes | None = None) -> None:
    """Make an object, ``named`` by other bytes perhaps, and a link to it."""
    md5 = md5_of(data if named is None else named)
    place = folder.parent / OBJECTS / md5[:2] / md5[2:]
    place.parent.mkdir(parents=True, exist_ok=True)
    if not place.exists():
        place.write_bytes(data)
    os.link(place, folder / name)


def record(path: Path) -> tuple[int, ...]:
    info = path.lstat()
    return info.st_ino, info.st_size, info.st_mtime_ns, info.st_mode


ASK = LENGTH.pack(0)


def test_a_record_is_that_of_the_file_that_was_read(folder: Path) -> None:
    contents = {"none": b"", "one": b"x\n", "two\nlines": b"y", " ": b"z", "most": b"a" * SMALL}
    for name, data in contents.items():
        put(folder, name, data)
    files = [(name, md5_of(data)) for name, data in contents.items()]
    expected = [record(folder / name) for name in contents]
    assert answers(message(folder, files), ASK) == expected
    assert answers(*(message(folder, [one]) for one in files), ASK) == expected
    assert answers(message(folder, files[:2]), ASK, message(folder, files[2:]), ASK) == expected


def test_of_what_is_not_sound_nothing_is_said(folder: Path) -> None:
    big = b"a" * (SMALL + 1)
    put(folder, "sound", b"x\n")
    put(folder, "other", b"y\n")
    put(folder, "damaged", b"w\n", named=b"z\n")
    put(folder, "big", big)
    (folder / "link").symlink_to("sound")
    (folder / "own").write_bytes(b"x\n")
    (folder / "folder").mkdir()
    os.mkfifo(folder / "fifo")
    md5 = md5_of(b"x\n")
    bad = ["other", "link", "own", "folder", "fifo", "gone", "sound/inside", ""]
    files = [(name, md5) for name in bad]
    files += [("big", md5_of(big)), ("damaged", md5_of(b"z\n")), ("sound", md5)]
    expected = [NOTHING] * (len(files) - 1) + [record(folder / "sound")]
    assert answers(message(folder, files), ASK) == expected
    assert answers(message(folder / "nowhere", files), ASK) == [NOTHING] * len(files)
    upper = [("sound", md5.upper()), ("sound", md5[:-1] + "0"), ("sound", "\udcff" * MD5)]
    assert answers(message(folder, upper), ASK) == [NOTHING] * 3


def test_without_objects_the_links_are_looked_at(folder: Path) -> None:
    put(folder, "sound", b"x\n")
    put(folder, "damaged", b"w\n", named=b"z\n")
    put(folder, "secret", b"s\n")
    (folder / "secret").chmod(0)
    (folder / "link").symlink_to("sound")
    names = ["sound", "damaged", "secret", "link"]
    files = [(name, md5_of(b"")) for name in [*names, "gone", "sound/inside", ""]]
    expected = [record(folder / name) for name in names] + [NOTHING] * 3
    assert answers(message(folder, files, read=False), ASK) == expected
    assert answers(message(folder / "nowhere", files, read=False), ASK) == [NOTHING] * len(files)


@pytest.mark.parametrize("cut", [1, LENGTH.size - 1, LENGTH.size, LENGTH.size + 5])
def test_it_ends_with_its_input(folder: Path, cut: int) -> None:
    put(folder, "one", b"x\n")
    whole = message(folder, [("one", md5_of(b"x\n"))])
    script = [sys.executable, "-I", "-S", readfiles.__file__]
    done = subprocess.run(script, input=whole + whole[:cut], capture_output=True, check=True)
    assert (done.stdout, done.stderr) == (b"", b"")
