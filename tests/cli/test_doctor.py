from __future__ import annotations

import json
import os
import shlex
import socket
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import Dvc, Git

from mlflow_dvc_plugin.cli.checks import minimums

from .conftest import Command


@pytest.fixture
def doctor(command: Command) -> Any:
    """Return exit code and the checks by name; of several with one name, the last."""

    def run() -> tuple[int, dict[str, dict[str, str]]]:
        done = command("doctor", "--json")
        return done.code, {check["name"]: check for check in json.loads(done.out)}

    return run


def test_a_good_project_is_ok(repo: Path, tracking_sqlite: str, command: Command) -> None:
    done = command("doctor")
    assert done.code == 0, done.out
    assert "ok      plugin: loaded by MLflow" in done.out
    assert f"ok      dvc repository: {repo} with 2 outputs" in done.out
    assert "ok      dvc formats: what DVC" in done.out
    assert "problem" not in done.out


def test_it_checks_the_versions_that_the_metadata_asks_for(doctor: Any) -> None:
    assert set(minimums()) == {"mlflow", "dvc", "GitPython"}
    _, checks = doctor()
    for name, least in minimums().items():
        assert checks[name]["level"] == "ok"
        assert f"{least} or newer" in checks[name]["text"]


def test_no_store_is_created(repo: Path, command: Command, git: Git, monkeypatch: Any) -> None:
    command("doctor")
    before = git("status", "--porcelain", "--ignored")
    for uri in ("sqlite:///new.db", "mlruns", (repo / "files").as_uri()):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        assert "is created by the first run" in command("doctor").out
    assert git("status", "--porcelain", "--ignored") == before


def test_an_older_database_is_not_upgraded(
    repo: Path, tracking_sqlite: str, command: Command
) -> None:
    import sqlite3

    path = tracking_sqlite.removeprefix("sqlite:///")
    with sqlite3.connect(path) as database:
        database.execute("DROP TABLE trace_info")
    before = Path(path).read_bytes()
    assert command("doctor").code == 0
    assert Path(path).read_bytes() == before


def test_outside_a_repository_it_notes_it(doctor: Any, tracking_sqlite: str) -> None:
    code, checks = doctor()
    assert code == 0
    assert checks["git repository"]["level"] == checks["dvc repository"]["level"] == "note"


def test_a_switch_that_disables_the_plugin_is_a_problem(
    repo: Path, doctor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_DVC_DISABLE", "1")
    code, checks = doctor()
    assert code == 1
    assert checks["switches"]["fix"] == "unset MLFLOW_DVC_DISABLE"


def test_a_wrong_setting_and_a_broken_file_are_problems(
    repo: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_DVC_BUDGET", "soon")
    (repo / "data/train.csv.dvc").write_text("<<<<<<< HEAD\n")
    done = command("doctor")
    assert done.code == 1
    assert "problem capture: MLFLOW_DVC_BUDGET = 'soon' is not a number of seconds" in done.out
    assert "problem capture: data/train.csv.dvc cannot be read" in done.out


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to give the repository away")
def test_a_repository_of_another_user_names_the_git_command(repo: Path, command: Command) -> None:
    os.chown(repo, 12345, 12345)
    os.chown(repo / ".git", 12345, 12345)
    done = command("doctor")
    assert done.code == 1
    assert f"fix: git config --global --add safe.directory {shlex.quote(str(repo))}" in done.out


def test_several_dvc_repositories_are_named(
    tmp_path: Path, git: Git, dvc: Dvc, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "mono"
    for name in ("a", "b"):
        (root / name).mkdir(parents=True)
    git("init", "--quiet", cwd=root)
    for name in ("a", "b"):
        dvc("init", "--quiet", "--subdir", cwd=root / name)
    monkeypatch.chdir(root)
    assert "there are several DVC repositories (a, b)" in command("doctor").out


def test_the_hooks_of_dvc_are_shown(repo: Path, doctor: Any, dvc: Dvc) -> None:
    checks = doctor()[1]
    assert checks["dvc hooks"]["text"].startswith("none installed: ")
    dvc("install")
    check = doctor()[1]["dvc hooks"]
    assert check["level"] == "ok"
    assert "post-checkout, pre-commit, pre-push installed by DVC" in check["text"]


def test_a_server_that_never_answers_does_not_hang(
    repo: Path, process: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{silent.getsockname()[1]}")
        start = time.monotonic()
        done = process("doctor")
    assert done.code == 1
    assert "no answer within 5 s" in done.out
    assert time.monotonic() - start < 40  # 5 s of it for the server; the rest is a busy machine


def test_a_server_that_answers_is_ok(mlflow_server: str, use_store: Any, doctor: Any) -> None:
    use_store(mlflow_server)
    assert doctor()[1]["tracking"]["text"] == f"{mlflow_server} answers"


def test_a_missing_library_is_one_problem_among_the_other_checks(
    repo: Path, process: Command
) -> None:
    done = process("doctor", without=("mlflow",))
    assert done.code == 1
    assert "problem plugin: cannot be checked" in done.out
    assert "ok      git repository" in done.out
