"""Which DVC objects a run's data is made of."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

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


def need_of(out: Output, path: str, value: str, root: str, *, product: bool = False) -> Need:
    """Return the object with the hash ``value`` at the output's path, or inside it."""
    # DVC writes the names of its remotes in lower case, whatever an output calls its own.
    remote = out.remote.lower() if out.remote else None
    return Need(path, value, root, remote, out.legacy, product, out.cache, out.push)


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
    for path in run.named("dvc.changed") - set(inputs or ()):
        unknown[path] = "its hash was not known when the run started"
    found = {path: (value, False) for path, value in (inputs or {}).items()}
    if products:
        found.update({path: (value, True) for path, value in run.products.items()})
    return Needs(tuple(_needs(found, stated, unknown)), unknown)


_REBUILD = "the commit does not give the same ones"


def _stated(run: Record, revisions: Revisions, unknown: dict[str, str]) -> Stated:
    rev = run.states
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
        output = stated.holder(path)
        if not _OBJECT.match(value):
            unknown[path] = f"{value} is no hash of a DVC object"
            continue
        if output is None:
            yield Need(path, value, product=product)
            continue
        yield need_of(output, path, value, stated.roots.get(output.path, ""), product=product)


def _rebuilt(run: Record, stated: Stated) -> Mapping[str, str] | None:
    """Return the manifest that was too long for the tags, when ``dvc.hash`` proves it is that."""
    missing = run.named("dvc.missing")
    hashes = {
        path: out.hash
        for path, out in stated.outputs.items()
        if out.hash and path not in run.products and path not in missing
    }
    return hashes if data_hash(hashes) == run.tags.get("dvc.hash") else None
