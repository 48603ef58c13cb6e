"""The files of directory outputs, and how large they are: from cache, DVC remote and disk."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from mlflow_dvc_plugin.capture import datafiles, hashing
from mlflow_dvc_plugin.capture.deadline import Deadline
from mlflow_dvc_plugin.capture.facts import Facts
from mlflow_dvc_plugin.capture.remembered import key_of
from mlflow_dvc_plugin.errors import MlflowDvcError
from mlflow_dvc_plugin.gitdir import Worktree
from mlflow_dvc_plugin.lineage.listings import Listings
from mlflow_dvc_plugin.lineage.needs import Need
from mlflow_dvc_plugin.provenance import Data, Output
from mlflow_dvc_plugin.sync.stores import store_of

if TYPE_CHECKING:
    from mlflow_dvc_plugin.dvcrepo.remote import Store

_MD5 = re.compile(r"[0-9a-f]{32}\Z")
_CHEAP = 64  # sizes that are asked of a remote: each is a request


class Objects:
    """The objects of the DVC repositories of one place; each configuration is read once.

    ``worktree`` is the Git worktree that they lie in; without one ``root`` is the only repository.
    """

    def __init__(self, worktree: Worktree | None, root: str | None) -> None:
        self._worktree = worktree
        self._root = root
        self._listings: dict[str, Listings] = {}
        self._stores: dict[str, Store] = {}
        self._silent: set[tuple[str, str]] = set()

    def listing(self, need: Need, tip: str) -> Mapping[str, str] | str:
        """Return the relative path -> md5 of a directory, or why that cannot be told.

        ``tip`` is the commit whose configuration serves where nothing is checked out.
        """
        if not need.kept:
            return "DVC keeps no copy of it"
        try:
            store = self._store(need.root, tip)
        except MlflowDvcError as error:
            return error.message
        listings = self._listings.setdefault(need.root, Listings(store))
        found = listings.get(need.hash, need.legacy, need.remote)
        if found is None:
            return listings.failed.get(need.hash, "its list of files cannot be had")
        return found

    def sizes(self, need: Need, tip: str, md5s: set[str]) -> dict[str, int]:
        """Return the bytes of those objects of which that is known."""
        md5s = {md5 for md5 in md5s if _MD5.match(md5)}
        if not md5s or not need.kept:
            return {}
        try:
            store = self._store(need.root, tip)
        except MlflowDvcError:
            return {}
        cached = {md5: _cached(store, md5, need.legacy) for md5 in md5s}
        found = {md5: size for md5, size in cached.items() if size is not None}
        lacking = sorted(md5s - found.keys())
        name = need.remote or store.default
        if lacking and len(lacking) <= _CHEAP and name and (need.root, name) not in self._silent:
            try:
                found.update(_remote_sizes(store, name, need.legacy, lacking))
            except MlflowDvcError:
                self._silent.add((need.root, name))  # it takes seconds to not answer
        return found

    def _store(self, root: str, tip: str) -> Store:
        if root not in self._stores:
            if self._worktree is not None:
                self._stores[root] = store_of(self._worktree, root, tip)
            elif self._root is not None:
                from mlflow_dvc_plugin.dvcrepo.remote import open_store

                self._stores[root] = open_store(self._root)
            else:
                raise MlflowDvcError("there is no DVC repository here")
        return self._stores[root]


def _cached(store: Store, md5: str, legacy: bool) -> int | None:
    parts = "" if legacy else "files/md5/"
    for cache in store.caches:
        with contextlib.suppress(OSError):
            return os.stat(f"{cache}/{parts}{md5[:2]}/{md5[2:]}").st_size
    return None


def _remote_sizes(store: Store, name: str, legacy: bool, md5s: list[str]) -> dict[str, int]:
    remote = store.remote(name)
    if remote.versioned:
        return {}
    paths = [remote.object_path(md5, legacy) for md5 in md5s]
    remote.size(paths[0])  # a remote that does not answer is asked once
    with ThreadPoolExecutor(16) as pool:
        sizes = list(pool.map(remote.size, paths))
    return {md5: size for md5, size in zip(md5s, sizes, strict=True) if size is not None}


class OnDisk:
    """The data files that are on disk now, as a capture has just found them."""

    def __init__(self, facts: Facts, data: Data) -> None:
        self._store = facts.store(data.root)
        self._root = data.root
        self._top = data.toplevel
        self._known: dict[str, Mapping[str, str] | str] = {}
        states = (*data.inputs, *data.products)
        self._outputs: Mapping[str, Output] = {state.path: state.output for state in states}

    def listing(self, need: Need) -> Mapping[str, str] | str:
        """Return the relative path -> md5 of the directory, or why that cannot be told.

        What the capture has hashed a moment ago is not read again.
        """
        if need.path not in self._known:
            self._known[need.path] = self._read(need)
        return self._known[need.path]

    def _read(self, need: Need) -> Mapping[str, str] | str:
        try:
            found = self._hashed(self._outputs[need.path])
        except (OSError, ValueError, KeyError, MlflowDvcError) as error:
            return f"it cannot be read: {' '.join(str(error).split())[:200]}"
        if hashing.directory_hash(found.items()) != need.hash:
            return "it changes while it is read"
        return found

    def size(self, path: str) -> int | None:
        """Return the bytes of a file; ``path`` relative to the toplevel."""
        try:
            return os.stat(os.path.join(self._top, path)).st_size
        except (OSError, ValueError):
            return None

    def _hashed(self, output: Output) -> dict[str, str]:
        path = os.path.join(self._top, output.path)
        ignored = bool(datafiles.patterns_above(os.path.dirname(path), self._root))
        known = self._store.load_files(key_of(output))
        found = {}
        for rel in datafiles.data_files(self._root, path, ignored, Deadline(None)):
            full = os.path.join(path, rel)
            row = known.get(rel, "")
            if row[:-33] != hashing.identity(os.stat(full)):
                row = hashing.file_md5(full, output.scheme, Deadline(None))[0]
            found[rel.replace(os.sep, "/")] = row[-32:]
        return found
