"""What a commit holds of a run although a path differs between their trees."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence

from mlflow_dvc_plugin.capture.inputs import is_model
from mlflow_dvc_plugin.lineage.hits import DIFFERS, EXACT, UNKNOWN
from mlflow_dvc_plugin.lineage.record import Record
from mlflow_dvc_plugin.lineage.revision import Stated
from mlflow_dvc_plugin.provenance import Output


def judged(
    run: Record, differs: Sequence[str], stated: Stated | None
) -> tuple[str, tuple[str, ...]]:
    """Return the match and how it differs: code in ``differs``, data that was no version, and more.

    ``stated`` is what the commit says of the data, None when that is what the run began with.
    """
    data = _other_data(run, stated)
    known = [*differs, *data]
    match = DIFFERS if known else EXACT
    if data and run.tags.get("dvc.status") != "modified":
        match = UNKNOWN
    if run.incomplete:
        return UNKNOWN, (*known, f"its snapshot lacks {', '.join(run.incomplete)}")
    return match, tuple(known)


def judged_data(run: Record, stated: Stated) -> tuple[str, tuple[str, ...]]:
    """Return whether the run used the data that the commit states, and how that differs."""
    if run.manifest is None:
        return UNKNOWN, ("its tags do not name its data",)
    other = [
        f"{path} (the run used other data)"
        for path, value in run.manifest.items()
        if (out := stated.holder(path)) is None or (out.path == path and out.hash != value)
    ]
    lost = [f"{path} (data not known)" for path in run.listed("dvc.changed")
            if path not in run.manifest]  # fmt: skip
    return UNKNOWN if lost else DIFFERS if other else EXACT, (*other, *lost)


def explained(run: Record, stated: Stated, path: str) -> str | None:
    """Say why the commit holds the run although it has another version of this path.

    None when it does not: the path is code, or it names other data than the run used.
    """
    outputs = [out for out in stated.outputs.values() if _file_of(out) == path]
    used = run.manifest or {}
    if any(out.path in used and out.hash != used[out.path] for out in outputs):
        return None
    if outputs and all(out.path in used for out in outputs):
        return f"{path} (states the data that the run used)"
    if _produced(run, stated, path):
        return f"{path} (the run's own product)"
    return None


def only_data(paths: Sequence[str]) -> bool:
    """Tell whether these are all files that DVC writes, so that a commit of them holds no code."""
    names = map(posixpath.basename, paths)
    return all(name.endswith(".dvc") or name in ("dvc.lock", ".gitignore") for name in names)


def _file_of(out: Output) -> str:
    """Return the file that states the output's hash."""
    return posixpath.join(posixpath.dirname(out.source), "dvc.lock") if out.stage else out.source


def _other_data(run: Record, stated: Stated | None) -> list[str]:
    """Name the data that was not what the metadata said when the run began, nor is now."""
    if run.tags.get("dvc.status", "clean") == "clean":
        return []
    used = run.manifest or {}
    outputs: Mapping[str, Output] = stated.outputs if stated else {}
    return [
        f"{path} (the run used other data)" if path in used else f"{path} (data not known)"
        for path in run.listed("dvc.changed")
        if path not in used or path not in outputs or outputs[path].hash != used[path]
    ]


def _produced(run: Record, stated: Stated, path: str) -> bool:
    """Tell whether a run may have written the path: what DVC notes of outputs, and metrics."""
    if posixpath.basename(path) == "dvc.lock":
        return True
    products = [out for out in stated.outputs.values() if _is_product(run, out)]
    folder = posixpath.dirname(path)
    if posixpath.basename(path) == ".gitignore":  # DVC names its outputs there
        return any(posixpath.dirname(out.path) == folder for out in products)
    made = {*stated.watched, *(out.path for out in products)}
    stating = {out.source for out in products if not out.stage}
    return path in stating or any(path == one or path.startswith(f"{one}/") for one in made)


def _is_product(run: Record, out: Output) -> bool:
    if out.path in (run.manifest or {}):
        return False
    made = out.stage or out.metric or out.plot or out.type == "model" or is_model(out.path)
    return bool(made) or out.path in run.products
