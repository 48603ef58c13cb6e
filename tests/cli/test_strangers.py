"""What every verb says where it cannot do its work, and that it leaves nothing behind there."""

from __future__ import annotations

import json
from pathlib import Path

import mlflow
import pytest
from conftest import Git
from lineage.making import made

from .conftest import Command

READING = (
    "status", "sync", "runs HEAD", "runs main~3..main", "runs data/x@HEAD", "runs 178ba857",
    "runs some-name", "show 3f2a", "diff 3f2a", "diff 3f2a 91bc", "verify 3f2a", "verify --all",
    "verify --registered", "restore 3f2a", "push 3f2a", "prune", "tag 3f2a", "backfill --apply",
    "doctor", "hooks status",
)  # fmt: skip


@pytest.mark.parametrize("as_json", [False, True], ids=["text", "json"])
@pytest.mark.parametrize("words", READING)
@pytest.mark.parametrize("place", ["empty folder", "new repository"])
def test_where_there_is_nothing_it_says_so_and_makes_nothing(  # noqa: PLR0917
    place: str, words: str, as_json: bool, tmp_path: Path, git: Git, command: Command,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    folder = tmp_path / "there"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    mlflow.set_tracking_uri(None)  # MLflow's own default: ./mlflow.db
    if place == "new repository":
        git("init", "-q")
    before = sorted(path.name for path in folder.iterdir())
    done = command(*words.split(), *(["--json"] if as_json else []))
    assert sorted(path.name for path in folder.iterdir()) == before
    assert done.code in (0, 1, 2) and "Traceback" not in done.out + done.err
    if done.err:
        assert "hint: " in done.err, done
    if as_json and done.out:
        json.loads(done.out)


@pytest.mark.parametrize("content", ["print('code')\n", ""], ids=["a script", "an empty file"])
def test_a_file_that_is_no_database_is_no_store(
    content: str, repo: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    (repo / "train.py").write_text(content)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{repo}/train.py")
    done = command("verify", "--all")
    assert done.code == 2 and "train.py is no tracking store" in done.err, done
    assert "hint: export MLFLOW_TRACKING_URI" in done.err
    assert (repo / "train.py").read_text() == content


def test_a_revision_of_a_repository_without_commits_has_a_hint_that_helps(
    tmp_path: Path, git: Git, tracking_sqlite: str, command: Command
) -> None:
    git("init", "-q")
    for what in ("data/x@HEAD", "main~1..main"):
        done = command("runs", what)
        assert done.code == 1 and "hint: git add --all && git commit" in done.err, done


def test_a_snapshot_of_another_clone_is_asked_for_there(
    repo: Path, git: Git, tracking_sqlite: str, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    (repo / "train.py").write_text("dirty\n")
    run = made()
    clone, bare = repo.parent / "clone", repo.parent / "up.git"
    git("init", "-q", "--bare", str(bare))
    git("push", "-q", str(bare), "main")
    git("clone", "-q", bare.as_uri(), str(clone))
    monkeypatch.chdir(clone)
    hint = f"where the run was made: mlflow-dvc push {run.run_id}"
    for verb in ("verify", "show"):
        assert f"hint: {hint}" in command(verb, run.run_id).err
    done = command("push", run.run_id)
    (line,) = done.err.splitlines()
    assert done.code == 1 and f"where it was made: mlflow-dvc push {run.run_id}" in line
