"""Change single outputs: look, plan, make ready, swap."""

from __future__ import annotations

import errno
import os
import shlex
from collections.abc import Iterable, Mapping, Set

from mlflow_dvc_plugin.capture import store as stores
from mlflow_dvc_plugin.capture.deadline import Deadline
from mlflow_dvc_plugin.capture.delta import Delta
from mlflow_dvc_plugin.capture.disk import Disk
from mlflow_dvc_plugin.capture.fingerprint import Fingerprint
from mlflow_dvc_plugin.capture.remembered import remember, remembered
from mlflow_dvc_plugin.errors import MlflowDvcError
from mlflow_dvc_plugin.gitdir import Worktree
from mlflow_dvc_plugin.provenance import Output, OutputState
from mlflow_dvc_plugin.sync.bounds import refusal
from mlflow_dvc_plugin.sync.early import Early
from mlflow_dvc_plugin.sync.events import state_folder
from mlflow_dvc_plugin.sync.job import Job, Stays
from mlflow_dvc_plugin.sync.journal import announce
from mlflow_dvc_plugin.sync.ledger import Entry, Ledger
from mlflow_dvc_plugin.sync.leftovers import clear
from mlflow_dvc_plugin.sync.objects import Cache
from mlflow_dvc_plugin.sync.placing import Workshop
from mlflow_dvc_plugin.sync.plan import (
    CannotSyncError,
    Plan,
    Target,
    carry_out,
    is_in_place,
    is_unchanged,
    plan,
    require_inside,
    require_untracked,
    wanted_rows,
)
from mlflow_dvc_plugin.sync.worktree import Repository, entry_of, present


class Change:
    """The changes of one sync to one DVC repository.

    ``left`` are files with bytes that are nowhere else, left by a sync that was killed.
    """

    def __init__(
        self, worktree: Worktree, repository: Repository, ledger: Ledger,
        early: Early | None = None,
    ) -> None:  # fmt: skip
        repo = repository.repo
        self._repository = repository
        self._toplevel = worktree.toplevel
        self._ledger = ledger
        self._early = early
        self._caches: dict[str, Cache] = {}
        self._disk = Disk(
            repo.toplevel, repo.root, repo.store, Deadline(None), repository.site_cache
        )
        self._scratch = os.path.join(repo.root, ".dvc", "tmp", stores.FOLDER)
        self._state_folder = state_folder(worktree)
        folders = {repository.cache, *(one.cache for one in ledger.outputs.values())}
        self.left = clear(self._scratch, map(self._cache, sorted(folders)))

    def follow(self, out: Output, tracked: Set[str], seen: str, dry_run: bool) -> bool:
        """Make the output what its metadata states; tell whether anything had to change.

        ``tracked`` are Git's files, which are not changed; ``seen`` is as in Entry. Raises Stays.
        """
        self._require_place(out)
        early = None
        if self._early and out.isdir:
            self._compare_ahead(out)  # while the other process looks
            early = self._early.get(out.path)
        try:
            return self._follow(out, tracked, seen, dry_run, early)
        except Stays as error:
            if early is None or error.followed:
                raise
        return self._follow(out, tracked, seen, dry_run, None)  # it may have changed since

    def _follow(
        self, out: Output, tracked: Set[str], seen: str, dry_run: bool, early: Fingerprint | None
    ) -> bool:  # fmt: skip
        state, found = self._disk.look(out, early)
        if state.status == "clean":
            return False
        known = self._ledger.outputs.get(out.path)
        old = self._cache(known.cache if known else self._repository.cache)
        full = os.path.join(self._toplevel, out.path)
        target = Target(full, out.hash, out.scheme, out.isexec)
        coming = entry_of(out, self._repository, seen)
        if self._change(Job(target, state, found, old, tracked, coming), dry_run):
            return True
        if not dry_run and self._disk.state_of(out).status != "clean":
            raise Stays("it holds files that are no part of it", unsaved=True, followed=True)
        return True

    def _compare_ahead(self, out: Output) -> None:
        """Compare the version that was there last with the one to come: most often it still is."""
        known = self._ledger.outputs.get(out.path)
        if known and known.isdir and known.scheme == out.scheme and known.hash != out.hash:
            new = self._cache(self._repository.cache)
            self._cache(known.cache).differing(known.hash, new, out.hash or "", out.scheme)

    def _is_known(self, job: Job, found: Plan, delta: Delta) -> bool:
        """Tell whether one version became another, with nothing else in it, and remember it.

        As sure as reading it all: what stayed has a fingerprint that was old enough to be
        remembered, and what came is read again, when a change since would show.
        """
        store, out = self._repository.repo.store, job.state.output
        before = out._replace(hash=job.state.hash)
        if not found.of_versions or remembered(store, before) != job.seen:
            return False
        after = delta.after()
        if after is None:
            return False
        ignore = self._disk.ignore_key(out, after)
        try:
            return remember(
                store, out, after, ignore, lambda: is_in_place(found) and delta.after() == after
            )
        except (OSError, ValueError):  # somebody is at work there: all of it is looked at
            return False

    def remove(self, path: str, entry: Entry, tracked: set[str], dry_run: bool) -> bool:
        """Remove data whose metadata vanished, less what Git tracks; raises Stays."""
        out = Output(path, entry.hash, entry.source, entry.scheme, isdir=entry.isdir)
        self._require_place(out)
        state, found = self._disk.look(out)
        if state.status == "missing" or path in tracked:
            return False
        full = os.path.join(self._toplevel, path)
        target = Target(full, None, entry.scheme)
        self._change(Job(target, state, found, self._cache(entry.cache), tracked), dry_run)
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
        if folder not in self._caches:
            one = self._repository
            verified = self._ledger.verified
            self._caches[folder] = Cache(folder, one.repo.root, one.site_cache, verified)
        return self._caches[folder]

    def _change(self, job: Job, dry_run: bool) -> bool:
        """Carry the change out; tell whether the result is known without a look at all of it."""
        try:
            found = self._plan(job)
            if dry_run:
                return False
            if job.coming:
                announce(self._state_folder, job.state.path, job.coming)
                self._ledger.expect(job.state.path, job.coming)
            stays = job.seen is not None and job.seen.isdir and job.target.isdir
            delta = Delta(job.target.path, found.places, job.seen) if stays and job.seen else None
            with Workshop(self._scratch, self._repository.links) as shop:
                carry_out(found, job.target, shop)
            return delta is not None and self._is_known(job, found, delta)
        except CannotSyncError as error:
            raise Stays(
                str(error), pull=error.pull, unsaved=error.unsaved, hint=error.hint
            ) from error
        except (OSError, ValueError) as error:
            if getattr(error, "errno", None) == errno.EXDEV:  # both versions are in the cache
                hint = f"dvc checkout {shlex.quote(job.state.path)}"
                raise Stays("it is on another file system than .dvc/tmp", hint=hint) from error
            raise Stays(f"it cannot be changed ({error})") from error
        except MlflowDvcError as error:
            raise Stays(error.message) from error

    def _plan(self, job: Job) -> Plan:
        target, state, old = job.target, job.state, job.old
        if state.status == "unknown":
            raise CannotSyncError(state.reason)
        new = self._cache(self._repository.cache)
        rows = self._of_versions(job, new)
        there, wanted = rows or (self._there(job), wanted_rows(target, new))
        found = plan(target, state, there, wanted, old, new)
        found.of_versions = rows is not None
        require_inside(found, target, self._toplevel)
        require_untracked(found, target, self._toplevel, job.tracked)
        if not is_unchanged(found, target.path, job.seen, state.output.scheme):
            raise CannotSyncError("it was changed while it was looked at")
        return found

    def _of_versions(
        self, job: Job, new: Cache
    ) -> tuple[Mapping[str, str], Mapping[str, str]] | None:
        """Return what differs where one version of a directory becomes another, both in a cache."""
        before, after, scheme = job.state.hash, job.target.hash, job.target.scheme
        if job.seen is None or not job.seen.isdir or not job.target.isdir:
            return None
        if scheme != job.state.output.scheme or not before or not after:
            return None
        return job.old.differing(before, new, after, scheme)

    def _there(self, job: Job) -> Mapping[str, str] | None:
        target, state, old = job.target, job.state, job.old
        there = present(self._repository, state, old)
        if there is not None and os.path.isdir(target.path):
            there = self._of_the_data(there, state, target, old)
        if target.hash is None and there:
            names = {os.path.join(self._toplevel, name) for name in job.tracked}
            there = {rel: md5 for rel, md5 in there.items()
                     if os.path.join(target.path, rel) not in names}  # fmt: skip
        return there

    def _of_the_data(
        self, there: Mapping[str, str], state: OutputState, target: Target, old: Cache
    ) -> Mapping[str, str]:
        """Return the files that belong to the versions before or to the one to come.

        All of them when the folder as it is is a version in the cache; the others are somebody's.
        """
        before: set[str] = set()
        for one in self._ledger.versions(state.path):
            before.update(self._cache(one.cache).listing(one.hash, one.scheme) or ())
        if not before or (state.hash and old.listing(state.hash, state.output.scheme)):
            return there
        new = self._cache(self._repository.cache)
        after = new.listing(target.hash, target.scheme) if target.hash else None
        return {rel: md5 for rel, md5 in there.items() if rel in before or rel in (after or {})}

    def _require_place(self, out: Output) -> None:
        full = os.path.join(self._toplevel, out.path)
        if reason := refusal(full, self._repository.repo.root):
            raise Stays(reason, hint=f"mend {shlex.quote(out.source)}, then: mlflow-dvc sync")
