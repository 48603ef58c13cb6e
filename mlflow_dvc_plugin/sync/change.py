"""Change single outputs: look, plan, make ready, swap."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping

from mlflow_dvc_plugin.capture import hashing
from mlflow_dvc_plugin.capture import store as stores
from mlflow_dvc_plugin.capture.deadline import Deadline
from mlflow_dvc_plugin.capture.disk import Disk
from mlflow_dvc_plugin.errors import MlflowDvcError
from mlflow_dvc_plugin.gitdir import Worktree
from mlflow_dvc_plugin.provenance import Output, OutputState
from mlflow_dvc_plugin.sync.ledger import Entry, Ledger
from mlflow_dvc_plugin.sync.objects import Cache
from mlflow_dvc_plugin.sync.placing import FOLDER, Workshop, sweep
from mlflow_dvc_plugin.sync.plan import CannotSyncError, Plan, Target, plan, require_inside
from mlflow_dvc_plugin.sync.worktree import Repository, present


class Stays(Exception):  # noqa: N818 - it is what happens to the data
    """The output stays as it is; why, and what could be done (as in CannotSyncError).

    ``followed``: all that is part of the data has followed, and what is not is still there.
    """

    def __init__(
        self, text: str, *, pull: bool = False, unsaved: bool = False, followed: bool = False
    ) -> None:
        super().__init__(text)
        self.pull = pull
        self.unsaved = unsaved
        self.followed = followed


class Change:
    """The changes of one sync to one DVC repository."""

    def __init__(self, worktree: Worktree, repository: Repository, ledger: Ledger) -> None:
        repo = repository.repo
        self._repository = repository
        self._toplevel = worktree.toplevel
        self._ledger = ledger
        self._disk = Disk(
            repo.toplevel, repo.root, repo.store, Deadline(None), repository.site_cache
        )
        self._scratch = os.path.join(repo.root, ".dvc", "tmp", stores.FOLDER)
        self._sweep()

    def follow(self, out: Output, dry_run: bool) -> bool:
        """Make the output what its metadata states; tell whether anything had to change.

        Raises Stays.
        """
        state = self._disk.state_of(out)
        if state.status == "clean":
            return False
        known = self._ledger.outputs.get(out.path)
        old = self._cache(known.cache if known else self._repository.cache)
        full = os.path.join(self._toplevel, out.path)
        target = Target(full, out.hash, out.scheme, out.isexec)
        self._change(target, state, old, dry_run)
        if not dry_run and self._disk.state_of(out).status != "clean":
            raise Stays("it holds files that are no part of it", unsaved=True, followed=True)
        return True

    def remove(self, path: str, entry: Entry, tracked: set[str], dry_run: bool) -> bool:
        """Remove data whose metadata vanished, less what Git tracks; raises Stays."""
        out = Output(path, entry.hash, entry.source, entry.scheme, isdir=entry.isdir)
        state = self._disk.state_of(out)
        if state.status == "missing" or path in tracked:
            return False
        full = os.path.join(self._toplevel, path)
        self._change(
            Target(full, None, entry.scheme), state, self._cache(entry.cache), dry_run, tracked
        )
        if not dry_run and os.path.isdir(full) and not tracked:
            raise Stays("it holds files that were no part of it", unsaved=True)
        return True

    def lacking(self, outputs: Iterable[Output]) -> list[Output]:
        """Return those whose bytes the cache does not hold whole."""
        cache = self._cache(self._repository.cache)
        found = []
        for out in outputs:
            names: list[str] | None = [out.hash or ""]
            if out.isdir:
                listing = cache.listing(out.hash or "", out.scheme)
                names = None if listing is None else list(listing.values())
            if names is None or not all(
                os.path.exists(cache.path(name, out.scheme)) for name in names
            ):
                found.append(out)
        return found

    def _cache(self, folder: str) -> Cache:
        one = self._repository
        return Cache(folder, one.repo.root, one.site_cache, self._ledger.verified)

    def _change(
        self, target: Target, state: OutputState, old: Cache, dry_run: bool,
        spared: Iterable[str] = (),
    ) -> None:  # fmt: skip
        try:
            if state.status == "unknown":
                raise CannotSyncError(state.reason)
            there = present(self._repository, state, old)
            if there is not None and os.path.isdir(target.path):
                there = self._of_the_data(there, state, target, old)
            for name in spared:
                if there:
                    rel = os.path.relpath(os.path.join(self._toplevel, name), target.path)
                    there = {key: md5 for key, md5 in there.items() if key != rel}
            found = plan(target, state, there, old, self._cache(self._repository.cache))
            require_inside(found, self._toplevel)
            if not dry_run:
                self._carry_out(target, found)
        except CannotSyncError as error:
            raise Stays(str(error), pull=error.pull, unsaved=error.unsaved) from error
        except (OSError, ValueError) as error:
            raise Stays(f"it cannot be changed ({error})") from error
        except MlflowDvcError as error:
            raise Stays(error.message) from error

    def _of_the_data(
        self, there: Mapping[str, str], state: OutputState, target: Target, old: Cache
    ) -> Mapping[str, str]:
        """Return the files that belong to the version before or to the one to come.

        All of them when the folder as it is is a version in the cache; the others are somebody's.
        """
        known = self._ledger.outputs.get(state.path)
        before = old.listing(known.hash, known.scheme) if known and known.isdir else None
        if before is None or (state.hash and old.listing(state.hash, state.output.scheme)):
            return there
        new = self._cache(self._repository.cache)
        after = new.listing(target.hash, target.scheme) if target.hash else None
        return {rel: md5 for rel, md5 in there.items() if rel in before or rel in (after or {})}

    def _carry_out(self, target: Target, found: Plan) -> None:
        with Workshop(self._scratch, self._repository.links) as shop:
            ready = [shop.make(new) if new else None for _, new in found.pairs]
            # A new file may need the place of an emptied folder, so folders go between the two.
            for old, new in found.pairs:
                if new is None and old is not None:
                    shop.swap(old, None, old.path)
            _remove_empty(found.folders, target.path)
            for (old, new), path in zip(found.pairs, ready, strict=True):
                if new is not None:
                    shop.swap(old, path, new.path)
            if target.hash is not None and target.hash.endswith(".dir"):
                os.makedirs(target.path, exist_ok=True)  # an empty directory is data, too

    def _sweep(self) -> None:
        """Remove what a sync that was killed has left."""
        with contextlib.suppress(OSError):
            for name in os.listdir(self._scratch):
                if name.startswith(FOLDER):
                    self._sweep_one(os.path.join(self._scratch, name))

    def _sweep_one(self, folder: str) -> None:
        cache = self._cache(self._repository.cache)
        for path in sweep(folder):
            # Its bytes were in the cache before it was moved here; another process may have
            # written to it since.
            hashes = ((hashing.file_md5(path, one, Deadline(None))[0], one)
                      for one in hashing.SCHEMES)  # fmt: skip
            if any(cache.holds(md5, scheme) for md5, scheme in hashes):
                os.unlink(path)
        sweep(folder)


def _remove_empty(folders: set[str], top: str) -> None:
    """Remove folders that the data has left, from below; one that holds anything stays."""
    below = set(folders)
    for start in folders:
        above = start
        while len(above) > len(top):
            below.add(above)
            above = os.path.dirname(above)
    for folder in sorted({*below, top} if folders else (), key=len, reverse=True):
        with contextlib.suppress(OSError):
            os.rmdir(folder)
