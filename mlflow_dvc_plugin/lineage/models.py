"""The run behind a registered model."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mlflow_dvc_plugin import tracking
from mlflow_dvc_plugin.errors import MlflowDvcError
from mlflow_dvc_plugin.lineage.record import Record, record
from mlflow_dvc_plugin.lineage.store import store_errors

_URI = re.compile(r"models:/(?P<name>[^/@]+)(?:/(?P<version>\d+)|@(?P<alias>[^/@]+))\Z")
# What stores answer about a name, a version, an alias or a run that they have not got.
_ABSENT = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE", "NOT_FOUND")
LOOK = "look it up in mlflow ui, or name the store: export MLFLOW_TRACKING_URI=..."
_LOGGED = re.compile(r"models:/(?P<id>m-[0-9a-zA-Z]+)\Z")


def run_of_model(client: Any, uri: str) -> Record:
    """Return the run of ``models:/name/version``, ``models:/name@alias`` or ``models:/m-…``.

    A version may have neither run id nor model id: its source then names the LoggedModel. Raises
    MlflowDvcError.
    """
    logged = _LOGGED.match(uri)
    if logged:
        return _run_of_logged(client, logged["id"], uri)
    version = _version(client, uri)
    if version.run_id:
        with _there(uri):
            return record(client.get_run(version.run_id))
    source = _LOGGED.match(version.source or "")
    model_id = getattr(version, "model_id", None) or (source["id"] if source else None)
    if not model_id:
        again = f'mlflow.register_model("runs:/RUN_ID/PATH", "{version.name}")'
        raise MlflowDvcError(
            f"{uri} names neither a run nor a logged model: {version.source}",
            f"give the run's id instead, or register the model from its run: {again}",
        )
    return _run_of_logged(client, model_id, uri)


@contextmanager
def _there(uri: str) -> Iterator[None]:
    """Tell a model or run that is not there from a store that cannot be used."""
    from mlflow.exceptions import MlflowException

    with store_errors():
        try:
            yield
        except MlflowException as error:
            if error.error_code not in _ABSENT:
                raise
            text = tracking.one_line(error)
            raise MlflowDvcError(f"{uri} leads to no run: {text}", LOOK) from error


def _version(client: Any, uri: str) -> Any:
    match = _URI.match(uri)
    if match is None:
        raise MlflowDvcError(
            f"{uri} is no registered model", "models:/<name>/<version> or models:/<name>@<alias>"
        )
    with _there(uri):
        if match["alias"]:
            return client.get_model_version_by_alias(match["name"], match["alias"])
        return client.get_model_version(match["name"], match["version"])


def _run_of_logged(client: Any, model_id: str, uri: str) -> Record:
    with _there(uri):
        model = client.get_logged_model(model_id)
        if model.source_run_id:
            return record(client.get_run(model.source_run_id))
    if "dvc.schema" not in model.tags:
        raise MlflowDvcError(
            f"{uri} was logged outside a run, and carries no tags of its own",
            "log it inside mlflow.start_run(), where the plugin is: mlflow-dvc doctor",
        )
    # The context's tags stand on the model itself: it is as good as a run.
    return Record(
        run_id=model.model_id, name=model.name, experiment_id=model.experiment_id,
        status=str(model.status), start=model.creation_timestamp,
        end=model.last_updated_timestamp, params=model.params or {}, metrics={}, tags=model.tags,
    )  # fmt: skip
