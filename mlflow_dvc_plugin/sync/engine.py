"""Make the data of a worktree match the metadata on disk: one action for every event."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterable
from typing import NamedTuple

from mlflow_dvc_plugin import gitrepo
from mlflow_dvc_plugin.config import read_settings
from mlflow_dvc_plugin.gitdir import Worktree
from mlflow_dvc_plugin.provenance import Output
from mlflow_dvc_plugin.sync import messages
from mlflow_dvc_plugin.sync.change import Change
from mlflow_dvc_plugin.sync.early import Early
from mlflow_dvc_plugin.sync.events import state_folder
from mlflow_dvc_plugin.sync.fetching import fetch
from mlflow_dvc_plugin.sync.gate import Gate, Taken
from mlflow_dvc_plugin.sync.incoming import incoming
from mlflow_dvc_plugin.sync.job import Stays
from mlflow_dvc_plugin.sync.journal import announced, forget
from mlflow_dvc_plugin.sync.ledger import Entry, Ledger, Problem
from mlflow_dvc_plugin.sync.linked import share_with_main
from mlflow_dvc_plugin.sync.locking import one_at_a_time
from mlflow_dvc_plugin.sync.running import User, users
from mlflow_dvc_plugin.sync.tidy import is_gone, tidy
from mlflow_dvc_plugin.sync.worktree import (
    Repository,
    entry_of,
    homeless,
    loses_cache,
    repositories,
    seen_of,
)  # fmt: skip

_SECONDS = 60.0


class Report:
    """What a sync did: ``done`` maps paths to what happened; ``known`` were said before."""

    def __init__(self, known: Iterable[Problem] = ()) -> None:
        self.done: dict[str, str] = {}
        self.problems: dict[str, Problem] = {}
        self.known = frozenset(known)
        self.notes: list[str] = []

    @property
    def in_sync(self) -> bool:
        """Tell whether everything is as the metadata says."""
        return not self.problems


def sync(
    worktree: Worktree, *, dry_run: bool = False, every: bool = False, index: str = "",
    early: Early | None = None,
) -> Report:  # fmt: skip
    """Let the data follow; ``every`` looks at all outputs, not only at those that changed.

    ``index`` is one whose metadata is about to be written out; ``early`` a look that has begun.

    Raises MlflowDvcError when nothing could be looked at, OSError for a disk that takes nothing.
    """
    folder = state_folder(worktree)
    os.makedirs(folder, exist_ok=True)
    with one_at_a_time(folder) as waited:
        gate = Gate(worktree, folder)
        taken = gate.take()
        ledger = Ledger.read(folder)
        how = _How(dry_run, every, index, None if waited else early)  # it is older than the wait
        work = _Sync(worktree, ledger, taken, how)
        for path, entry in announced(folder):
            ledger.expect(path, entry)
        try:
            work.run()
        finally:
            written = dry_run or _save(ledger, folder, work.report)
        if not dry_run and written:
            gate.keep()
        return work.report


class _How(NamedTuple):
    dry_run: bool
    every: bool
    incoming: str
    early: Early | None


def _save(ledger: Ledger, folder: str, report: Report) -> bool:
    """Write down what was done; where that cannot be, the next sync looks at everything."""
    try:
        ledger.save(folder)
        forget(folder)
    except OSError as error:
        report.notes.append(f"what was done could not be written down ({error})")
        return False
    return True


class _Sync:
    """One sync of one worktree."""

    def __init__(self, worktree: Worktree, ledger: Ledger, taken: Taken, how: _How) -> None:
        self._worktree = worktree
        self._ledger = ledger
        self._taken = taken
        self._dry_run = how.dry_run
        self._every = how.every
        self._index = how.incoming
        self._early = how.early
        self._fetch = read_settings(worktree.toplevel)[0].fetch
        self._retry = set(ledger.problems)
        self.report = Report(ledger.problems.values())

    def run(self) -> None:
        found = repositories(self._worktree, self._ledger, self._taken)
        named = {path for one in found for path in (out.path for out in one.repo.metadata.outputs)}
        for one in found if self._index else ():
            coming = incoming(self._worktree, one.repo.root, self._index)
            one.stated.update({path: out for path, out in coming.items() if path not in named})
            named.update(coming)
        broken = {path: reason for one in found for path, reason in one.broken.items()}
        self._ledger.problems.clear()
        for path, reason in broken.items():
            self._note(messages.broken(path, reason))
        for path in homeless(self._worktree, found, self._taken.seen):
            self._note(messages.homeless(path))
        for one in found:
            if not self._dry_run:
                share_with_main(self._worktree, one.repo.root)
            self._repository(one, named, broken)
        self.report.problems = self._ledger.problems

    def _repository(self, one: Repository, named: set[str], broken: dict[str, str]) -> None:
        change = Change(self._worktree, one, self._ledger, self._early)
        for path in change.left:
            self._note(messages.only_copy(os.path.relpath(path, self._worktree.toplevel)))
        gone = self._gone(one, named, broken)
        todo = [out for out in one.stated.values() if self._every or self._has_changed(out)]
        busy = users(one.repo.root) if gone or todo else []
        self.report.notes += [messages.in_use(user) for user in busy if not user.blocks]
        theirs = self._tracked([*gone])
        for path, entry in gone.items():
            if not self._in_use(path, busy):
                inside = {name for name in theirs if f"{name}/".startswith(f"{path}/")}
                self._remove(change, one, path, entry, inside)
        self._forget_and_keep(one, named, broken)
        todo = [out for out in todo if not self._in_use(out.path, busy)]
        if self._fetch and not self._dry_run:
            fetch(one, change.lacking(todo))
        tracked = self._tracked([out.path for out in todo])
        for out in todo:
            self._follow(change, one, out, tracked)
        left = any(entry.root == one.name for entry in self._ledger.outputs.values())
        if is_gone(one.repo.root) and not left and not self._dry_run:
            tidy(self._worktree, one.repo.root)
        else:
            one.repo.store.save()

    def _has_changed(self, out: Output) -> bool:
        known = self._ledger.outputs.get(out.path)
        if known is None or out.path in self._retry or out.path in self._ledger.coming:
            return True
        stated = (out.hash, out.scheme, seen_of(out, self._taken.seen))
        return (known.hash, known.scheme, known.seen) != stated

    def _gone(self, one: Repository, named: set[str], broken: dict[str, str]) -> dict[str, Entry]:
        """Return what this repository's metadata stated when it was last in sync, and no more."""
        return {
            path: entry for path, entry in self._ledger.outputs.items()
            if entry.root == one.name and path not in named and entry.source not in broken
            and not one.repo.unread and posixpath.splitext(entry.source)[0] + ".lock" not in broken
        }  # fmt: skip

    def _forget_and_keep(self, one: Repository, named: set[str], broken: dict[str, str]) -> None:
        """Forget outputs that are still named but in no cache any more (``cache: false``)."""
        for path in list(self._ledger.outputs):
            entry = self._ledger.outputs[path]
            named_only = path in named and path not in one.stated
            if named_only and entry.source not in broken and entry.root == one.name:
                self._ledger.drop(path)

    def _remove(
        self, change: Change, one: Repository, path: str, entry: Entry, tracked: set[str]
    ) -> None:
        if loses_cache(one, self._worktree, entry.cache):
            self._note(messages.left_behind(path, "the sparse checkout leaves out its cache"))
            return
        try:
            did = change.remove(path, entry, tracked, self._dry_run)
        except Stays as error:
            # Not forgotten: it may be removed once its bytes are in the cache.
            self._note(messages.left_behind(path, str(error)))
            return
        if did:
            self.report.done[path] = "removed"
        if not self._dry_run:
            self._ledger.drop(path)

    def _tracked(self, paths: list[str]) -> set[str]:
        return gitrepo.tracked_files(self._worktree, paths, _SECONDS)

    def _follow(self, change: Change, one: Repository, out: Output, tracked: set[str]) -> None:
        seen = seen_of(out, self._taken.seen)
        try:
            did = change.follow(out, tracked, seen, self._dry_run)
        except Stays as error:
            self._note(messages.stays(out, error))
            if not error.followed:
                return
            did = True
        if did:
            self.report.done[out.path] = "updated"
        if not self._dry_run:
            self._ledger.drop(out.path)
            self._ledger.outputs[out.path] = entry_of(out, one, seen)

    def _in_use(self, path: str, busy: Iterable[User]) -> bool:
        full = os.path.join(self._worktree.toplevel, path)
        for user in busy:
            if user.blocks and (user.paths is None or any(_meet(full, p) for p in user.paths)):
                self._note(messages.busy(path, user))
                return True
        return False

    def _note(self, problem: Problem) -> None:
        self._ledger.problems[problem.path] = problem


def _meet(one: str, other: str) -> bool:
    """Tell whether one path is the other or holds it."""
    return f"{one}{os.sep}".startswith(f"{other}{os.sep}") or other.startswith(f"{one}{os.sep}")
