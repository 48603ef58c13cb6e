"""A run as every ``--json`` names its parts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mlflow_dvc_plugin.cli.text import moment

if TYPE_CHECKING:
    from mlflow_dvc_plugin.lineage.record import Record


def run_json(run: Record | None, names: Mapping[str, str]) -> dict[str, Any]:
    """Return what identifies the run and its code; ``names`` are those of experiments by id."""
    keys = ("run_id", "name", "experiment", "status", "start", "end", "commit", "snapshot", "dirty")
    if run is None:
        return dict.fromkeys(keys)
    values = (
        run.run_id, run.name, names.get(run.experiment_id, run.experiment_id), run.status,
        moment(run.start), moment(run.end), run.commit, run.snapshot, run.dirty,
    )  # fmt: skip
    return dict(zip(keys, values, strict=True))
