"""MLFLOW_DVC_STRICT stops a run at its start and nothing else."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import pandas
import pytest
from conftest import Git
from providing import DIRTY, git_program, install_fresh, let_go

from mlflow_dvc_plugin.errors import NotReproducible


@pytest.fixture
def strict(
    repo: Path, tracking_sqlite: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[pytest.MonkeyPatch]:
    """Switch it on; `repo` is the working directory."""
    install_fresh(monkeypatch)
    monkeypatch.setenv("MLFLOW_DVC_STRICT", "1")
    yield monkeypatch
    mlflow.sklearn.autolog(disable=True)


def runs() -> list[Any]:
    return list(mlflow.search_runs(search_all_experiments=True, output_format="list"))


def refused(**arguments: Any) -> str:
    """Start a run that is not to start; return the message."""
    with pytest.raises(NotReproducible) as error:
        mlflow.start_run(**arguments)
    assert mlflow.active_run() is None and runs() == []
    return str(error.value)


# ---- it stops start_run ----


@pytest.mark.usefixtures("strict")
def test_a_clean_tree_with_clean_data_starts() -> None:
    with mlflow.start_run(), mlflow.start_run(nested=True):
        pass
    assert len(runs()) == 2


@pytest.mark.usefixtures("strict")
def test_untracked_files_and_products_that_differ_stop_nothing(repo: Path, git: Git) -> None:
    (repo / "mlflow.db").write_text("x")
    (repo / "model.onnx").write_text("new")
    (repo / "model.onnx.dvc").write_text("outs:\n- md5: " + "a" * 32 + "\n  path: model.onnx\n")
    (repo / ".gitignore").write_text("/model.onnx\n")
    git("add", "--all", ":!mlflow.db")
    git("commit", "-q", "--message", "product")
    with mlflow.start_run():
        pass


@pytest.mark.usefixtures("strict")
def test_a_changed_file_is_named(repo: Path) -> None:
    (repo / "train.py").write_text("changed\n")
    message = refused()
    assert "MLFLOW_DVC_STRICT" in message and "train.py" in message and "hint: " in message


@pytest.mark.usefixtures("strict")
def test_modified_data_is_named(repo: Path) -> None:
    (repo / "data/train.csv").write_text("changed\n")
    assert "data/train.csv is modified" in refused()


@pytest.mark.usefixtures("strict")
def test_data_that_cannot_be_read_is_named(repo: Path, git: Git) -> None:
    (repo / "broken.dvc").write_text("outs: [\n")
    git("add", "--all")
    git("commit", "-q", "--message", "broken")
    assert "broken.dvc" in refused()


@pytest.mark.usefixtures("strict")
def test_code_in_no_commit_is_refused(git: Git) -> None:
    git("checkout", "-q", "--orphan", "new")
    assert "no commit" in refused()


def test_what_git_does_not_answer_is_refused(strict: pytest.MonkeyPatch, tmp_path: Path) -> None:
    strict.setenv("PATH", str(tmp_path / "empty"))
    assert "unknown" in refused()


def test_a_git_that_hangs_is_refused(strict: pytest.MonkeyPatch, tmp_path: Path) -> None:
    strict.setenv("MLFLOW_DVC_BUDGET", "0.5")
    git_program(strict, tmp_path / "bin", "exec sleep 9")
    assert "unknown" in refused()


def test_a_file_system_that_hangs_is_refused(strict: pytest.MonkeyPatch, repo: Path) -> None:
    """A FIFO stands for a dead network mount: opening it never returns."""
    strict.setenv("MLFLOW_DVC_BUDGET", "0.5")
    (repo / ".dvc/config.local").unlink(missing_ok=True)
    os.mkfifo(repo / ".dvc/config.local")
    try:
        assert "unknown" in refused()
    finally:
        let_go(repo / ".dvc/config.local")


@pytest.mark.usefixtures("strict")
def test_a_nested_run_is_stopped_when_the_tree_became_dirty(repo: Path) -> None:
    with mlflow.start_run():
        (repo / "train.py").write_text("changed\n")
        with pytest.raises(NotReproducible):
            mlflow.start_run(nested=True)
    assert [run.info.status for run in runs()] == ["FINISHED"]


def test_outside_any_repository_there_is_nothing_to_refuse(
    strict: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    strict.chdir(tmp_path / "empty")
    with mlflow.start_run():
        pass


def test_without_the_switch_nothing_is_stopped(strict: pytest.MonkeyPatch, repo: Path) -> None:
    (repo / "train.py").write_text("changed\n")
    for value in ("", "0", "false"):
        strict.setenv("MLFLOW_DVC_STRICT", value)
        with mlflow.start_run():
            pass


# ---- it never stops what comes at the end of a training ----


@pytest.fixture
def trained(strict: pytest.MonkeyPatch, repo: Path) -> Path:
    """Return `repo` in which tree and data became dirty while a run went on (and goes on)."""
    mlflow.start_run()
    (repo / "train.py").write_text("changed\n")
    (repo / "data/train.csv").write_text("changed\n")
    return repo


def fit() -> Any:
    from sklearn.linear_model import LinearRegression

    return LinearRegression().fit([[1.0], [2.0]], [1.0, 2.0])


@pytest.mark.usefixtures("trained")
def test_log_model_is_never_stopped() -> None:
    mlflow.sklearn.log_model(fit(), "model", pip_requirements=["scikit-learn"])
    mlflow.end_run()
    assert [run.info.status for run in runs()] == ["FINISHED"]


@pytest.mark.usefixtures("trained")
def test_a_model_without_a_run_is_never_stopped() -> None:
    mlflow.end_run()
    mlflow.sklearn.log_model(fit(), "model", pip_requirements=["scikit-learn"])


@pytest.mark.usefixtures("trained")
def test_a_data_set_is_never_stopped() -> None:
    mlflow.log_input(mlflow.data.from_pandas(pandas.DataFrame({"x": [1.0]})))
    mlflow.end_run()


@pytest.mark.slow
@pytest.mark.usefixtures("trained")
@pytest.mark.parametrize("inside_a_run", [True, False])
def test_an_autologged_fit_is_never_stopped(inside_a_run: bool) -> None:
    if not inside_a_run:
        mlflow.end_run()
    mlflow.sklearn.autolog(silent=True, log_models=inside_a_run)
    fit()
    mlflow.end_run()
    assert len(runs()) == (1 if inside_a_run else 2)


@pytest.mark.usefixtures("trained")
def test_the_run_that_a_first_log_call_starts_is_never_stopped() -> None:
    mlflow.end_run()
    time.sleep(1.05)  # for that long one capture answers such calls
    mlflow.log_metric("m", 1)
    mlflow.end_run()
    newest = max(runs(), key=lambda run: run.info.start_time)
    assert newest.data.metrics == {"m": 1} and newest.data.tags[DIRTY] == "true"


@pytest.mark.usefixtures("trained")
def test_a_resumed_run_is_never_stopped() -> None:
    run_id = mlflow.active_run().info.run_id
    mlflow.end_run()
    with mlflow.start_run(run_id=run_id):
        mlflow.log_metric("m", 1)
