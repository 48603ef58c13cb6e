"""RUN means a run id, a prefix of one, a DVC experiment, or a registered model."""

from __future__ import annotations

from pathlib import Path

import pytest

from lineage.making import made
from mlflow_dvc_plugin.errors import MlflowDvcError
from mlflow_dvc_plugin.lineage.resolve import find
from mlflow_dvc_plugin.lineage.store import experiment_ids, open_client, search


def test_a_run_is_found_by_its_id_and_by_a_part_of_it(repo: Path, tracking_sqlite: str) -> None:
    run, other = made(), made()
    client = open_client()
    assert find(client, run.run_id) == run
    length = next(n for n in range(4, 32) if run.run_id[:n] != other.run_id[:n])
    assert find(client, run.run_id[: max(length, 8)]) == run


def test_what_is_no_run_is_refused_with_a_hint(repo: Path, tracking_sqlite: str) -> None:
    import mlflow

    run = made()
    client = open_client()
    for text in ("0" * 32, "no-such-exp", "it's", "both ' and \""):
        with pytest.raises(MlflowDvcError):
            find(client, text)
    mlflow.delete_run(run.run_id)
    with pytest.raises(MlflowDvcError, match="is deleted") as caught:
        find(client, run.run_id)
    assert run.run_id in caught.value.hint


def test_a_dvc_experiment_is_found_by_its_name(
    repo: Path, tracking_sqlite: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_EXP_NAME", "puffy-fogy")
    run = made()
    assert find(open_client(), "puffy-fogy") == run


@pytest.mark.parametrize("registered_from", ["run", "logged model"])
def test_a_registered_model_leads_to_its_run(
    repo: Path, tracking_sqlite: str, registered_from: str
) -> None:
    import mlflow

    if not hasattr(mlflow, "initialize_logged_model"):
        pytest.skip("this MLflow has no LoggedModel")
    client = open_client()
    client.create_registered_model("wine")
    with mlflow.start_run() as run:
        model = mlflow.initialize_logged_model(name="wine")
        mlflow.finalize_logged_model(model.model_id, "READY")
    if registered_from == "run":
        client.create_model_version("wine", f"runs:/{run.info.run_id}/m", run.info.run_id)
    else:
        client.create_model_version("wine", f"models:/{model.model_id}", model_id=model.model_id)
    client.set_registered_model_alias("wine", "champion", "1")
    for text in ("models:/wine/1", "models:/wine@champion", f"models:/{model.model_id}"):
        assert find(client, text).run_id == run.info.run_id
    for text in ("models:/wine/2", "models:/wine@nobody", "models:/beer/1", "models:/m-0"):
        with pytest.raises(MlflowDvcError, match=f"^{text} leads to no run: .*not found") as caught:
            find(client, text)
        assert "MLFLOW_TRACKING_URI" in caught.value.hint
    with pytest.raises(MlflowDvcError) as caught:
        find(client, "models:/wine")
    assert "models:/<name>/<version>" in caught.value.hint


def test_a_model_without_a_run_is_refused_with_what_mends_it(
    repo: Path, tracking_sqlite: str
) -> None:
    import mlflow

    client = open_client()
    client.create_registered_model("wine")
    client.create_model_version("wine", "s3://bucket/model")
    with pytest.raises(MlflowDvcError, match="names neither a run nor a logged model") as caught:
        find(client, "models:/wine/1")
    assert 'mlflow.register_model("runs:/RUN_ID/PATH", "wine")' in caught.value.hint
    if not hasattr(mlflow, "initialize_logged_model"):
        pytest.skip("this MLflow has no LoggedModel")
    model = mlflow.initialize_logged_model(name="wine")
    for key in model.tags:
        client.delete_logged_model_tag(model.model_id, key)
    with pytest.raises(MlflowDvcError, match="was logged outside a run") as caught:
        find(client, f"models:/{model.model_id}")
    assert "inside mlflow.start_run()" in caught.value.hint


def test_runs_come_page_by_page(repo: Path, tracking_sqlite: str) -> None:
    ids = {made(name=f"run {number}").run_id for number in range(4)}
    client = open_client()
    asked: list[int] = []
    ask = client.search_runs

    def search_runs(
        experiments: list[str], query: str, view: int, size: int, *rest: object
    ) -> object:
        asked.append(size)
        return ask(experiments, query, view, min(size, 3), *rest)

    client.search_runs = search_runs
    found = [one.run_id for one in search(client, experiment_ids(client))]
    assert set(found) == ids and len(found) == 4 and len(asked) == 2
    assert len(list(search(client, experiment_ids(client), limit=2))) == 2
    with pytest.raises(MlflowDvcError, match="no experiment 'x'"):
        experiment_ids(client, ["x"])
