"""Tag a run that no provider saw, with the code and data as they are now.

What is already on the run is kept. A run that carries ``dvc.schema`` was tagged before, by the
provider or by an earlier call: it is left as it is, because tags from two captures would describe
a state that never was. A run whose ``mlflow.source.git.commit`` is not the commit that is checked
out was not made from what is here now, and is refused.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mlflow_dvc_plugin.errors import MlflowDvcError
from mlflow_dvc_plugin.tags import COMMIT

if TYPE_CHECKING:
    from mlflow_dvc_plugin.provenance import Provenance

_NO_SUCH_RUN = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
_AT_ONCE = 100  # tags in one log_batch call, by MLflow's limit


@dataclass(frozen=True)
class Tagged:
    """What happened to a run.

    ``added`` are the tags written; ``kept`` maps keys that the run had with another value to that
    value. ``before`` is the ``dvc.source`` of a run that was tagged already; then nothing was
    written, and ``kept`` are the tags in which it differs from what is here now.
    """

    run_id: str
    added: Mapping[str, str] = field(default_factory=dict)
    kept: Mapping[str, str] = field(default_factory=dict)
    before: str | None = None
    warnings: tuple[tuple[str, str], ...] = ()


class CannotStateError(MlflowDvcError):
    """What is here says nothing about the run: there is no repository, or it is another commit."""


def tag_run(run_id: str | None = None) -> dict[str, str]:
    """Tag the run, the active one when None; return the tags that were added.

    Called from training code, so a project without Git and DVC, or at another commit than the
    run's, is only warned about. Raises MlflowDvcError for a run or a store that is not there.
    """
    try:
        return dict(tag(run_id).added)
    except CannotStateError as error:
        logging.getLogger("mlflow_dvc_plugin").warning("mlflow-dvc: no tags: %s", error.message)
        return {}


def tag(run_id: str | None = None) -> Tagged:
    """Tag the run, the active one when None. Raises MlflowDvcError when it cannot be done."""
    import mlflow

    run_id = run_id or _current_run_id()
    client = mlflow.MlflowClient()
    present = _tags_of(client, run_id)
    provenance, tags = _capture()
    kept = {key: present[key] for key in tags if key in present and present[key] != tags[key]}
    if "dvc.schema" in present:
        before = present.get("dvc.source", "unknown")
        kept.pop("dvc.source", None)
        return Tagged(run_id, kept=kept, before=before)
    if not tags:
        raise CannotStateError(
            "there is neither a Git nor a DVC repository here",
            "go to the project that made the run, or export MLFLOW_DVC_REPO=<project>",
        )
    _require_same_commit(run_id, present.get(COMMIT), tags.get(COMMIT))
    added = {key: value for key, value in tags.items() if key not in present}
    _write(client, run_id, added)
    return Tagged(run_id, added, kept, warnings=provenance.warnings)


def _current_run_id() -> str:
    import mlflow

    run = mlflow.active_run()
    found = run.info.run_id if run else os.environ.get("MLFLOW_RUN_ID")
    if not found:
        raise MlflowDvcError(
            "there is no active run", "name one: mlflow-dvc tag RUN_ID, or tag_run('<run id>')"
        )
    return str(found)


def _capture() -> tuple[Provenance, dict[str, str]]:
    from mlflow_dvc_plugin.capture.live import Facts, capture
    from mlflow_dvc_plugin.tags import to_tags

    provenance, settings = capture(Facts(), keep="new")
    provenance = provenance._replace(source="manual")
    return provenance, to_tags(provenance, settings.output_tags)


def _tags_of(client: Any, run_id: str) -> Mapping[str, str]:
    """Return the run's tags; raises MlflowDvcError for a run that cannot be tagged."""
    with _Store(run_id):
        run = client.get_run(run_id)
    if run.info.lifecycle_stage == "deleted":
        raise MlflowDvcError(
            f"the run {run_id} is deleted", f"mlflow runs restore --run-id {run_id}"
        )
    tags: Mapping[str, str] = run.data.tags
    return tags


def _require_same_commit(run_id: str, theirs: str | None, ours: str | None) -> None:
    if theirs and ours and theirs != ours:
        raise CannotStateError(
            f"the run {run_id} was made from commit {theirs}, and here is {ours}: "
            "its code and data are not what lies here now",
            f"git checkout {theirs} && dvc checkout, then tag again",
        )


def _write(client: Any, run_id: str, tags: Mapping[str, str]) -> None:
    from mlflow.entities import RunTag

    entries = [RunTag(key, value) for key, value in tags.items()]
    with _Store(run_id):
        for start in range(0, len(entries), _AT_ONCE):
            client.log_batch(run_id, tags=entries[start : start + _AT_ONCE])


class _Store:
    """Turn what MLflow raises for a run or its store into an error that a person can mend."""

    def __init__(self, run_id: str) -> None:
        self._run_id = run_id

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        from mlflow_dvc_plugin.tracking import one_line, shown, store_errors, tracking_uri

        if error is None or not isinstance(error, store_errors()):
            return
        uri = tracking_uri()
        if getattr(error, "error_code", "") in _NO_SUCH_RUN:
            raise MlflowDvcError(
                f"there is no run {self._run_id} in {shown(uri)}",
                "look the id up in mlflow ui, or name the store: export MLFLOW_TRACKING_URI=...",
            ) from error
        raise MlflowDvcError(
            f"the tracking store {shown(uri)} cannot be used: {one_line(error, uri)}",
            "mlflow-dvc doctor",
        ) from error
