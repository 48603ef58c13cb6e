"""Everything about one run: what it states, and where each of these things is."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from mlflow_dvc_plugin.errors import MlflowDvcError
from mlflow_dvc_plugin.gitdir import Worktree
from mlflow_dvc_plugin.lineage.record import Record
from mlflow_dvc_plugin.lineage.resolve import find
from mlflow_dvc_plugin.lineage.store import experiment_names, pages, quoted, store_errors
from mlflow_dvc_plugin.lineage.subjects import Subject
from mlflow_dvc_plugin.lineage.verify import Report, verify
from mlflow_dvc_plugin.storage import Progress

_PATIENCE = 10.0  # seconds for a model's list of packages
_MODELS = 50  # in one answer of the store
_PACKAGES = "requirements.txt"


@dataclass(frozen=True)
class Model:
    """A model of the run. ``uri`` loads it, ``registered`` are its names in the registry.

    ``packages`` are the lines of its requirements, None where they cannot be had.
    """

    uri: str
    name: str
    registered: tuple[str, ...] = ()
    packages: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Shown:
    """A run with everything that is known of it."""

    report: Report
    experiment: str
    models: tuple[Model, ...]

    @property
    def run(self) -> Record:
        """The run itself."""
        run = self.report.subject.run
        if run is None:
            raise MlflowDvcError(self.report.subject.reason, self.report.subject.hint)
        return run


def show(  # noqa: PLR0913
    client: Any, worktree: Worktree, text: str, progress: Progress, *, deep: bool,
    data_repo: str | None = None,
) -> Shown:  # fmt: skip
    """Return everything about the run that RUN means. Raises MlflowDvcError."""
    run = find(client, text)
    (report,) = verify(worktree, [Subject(run)], progress, deep=deep, data_repo=data_repo)
    name = experiment_names(client).get(run.experiment_id, run.experiment_id)
    return Shown(report, name, tuple(_models(client, run)))


def _models(client: Any, run: Record) -> Iterator[Model]:
    registered = _registered(client, run)
    for one in _logged(client, run):
        uri = f"models:/{one.model_id}"
        names = tuple(name for name, source in registered if source == uri)
        registered = [item for item in registered if item[1] != uri]
        yield Model(uri, one.name, names, _packages(one.artifact_location))
    for name, source in registered:
        yield Model(f"models:/{name}", "", (name,), _packages(source))


def _logged(client: Any, run: Record) -> list[Any]:
    if not hasattr(client, "search_logged_models"):  # MLflow 2 has none
        return []
    query = f"source_run_id = {quoted(run.run_id)}"
    ask = partial(client.search_logged_models, [run.experiment_id], query)
    with store_errors():
        return list(pages(ask, _MODELS))


def _registered(client: Any, run: Record) -> list[tuple[str, str]]:
    """Return (name/version, source) of the versions that name the run."""
    query = f"run_id = {quoted(run.run_id)}"
    with store_errors():
        found = list(pages(partial(client.search_model_versions, query)))
    return [(f"{one.name}/{one.version}", str(one.source)) for one in found]


def _packages(location: str) -> tuple[str, ...] | None:
    """Return the lines of a model's requirements; None when the artifacts do not answer."""
    found: list[str] = []

    def ask() -> None:
        import mlflow

        # Every kind of storage has exceptions of its own: there is no list then.
        with contextlib.suppress(Exception):
            found.append(mlflow.artifacts.load_text(f"{location.rstrip('/')}/{_PACKAGES}"))

    thread = threading.Thread(target=ask, name="mlflow-dvc-packages", daemon=True)
    thread.start()
    thread.join(_PATIENCE)
    return tuple(line for line in found[0].splitlines() if line.strip()) if found else None
