"""Which of MLflow's calls put the tags on what they make, and which do not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import mlflow
import numpy
import pandas
import pytest
from conftest import Git, PythonIn
from mlflow.entities import Run
from mlflow.tracking import MlflowClient

pytestmark = pytest.mark.usefixtures("repo", "tracking_sqlite")
HAS_SCORERS = hasattr(getattr(mlflow, "genai", None), "scorer")
HAS_LOGGED_MODELS = hasattr(mlflow, "initialize_logged_model")


def all_runs() -> list[Run]:
    return list(mlflow.search_runs(search_all_experiments=True, output_format="list"))


def tagged(tags: Mapping[str, str], commit: str) -> bool:
    """Tell whether the commit and the data are there."""
    return tags.get("mlflow.source.git.commit") == commit and "dvc.hash" in tags


@pytest.fixture
def commit(repo: Path, git: Git) -> str:
    return git("rev-parse", "HEAD")


@pytest.fixture
def autolog() -> Iterator[None]:
    mlflow.sklearn.autolog(log_input_examples=False, silent=True)
    yield
    mlflow.sklearn.autolog(disable=True)


def a_model() -> Any:
    from sklearn.linear_model import LinearRegression

    return LinearRegression().fit([[1.0], [2.0]], [1.0, 2.0])


# ---- they get the tags ----


def test_a_run_and_the_runs_nested_in_it(commit: str) -> None:
    with mlflow.start_run(), mlflow.start_run(nested=True), mlflow.start_run(nested=True):
        pass
    assert [tagged(run.data.tags, commit) for run in all_runs()] == [True] * 3


def test_the_run_that_a_first_log_call_starts(commit: str) -> None:
    mlflow.log_metric("m", 1)
    mlflow.end_run()
    assert [tagged(run.data.tags, commit) for run in all_runs()] == [True]


def test_the_run_that_sklearn_autolog_starts(commit: str, autolog: None) -> None:
    a_model()
    assert [tagged(run.data.tags, commit) for run in all_runs()] == [True]


def test_a_grid_search_and_its_children(commit: str, autolog: None) -> None:
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import GridSearchCV

    # An array: MLflow loses the children of a search in a plain list.
    rows = numpy.arange(8.0).reshape(-1, 1)
    GridSearchCV(Ridge(), {"alpha": [0.1, 1.0, 10.0]}, cv=2).fit(rows, rows[:, 0])
    runs = all_runs()
    assert len(runs) == 4
    assert sum("mlflow.parentRunId" in run.data.tags for run in runs) == 3
    assert all(tagged(run.data.tags, commit) for run in runs)
    assert len({run.data.tags["dvc.hash"] for run in runs}) == 1


@pytest.mark.skipif(not HAS_SCORERS, reason="this MLflow has no genai.scorer")
def test_the_run_that_genai_evaluate_starts(commit: str) -> None:
    @mlflow.genai.scorer  # type: ignore[untyped-decorator]
    def answered(outputs: str) -> bool:
        return bool(outputs)

    rows = [{"inputs": {"question": "why"}, "outputs": "because"}]
    mlflow.genai.evaluate(data=rows, scorers=[answered])
    assert [tagged(run.data.tags, commit) for run in all_runs()] == [True]


@pytest.mark.skipif(not HAS_LOGGED_MODELS, reason="this MLflow has no LoggedModel")
@pytest.mark.parametrize("inside_a_run", [True, False])
def test_a_logged_model(commit: str, inside_a_run: bool) -> None:
    if inside_a_run:
        with mlflow.start_run():
            mlflow.sklearn.log_model(a_model(), name="model")
    else:
        mlflow.initialize_logged_model(name="model")
    (model,) = mlflow.search_logged_models(output_format="list")
    assert tagged(model.tags, commit)


def test_a_data_set_without_a_source(commit: str) -> None:
    """Its source is the code that made it, described by the context's tags."""
    data = mlflow.data.from_pandas(pandas.DataFrame({"x": [1.0]}))
    with mlflow.start_run():
        mlflow.log_input(data)
    (run,) = all_runs()
    (logged,) = run.inputs.dataset_inputs
    assert logged.dataset.source_type == "code"
    assert tagged(json.loads(logged.dataset.source)["tags"], commit)


# ---- no provider is asked ----


def test_not_a_run_that_the_client_creates(commit: str) -> None:
    run = MlflowClient().create_run("0")
    assert not tagged(run.data.tags, commit)


@pytest.mark.skipif(not HAS_LOGGED_MODELS, reason="this MLflow has no LoggedModel")
def test_not_a_model_that_the_client_creates(commit: str) -> None:
    assert not tagged(MlflowClient().create_logged_model("0", name="model").tags, commit)


@pytest.mark.parametrize("how", ["argument", "variable"])
def test_not_a_resumed_run(how: str, commit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = MlflowClient().create_run("0").info.run_id
    if how == "variable":
        monkeypatch.setenv("MLFLOW_RUN_ID", run_id)
    with mlflow.start_run(run_id=run_id if how == "argument" else None) as resumed:
        assert resumed.info.run_id == run_id
    assert not tagged(mlflow.get_run(run_id).data.tags, commit)


def test_a_resumed_run_keeps_what_it_was_started_with(repo: Path, git: Git, commit: str) -> None:
    with mlflow.start_run() as first:
        pass
    git("commit", "-q", "--allow-empty", "--message", "second")
    with mlflow.start_run(run_id=first.info.run_id):
        pass
    assert tagged(mlflow.get_run(first.info.run_id).data.tags, commit)


@pytest.mark.slow
def test_not_mlflow_run(repo: Path, git: Git) -> None:
    (repo / "MLproject").write_text(
        "name: p\nentry_points:\n  main:\n    command: python train.py\n"
    )
    git("add", "MLproject")
    git("commit", "-q", "--message", "project")
    command = [sys.executable, "-m", "mlflow", "run", ".", "--env-manager", "local"]
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
    subprocess.run(command, check=True, env={**os.environ, "PATH": path}, capture_output=True)
    (run,) = all_runs()
    assert run.data.metrics == {"m": 1}
    assert not tagged(run.data.tags, git("rev-parse", "HEAD"))


def test_not_a_model_version(commit: str) -> None:
    client = MlflowClient()
    client.create_registered_model("m")
    with mlflow.start_run() as run:
        version = client.create_model_version("m", f"runs:/{run.info.run_id}/x", run.info.run_id)
    assert not tagged(version.tags, commit)
    assert tagged(mlflow.get_run(version.run_id).data.tags, commit)


@pytest.mark.skipif(not HAS_LOGGED_MODELS, reason="this MLflow's traces are of another form")
def test_of_a_trace_only_commit_branch_and_dirty(
    repo: Path, commit: str, python_in: PythonIn
) -> None:
    """In a process of its own: MLflow asks once a process, whatever changes later."""
    (repo / "train.py").write_text("changed\n")
    code = "import mlflow\nwith mlflow.start_span('span') as span: print(span.trace_id)"
    out = python_in(repo, code, MLFLOW_ENABLE_ASYNC_TRACE_LOGGING="false")
    trace = mlflow.get_trace(out.split()[-1])
    metadata = trace.info.trace_metadata
    assert metadata["mlflow.source.git.commit"] == commit
    assert metadata["mlflow.source.git.dirty"] == "true"
    assert not [key for key in (*metadata, *trace.info.tags) if key.startswith("dvc.")]
