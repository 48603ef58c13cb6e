"""What the tests of a restore share whose links are of objects that nobody has read."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from conftest import Dvc, Git

from lineage.making import keep, made
from mlflow_dvc_plugin.lineage import linking, readback
from mlflow_dvc_plugin.lineage.record import Record

FOLDER = "data/parts"
# The first and the last one are looked at before. Two are alike.
FILES = {
    "a.csv": b"x\n0\n",
    "one.csv": b"x\n1\n",
    "sub/deep/again.csv": b"x\n1\n",
    "sub/two.csv": b"x\n2\n",
    "z.csv": b"x\n3\n",
}
NEEDS_TWO = pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2,
    reason="needs a second processor",
)


@pytest.fixture
def run(repo: Path, tracking_sqlite: str, git: Git, dvc: Dvc) -> Record:
    """A run with a directory whose objects nobody has read, with hard links to the cache."""
    dvc("config", "--quiet", "cache.type", "hardlink")
    keep(repo, FOLDER, FILES, git, dvc)
    shutil.rmtree(repo.parent / "remote", ignore_errors=True)
    return made()


@pytest.fixture
def each(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let it be worth it for a few files, each of them a message of its own."""
    monkeypatch.setattr(readback, "WORTH", 1)
    monkeypatch.setattr(linking, "AT_ONCE", 1)


@pytest.fixture
def alone() -> Iterator[None]:
    """Leave no process behind."""
    yield
    assert not readers()


def readers() -> list[int]:
    """Return the processes that read for this one."""
    found = []
    for thread in Path("/proc/self/task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):  # it has ended
            found += (thread / "children").read_text().split()
    return [int(child) for child in found if b"readfiles" in _command(child)]


def _command(process: str) -> bytes:
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{process}/cmdline").read_bytes()
    return b""


def forget(repo: Path) -> None:
    """Let nothing be known of the objects."""
    shutil.rmtree(repo / ".git/mlflow-dvc/objects", ignore_errors=True)


def object_of(repo: Path, data: bytes) -> Path:
    md5 = hashlib.md5(data).hexdigest()
    return repo / ".dvc/cache/files/md5" / md5[:2] / md5[2:]


def objects(repo: Path) -> list[Path]:
    return [object_of(repo, data) for data in dict.fromkeys(FILES.values())]


def read(repo: Path, files: list[str]) -> int:
    """Return how many of the opened files are objects of the directory."""
    return sum(files.count(str(path)) for path in objects(repo))


def is_back(repo: Path, name: str = "back") -> bool:
    place = repo.parent / name / FOLDER
    there = {str(path.relative_to(place)) for path in place.rglob("*") if path.is_file()}
    return there == FILES.keys() and all((place / n).read_bytes() == d for n, d in FILES.items())


def while_linked(monkeypatch: pytest.MonkeyPatch, act: Callable[[int, str], None]) -> None:
    """Call ``act`` with the number of links in the directory and the name, after each of them."""
    link = os.link
    names: list[str] = []

    def linked(source: Any, name: Any, **how: Any) -> None:
        link(source, name, **how)
        if name in FILES:
            names.append(name)
            act(len(names), name)

    monkeypatch.setattr(os, "link", linked)
