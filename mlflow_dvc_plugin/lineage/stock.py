"""The objects of a run's data, gathered in the caches of its DVC repositories."""

from __future__ import annotations

import os
import posixpath
import shutil
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

from mlflow_dvc_plugin.capture import dvcstate
from mlflow_dvc_plugin.capture.dvcconfig import read_config
from mlflow_dvc_plugin.errors import MlflowDvcError
from mlflow_dvc_plugin.gitdir import Worktree
from mlflow_dvc_plugin.lineage.copying import can_clone
from mlflow_dvc_plugin.lineage.fetchdata import Gatherer
from mlflow_dvc_plugin.lineage.gathered import Gathered, Missing
from mlflow_dvc_plugin.lineage.imports import Importer, source_of
from mlflow_dvc_plugin.lineage.needs import Need
from mlflow_dvc_plugin.lineage.readback import Reader
from mlflow_dvc_plugin.lineage.revision import Stated, above
from mlflow_dvc_plugin.lineage.shelf import Shelf
from mlflow_dvc_plugin.storage import Progress
from mlflow_dvc_plugin.sync.stores import store_of


@dataclass
class Stock:
    """``shelves`` are the caches by DVC repository ("" for the toplevel), with their link types.

    The ``reader`` is there once there is enough for it to do, until :meth:`end`.
    """

    worktree: Worktree
    shelves: dict[str, Shelf] = field(default_factory=dict)
    links: dict[str, tuple[str, ...]] = field(default_factory=dict)
    gathered: Gathered = field(default_factory=Gathered)
    reader: Reader | None = None

    def cache_of(self, root: str) -> str | None:
        """Return the folder of the cache."""
        shelf = self.shelves.get(root)
        return shelf.folder if shelf else None

    def gather(
        self, needs: Iterable[Need], stated: Stated, progress: Progress, *, dry_run: bool,
        later: bool = False,
    ) -> None:  # fmt: skip
        """Get all objects into the caches; what cannot be had is in ``gathered.missing``.

        ``stated`` is what the commit states that the data came from, an empty one where it is not
        here; ``later``: whoever puts the data in place looks at the objects, as in Shelf.
        """
        sources = partial(source_of, self.worktree.toplevel, stated)
        by_root: dict[str, list[Need]] = {}
        for need in needs:
            by_root.setdefault(need.root, []).append(need)
        for root, mine in sorted(by_root.items()):
            try:
                store = store_of(self.worktree, root, stated.commit or "HEAD")
            except MlflowDvcError as error:
                lost = [Missing(need.path, need.hash, (error.message,)) for need in mine]
                self.gathered.missing += lost
                continue
            main = posixpath.join(self.worktree.main or self.worktree.toplevel, root).rstrip("/")
            config = read_config(os.path.join(main, ".dvc"))
            site = dvcstate.site_cache_dir(config.site_cache_dir)
            folder = store.cache_dir or self._own(main, root)
            types = config.links if dry_run else _possible(config.links, folder)
            self.links[root] = types
            # What waits in Git's folder is moved before it is put in place: it is read before that.
            kind = types[0] if later and folder != self._waiting(root) else None
            home = self.worktree.common_dir
            shelf = self.shelves[root] = Shelf(folder, main, site, home, later=kind)
            found = Gatherer(store, shelf, progress, dry_run=dry_run).gather(mine)
            Importer(sources, shelf, progress, dry_run=dry_run).bring(mine, found)
            self._add(found)
        if any(shelf.needs_reader for shelf in self.shelves.values()) and not self.gathered.missing:
            with suppress(OSError):
                self.reader = Reader()

    def end(self) -> None:
        """Stop the other process."""
        if self.reader:
            self.reader.end()

    def _own(self, main: str, root: str) -> str:
        """Return the repository's own cache, that of the main worktree where there is one.

        Where no DVC is checked out, a folder of ours in Git's: see :meth:`settle`.
        """
        if os.path.isdir(os.path.join(main, ".dvc")):
            return os.path.join(main, ".dvc", "cache")
        here = os.path.join(self.worktree.toplevel, root, ".dvc")
        if os.path.isdir(here):
            return os.path.join(here, "cache")
        return self._waiting(root)

    def _waiting(self, root: str) -> str:
        name = root.replace("/", "%") or "%"
        return os.path.join(self.worktree.common_dir, "mlflow-dvc", "waiting", name)

    def _add(self, found: Gathered) -> None:
        self.gathered.count += found.count
        self.gathered.size += found.size
        self.gathered.missing += found.missing
        self.gathered.absent |= found.absent
        self.gathered.inside |= found.inside

    def settle(self, folder: str) -> None:
        """Move objects that wait in Git's folder into the caches of the new worktree."""
        for root, shelf in list(self.shelves.items()):
            own = os.path.join(folder, root, ".dvc")
            if shelf.folder == self._waiting(root) and os.path.isdir(own):
                target = os.path.join(own, "cache")
                if os.path.isdir(shelf.folder) and not os.path.lexists(target):
                    shutil.move(shelf.folder, target)
                    self.shelves[root] = Shelf(target, os.path.dirname(own), None)


def _possible(types: tuple[str, ...], cache: str) -> tuple[str, ...]:
    """Return the link types less the reflinks that the cache's file system does not have."""
    if types[0] == "reflink" and not can_clone(cache):
        return types[1:] or ("copy",)
    return types


def without_inner(needs: Sequence[Need]) -> list[Need]:
    """Return the pieces less those that lie in another one: it brings them along."""
    paths = {need.path for need in needs if need.hash.endswith(".dir")}
    return [need for need in needs if paths.isdisjoint(above(need.path))]
