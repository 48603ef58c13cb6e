"""Which DVC objects are in the cache and on the DVC remotes, each asked for once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from mlflow_dvc_plugin.capture import dvcstate
from mlflow_dvc_plugin.capture.dvcconfig import read_config
from mlflow_dvc_plugin.capture.hashing import scheme_of
from mlflow_dvc_plugin.dvcrepo.remote import Store
from mlflow_dvc_plugin.errors import MlflowDvcError
from mlflow_dvc_plugin.gitdir import Worktree
from mlflow_dvc_plugin.lineage.listings import Listings
from mlflow_dvc_plugin.lineage.place import Place, together, unknown
from mlflow_dvc_plugin.storage import Progress, counter, look_up
from mlflow_dvc_plugin.sync.objects import Cache
from mlflow_dvc_plugin.sync.stated import Wanted
from mlflow_dvc_plugin.sync.stores import store_of

_ADD = "dvc remote add --default NAME URL, and dvc push"


@dataclass
class _Root:
    """A DVC repository of the project with the configuration that it has today."""

    store: Store
    listings: Listings
    caches: list[Cache]

    def holds(self, one: Wanted) -> bool:
        """Tell whether a cache has the object, with the bytes that it should have."""
        scheme = scheme_of(one.legacy)
        return any(cache.holds(one.hash, scheme) for cache in self.caches)


class Objects:
    """The objects of all runs of one worktree; ask first, then :meth:`place` says where each is."""

    def __init__(self, worktree: Worktree, progress: Progress, *, deep: bool) -> None:
        self._worktree = worktree
        self._progress = progress
        self._deep = deep
        self._roots: dict[str, _Root | MlflowDvcError] = {}
        self._places: dict[Wanted, Place] = {}
        self._members: dict[Wanted, Mapping[str, str] | None] = {}

    def ask(self, wanted: Mapping[Wanted, str]) -> None:
        """Ask the remotes for all of it; a commit stands beside each object that needs it.

        What lies in a directory is asked for with ``deep``, and where the remote has not got the
        directory: one that has it got its files first. Raises nothing.
        """
        for root, tip in {one.root: tip for one, tip in wanted.items()}.items():
            self._open(root, tip)
        folders = [one for one in wanted if one.hash.endswith(".dir")]
        inside = self._inside(folders) if self._deep else set()
        self._look({*wanted, *inside})
        if not self._deep:
            self._look(self._inside([one for one in folders if not self._places[one].away]))

    def place(self, one: Wanted) -> Place:
        """Return where the object is; a directory is where all that was looked at in it is."""
        own = self._places[one]
        if one not in self._members:
            return own
        members = self._members[one]
        if members is None:
            root = self._roots[one.root]
            if own.verdict == "broken" or isinstance(root, MlflowDvcError):
                return own
            why = f"what lies in it is not known: {root.listings.failed.get(one.hash, '')}"
            return Place(own.here, None, own.where, why, own.hint)
        parts = [("the list of its files", own)]
        parts += [(name, self._places[_member(one, md5)]) for name, md5 in members.items()]
        return together(parts)

    def _open(self, root: str, tip: str) -> None:
        if isinstance(self._roots.get(root), _Root):
            return
        folder = os.path.join(self._worktree.toplevel, root) if root else self._worktree.toplevel
        try:
            store = store_of(self._worktree, root, tip)
            listings = Listings(store)
        except MlflowDvcError as error:
            self._roots[root] = error
            return
        configured = read_config(os.path.join(folder, ".dvc")).site_cache_dir
        site = dvcstate.site_cache_dir(configured)
        caches = [Cache(cache, folder, site, {}) for cache in store.caches]
        self._roots[root] = _Root(store, listings, caches)

    def _inside(self, folders: Iterable[Wanted]) -> set[Wanted]:
        """Read the lists of the directories; return what lies in them."""
        unread = [(one, self._roots[one.root]) for one in folders]
        readable = [(one, root) for one, root in unread if isinstance(root, _Root)]
        found: set[Wanted] = set()
        with ThreadPoolExecutor(8) as pool:
            lists = pool.map(
                lambda item: item[1].listings.get(item[0].hash, item[0].legacy, item[0].remote),
                readable,
            )
            for count, ((one, _), members) in enumerate(zip(readable, lists, strict=True), 1):
                self._members[one] = members
                found.update(_member(one, md5) for md5 in (members or {}).values())
                self._progress("reading directories", count, len(readable))
        return found

    def _look(self, wanted: Iterable[Wanted]) -> None:
        """Look at the remotes, then at the cache: closely only where the verdict depends on it."""
        new = sorted(set(wanted) - self._places.keys(), key=lambda one: one.hash)
        self._ask(new)
        doubtful = [one for one in new if not self._places[one].away]
        for one in set(new).difference(doubtful):
            root = self._roots[one.root]
            cached = isinstance(root, _Root) and root.store.cached(one.hash, one.legacy)
            self._places[one] = replace(self._places[one], here=bool(cached))
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            held = pool.map(lambda one: _held(one, self._roots[one.root]), doubtful)
            for count, (one, here) in enumerate(zip(doubtful, held, strict=True), 1):
                self._places[one] = _beside(self._places[one], *here)
                self._progress("reading the cache", count, len(doubtful))

    def _ask(self, new: Iterable[Wanted]) -> None:
        groups: dict[tuple[str, str | None, bool], list[Wanted]] = {}
        stores: dict[str, Store] = {}
        for one in new:
            root = self._roots[one.root]
            if isinstance(root, MlflowDvcError):
                self._places[one] = unknown(root.message, root.hint)
                continue
            stores[one.root] = root.store
            key = (one.root, one.remote or root.store.default, one.legacy)
            groups.setdefault(key, []).append(one)
        count = counter(self._progress, "looking for objects", sum(map(len, groups.values())))
        for (folder, name, legacy), group in groups.items():
            answers = _answers(stores[folder], name, legacy, {one.hash for one in group}, count)
            self._places.update((one, answers[one.hash]) for one in group)


def _answers(
    store: Store, name: str | None, legacy: bool, hashes: set[str], count: Callable[[], None]
) -> dict[str, Place]:
    """Return what the remote says of each; whether it is here is another question."""
    if name is None:
        none = Place(None, away=False, reason="there is no DVC remote", hint=_ADD)
        return dict.fromkeys(hashes, none)
    try:
        remote = store.remote(name)
        if remote.versioned:
            why = f"DVC remote '{name}' keeps versions of files, which are not looked up"
            return dict.fromkeys(hashes, Place(None, None, name, why, "dvc status --cloud"))
        found = look_up(remote, hashes, legacy, count)
    except MlflowDvcError as error:
        return dict.fromkeys(hashes, Place(None, None, name, error.message, error.hint))
    lacks = Place(None, away=False, where=name, reason=f"it is not on DVC remote '{name}'",
                  hint="dvc push")  # fmt: skip
    return {
        **dict.fromkeys(found.present, Place(None, away=True, where=name)),
        **dict.fromkeys(found.absent, lacks),
        **{one: Place(None, None, name, f"DVC remote '{name}' does not say: {why}")
           for one, why in found.unknown.items()},
    }  # fmt: skip


def _member(folder: Wanted, md5: str) -> Wanted:
    return Wanted(folder.root, folder.remote, md5, folder.legacy)


def _held(one: Wanted, root: _Root | MlflowDvcError) -> tuple[bool | None, bool]:
    """Return whether a cache has the object whole, and else whether it is damaged there."""
    if isinstance(root, MlflowDvcError):
        return None, False
    here = root.holds(one)
    return here, not here and root.store.cached(one.hash, one.legacy) is not None


def _beside(away: Place, here: bool | None, damaged: bool) -> Place:
    """Return the place of what the remote has not, or may not have."""
    if here is not False or away.away is None:
        return replace(away, here=here)
    what = "damaged in the cache" if damaged else "not in the cache"
    hint = "dvc push, where the data still is"
    return replace(away, here=False, reason=f"{away.reason}, and {what}", hint=hint)
