"""The run that a person means."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from mlflow_dvc_plugin import tracking
from mlflow_dvc_plugin.errors import MlflowDvcError
from mlflow_dvc_plugin.lineage.models import LOOK, run_of_model
from mlflow_dvc_plugin.lineage.record import Record
from mlflow_dvc_plugin.lineage.store import NEWEST, experiment_ids, quoted, search

_HEX = re.compile(r"[0-9a-f]{4,32}\Z")


def find(client: Any, text: str) -> Record:
    """Return the run that RUN means; raises MlflowDvcError when it is none, several, or deleted.

    A run id, a unique prefix of one, the name of a DVC experiment, ``models:/name/version`` or
    ``models:/name@alias``.
    """
    if text.startswith("models:/"):
        return run_of_model(client, text)
    everywhere = experiment_ids(client)
    if _HEX.match(text):
        found = list(search(client, everywhere, f"attributes.run_id LIKE '{text}%'", limit=3))
        if found:
            return _only(text, found)
        _refuse_deleted(client, everywhere, text)
    query = f"tags.`dvc.exp` = {quoted(text)}"
    found = list(search(client, everywhere, query, order=NEWEST, limit=3))
    if not found:
        shown = tracking.shown(tracking.tracking_uri())
        raise MlflowDvcError(f"there is no run and no DVC experiment '{text}' in {shown}", LOOK)
    return _only(text, found)


def find_all(client: Any, texts: Iterable[str]) -> list[Record]:
    """Return the runs that several RUN mean, each once."""
    return list({one.run_id: one for one in (find(client, text) for text in texts)}.values())


def undelete(run: Record) -> str:
    """Return the command that brings a deleted run back."""
    return f"mlflow runs restore --run-id {run.run_id}"


def _only(text: str, found: Sequence[Record]) -> Record:
    if len(found) > 1:
        some = ", ".join(one.run_id for one in found)
        raise MlflowDvcError(f"'{text}' means several runs ({some} ...)", "give more of the id")
    return found[0]


def _refuse_deleted(client: Any, experiments: Sequence[str], text: str) -> None:
    query = f"attributes.run_id LIKE '{text}%'"
    for one in search(client, experiments, query, limit=1, deleted=True):
        raise MlflowDvcError(f"the run {one.run_id} is deleted", undelete(one))
