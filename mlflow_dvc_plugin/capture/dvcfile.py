"""What a ``.dvc`` file states."""

from __future__ import annotations

from typing import Any

from mlflow_dvc_plugin.capture import schema
from mlflow_dvc_plugin.capture.broken import MetadataError
from mlflow_dvc_plugin.capture.entry import Root, facts, locate, working_dir
from mlflow_dvc_plugin.capture.yamlfile import parse, plain


def read_dvcfile(root: Root, path: str, data: bytes) -> list[dict[str, Any]]:
    """Return the outputs of the ``.dvc`` file at ``path``, as fields of ``Output``.

    Raises MetadataError where DVC would refuse the file, and for an empty file: DVC takes that for
    a file without outputs, but what it stood for before a crash or a full disk is unknown.
    """
    document = plain(data) or _checked(data)
    wdir = working_dir(path, document.get("wdir"))
    for dep in document.get("deps") or []:
        _check_dep(root, wdir, dep)
    return [_output(root, path, wdir, out) for out in document.get("outs") or []]


def _checked(data: bytes) -> dict[str, Any]:
    document = parse(data)
    if document is None:
        raise MetadataError("the file is empty")
    if problem := schema.fault(document or {}, schema.DVCFILE):
        raise MetadataError(problem)
    return document or {}


def _check_dep(root: Root, wdir: str, dep: dict[str, Any]) -> None:
    """Refuse a dependency that DVC refuses; nothing else of it is used."""
    if "path" in dep:
        locate(root, wdir, dep["path"])
    elif "db" not in dep:
        raise MetadataError("deps: an entry without 'path'")


def _output(root: Root, source: str, wdir: str, out: dict[str, Any]) -> dict[str, Any]:
    if "path" not in out:
        raise MetadataError("outs: an entry without 'path'")
    place = locate(root, wdir, out["path"])
    entry = {key: value for key, value in out.items() if key not in ("remote", "meta")}
    return {
        "path": place.path,
        "source": source,
        **facts(place, entry, out.get("hash")),
        **flags(out),
    }


def flags(out: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of an output that are not at their default, as fields of ``Output``.

    An own ``remote:`` goes before the one that holds the cloud version.
    """
    found: dict[str, Any] = {key: False for key in ("cache", "push") if out.get(key) is False}
    found.update({key: out[key] for key in ("type", "remote") if out.get(key)})
    return found
