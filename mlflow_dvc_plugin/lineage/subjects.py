"""The runs that a question is about: named ones, an experiment's, all, those of models."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mlflow_dvc_plugin import tracking
from mlflow_dvc_plugin.errors import MlflowDvcError
from mlflow_dvc_plugin.lineage.models import run_of_model
from mlflow_dvc_plugin.lineage.record import Record
from mlflow_dvc_plugin.lineage.resolve import find_all
from mlflow_dvc_plugin.lineage.store import NEWEST, experiment_ids, pages, search, store_errors


@dataclass(frozen=True)
class Subject:
    """A run, and the registered models that came from it.

    ``run`` is None where a model names no run that is there; ``reason`` and ``hint`` say why.
    """

    run: Record | None
    models: tuple[str, ...] = ()
    reason: str = ""
    hint: str = ""

    @property
    def label(self) -> str:
        """What to call it where there is no run."""
        return self.run.run_id if self.run else ", ".join(self.models)


def named(client: Any, texts: Sequence[str]) -> list[Subject]:
    """Return the runs that these RUN mean. Raises MlflowDvcError."""
    return [Subject(run) for run in find_all(client, texts)]


def in_experiments(client: Any, names: Sequence[str], limit: int | None) -> list[Subject]:
    """Return the runs of these experiments, of all when none is named, the newest first."""
    found = search(client, experiment_ids(client, names), order=NEWEST, limit=limit)
    return [Subject(run) for run in found]


def registered(client: Any, limit: int | None) -> list[Subject]:
    """Return the run of every version of every registered model, each run once."""
    found: dict[str, Subject] = {}
    for uri in _versions(client):
        one = _of_model(client, uri)
        key = one.run.run_id if one.run else uri
        before = found.get(key)
        if before is None and limit and len(found) == limit:
            break
        found[key] = replace(one, models=(*before.models, uri)) if before else one
    return list(found.values())


def _of_model(client: Any, uri: str) -> Subject:
    try:
        return Subject(run_of_model(client, uri), (uri,))
    except MlflowDvcError as error:
        tracking.require(tracking.tracking_uri())  # is it this one, or the store?
        return Subject(None, (uri,), error.message, error.hint)


def _versions(client: Any) -> Iterator[str]:
    with store_errors():
        for one in pages(client.search_model_versions):
            yield f"models:/{one.name}/{one.version}"
