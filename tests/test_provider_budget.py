"""A run never waits longer than its budget, and what was learned in it is kept."""

from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any

import mlflow
import pytest
from conftest import Git
from looking import note_reads
from providing import COMMIT, DIRTY, git_program, install_fresh, tags, warnings_in


@pytest.fixture
def provider(repo: Path, tracking_sqlite: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the provider that MLflow asks in this test; the budget is a second."""
    monkeypatch.setenv("MLFLOW_DVC_BUDGET", "1")
    return install_fresh(monkeypatch)


def timed_run() -> tuple[dict[str, str], float]:
    """Start a run; return its tags and how long its start took."""
    begun = time.monotonic()
    with mlflow.start_run() as run:
        took = time.monotonic() - begun
    return mlflow.get_run(run.info.run_id).data.tags, took


@pytest.mark.parametrize("how", ["exec sleep 60", "sleep 60"])
@pytest.mark.usefixtures("provider")
def test_a_git_that_does_not_answer_holds_no_run_up(
    repo: Path, git: Git, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture, *, how: str,
) -> None:  # fmt: skip
    """With and without a process of its own between Git and us, which keeps the pipes open."""
    commit = git("rev-parse", "HEAD")
    timed_run()  # what is asked once a process, so that only Git is slow
    git_program(monkeypatch, tmp_path / "bin", how)
    for _ in range(2):
        found, took = timed_run()
        assert took < 15, "Git answers after a minute, the budget is a second"
        assert found[DIRTY] == "unknown" and found["mlflow.source.git.dirty"] == "unknown"
        assert found[COMMIT] == commit
        assert found["dvc.status"] in ("clean", "unknown")
    about_git = [text for text in warnings_in(caplog) if "git" in text.lower()]
    assert len(about_git) == 1 and "mlflow-dvc status --hash" in about_git[0]


def write_dvc(path: Path, md5: str, size: int) -> None:
    out = {"md5": md5, "size": size, "hash": "md5", "path": path.name}
    path.with_name(path.name + ".dvc").write_text(json.dumps({"outs": [out]}))


@pytest.mark.usefixtures("provider")
def test_a_huge_file_is_unknown_in_time_and_does_not_cost_every_run_its_budget(
    repo: Path, git: Git, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    huge = repo / "huge.bin"
    size = 200 << 30
    with huge.open("wb") as file:
        try:
            file.truncate(size)
        except OSError:
            pytest.skip("this file system takes no sparse file of 200 GB")
    write_dvc(huge, "a" * 32, size)
    (repo / ".gitignore").write_text("/huge.bin\n")
    git("add", "--all")
    git("commit", "-q", "--message", "huge")
    time.sleep(0.05)
    # Room for a machine that stalls: the small files are read first, the huge one takes the rest.
    monkeypatch.setenv("MLFLOW_DVC_BUDGET", "4")
    read = note_reads(monkeypatch)
    found, took = timed_run()
    assert took < 30, "200 GB take minutes, the budget is seconds; the rest is a busy machine"
    for answer in (found, timed_run()[0]):
        assert answer["dvc.status"] == "unknown" and "dvc.hash" not in answer
        assert answer["dvc.changed"] == '["huge.bin"]' and "dvc.huge.bin" not in answer
        assert "dvc.data.train.csv" in answer and "dvc.data.images" in answer
    for _ in range(5):
        timed_run()
    # Another try takes half as much time again as the last one had: a few, not one a run.
    assert 1 <= read.count(str(huge)) <= 4, "the budget was spent again on the same file"
    (warning,) = warnings_in(caplog)
    assert "huge.bin" in warning and "mlflow-dvc status --hash" in warning
    (repo / "data/train.csv").write_text("changed\n")
    answer, _ = timed_run()
    assert answer["dvc.status"] == "modified"
    assert answer["dvc.changed"] == '["data/train.csv","huge.bin"]'


@pytest.mark.slow
def test_hashes_that_were_computed_in_time_are_kept_for_the_next_process(
    repo: Path, git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A provider of its own each time: what is kept is kept on disk."""
    folder, count, size = repo / "data/parts", 48, 25 << 20
    folder.mkdir()
    for number in range(count):
        with (folder / f"{number:02}").open("wb") as file:
            file.truncate(size)
    digest, block = hashlib.md5(), bytes(1 << 20)
    for _ in range(size >> 20):
        digest.update(block)
    listing = [{"md5": digest.hexdigest(), "relpath": f"{n:02}"} for n in range(count)]
    md5 = hashlib.md5(json.dumps(listing).encode()).hexdigest() + ".dir"
    write_dvc(folder, md5, count * size)
    (repo / "data/.gitignore").write_text("*\n!*.dvc\n!.gitignore\n")
    git("add", "--all")
    git("commit", "-q", "--message", "parts")
    time.sleep(0.05)
    monkeypatch.setenv("MLFLOW_DVC_BUDGET", "0.8")
    statuses: list[str] = []
    while len(statuses) < 40 and statuses[-1:] != ["clean"]:
        begun = time.monotonic()
        statuses.append(tags()["dvc.status"])
        assert time.monotonic() - begun < 15
    assert statuses[0] == "unknown" and set(statuses[:-1]) == {"unknown"}, statuses
    assert statuses[-1] == "clean", statuses
    assert tags()["dvc.data.parts"] == md5
    assert os.listdir(repo / ".dvc/tmp/mlflow-dvc")
