"""Which objects a restore reads, and which it knows to be whole."""

from __future__ import annotations

import builtins
import io
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from conftest import Dvc, Git

from lineage.making import made
from lineage.restoring import bring
from mlflow_dvc_plugin.lineage.record import Record

BIG = b"x,y\n" + b"1,2\n" * 50_000


@contextmanager
def opened() -> Iterator[list[str]]:
    """Yield a list of the files that this process opens by `open` and `os.open`.

    An audit hook would see more, but coverage cannot trace a thread that starts beside one
    (CPython 3.11): that thread dies.
    """
    files: list[str] = []

    def noting(call: Callable[..., Any]) -> Callable[..., Any]:
        def noted(path: Any, *args: Any, **how: Any) -> Any:
            files.append(os.fsdecode(path) if not isinstance(path, int) else "")
            return call(path, *args, **how)

        return noted

    with pytest.MonkeyPatch.context() as patch:
        for module, name in ((builtins, "open"), (io, "open"), (os, "open")):
            patch.setattr(module, name, noting(getattr(module, name)))
        patch.setattr(os, "supports_dir_fd", {*os.supports_dir_fd, os.open})
        yield files


@pytest.fixture
def run(repo: Path, tracking_sqlite: str, git: Git, dvc: Dvc) -> Record:
    """A run whose data is big, with links to the cache."""
    dvc("config", "--quiet", "cache.type", "hardlink")
    (repo / "data/big.csv").write_bytes(BIG)
    dvc("add", "--quiet", "data/big.csv")
    git("add", "--all")
    git("commit", "-qm", "big")
    run = made()
    # DVC's record is believed of a file that has not changed in any way after its first 2 seconds.
    os.utime(place(repo, run), ns=(0, 1_000_000_000))
    return run


def place(repo: Path, run: Record, path: str = "data/big.csv") -> Path:
    value = (run.manifest or {})[path]
    return repo / ".dvc/cache/files/md5" / value[:2] / value[2:]


def damage(file: Path, mode: int) -> None:
    """Write other bytes as many, and put the time back."""
    info = file.stat()
    data = bytearray(file.read_bytes())
    data[-2] ^= 1
    file.chmod(0o644)
    with file.open("r+b") as handle:
        handle.write(data)
    os.utime(file, ns=(info.st_atime_ns, info.st_mtime_ns))
    file.chmod(mode)


@pytest.mark.parametrize("mode", [0o444, 0o644])
@pytest.mark.parametrize("path", ["data/big.csv", "data/train.csv"])
def test_an_object_with_other_bytes_of_the_same_size_is_found(
    repo: Path, run: Record, path: str, mode: int
) -> None:
    assert bring(run, to="../before").whole
    damage(place(repo, run, path), mode)
    shutil.rmtree(repo.parent / "remote")
    outcome = bring(run, to="../after")
    assert [one.path for one in outcome.missing] == [path]
    assert "damaged" in outcome.missing[0].tried[0] and not (repo.parent / "after").exists()


def test_an_object_that_may_be_written_to_is_protected_before_it_is_linked(
    repo: Path, run: Record
) -> None:
    source = place(repo, run)
    source.chmod(0o644)
    assert bring(run, to="../one").whole
    assert source.stat().st_mode & 0o777 == 0o444
    assert os.path.samefile(repo.parent / "one/data/big.csv", source)


def test_what_was_written_to_through_a_link_is_not_taken_for_verified(
    repo: Path, run: Record
) -> None:
    assert bring(run, to="../one").whole
    damage(repo.parent / "one/data/big.csv", 0o444)
    assert [one.path for one in bring(run, to="../two").missing] == ["data/big.csv"]
