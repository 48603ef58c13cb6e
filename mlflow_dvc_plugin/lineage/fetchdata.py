"""Get a run's objects into the cache: from another cache of the repository, or a DVC remote.

With today's configuration; what no remote has and is imported comes from where it was imported
from. An object is read before it is believed, and a directory's listing before its members are
asked for.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from mlflow_dvc_plugin.dvcrepo.remote import Remote, Store
from mlflow_dvc_plugin.errors import MlflowDvcError
from mlflow_dvc_plugin.lineage import imports
from mlflow_dvc_plugin.lineage.listings import Listings
from mlflow_dvc_plugin.lineage.needs import Need
from mlflow_dvc_plugin.lineage.shelf import Shelf
from mlflow_dvc_plugin.storage import Progress, counter, look_up, unreachable

Source = Callable[[Need], "imports.Source | None"]  # where a piece is imported from, if it is
_VERSIONED = "it keeps files by their names, not by hash: restore --only code, and dvc pull there"


@dataclass(frozen=True)
class Missing:
    """A piece that cannot be had: its path, its hash, and each place with what was found there."""

    path: str
    hash: str
    tried: tuple[str, ...]


@dataclass
class Gathered:
    """``count`` objects came, or would come; ``size`` in bytes, of those that came.

    ``absent`` were not in the cache; ``inside`` are the members of each directory.
    """

    count: int = 0
    size: int = 0
    missing: list[Missing] = field(default_factory=list)
    absent: set[str] = field(default_factory=set)
    inside: dict[str, set[str]] = field(default_factory=dict)


class Gatherer:
    """Brings the objects of one DVC repository; with ``dry_run`` it only asks for them."""

    def __init__(
        self, store: Store, shelf: Shelf, source_of: Source, progress: Progress, *, dry_run: bool
    ) -> None:
        self._store = store
        self._shelf = shelf
        self._source_of = source_of
        self._progress = progress
        self._dry_run = dry_run
        self._remotes: dict[str, Remote | str] = {}
        self._listings = Listings(store)
        self.result = Gathered()

    def gather(self, needs: Sequence[Need]) -> Gathered:
        """Get all that is not in the cache; what cannot be had is in ``missing``."""
        groups: dict[tuple[bool, str | None], dict[str, str]] = {}
        for need in needs:
            groups.setdefault((need.legacy, need.remote), {})[need.hash] = need.path
        for (legacy, own), wanted in groups.items():
            self._bring(wanted, legacy, own)
            inside: dict[str, str] = {}
            for name, path in wanted.items():
                if name.endswith(".dir"):
                    inside.update(self._members(name, path, legacy, own))
            self._bring(inside, legacy, own)
        for need in needs if self.result.missing else ():
            origin = self._source_of(need)
            lost = self._lost(need) if origin else []
            if origin and lost:
                self._import(need, origin, lost)
        return self.result

    def _lost(self, need: Need) -> list[Missing]:
        names = {need.hash} | self.result.inside.get(need.hash, set())
        return [one for one in self.result.missing if one.hash in names]

    def _import(self, need: Need, origin: imports.Source, lost: list[Missing]) -> None:
        """Ask the repository that the piece is imported from."""
        names = {need.hash}
        try:
            if self._dry_run:
                self.result.count += imports.count(origin)
            else:
                with _scratch(self._shelf.folder, self._dry_run) as scratch:
                    names, size = imports.bring(need, origin, self._shelf, scratch, self._count)
                self.result.size += size
                self.result.count += len(names)
        except MlflowDvcError as error:
            here = {id(one) for one in lost}
            self.result.missing = [
                replace(one, tried=(*one.tried, f"{origin}: {error.message}"))
                if id(one) in here
                else one
                for one in self.result.missing
            ]
            return
        self.result.absent |= names
        self.result.missing = [one for one in self.result.missing if one not in lost]
        if not self._dry_run and need.hash.endswith(".dir"):
            self.result.inside[need.hash] = names - {need.hash}

    def _count(self, total: int) -> Callable[[], None]:
        return counter(self._progress, "downloading imported files", total)

    def _members(
        self, name: str, path: str, legacy: bool, own: str | None
    ) -> Iterator[tuple[str, str]]:
        if any(one.hash == name for one in self.result.missing):
            return
        rows = self._shelf.listing(name, legacy)
        if rows is None and self._dry_run and name not in self._shelf.damaged:
            rows = self._listings.get(name, legacy, own)
        if rows is None:
            text = "its listing cannot be used: it is none, or names a path outside the directory"
            self.result.missing.append(Missing(path, name, (text,)))
            return
        self.result.inside[name] = set(rows.values())
        for relpath, md5 in rows.items():
            yield md5, f"{path}/{relpath}"

    def _bring(self, wanted: Mapping[str, str], legacy: bool, own: str | None) -> None:
        left = set(wanted) - self._shelf.sound(wanted, legacy)
        if not left:
            return
        self.result.absent |= left
        tried: dict[str, list[str]] = {name: [self._in_cache(name)] for name in left}
        with _scratch(self._shelf.folder, self._dry_run) as scratch:
            left -= self._from_caches(left, legacy, scratch)
            for remote in self._store.remotes(own):
                if left:
                    left -= self._from_remote(remote, left, legacy, scratch, tried)
        if not self._store.remotes():
            for reasons in tried.values():
                reasons.append("there is no DVC remote: dvc remote add -d NAME URL")
        self.result.missing += [Missing(wanted[n], n, tuple(tried[n])) for n in sorted(left)]

    def _in_cache(self, name: str) -> str:
        damaged = name in self._shelf.damaged
        return f"the cache {self._shelf.folder}: {'damaged' if damaged else 'not there'}"

    def _from_caches(self, names: set[str], legacy: bool, scratch: str) -> set[str]:
        found = set()
        for name in names - self._shelf.damaged:
            place = self._store.cached(name, legacy)
            if place and (self._dry_run or self._shelf.copy(place, name, legacy, scratch)):
                found.add(name)
        return found

    def _from_remote(
        self, name: str, names: set[str], legacy: bool, scratch: str, tried: dict[str, list[str]]
    ) -> set[str]:
        """Return those that came; why the others did not is noted."""
        remote = self._open(name)
        reasons: dict[str, str] = {}
        came: set[str] = set()
        if isinstance(remote, str):
            reasons = dict.fromkeys(names, remote)
        else:
            came = self._ask(remote, names, legacy, scratch, reasons)
        for one in names - came:
            tried[one].append(f"DVC remote '{name}': {reasons.get(one, 'not there')}")
        return came

    def _open(self, name: str) -> Remote | str:
        """Return the remote, or why it cannot be used; asked once."""
        if name not in self._remotes:
            try:
                remote = self._store.remote(name)
                self._remotes[name] = _VERSIONED if remote.versioned else remote
            except MlflowDvcError as error:
                self._remotes[name] = error.message
        return self._remotes[name]

    def _ask(
        self, remote: Remote, names: set[str], legacy: bool, scratch: str, reasons: dict[str, str]
    ) -> set[str]:
        try:
            found = look_up(
                remote, names, legacy, counter(self._progress, "looking for objects", len(names))
            )
        except MlflowDvcError as error:
            self._remotes[remote.name] = error.message  # it does not answer: ask no more
            reasons.update(dict.fromkeys(names, error.message))
            return set()
        reasons.update(found.unknown)
        if self._dry_run:
            self.result.count += len(found.present)
            return found.present
        return self._download(remote, names - found.absent, legacy, scratch, reasons)

    def _download(
        self, remote: Remote, names: set[str], legacy: bool, scratch: str, reasons: dict[str, str]
    ) -> set[str]:
        done = counter(self._progress, "downloading objects", len(names))
        try:
            failed = remote.download(sorted(names), legacy, scratch, done)
        except Exception as error:  # noqa: BLE001 - each kind of storage has its own
            failed = dict.fromkeys(names, error)
        for name, why in failed.items():
            if not isinstance(why, FileNotFoundError):
                reasons[name] = unreachable(remote, why).message
        came = set()
        for name in names - failed.keys():
            place = os.path.join(scratch, name[:2], name[2:])
            size = os.path.getsize(place)
            if self._shelf.take(place, name, legacy):
                came.add(name)
                self.result.size += size
            else:
                reasons[name] = "it holds other bytes under this name"
        self.result.count += len(came)
        return came


@contextmanager
def _scratch(folder: str, dry_run: bool) -> Iterator[str]:
    """Make a folder on the cache's file system; what is left in it is removed."""
    if dry_run:
        yield ""
        return
    os.makedirs(folder, exist_ok=True)
    made = tempfile.mkdtemp(prefix="mlflow-dvc-", dir=folder)
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
