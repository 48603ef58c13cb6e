"""The fingerprint after a change is computed as a look would find it, and fits nothing else."""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
from conftest import Dvc, Git
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from versions import ONE, TWO, data_in, git_says, write_data

from mlflow_dvc_plugin.capture.deadline import Deadline
from mlflow_dvc_plugin.capture.delta import Delta
from mlflow_dvc_plugin.capture.fingerprint import take
from mlflow_dvc_plugin.capture.hashing import directory_hash
from mlflow_dvc_plugin.capture.store import Store

NAMES = st.sampled_from(["a", "b", "c", "sub/a", "sub/b", "sub/deep/a", "other/a"])


def put(folder: Path, name: str, text: str | None) -> None:
    """Write the file anew, or remove it and the folders that it leaves empty."""
    path = folder / name
    path.unlink(missing_ok=True)
    if text is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return
    for above in path.parents:
        if above == folder or not above.exists() or any(above.iterdir()):
            break
        above.rmdir()


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    before=st.dictionaries(NAMES, st.text("xyz", max_size=3)),
    change=st.dictionaries(NAMES, st.none() | st.text("xyz", max_size=3), min_size=1),
)
def test_it_is_what_a_look_finds(
    tmp_path: Path, before: dict[str, str], change: dict[str, str | None]
) -> None:
    folder = tmp_path / "folder"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, text in before.items():
        put(folder, name, text)
    base = take(str(folder), Deadline(None))
    assert base
    delta = Delta(str(folder), [str(folder / name) for name in change], base)
    for name, new in change.items():
        put(folder, name, new)
    changed = any(new is not None or name in before for name, new in change.items())
    assert delta.after() == take(str(folder), Deadline(None)) or not changed


def test_a_change_of_something_else_shows(tmp_path: Path) -> None:
    for name in ("a", "b"):
        put(tmp_path / "folder", name, name)
    base = take(str(tmp_path / "folder"), Deadline(None))
    assert base
    delta = Delta(str(tmp_path / "folder"), [str(tmp_path / "folder/a")], base)
    put(tmp_path / "folder", "a", "new")
    put(tmp_path / "folder", "b", "x")
    assert delta.after() != take(str(tmp_path / "folder"), Deadline(None))


def test_nothing_is_said_where_the_newest_entry_has_gone(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    for name in ("a", "b"):
        put(folder, name, name)
    os.utime(folder / "a", (4e9, 4e9))
    base = take(str(folder), Deadline(None))
    assert base
    delta = Delta(str(folder), [str(folder / "a")], base)
    put(folder, "a", None)
    assert delta.after() is None


@pytest.mark.parametrize("link", ["copy", "hardlink", "symlink"])
def test_a_switch_leaves_nothing_to_read_for_the_next_run(
    versions: Path, git: Git, dvc: Dvc, link: str
) -> None:
    dvc("config", "--local", "cache.type", link)
    git_says("checkout", "-q", "two")
    git_says("checkout", "-q", "main")
    git_says("checkout", "-q", "two")
    assert data_in(versions) == TWO
    found = take(str(versions / "data/images"), Deadline(None))
    assert found
    known = Store(str(versions)).data["outputs"]["md5 data/images"]
    assert known[0] == list(found)
    write_data(versions, TWO | {"data/images/mine.png": "mine"})
    assert "stays" in git_says("checkout", "-q", "main") or data_in(versions) != TWO
    assert data_in(versions)["data/images/mine.png"] == "mine"


@pytest.mark.slow
def test_a_file_that_is_edited_as_soon_as_it_is_there_is_never_called_clean(
    versions: Path, git: Git
) -> None:
    """What is remembered of a folder is the hash of the bytes in it, whoever writes meanwhile."""
    file, ended = versions / "data/images/cat.png", threading.Event()

    def edit() -> None:
        seen = file.stat().st_ino
        while not ended.is_set():
            with suppress(FileNotFoundError):
                if file.stat().st_ino != seen:
                    seen = file.stat().st_ino
                    with file.open("r+b") as out:
                        out.write(b"X")  # the size stays

    writer = threading.Thread(target=edit)
    writer.start()
    try:
        for branch in ("two", "main") * 6:
            git_says("checkout", "-q", branch)
            time.sleep(0.02)
            found = take(str(versions / "data/images"), Deadline(None))
            known = Store(str(versions)).data["outputs"].get("md5 data/images")
            if found and known and known[0] == list(found):
                assert known[2] == directory_hash(_images(versions).items())
            write_data(versions, ONE if branch == "main" else TWO)
            git_says("reset", "-q", "--hard")
    finally:
        ended.set()
        writer.join()


def _images(project: Path) -> dict[str, str]:
    folder = project / "data/images"
    return {
        path.relative_to(folder).as_posix(): hashlib.md5(path.read_bytes()).hexdigest()
        for path in folder.rglob("*") if path.is_file()
    }  # fmt: skip
