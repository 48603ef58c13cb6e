"""Git's clean filters that fail or hang: what they cost the tags of a run."""

from __future__ import annotations

import mmap
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import Git
from providing import COMMIT, DIRTY, install_fresh, tags, warnings_in
from snapshotting import start


@pytest.fixture
def filtered(repo: Path, git: Git) -> Path:
    """Return `repo` with a file that goes through a filter, as Git LFS does, and is touched."""
    (repo / ".gitattributes").write_text("*.bin filter=big\n")
    (repo / "model.bin").write_text("content\n")
    git("add", "--all")
    git("commit", "-q", "--message", "filtered")
    git("config", "filter.big.required", "true")
    # Same size, another time: only the filter could tell.
    (repo / "model.bin").write_text("CONTENT\n")
    os.utime(repo / "model.bin", (1, 1))
    return repo


def test_a_filter_that_fails_makes_it_unknown_and_says_so(
    filtered: Path, git: Git, caplog: pytest.LogCaptureFixture
) -> None:
    git("config", "filter.big.clean", "false")
    found = tags()
    assert found[DIRTY] in ("unknown", "true") and found["dvc.status"] == "clean"
    assert found[COMMIT] == git("rev-parse", "HEAD")
    if found[DIRTY] == "unknown":
        (warning,) = warnings_in(caplog)
        assert "git status failed" in warning and "mlflow-dvc status" in warning


@contextmanager
def mapped(path: Path) -> Iterator[None]:
    """Map a file: what is known of data younger than the process then takes a closer look."""
    path.write_bytes(b"x")
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0):
        yield


def test_a_filter_that_hangs_is_left_behind_in_time_and_costs_the_data_nothing(
    filtered: Path, git: Git, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    expected = tags()
    git("config", "filter.big.clean", "sleep 60")
    monkeypatch.setenv("MLFLOW_DVC_BUDGET", "4")
    begun = time.monotonic()
    with mapped(filtered.parent / "shared"):
        found = tags()
    assert time.monotonic() - begun < 20
    assert found[DIRTY] == "unknown" and found[COMMIT] == git("rev-parse", "HEAD")
    assert [text for text in warnings_in(caplog) if "mlflow-dvc status --hash" in text]
    assert found["dvc.status"] == "clean" and found["dvc.hash"] == expected["dvc.hash"]


@pytest.mark.usefixtures("tracking_sqlite")
def test_a_filter_that_hangs_keeps_the_tree_from_being_kept_and_costs_the_data_nothing(
    filtered: Path, git: Git, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    expected = tags()
    git("config", "filter.big.clean", "sleep 60")
    (filtered / "model.bin").write_text("more content\n")  # Git needs no filter to see that
    monkeypatch.setenv("MLFLOW_DVC_BUDGET", "4")
    install_fresh(monkeypatch)
    begun = time.monotonic()
    with mapped(filtered.parent / "shared"):
        found = start()
    assert time.monotonic() - begun < 20
    assert found[DIRTY] == "true" and "git.snapshot" not in found
    assert [text for text in warnings_in(caplog) if "the dirty tree is not kept" in text]
    assert found["dvc.status"] == "clean" and found["dvc.hash"] == expected["dvc.hash"]
