"""Look at a repository's outputs as a new process does."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pytest

from mlflow_dvc_plugin.capture import hashing
from mlflow_dvc_plugin.capture.deadline import Deadline
from mlflow_dvc_plugin.capture.live import Facts, capture
from mlflow_dvc_plugin.provenance import OutputState


def md5(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


def settle(repo: Path, seconds: float = 10) -> None:
    """Make everything in the data folder older than the clock's tick."""
    then = time.time() - seconds
    for path in (repo / "data").rglob("*"):
        os.utime(path, (then, then))
    time.sleep(0.02)


def look(
    repo: Path, budget: float | None = None, facts: Facts | None = None
) -> dict[str, OutputState]:
    """Return the state of every output, by path, as a new process (or ``facts``) sees it."""
    data = capture(facts or Facts(), budget)[0].data
    assert data is not None
    return {state.path: state for state in [*data.inputs, *data.products, *data.missing]}


def note_reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that grows by the path of every data file that is read from now on."""
    read: list[str] = []
    hashed = hashing.file_md5

    def noting(path: str, scheme: str, deadline: Deadline) -> tuple[str, os.stat_result]:
        read.append(path)
        return hashed(path, scheme, deadline)

    monkeypatch.setattr(hashing, "file_md5", noting)
    return read
