from __future__ import annotations

import json
import logging
import time
from pathlib import Path
from typing import Any

import mlflow
import pytest
from conftest import Git, PythonIn
from services import free_port
from tagrules import ours

import mlflow_dvc_plugin
from mlflow_dvc_plugin.errors import MlflowDvcError

from .conftest import Command


@pytest.fixture
def new_run() -> Any:
    """Make a run as `MlflowClient.create_run` does, which no provider sees."""

    def make(**tags: str) -> str:
        client = mlflow.MlflowClient()
        run_id: str = client.create_run("0", tags=tags).info.run_id
        client.set_terminated(run_id)
        return run_id

    return make


def tags_of(run_id: str) -> dict[str, str]:
    return ours(mlflow.get_run(run_id).data.tags)


def test_it_tags_a_finished_run_on_every_store(
    repo: Path, store: str, command: Command, new_run: Any
) -> None:
    run_id = new_run()
    assert tags_of(run_id) == {}
    done = command("tag", run_id, "--json")
    assert done.code == 0, done.err
    expected = json.loads(command("status", "--json").out)["tags"]
    assert tags_of(run_id) == {**expected, "dvc.source": "manual"}
    assert json.loads(done.out)["added"] == tags_of(run_id)


def test_tags_that_are_there_are_kept_and_named(
    repo: Path, tracking_sqlite: str, command: Command, new_run: Any
) -> None:
    run_id = new_run(**{"git.dirty": "mine", "note": "x"})
    done = command("tag", run_id)
    assert "kept, though it differs here: git.dirty = mine" in done.out
    assert tags_of(run_id)["git.dirty"] == "mine"
    assert tags_of(run_id)["dvc.status"] == "clean"


def test_a_run_that_was_tagged_before_is_left_as_it_is(
    repo: Path, tracking_sqlite: str, command: Command, new_run: Any, python_in: PythonIn
) -> None:
    live = python_in(repo, "import mlflow; print(mlflow.start_run().info.run_id)").split()[-1]
    manual = new_run()
    assert command("tag", manual).code == 0
    before = [tags_of(live), tags_of(manual)]
    (repo / "data/train.csv").write_text("changed\n")
    for run_id, source in ((live, "live"), (manual, "manual")):
        done = command("tag", run_id)
        assert done.code == 0
        assert f"unchanged: it was tagged before (dvc.source = {source})" in done.out
        assert "kept, though it differs here: dvc.status = clean" in done.out
    assert [tags_of(live), tags_of(manual)] == before


def test_a_run_of_another_commit_is_refused(
    repo: Path, tracking_sqlite: str, command: Command, new_run: Any, git: Git
) -> None:
    first = git("rev-parse", "HEAD")
    git("commit", "--quiet", "--allow-empty", "--message", "second")
    run_id = new_run(**{"mlflow.source.git.commit": first})
    done = command("tag", run_id)
    assert done.code == 1
    assert f"was made from commit {first}" in done.err
    assert f"hint: git checkout {first}" in done.err
    assert "dvc.schema" not in tags_of(run_id)
    git("checkout", "--quiet", first)
    assert command("tag", run_id).code == 0
    assert tags_of(run_id)["dvc.status"] == "clean"


def test_an_unknown_a_wrong_and_a_deleted_run_are_told_apart(
    repo: Path, tracking_sqlite: str, command: Command, new_run: Any
) -> None:
    for run_id in ("f" * 32, "../x"):
        done = command("tag", run_id)
        assert done.code == 1
        assert done.err.startswith(f"error: there is no run {run_id} in sqlite:")
    run_id = new_run()
    mlflow.MlflowClient().delete_run(run_id)
    assert f"hint: mlflow runs restore --run-id {run_id}" in command("tag", run_id).err


@pytest.mark.usefixtures("repo", "tracking_sqlite")
def test_without_an_id_the_run_is_the_one_in_the_environment(
    command: Command, new_run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert command("tag").code == 2
    run_id = new_run()
    monkeypatch.setenv("MLFLOW_RUN_ID", run_id)
    assert command("tag").code == 0
    assert tags_of(run_id)["dvc.source"] == "manual"


def test_outside_a_repository_there_is_nothing_to_say(
    tracking_sqlite: str, command: Command, new_run: Any
) -> None:
    done = command("tag", new_run())
    assert done.code == 1
    assert done.err.startswith("error: there is neither a Git nor a DVC repository here\nhint: ")


def test_a_store_that_is_not_there_is_not_created(
    repo: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///none.db")
    done = command("tag", "f" * 32)
    assert done.code == 1
    assert f"there is no tracking store at {repo}/none.db" in done.err
    assert not (repo / "none.db").exists()


@pytest.mark.parametrize("scheme", ["http", "postgresql+psycopg"])
def test_a_server_that_is_not_there_is_an_error_soon_and_without_its_password(
    repo: Path, process: Command, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    uri = f"{scheme}://user:SECRET@127.0.0.1:{free_port()}/mlflow"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    start = time.monotonic()
    done = process("tag", "f" * 32)
    assert done.code == 1
    assert "connection refused" in done.err
    assert "SECRET" not in done.err
    assert time.monotonic() - start < 30


# ---- tag_run() ----


def test_tag_run_tags_a_resumed_run_and_returns_what_it_added(
    repo: Path, tracking_sqlite: str, new_run: Any
) -> None:
    run_id = new_run()
    with mlflow.start_run(run_id=run_id):
        added = mlflow_dvc_plugin.tag_run()
        assert mlflow_dvc_plugin.tag_run() == {}
    assert added == tags_of(run_id)
    assert added["dvc.source"] == "manual"


def test_tag_run_only_warns_where_there_is_nothing_to_say(
    tracking_sqlite: str, new_run: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "mlflow_dvc_plugin"):
        assert mlflow_dvc_plugin.tag_run(new_run()) == {}
    assert "neither a Git nor a DVC repository" in caplog.text


def test_tag_run_without_a_run_is_an_error(repo: Path, tracking_sqlite: str) -> None:
    with pytest.raises(MlflowDvcError, match="there is no active run"):
        mlflow_dvc_plugin.tag_run()
