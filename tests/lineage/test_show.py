"""`mlflow-dvc show` tells everything about one run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import Git

from lineage.making import made
from lineage.verifying import object_in
from mlflow_dvc_plugin.cli import main


def test_a_run_is_shown_with_the_place_of_each_thing(
    repo: Path, origin: Path, tracking_sqlite: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (repo / "train.py").write_text("changed = 1\n")
    run = made("my run", rate="0.1")
    object_in(repo.parent / "remote", run.tags["dvc.data.train.csv"]).unlink()
    capsys.readouterr()
    assert main(["show", run.run_id[:12]]) == 0
    out, err = capsys.readouterr()
    assert f"run {run.run_id} my run" in out and "rate = 0.1" in out and "loss = 1.0" in out
    assert f"commit {(run.commit or '')[:12]}  here, on origin  reproducible" in out
    assert f"snapshot {(run.snapshot or '')[:12]}  here, on no remote  only here" in out
    assert f"data/images  {run.tags['dvc.data.images']}  here, on local  reproducible" in out
    assert "only here: it is not on DVC remote 'local'" in out
    assert f"hint: mlflow-dvc push {run.run_id}" in err and "hint: dvc push" in err


def test_models_and_packages_are_named_where_mlflow_has_them(
    repo: Path, git: Git, tracking_sqlite: str, capsys: pytest.CaptureFixture[str]
) -> None:
    import mlflow

    if not hasattr(mlflow, "initialize_logged_model"):
        pytest.skip("this MLflow has no LoggedModel")
    with mlflow.start_run() as run:
        model = mlflow.initialize_logged_model(name="wine")
        folder = Path(model.artifact_location.removeprefix("file://"))
        folder.mkdir(parents=True)
        (folder / "requirements.txt").write_text("numpy==1.26\npandas\n")
        mlflow.finalize_logged_model(model.model_id, "READY")
    client = mlflow.MlflowClient()
    client.create_registered_model("wine")
    client.create_model_version("wine", f"models:/{model.model_id}", run.info.run_id)
    client.create_model_version("wine", "/nowhere/at/all", run.info.run_id)
    capsys.readouterr()
    assert main(["show", "models:/wine/1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["experiment"] == "Default" and found["run_id"] == run.info.run_id
    first, second = found["models"]
    assert first["uri"] == f"models:/{model.model_id}" and first["registered"] == ["wine/1"]
    assert first["packages"] == ["numpy==1.26", "pandas"]
    assert (second["uri"], second["packages"]) == ("models:/wine/2", None)
    assert main(["show", run.info.run_id]) == 0
    assert "registered as wine/1" in capsys.readouterr().out
