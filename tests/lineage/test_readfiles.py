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
Message = tuple[Path, list[tuple[str, str]]]


def md5_of(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


def message(folder: Path, files: list[tuple[str, str]]) -> bytes:
    parts = [os.fsencode(folder), *(os.fsencode(md5 + name) for name, md5 in files)]
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


def record(path: Path) -> tuple[int, ...]:
    info = path.stat()
    return info.st_ino, info.st_size, info.st_mtime_ns, info.st_mode


ASK = LENGTH.pack(0)


def test_a_record_is_that_of_the_file_that_was_read(tmp_path: Path) -> None:
    contents = {"none": b"", "one": b"x\n", "two\nlines": b"y", " ": b"z", "most": b"a" * SMALL}
    for name, data in contents.items():
        (tmp_path / name).write_bytes(data)
    files = [(name, md5_of(data)) for name, data in contents.items()]
    expected = [record(tmp_path / name) for name in contents]
    assert answers(message(tmp_path, files), ASK) == expected
    assert answers(*(message(tmp_path, [one]) for one in files), ASK) == expected
    assert answers(message(tmp_path, files[:2]), ASK, message(tmp_path, files[2:]), ASK) == expected


def test_of_what_is_not_sound_nothing_is_said(tmp_path: Path) -> None:
    (tmp_path / "sound").write_bytes(b"x\n")
    (tmp_path / "other").write_bytes(b"y\n")
    (tmp_path / "big").write_bytes(b"a" * (SMALL + 1))
    (tmp_path / "link").symlink_to("sound")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "fifo")
    md5 = md5_of(b"x\n")
    bad = ["other", "link", "folder", "fifo", "gone", "sound/inside", ""]
    files = [(name, md5) for name in bad] + [("big", md5_of(b"a" * (SMALL + 1))), ("sound", md5)]
    found = answers(message(tmp_path, files), ASK)
    assert found == [NOTHING] * (len(bad) + 1) + [record(tmp_path / "sound")]
    assert answers(message(tmp_path / "nowhere", files), ASK) == [NOTHING] * len(files)
    upper = [("sound", md5.upper()), ("sound", md5[:-1] + "0"), ("sound", "\udcff" * MD5)]
    assert answers(message(tmp_path, upper), ASK) == [NOTHING] * 3


@pytest.mark.parametrize("cut", [1, LENGTH.size - 1, LENGTH.size, LENGTH.size + 5])
def test_it_ends_with_its_input(tmp_path: Path, cut: int) -> None:
    (tmp_path / "one").write_bytes(b"x\n")
    whole = message(tmp_path, [("one", md5_of(b"x\n"))])
    script = [sys.executable, "-I", "-S", readfiles.__file__]
    done = subprocess.run(script, input=whole + whole[:cut], capture_output=True, check=True)
    assert (done.stdout, done.stderr) == (b"", b"")
