"""The provider between MLflow and a capture: never stale, one capture a burst, quiet, polite."""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from pathlib import Path
from typing import Any

import mlflow
import pytest
from conftest import Dvc, Git
from providing import COMMIT, DIRTY, git_program, install_fresh, tags, warnings_in


def run_tags(**arguments: Any) -> dict[str, str]:
    """Start and end a run; return its tags."""
    with mlflow.start_run(**arguments) as run:
        pass
    found: dict[str, str] = mlflow.get_run(run.info.run_id).data.tags
    return found


@pytest.fixture
def provider(repo: Path, tracking_sqlite: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the provider that MLflow asks in this test; `repo` is the working directory."""
    return install_fresh(monkeypatch)


# ---- never stale: two runs of one process, one right after the other ----


@pytest.mark.usefixtures("provider")
def test_a_commit_between_two_runs_shows_in_the_second(repo: Path, git: Git) -> None:
    first = run_tags()
    git("commit", "-q", "--allow-empty", "--message", "second")
    second = run_tags()
    assert first[COMMIT] == git("rev-parse", "HEAD~")
    assert second[COMMIT] == git("rev-parse", "HEAD")


@pytest.mark.usefixtures("provider")
def test_a_checkout_between_two_runs_shows_in_the_second(repo: Path, git: Git, dvc: Dvc) -> None:
    first = run_tags()
    git("checkout", "-q", "-b", "other")
    (repo / "data/train.csv").write_text("5,6\n")
    dvc("add", "--quiet", "data/train.csv")
    git("commit", "-qam", "other data")
    second = run_tags()
    git("checkout", "-q", "main")
    dvc("checkout", "--quiet")
    third = run_tags()
    branch = "mlflow.source.git.branch"
    assert [each[branch] for each in (first, second, third)] == ["main", "other", "main"]
    assert [each["dvc.status"] for each in (first, second, third)] == ["clean"] * 3
    assert first["dvc.hash"] == third["dvc.hash"] != second["dvc.hash"]
    assert first[COMMIT] == third[COMMIT] != second[COMMIT]


@pytest.mark.usefixtures("provider")
def test_changed_bytes_of_the_same_size_show_in_the_next_run_each_time(repo: Path) -> None:
    seen = set()
    for number in range(5):
        (repo / "data/train.csv").write_text(f"x,y\n1,2\n3,{number}\n")
        found = run_tags()
        assert found["dvc.status"] == ("clean" if number == 4 else "modified")
        seen.add(found["dvc.hash"])
    assert len(seen) == 5


@pytest.mark.usefixtures("provider")
def test_changed_bytes_behind_a_restored_mtime_show_in_the_next_run(repo: Path) -> None:
    file = repo / "data/train.csv"
    os.utime(file, (1_500_000_000, 1_500_000_000))
    time.sleep(0.02)
    first = run_tags()
    file.write_text("x,y\n1,2\n3,5\n")
    os.utime(file, (1_500_000_000, 1_500_000_000))
    second = run_tags()
    assert (first["dvc.status"], second["dvc.status"]) == ("clean", "modified")


@pytest.mark.usefixtures("provider")
def test_a_file_added_to_a_data_directory_shows_in_the_next_run(repo: Path) -> None:
    first = run_tags()
    (repo / "data/images/new.png").write_text("new\n")
    second = run_tags()
    (repo / "data/images/new.png").unlink()
    third = run_tags()
    assert [each["dvc.status"] for each in (first, second, third)] == ["clean", "modified", "clean"]


@pytest.mark.usefixtures("provider")
def test_changed_code_between_two_runs_shows_in_the_second(repo: Path, git: Git) -> None:
    first = run_tags()
    (repo / "train.py").write_text("changed\n")
    second = run_tags()
    git("checkout", "-q", "train.py")
    third = run_tags()
    assert [each[DIRTY] for each in (first, second, third)] == ["false", "true", "false"]
    assert first["git.tree"] == third["git.tree"] == git("rev-parse", "HEAD^{tree}")
    assert second["git.tree"] == git("rev-parse", f"{second['git.snapshot']}^{{tree}}")
    assert "git.snapshot" not in first and second["git.tree"] != first["git.tree"]


@pytest.mark.usefixtures("provider")
def test_another_working_directory_shows_in_the_next_run(
    repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert DIRTY in run_tags()
    monkeypatch.chdir(tmp_path / "empty")
    assert DIRTY not in run_tags()


# ---- one capture answers a burst ----


def test_a_burst_of_calls_is_answered_from_one_capture(
    provider: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider.tags()
    time.sleep(1.05)
    log = git_program(monkeypatch, tmp_path / "bin", "")
    first = provider.tags()
    once = len(log.read_text().splitlines())
    assert once >= 1
    assert [provider.tags() for _ in range(5)] == [first] * 5
    assert len(log.read_text().splitlines()) == once
    assert once <= 2, log.read_text()


def test_an_autologged_fit_costs_one_or_two_captures(
    provider: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sklearn.linear_model import LinearRegression

    log = git_program(monkeypatch, tmp_path / "bin", "")
    mlflow.sklearn.autolog(log_models=False, silent=True)
    try:
        LinearRegression().fit([[1.0], [2.0]], [1.0, 2.0])
    finally:
        mlflow.sklearn.autolog(disable=True)
    captures = [line for line in log.read_text().splitlines() if line.startswith("status")]
    assert 1 <= len(captures) <= 2, captures


def test_eight_threads_get_equal_answers_from_few_captures(
    provider: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = git_program(monkeypatch, tmp_path / "bin", "")
    barrier, answers = threading.Barrier(8), []

    def ask() -> None:
        barrier.wait()
        answers.append(provider.tags())

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 8 and all(answer == answers[0] for answer in answers)
    assert answers[0]["dvc.status"] == "clean"
    captures = [line for line in log.read_text().splitlines() if line.startswith("status")]
    assert len(captures) <= 2, captures


def test_an_answer_is_the_callers_own(provider: Any) -> None:
    provider.tags().clear()
    assert provider.tags()


# ---- quiet and polite ----


def test_a_reason_is_a_warning_once_a_process_and_then_for_debugging(
    repo: Path, provider: Any, caplog: pytest.LogCaptureFixture
) -> None:
    (repo / "broken.dvc").write_text("outs: [\n")
    caplog.set_level(logging.DEBUG, "mlflow_dvc_plugin")
    for _ in range(3):
        run_tags()
    (warning,) = warnings_in(caplog)
    assert "broken.dvc" in warning
    assert len([r for r in caplog.records if "broken.dvc" in r.getMessage()]) == 3
    (repo / "another.dvc").write_text("outs: [\n")
    run_tags()
    assert len(warnings_in(caplog)) == 2


@pytest.mark.parametrize("value", ["1", "true", "yes", "TRUE"])
def test_the_switch_leaves_the_run_to_mlflow(
    provider: Any, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    assert DIRTY in run_tags()
    monkeypatch.setenv("MLFLOW_DVC_DISABLE", value)
    assert not provider.in_context()
    assert not [key for key in run_tags() if key.startswith(("dvc.", "git."))]


@pytest.mark.parametrize("value", ["", "0", "false"])
def test_a_switch_that_is_off_is_off(
    provider: Any, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("MLFLOW_DVC_DISABLE", value)
    assert provider.in_context()


@pytest.mark.usefixtures("provider")
def test_what_mlflow_run_context_names_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = {"dvc.hash": "mine", COMMIT: "mine", "other": "mine"}
    monkeypatch.setenv("MLFLOW_RUN_CONTEXT", json.dumps(mine))
    found = run_tags()
    assert mine.items() <= found.items() and found["dvc.status"] == "clean"


@pytest.mark.usefixtures("provider")
@pytest.mark.parametrize("text", ["no JSON", "[1, 2]", "3", "null", '{"dvc.hash": 1}'])
def test_a_broken_mlflow_run_context_costs_none_of_our_tags(
    monkeypatch: pytest.MonkeyPatch, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MLFLOW_RUN_CONTEXT", text)
    assert tags()["dvc.status"] == "clean"
    assert warnings_in(caplog) == []


@pytest.mark.usefixtures("provider")
def test_the_users_own_tags_win() -> None:
    found = run_tags(tags={"dvc.status": "mine", "git.dirty": "mine"}, run_name="mine")
    assert (found["dvc.status"], found["git.dirty"]) == ("mine", "mine")
    assert found["mlflow.runName"] == "mine" and "dvc.hash" in found
