"""Get a run's objects into the cache: from another cache of the repository, or a DVC remote.

With today's configuration. An object is read before it is believed, and a directory's listing
before its members are asked for.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Set
from functools import partial

from mlflow_dvc_plugin.dvcrepo.remote import Remote, Store
from mlflow_dvc_plugin.errors import MlflowDvcError
from mlflow_dvc_plugin.lineage.gathered import Gathered, Missing, scratch_in
from mlflow_dvc_plugin.lineage.listings import Listings
from mlflow_dvc_plugin.lineage.needs import Need
from mlflow_dvc_plugin.lineage.shelf import Shelf
from mlflow_dvc_plugin.storage import Progress, counter, look_up, unreachable

_VERSIONED = "it keeps files by their names, not by hash: restore --only code, and dvc pull there"


class Gatherer:
    """Brings the objects of one DVC repository; with ``dry_run`` it only asks for them."""

    def __init__(self, store: Store, shelf: Shelf, progress: Progress, *, dry_run: bool) -> None:
        self._store = store
        self._shelf = shelf
        self._progress = progress
        self._dry_run = dry_run
        self._remotes: dict[str, Remote | str] = {}
        self._listings = Listings(store)
        self.result = Gathered()

    def gather(self, needs: Iterable[Need]) -> Gathered:
        """Get all that is not in the cache; what cannot be had is in ``missing``."""
        groups: dict[tuple[bool, str | None], dict[str, str]] = {}
        for need in needs:
            groups.setdefault((need.legacy, need.remote), {})[need.hash] = need.path
        for (legacy, own), wanted in groups.items():
            self._bring(wanted.keys(), legacy, own, partial(dict, wanted), alone=True)
            listings = [
                (path, rows)
                for name, path in wanted.items()
                if name.endswith(".dir")
                and (rows := self._members(name, path, legacy, own)) is not None
            ]
            inside: set[str] = set()
            for _, rows in listings:
                inside.update(rows.values())
            self._bring(inside, legacy, own, partial(_paths, listings))
        return self.result

    def _members(
        self, name: str, path: str, legacy: bool, own: str | None
    ) -> Mapping[str, str] | None:
        """Return relative path -> md5 of the directory at ``path``."""
        if any(one.hash == name for one in self.result.missing):
            return None
        rows = self._shelf.listing(name, legacy)
        if rows is None and self._dry_run and name not in self._shelf.damaged:
            rows = self._listings.get(name, legacy, own)
        if rows is None:
            text = "its listing cannot be used: it is none, or names a path outside the directory"
            self.result.missing.append(Missing(path, name, (text,)))
            return None
        self._shelf.recall(name, legacy)
        self.result.inside[name] = set(rows.values())
        return rows

    def _bring(
        self, wanted: Set[str], legacy: bool, own: str | None,
        paths: Callable[[], Mapping[str, str]], *, alone: bool = False,
    ) -> None:  # fmt: skip
        """Get those that are not in the cache; ``paths`` tells where they belong.

        ``alone``: they are no members of a directory.
        """
        left = self._shelf.unsound(wanted, legacy, alone=alone)
        if not left:
            return
        self.result.absent |= left
        tried: dict[str, list[str]] = {name: [self._in_cache(name)] for name in left}
        with scratch_in(self._shelf.folder, self._dry_run) as scratch:
            left -= self._from_caches(left, legacy, scratch)
            for remote in self._store.remotes(own):
                if left:
                    left -= self._from_remote(remote, left, legacy, scratch, tried)
        if not self._store.remotes():
            for reasons in tried.values():
                reasons.append("there is no DVC remote: dvc remote add -d NAME URL")
        where = paths() if left else {}
        self.result.missing += [Missing(where[n], n, tuple(tried[n])) for n in sorted(left)]

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


def _paths(listings: Iterable[tuple[str, Mapping[str, str]]]) -> dict[str, str]:
    """Return a path below the toplevel for each object of the directories."""
    return {md5: f"{path}/{name}" for path, rows in listings for name, md5 in rows.items()}
