"""Settings: a wrong one is reported once and stops nothing; a variable goes before the file."""

from __future__ import annotations

from pathlib import Path

import mlflow
import pytest
from providing import install_fresh, tags, warnings_in


@pytest.mark.parametrize(
    ("variable", "value", "allowed"),
    [
        ("MLFLOW_DVC_BUDGET", "soon", "a number of seconds from 0.1 to 3600"),
        ("MLFLOW_DVC_BUDGET", "nan", "a number of seconds from 0.1 to 3600"),
        ("MLFLOW_DVC_BUDGET", "0", "a number of seconds from 0.1 to 3600"),
        ("MLFLOW_DVC_OUTPUT_TAGS", "21", "a whole number from 0 to 20"),
        ("MLFLOW_DVC_OUTPUT_TAGS", "1.5", "a whole number from 0 to 20"),
    ],
)
@pytest.mark.usefixtures("repo", "tracking_sqlite")
def test_a_wrong_variable_is_reported_once_and_the_default_used(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
    variable: str, value: str, allowed: str,
) -> None:  # fmt: skip
    install_fresh(monkeypatch)
    monkeypatch.setenv(variable, value)
    for _ in range(2):
        with mlflow.start_run() as run:
            pass
    (warning,) = warnings_in(caplog)
    assert f"{variable} = '{value}'" in warning and allowed in warning and "default" in warning
    found = mlflow.get_run(run.info.run_id).data.tags
    assert found["dvc.status"] == "clean" and "dvc.data.train.csv" in found


@pytest.mark.parametrize(
    "text",
    ["budget = 'soon'", "inputs = 3", "budget = true", "no_setting = 1"],
)
def test_a_wrong_setting_in_the_file_is_reported_and_the_default_used(
    repo: Path, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    (repo / "pyproject.toml").write_text(f"[tool.mlflow-dvc]\n{text}\n")
    found = tags()
    assert found["dvc.status"] == "clean" and "dvc.data.images" in found
    (warning,) = warnings_in(caplog)
    assert text.partition(" ")[0] in warning


@pytest.mark.parametrize(
    "text", ["[tool.mlflow-dvc\n", "[tool]\nmlflow-dvc = 3\n", "\udcff mlflow-dvc"]
)
def test_a_broken_pyproject_is_reported_and_the_defaults_used(
    repo: Path, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    (repo / "pyproject.toml").write_text(text, errors="surrogateescape")
    assert tags()["dvc.status"] == "clean"
    (warning,) = warnings_in(caplog)
    assert "pyproject.toml" in warning and "default" in warning


def test_a_variable_goes_before_the_file(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (repo / "pyproject.toml").write_text("[tool.mlflow-dvc]\ninputs = ['data/train.csv']\n")
    assert "dvc.data.images" not in tags() and "dvc.data.train.csv" in tags()
    monkeypatch.setenv("MLFLOW_DVC_INPUTS", "data/images")
    assert "dvc.data.images" in tags() and "dvc.data.train.csv" not in tags()
    monkeypatch.setenv("MLFLOW_DVC_OUTPUT_TAGS", "0")
    found = tags()
    assert "dvc.data.images" not in found and "data/images" in found["dvc.manifest"]
    monkeypatch.chdir(repo / "data")  # the file is the toplevel's, from wherever one starts
    monkeypatch.delenv("MLFLOW_DVC_INPUTS")
    assert "data/images" not in tags()["dvc.manifest"]
