"""Files under a name of their own, and files that take the place of another one."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from mlflow_dvc_plugin import scratch


@pytest.fixture
def place(tmp_path: Path) -> Path:
    folder = tmp_path / "place"
    folder.mkdir()
    return folder


def test_a_new_file_is_for_this_user_alone_and_not_for_programs_it_starts(place: Path) -> None:
    handle, path = scratch.new_file(str(place), "running-")
    try:
        assert os.path.basename(path).startswith("running-")
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
        looks = [sys.executable, "-c", f"import os; os.fstat({handle})"]
        done = subprocess.run(looks, close_fds=False, capture_output=True, check=False)
        assert b"Bad file descriptor" in done.stderr
    finally:
        os.close(handle)


def test_a_new_folder_is_for_this_user_alone(place: Path) -> None:
    folders = {scratch.new_folder(str(place), "sync-") for _ in range(20)}
    assert len(folders) == 20
    assert {stat.S_IMODE(os.stat(folder).st_mode) for folder in folders} == {0o700}


@pytest.mark.parametrize("nameless", [True, False])
def test_a_nameless_file_leaves_nothing(
    place: Path, monkeypatch: pytest.MonkeyPatch, nameless: bool
) -> None:
    if not nameless:
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    handle = scratch.nameless_file(str(place))
    assert os.write(handle, b".") == 1
    assert not list(place.iterdir())
    os.close(handle)
    assert not list(place.iterdir())


def test_a_file_is_replaced_as_a_whole(place: Path) -> None:
    target = place / "state"
    target.write_bytes(b"before")
    with scratch.replacing(str(target)) as file:
        file.write(b"after")
        file.flush()
        assert target.read_bytes() == b"before"
    assert target.read_bytes() == b"after"
    assert list(place.iterdir()) == [target]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_what_fails_leaves_the_old_file_and_nothing_beside_it(
    place: Path, error: type[BaseException]
) -> None:
    target = place / "state"
    target.write_bytes(b"before")
    with pytest.raises(error), scratch.replacing(str(target)) as file:
        file.write(b"half")
        raise error
    assert target.read_bytes() == b"before"
    assert list(place.iterdir()) == [target]


def test_a_file_that_cannot_be_put_in_place_leaves_nothing_beside_it(place: Path) -> None:
    target = place / "state"
    target.mkdir()
    with pytest.raises(OSError, match="directory"), scratch.replacing(str(target)) as file:
        file.write(b"whole")
    assert list(place.iterdir()) == [target]
