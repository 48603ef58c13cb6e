"""One entry of ``outs:``: where it is, and which hash it has, by the rules of DVC's Output.

Source of the rules: ``dvc/output.py`` and ``dvc_data/hashfile/tree.py`` of DVC 3.67.
"""

from __future__ import annotations

import hashlib
import json
import os
import posixpath
from typing import Any, NamedTuple

from mlflow_dvc_plugin.capture.broken import MetadataError

# The checksum that DVC's file systems state; any other scheme is a local path to DVC.
_CHECKSUM = {
    "azure": "etag", "gdrive": "checksum", "gs": "etag", "hdfs": "checksum", "http": "checksum",
    "https": "checksum", "memory": "md5", "oss": "etag", "s3": "etag", "ssh": "md5",
    "webdav": "etag", "webdavs": "etag", "webhdfs": "checksum",
}  # fmt: skip
_REMOTE = "remote"
_HASHES = ("md5", "etag", "checksum")


class Root(NamedTuple):
    """A DVC repository: ``toplevel`` is absolute, ``dvc`` is relative to it ('' when equal)."""

    toplevel: str
    dvc: str


class Place(NamedTuple):
    """Where an output or dependency is.

    ``path`` is relative to the toplevel where possible. ``name`` is how the lock file calls it.
    ``scheme`` is None for a path inside the DVC repository, ``""`` for another local path.
    """

    path: str
    name: str
    scheme: str | None


def locate(root: Root, wdir: str, path: str) -> Place:
    """Find the place of ``path`` as a stage with this ``wdir`` (relative to the toplevel) means it.

    Raises MetadataError for a path that DVC refuses.
    """
    scheme = _scheme(path)
    if scheme:
        return Place(path, path, scheme)
    if path.endswith(".dvc") or posixpath.basename(path) == "dvc.yaml":
        raise MetadataError(f"'{path}' is a DVC file and cannot be an output or a dependency")
    if not path.startswith("/"):
        rel = posixpath.normpath(posixpath.join(wdir, path))
        return Place(*_shown(root, rel, path))
    rel = os.path.relpath(posixpath.normpath(path), root.toplevel)
    shown, _, inside = _shown(root, rel, path)
    if inside is None:
        # DVC takes an absolute path into the repository as relative to the stage.
        return Place(shown, posixpath.relpath("/" + rel, "/" + wdir), None)
    return Place(shown, path, inside)


def _scheme(path: str) -> str:
    if ":" not in path:
        return ""
    from urllib.parse import urlparse

    try:
        scheme = urlparse(path).scheme
    except ValueError as error:
        raise MetadataError(f"'{path}' is not a URL") from error
    return scheme if scheme in _CHECKSUM or scheme == _REMOTE else ""


def _shown(root: Root, rel: str, name: str) -> tuple[str, str, str | None]:
    if rel == ".." or rel.startswith("../"):
        path = posixpath.normpath(posixpath.join(root.toplevel, rel))
        rel = posixpath.relpath(path, root.toplevel)
        if rel == ".." or rel.startswith("../"):
            return path, name, ""
        # Out of the toplevel and in again, by its name.
    inside = rel.startswith(root.dvc + "/") if root.dvc else rel != "."
    return rel, name, None if inside else ""


def working_dir(path: str, wdir: str | None) -> str:
    """Return the stage's working directory, relative to the toplevel, for a metadata file."""
    if not wdir:
        return posixpath.dirname(path)
    joined = posixpath.normpath(posixpath.join(posixpath.dirname(path), wdir))
    return "" if joined == "." else joined


def facts(place: Place, entry: dict[str, Any], hash_name: str | None) -> dict[str, Any]:
    """Return what an entry of ``outs:`` or of the lock states, as fields of ``Output``.

    ``hash_name`` is the entry's ``hash:`` key. Fields with their default value are left out.
    Raises MetadataError where DVC would fail.
    """
    entry = _merged(entry)
    name, key = _hash_name(place, entry, hash_name)
    value, scheme = (entry.get(key) if key in _HASHES else None), name
    found: dict[str, Any] = {}
    files = entry.get("files")
    if files:
        found["isdir"] = True
        found["nfiles"] = len(files)
        listed = [_merged(file) for file in files]
        found["size"] = sum(file.get("size") or 0 for file in listed)
        entry.setdefault("remote", listed[0].get("remote"))
        value, scheme = _tree_hash(listed, name, key), "md5"
    else:
        for field in ("size", "nfiles"):
            if entry.get(field) is not None:
                found[field] = entry[field]
        if entry.get("nfiles") or (value and value.endswith(".dir")):
            found["isdir"] = True
            if not value and key != "md5" and entry.get("md5"):
                value, scheme = entry["md5"], "md5"
    if value and scheme != "md5":
        found["scheme"] = scheme
    for field in ("version_id", "remote", "isexec"):
        if entry.get(field):
            found[field] = entry[field]
    return {**found, "hash": value or None}


def _merged(entry: dict[str, Any]) -> dict[str, Any]:
    """Return the entry with what ``cloud:`` states lifted up, as DVC does on reading."""
    cloud = entry.get("cloud")
    if not cloud:
        return dict(entry)
    remote, meta = next(iter(cloud.items()))
    return {**entry, **meta, "remote": remote}


def _hash_name(place: Place, entry: dict[str, Any], hash_name: str | None) -> tuple[str, str]:
    """Return the hash's name, and the key of the entry where its value stands."""
    if place.scheme is None:
        if hash_name is None:
            return "md5-dos2unix", "md5"  # written by DVC 2.x
        return hash_name, hash_name
    if place.scheme == _REMOTE:
        # Only the configuration knows what kind of storage this is; no two kinds share an entry.
        name = next((key for key in reversed(_HASHES) if entry.get(key)), "md5")
        return name, name
    name = _CHECKSUM.get(place.scheme, "md5")
    return name, name


def _tree_hash(files: list[dict[str, Any]], name: str, key: str) -> str:
    """Return the hash of a directory that is listed file by file.

    DVC's own ``.dir`` value: md5 over the JSON list of relpath and hash, nothing else of each file.
    """
    if key not in _HASHES:
        raise MetadataError(f"files: there is no hash called '{name}'")
    listed = {}
    for file in files:
        value = {key: file[key]} if file.get(key) else {}
        listed[file["relpath"]] = {**value, "relpath": file["relpath"]}
    ordered = [listed[relpath] for relpath in sorted(listed)]
    text = json.dumps(ordered, sort_keys=True)
    return hashlib.md5(text.encode()).hexdigest() + ".dir"
