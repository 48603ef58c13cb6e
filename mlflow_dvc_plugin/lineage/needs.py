"""Which DVC objects a run's data is made of."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from mlflow_dvc_plugin.capture import hashing
from mlflow_dvc_plugin.errors import MlflowDvcError
from mlflow_dvc_plugin.lineage.record import Record
from mlflow_dvc_plugin.lineage.revision import Revisions, Stated
from mlflow_dvc_plugin.provenance import Output
from mlflow_dvc_plugin.tags import data_hash

_OBJECT = re.compile(r"[0-9a-f]{32}(?:\.dir)?\Z")


@dataclass(frozen=True)
class Need:
    """One object: ``path`` below the toplevel, DVC's ``hash``, and where it is kept.

    ``root`` is the DVC repository ("" for the toplevel), ``remote`` the output's own one.
    ``legacy``: made by DVC 2.x. ``product``: no input of the run. ``kept`` tells whether DVC keeps
    it at all: not with ``cache: false``. ``pushed``: not with ``push: false``.
    """

    path: str
    hash: str
    root: str = ""
    remote: str | None = None
    legacy: bool = False
    product: bool = False
    kept: bool = True
    pushed: bool = True


@dataclass(frozen=True)
class Needs:
    """All of them; ``unknown`` maps what cannot be told to the reason."""

    needs: tuple[Need, ...] = ()
    unknown: Mapping[str, str] = field(default_factory=dict)


def needs_of(run: Record, revisions: Revisions, *, products: bool = False) -> Needs:
    """Return what the run's input data is made of, with ``products`` the rest as well.

    The hashes are those of the tags; where each is kept stands in the metadata of the commit, or
    the snapshot, that the data came from. Raises nothing: without that commit the hashes are known,
    and that they lie in the default place is taken for granted.
    """
    unknown: dict[str, str] = {}
    stated = _stated(run, revisions, unknown)
    inputs = run.manifest
    if inputs is None and "dvc.manifest.count" in run.tags:
        inputs = _rebuilt(run, stated)
        if inputs is None:
            count = run.tags["dvc.manifest.count"]
            unknown["dvc.manifest"] = f"the tags only count its {count} paths, and {_REBUILD}"
    for path in _changed(run) - set(inputs or ()):
        unknown[path] = "its hash was not known when the run started"
    found = {path: (value, False) for path, value in (inputs or {}).items()}
    if products:
        found.update({path: (value, True) for path, value in run.products.items()})
    return Needs(tuple(_needs(found, stated, unknown)), unknown)


_REBUILD = "the commit does not give the same ones"


def _stated(run: Record, revisions: Revisions, unknown: dict[str, str]) -> Stated:
    rev = run.data_rev or run.code
    if rev is None:
        return Stated("")
    try:
        return revisions.at(rev)
    except MlflowDvcError as error:
        unknown[f"commit {rev[:10]}"] = error.message
        return Stated(rev)


def _needs(
    found: Mapping[str, tuple[str, bool]], stated: Stated, unknown: dict[str, str]
) -> Iterator[Need]:
    for path, (value, product) in sorted(found.items()):
        output = _holder(path, stated)
        if not _OBJECT.match(value):
            unknown[path] = f"{value} is no hash of a DVC object"
            continue
        if output is None:
            yield Need(path, value, product=product)
            continue
        # Another hash than the metadata's was made on the spot, by today's scheme.
        legacy = output.scheme == hashing.SCHEMES[1]
        root = stated.roots.get(output.path, "")
        yield Need(path, value, root, output.remote, legacy, product, output.cache, output.push)


def _holder(path: str, stated: Stated) -> Output | None:
    """Return the output at the path, or the directory output that it lies in."""
    while path not in stated.outputs:
        above = posixpath.dirname(path)
        if above == path:
            return None
        path = above
    return stated.outputs[path]


def _rebuilt(run: Record, stated: Stated) -> Mapping[str, str] | None:
    """Return the manifest that was too long for the tags, when ``dvc.hash`` proves it is that."""
    hashes = {
        path: out.hash
        for path, out in stated.outputs.items()
        if out.hash and path not in run.products and path not in listed(run, "dvc.missing")
    }
    return hashes if data_hash(hashes) == run.tags.get("dvc.hash") else None


def _changed(run: Record) -> set[str]:
    return {path for path in listed(run, "dvc.changed") if not path.startswith("... and ")}


def listed(run: Record, key: str) -> set[str]:
    """Return the paths of a tag that holds a JSON list of them."""
    try:
        found = json.loads(run.tags.get(key, "[]"))
    except (ValueError, RecursionError):
        return set()
    return {path for path in found if isinstance(path, str)} if isinstance(found, list) else set()
