"""What a ``dvc.yaml`` and its ``dvc.lock`` state."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from typing import Any

from mlflow_dvc_plugin import dvcrepo
from mlflow_dvc_plugin.capture import schema
from mlflow_dvc_plugin.capture.broken import MetadataError, one_line
from mlflow_dvc_plugin.capture.dvcfile import flags
from mlflow_dvc_plugin.capture.entry import Root, facts, locate, working_dir
from mlflow_dvc_plugin.capture.files import Files
from mlflow_dvc_plugin.capture.yamlfile import parse

_KINDS = ("outs", "metrics", "plots")
# Templating in these changes a command or a note, never a path: not worth importing DVC for.
_NO_PATHS = frozenset({"cmd", "desc", "meta", "params", "vars"})


def lock_of(path: str) -> str:
    """Return the path of the lock file beside a ``dvc.yaml``."""
    return path[: -len("yaml")] + "lock"


def read_pipeline(files: Files, root: Root, path: str, data: bytes) -> dict[str, Any]:
    """Return the outputs, stages, artifacts, metrics and plots of the ``dvc.yaml`` at ``path``.

    A broken lock is named under ``broken``; its outputs then have no hash. Raises MetadataError or
    MlflowDvcError when the ``dvc.yaml`` cannot be used.
    """
    document = parse(data) or {}
    if problem := schema.fault(document, schema.PIPELINE):
        raise MetadataError(problem)
    if _needs_dvc(document):
        document = _resolved(files, posixpath.dirname(path), document)
    lock = lock_of(path)
    broken: dict[str, str] = {}
    locked: dict[str, Any] = {}
    try:
        locked = _read_lock(files, lock)
    except MetadataError as error:
        broken[lock] = one_line(error)
    result = _stages(root, path, document.get("stages", {}), locked, broken)
    return {**result, "broken": broken, **_declared(root, path, document)}


def _needs_dvc(document: dict[str, Any]) -> bool:
    """Say whether paths or stage names depend on templating."""
    stages = document.get("stages", {})
    if any({"foreach", "matrix"} & stage.keys() for stage in stages.values()):
        return True
    paths = [
        value for stage in stages.values() for key, value in stage.items() if key not in _NO_PATHS
    ]
    tops = [document.get(key) for key in ("artifacts", "metrics", "plots")]
    return _templated([paths, tops], set())


def _templated(value: Any, known: set[int]) -> bool:
    """Look for ``${``, once in a container that YAML aliases repeat."""
    if isinstance(value, str):
        return "${" in value
    if not isinstance(value, (dict, list)) or id(value) in known:
        return False
    known.add(id(value))
    if isinstance(value, dict):
        return any(_templated(item, known) for pair in value.items() for item in pair)
    return any(_templated(item, known) for item in value)


def _resolved(files: Files, folder: str, document: dict[str, Any]) -> dict[str, Any]:
    resolved = dvcrepo.resolve(files, folder, document)
    for stage in resolved["stages"].values():
        if problem := schema.fault(stage, schema.STAGE, "stage"):
            raise MetadataError(f"after templating: {problem}")
    if problem := schema.fault(resolved["artifacts"], schema.ARTIFACTS, "artifacts"):
        raise MetadataError(f"after templating: {problem}")
    return resolved


def _read_lock(files: Files, path: str) -> dict[str, Any]:
    try:
        data = files.read(path)
    except OSError as error:
        raise MetadataError(error.strerror or "cannot be read") from error
    if data is None:
        if files.exists(path):
            raise MetadataError("not a regular file")
        return {}
    document = parse(data) or {}
    if problem := schema.fault(document, schema.LOCK):
        raise MetadataError(problem)
    return dict(document.get("stages", {}))


def _stages(
    root: Root, path: str, stages: dict[str, Any], locked: dict[str, Any], broken: dict[str, str]
) -> dict[str, Any]:
    outputs: list[dict[str, Any]] = []
    listed: list[list[Any]] = []
    for name, stage in stages.items():
        wdir = working_dir(path, stage.get("wdir"))
        try:
            outs = list(_outputs(root, path, name, stage, locked.get(name, {})))
        except MetadataError as error:
            raise MetadataError(f"stage '{name}': {error}") from error
        deps = [locate(root, wdir, dep).path for dep in dict.fromkeys(stage.get("deps", []))]
        listed.append([name, path, wdir, deps, [out["path"] for out in outs]])
        outputs.extend(outs)
    return {"outputs": outputs, "stages": listed}


def _outputs(
    root: Root, path: str, name: str, stage: dict[str, Any], locked: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    wdir = working_dir(path, stage.get("wdir"))
    states = {entry["path"]: entry for entry in locked.get("outs", [])}
    for kind in _KINDS:
        for given, settings in _merge(stage.get(kind, [])).items():
            place = locate(root, wdir, given)
            # DVC looks the path up as it is written: `./data` never finds the lock's `data`.
            state = states.get(place.name, {})
            yield {
                "path": place.path,
                "source": path,
                "stage": name,
                **facts(place, state, state.get("hash")),
                **flags(settings),
                **({kind[:-1]: True} if kind != "outs" else {}),
            }


def _merge(items: list[Any]) -> dict[str, dict[str, Any]]:
    """Return path -> settings; a path given twice is one output with both settings."""
    merged: dict[str, dict[str, Any]] = {}
    for item in items:
        for given, settings in item.items() if isinstance(item, dict) else ((item, {}),):
            merged.setdefault(given, {}).update(settings)
    return merged


def _declared(root: Root, path: str, document: dict[str, Any]) -> dict[str, Any]:
    """Return what stands at the top level, as paths relative to the toplevel."""
    folder = posixpath.dirname(path)

    def at(given: str) -> str:
        return posixpath.normpath(posixpath.join(folder, given))

    artifacts = document.get("artifacts", {})
    return {
        "artifacts": {at(item["path"]): item.get("type") for item in artifacts.values()},
        "metrics": [at(given) for given in document.get("metrics", [])],
        "plots": [at(given) for given in _plot_sources(document.get("plots", []))],
    }


def _plot_sources(plots: list[Any]) -> Iterator[str]:
    """Return the files that top-level plots draw: the keys of ``y:``, or else the plot's own id."""
    for plot in plots:
        for name, settings in plot.items() if isinstance(plot, dict) else ((plot, None),):
            axes = [(settings or {}).get(axis) for axis in ("x", "y")]
            sources = [given for axis in axes if isinstance(axis, dict) for given in axis]
            yield from sources or [name]
