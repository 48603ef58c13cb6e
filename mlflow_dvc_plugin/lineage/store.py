"""Runs from the tracking store, through MLflow's public client only, page by page."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from mlflow_dvc_plugin import tracking
from mlflow_dvc_plugin.errors import MlflowDvcError
from mlflow_dvc_plugin.lineage.record import Record, record

NEWEST = ("attributes.start_time DESC",)  # first
_PAGE = 1000


def open_client() -> Any:
    """Return an ``MlflowClient`` of the store that exists and answers. Raises MlflowDvcError."""
    uri = tracking.tracking_uri()
    tracking.require(uri)
    import mlflow

    with store_errors():
        return mlflow.MlflowClient(tracking_uri=uri)


@contextmanager
def store_errors() -> Iterator[None]:
    """Turn what MLflow raises for its store into an error that a person can mend."""
    try:
        yield
    except tracking.store_errors() as error:
        uri = tracking.tracking_uri()
        text = tracking.one_line(error, uri)
        raise MlflowDvcError(
            f"the tracking store {tracking.shown(uri)} cannot be used: {text}", "mlflow-dvc doctor"
        ) from error


def experiment_ids(client: Any, names: Sequence[str] = ()) -> list[str]:
    """Return the ids of the experiments of these names, of all when none is named."""
    with store_errors():
        if not names:
            return [one.experiment_id for one in pages(client.search_experiments)]
        found = {name: client.get_experiment_by_name(name) for name in names}
    for name, one in found.items():
        if one is None:
            hint = "mlflow experiments search"
            raise MlflowDvcError(f"there is no experiment '{name}'", hint)
    return [one.experiment_id for one in found.values()]


def every_experiment_id(client: Any) -> list[str]:
    """Return the ids of all experiments, deleted ones too."""
    from mlflow.entities import ViewType

    def page(page_token: str | None, max_results: int) -> Any:
        return client.search_experiments(ViewType.ALL, max_results, page_token=page_token)

    with store_errors():
        return [one.experiment_id for one in pages(page)]


def experiment_names(client: Any) -> dict[str, str]:
    """Return id -> name of all experiments."""
    with store_errors():
        return {one.experiment_id: one.name for one in pages(client.search_experiments)}


def search(  # noqa: PLR0913
    client: Any, experiments: Sequence[str], query: str = "", *, order: Sequence[str] = (),
    limit: int | None = None, deleted: bool = False, asking: Callable[[], None] | None = None,
) -> Iterator[Record]:  # fmt: skip
    """Yield the runs that MLflow's filter ``query`` finds in these experiments (ids).

    ``order`` as in ``MlflowClient.search_runs``; ``deleted`` asks for deleted runs instead;
    ``asking`` is called before each page is asked for.
    Raises MlflowDvcError when the store fails, also half way.
    """
    if not experiments:
        return
    from mlflow.entities import ViewType

    view = ViewType.DELETED_ONLY if deleted else ViewType.ACTIVE_ONLY

    def page(page_token: str | None = None, max_results: int = _PAGE) -> Any:
        if asking:
            asking()
        return client.search_runs(
            experiments, query, view, max_results, list(order) or None, page_token
        )

    with store_errors():
        size = min(limit, _PAGE) if limit else _PAGE
        yield from map(record, itertools.islice(pages(page, size), limit))


def quoted(value: str) -> str:
    """Return the value as a string of MLflow's filter language; raises MlflowDvcError.

    It has no escapes: a value with both kinds of quotes cannot be asked for.
    """
    for quote in "'\"":
        if quote not in value:
            return f"{quote}{value}{quote}"
    raise MlflowDvcError(
        f"MLflow cannot search for a value with both quotes: {value}", "give the run's id instead"
    )


def pages(ask: Any, size: int = _PAGE) -> Iterator[Any]:
    """Yield what ``ask(max_results=, page_token=)`` finds, page by page."""
    token = None
    while True:
        page = ask(max_results=size, page_token=token)
        yield from page
        token = page.token
        if not token:
            return
