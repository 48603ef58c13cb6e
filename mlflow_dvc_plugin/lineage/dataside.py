"""The data on one side of a comparison: what a run used, or what is on disk now."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from mlflow_dvc_plugin.capture import hashing
from mlflow_dvc_plugin.errors import MlflowDvcError
from mlflow_dvc_plugin.lineage.dataobjects import Objects, OnDisk
from mlflow_dvc_plugin.lineage.needs import Need, listed, needs_of
from mlflow_dvc_plugin.lineage.record import Record
from mlflow_dvc_plugin.lineage.revision import Revisions, Stated
from mlflow_dvc_plugin.provenance import Data, Output, OutputState

_NO_TAGS = "it carries no data tags (mlflow-dvc backfill)"
_PARTS = "its list of data is not complete"


@dataclass(frozen=True)
class Side:
    """The outputs of one side by path, and what is not known of them.

    ``unknown`` maps a path to the reason. ``gap`` says why there may be others, "" when these are
    all. ``stated`` are the outputs that its commit states, None when that is not known.
    """

    needs: Mapping[str, Need] = field(default_factory=dict)
    unknown: Mapping[str, str] = field(default_factory=dict)
    gap: str = ""
    missing: frozenset[str] = frozenset()
    stated: Mapping[str, Output] | None = None
    tip: str = ""
    objects: Objects | None = None
    disk: OnDisk | None = None

    def listing(self, need: Need) -> Mapping[str, str] | str:
        """Return the files of a directory output, or why they cannot be told."""
        if self.disk is not None:
            return self.disk.listing(need)
        if self.objects is None:
            return "there is no DVC repository here"
        return self.objects.listing(need, self.tip)

    def sizes(self, need: Need, files: Mapping[str, str]) -> dict[str, int]:
        """Return the bytes of files (relative path -> md5) of an output, "" for itself."""
        if self.disk is not None:
            top = need.path
            sizes = {rel: self.disk.size(f"{top}/{rel}" if rel else top) for rel in files}
            return {rel: size for rel, size in sizes.items() if size is not None}
        if self.objects is None:
            return {}
        known = self.objects.sizes(need, self.tip, set(files.values()))
        return {rel: known[md5] for rel, md5 in files.items() if md5 in known}

    def size(self, need: Need) -> int | None:
        """Return the bytes of a whole output: as stated beside its hash, else as it is kept."""
        output = (self.stated or {}).get(need.path)
        if output is not None and output.hash == need.hash and output.size is not None:
            return output.size
        if need.hash.endswith(".dir"):
            return None
        return self.sizes(need, {"": need.hash}).get("")

    def find(self, path: str) -> Need | None:
        """Return what it has at the path, also inside one of its directories."""
        if path in self.needs:
            return self.needs[path]
        holder = self.holder(path)
        return None if holder is None else self._member(holder, path)

    def holder(self, path: str) -> Need | None:
        """Return the output that the path would lie in."""
        return next((self.needs[above] for above in _above(path) if above in self.needs), None)

    def tracks(self, path: str) -> bool | None:
        """Tell whether its commit states the path, or something above or below it."""
        if self.stated is None:
            return None
        return path in self._around or not self.stated.keys().isdisjoint(_above(path))

    @cached_property
    def _around(self) -> frozenset[str]:
        return frozenset(above for path in self.stated or () for above in (path, *_above(path)))

    def has_parts(self, path: str) -> bool:
        """Tell whether it has something inside this directory."""
        return path in self._folders

    @cached_property
    def _folders(self) -> frozenset[str]:
        return frozenset(above for path in self.needs for above in _above(path))

    def _member(self, holder: Need, path: str) -> Need | None:
        files = self.listing(holder) if holder.hash.endswith(".dir") else ""
        if isinstance(files, str):
            return None
        rel = path[len(holder.path) + 1 :]
        if rel in files:
            return replace(holder, path=path, hash=files[rel])
        part = {name[len(rel) + 1 :]: md5 for name, md5 in files.items() if _below(name, rel)}
        if not part:
            return None
        return replace(holder, path=path, hash=hashing.directory_hash(part.items()))


def side_of_run(run: Record, revisions: Revisions | None, objects: Objects) -> Side:
    """Return the data of a run, as its tags and its commit tell it."""
    if "dvc.schema" not in run.tags:
        return Side(gap=_NO_TAGS)
    found = needs_of(run, revisions or _Nowhere(""), products=True)
    unknown = dict(found.unknown)
    needs = {need.path: need for need in found.needs}
    for path, value in {**run.products, **(run.manifest or {})}.items():
        if path not in needs:  # an etag, the name of a version: it can be compared all the same
            product = path not in (run.manifest or {})
            needs[path] = Need(path, value, product=product, kept=False)
            unknown.pop(path, None)
    tip = run.data_rev or run.code or ""
    stated = _stated(revisions, tip)
    unknown.pop(f"commit {tip[:10]}", None)  # only where the data is kept is not known then
    missing = frozenset(listed(run, "dvc.missing"))
    return Side(needs, unknown, _gap(run, unknown), missing, stated, tip, objects)


def side_of_disk(data: Data, disk: OnDisk, root: str) -> Side:
    """Return the data on disk, from a capture; ``root`` is its DVC repository as in Need."""
    needs, unknown = {}, {}
    for product, states in ((False, data.inputs), (True, data.products)):
        for state in states:
            if state.hash is None:
                unknown[state.path] = state.reason or "its bytes are not known"
            else:
                needs[state.path] = _need(state, product, root)
    gap = "; ".join(f"{name}: {reason}" for name, reason in data.unread.items())
    missing = frozenset(state.path for state in data.missing)
    stated = {state.path: state.output for state in (*data.inputs, *data.products, *data.missing)}
    return Side(needs, unknown, gap, missing, stated, disk=disk)


def _need(state: OutputState, product: bool, root: str) -> Need:
    out = state.output
    legacy = out.scheme == hashing.SCHEMES[1]
    return Need(
        state.path, state.hash or "", root, out.remote, legacy, product, out.cache, out.push
    )


def _gap(run: Record, unknown: Mapping[str, str]) -> str:
    """Return why a run may have used more than its tags name; ``dvc.hash`` proves them whole."""
    if "dvc.manifest" in unknown:
        return unknown["dvc.manifest"]
    if "dvc.hash" in run.tags:
        damaged = run.manifest is None and "dvc.manifest.count" not in run.tags
        return "its manifest is damaged" if damaged else ""
    known = run.tags.get("dvc.status") or run.manifest is not None or "dvc.changed" in run.tags
    return _PARTS if known else ""


def _stated(revisions: Revisions | None, tip: str) -> Mapping[str, Output] | None:
    if revisions is None or not tip:
        return None
    try:
        found = revisions.at(tip)
    except MlflowDvcError:
        return None
    return None if found.broken else found.outputs


class _Nowhere(Revisions):
    """No repository: no commit states anything."""

    def at(self, commit: str) -> Stated:
        """State nothing."""
        return Stated(commit)


def _below(name: str, folder: str) -> bool:
    return name.startswith(f"{folder}/")


def _above(path: str) -> Iterator[str]:
    while (path := posixpath.dirname(path)) not in ("", "/"):
        yield path


def paths_of(sides: Iterable[Side]) -> set[str]:
    """Return every path that a side knows or knows not."""
    return {path for side in sides for path in (*side.needs, *side.unknown)}
