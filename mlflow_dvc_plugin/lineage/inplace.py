"""Bring a run back in the worktree itself: only from a clean one, and never by force."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from mlflow_dvc_plugin import gitrepo
from mlflow_dvc_plugin.capture.background import Background
from mlflow_dvc_plugin.capture.hashing import scheme_of
from mlflow_dvc_plugin.errors import MlflowDvcError
from mlflow_dvc_plugin.gitdir import Worktree, read_head
from mlflow_dvc_plugin.gitrepo import NO_HOOKS, NO_OWN_HOOKS, GitError, call_git
from mlflow_dvc_plugin.lineage.needs import Need
from mlflow_dvc_plugin.provenance import Output
from mlflow_dvc_plugin.sync.change import Change
from mlflow_dvc_plugin.sync.engine import sync
from mlflow_dvc_plugin.sync.events import state_folder
from mlflow_dvc_plugin.sync.gate import Gate, Taken
from mlflow_dvc_plugin.sync.job import Stays
from mlflow_dvc_plugin.sync.ledger import Ledger
from mlflow_dvc_plugin.sync.linked import share_with_main
from mlflow_dvc_plugin.sync.locking import one_at_a_time
from mlflow_dvc_plugin.sync.objects import Cache
from mlflow_dvc_plugin.sync.running import users
from mlflow_dvc_plugin.sync.worktree import Repository, entry_of, repositories, seen_of

_SECONDS = 3600.0
_UNFINISHED = ("MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "BISECT_LOG", "rebase-merge",
               "rebase-apply", "sequencer")  # fmt: skip


def require_clean(worktree: Worktree) -> None:
    """Raise MlflowDvcError when a tracked file differs from HEAD, or Git is in the middle of it."""
    status = gitrepo.status(worktree, _SECONDS, untracked=False)
    if status.changed:
        some = ", ".join(status.changed[:3]) + (" ..." if len(status.changed) > 3 else "")
        raise MlflowDvcError(
            f"the tree is dirty ({some}): nothing is brought back into it",
            "git commit, or git stash; or leave out --in-place",
        )
    for name in _UNFINISHED:
        if os.path.exists(os.path.join(worktree.git_dir, name)):
            raise MlflowDvcError(f"Git has something unfinished here ({name})", "git status")


def require_saved(worktree: Worktree) -> None:
    """Raise MlflowDvcError when data has changes that are in no cache, or a job uses it."""
    with _Work(worktree) as work:
        for one in work.found:
            if one.broken:
                name, reason = next(iter(one.broken.items()))
                raise MlflowDvcError(f"{name} cannot be read ({reason})", "dvc status")
            for user in users(one.repo.root):
                if user.blocks:
                    raise MlflowDvcError(f"{user.what} uses the data", "wait until that has ended")
            _require_saved(work, one)


def _require_saved(work: _Work, one: Repository) -> None:
    change = Change(work.worktree, one, work.ledger)
    for out in one.stated.values():
        if reason := _unsaved(change, one, out, work):
            hint = f"keep it: dvc add {out.path}, or dvc commit; or leave out --in-place"
            raise MlflowDvcError(f"{out.path} has unsaved data: {reason}", hint)


def _unsaved(change: Change, one: Repository, out: Output, work: _Work) -> str | None:
    """Return why bytes would be lost, or would stand in the way; None when all are in the cache."""
    try:
        if not change.follow(out, work.tracked([out.path]), "", dry_run=True):
            return None
    except Stays as error:
        # Whatever else stands against it is no loss: then it stays as it is.
        return str(error) if error.unsaved else None
    state = one.repo.disk.state_of(out)
    cache = Cache(one.cache, one.repo.root, one.site_cache, work.ledger.verified)
    if state.status != "modified" or (state.hash and cache.holds(state.hash, out.scheme)):
        return None
    return "as it is now it is in no cache"


def check_out(worktree: Worktree, commit: str) -> str:
    """Go to the commit, without a branch; return what HEAD was: a branch, or a commit.

    Git refuses to overwrite untracked files, and here ignored ones as well.
    """
    before, branch = read_head(worktree)
    try:
        call_git(
            worktree.toplevel, *NO_HOOKS, "-c", "submodule.recurse=false", "checkout", "--quiet",
            "--detach", "--no-overwrite-ignore", commit, "--", timeout=_SECONDS, env=NO_OWN_HOOKS,
        )  # fmt: skip
    except GitError as error:
        hint = "move the files away that are in the way; or leave out --in-place"
        raise MlflowDvcError(error.message, hint) from error
    return branch or before or "HEAD"


def go_back(worktree: Worktree, rev: str) -> None:
    """Return to the branch or commit that :func:`check_out` came from."""
    call_git(
        worktree.toplevel, *NO_HOOKS, "-c", "submodule.recurse=false", "checkout", "--quiet",
        "--no-overwrite-ignore", rev, "--", timeout=_SECONDS, env=NO_OWN_HOOKS,
    )  # fmt: skip


def follow(
    worktree: Worktree, needs: Sequence[Need], cache_of: Callable[[str], str | None],
    executable: Collection[str], *, metadata_too: bool,
) -> dict[str, str]:  # fmt: skip
    """Make the data what the run's tags say; return the paths where that did not go, with why.

    ``metadata_too``: all other data follows the metadata first. ``cache_of`` gives the folder that
    holds the objects of a DVC repository.
    """
    failed = {}
    if metadata_too:
        wanted = {need.path for need in needs}
        problems = sync(worktree, every=True).problems
        failed = {path: one.text for path, one in problems.items() if path not in wanted}
    with _Work(worktree, keep=True) as work:
        left = list(needs)
        # The deepest first: a path belongs to the repository that is nearest to it.
        for one in sorted(work.found, key=lambda one: len(one.repo.root), reverse=True):
            prefix = "" if one.name == "." else f"{one.name}/"
            here = one._replace(cache=cache_of(prefix.rstrip("/")) or one.cache)
            share_with_main(worktree, one.repo.root)
            change = Change(worktree, here, work.ledger)
            for need in [need for need in left if need.path.startswith(prefix)]:
                left.remove(need)
                try:
                    _one(work, here, change, need, need.path in executable)
                except Stays as error:
                    failed[need.path] = str(error)
            here.repo.store.save()
        failed.update({need.path: "no DVC repository holds its place" for need in left})
    return failed


@contextmanager
def adopting(
    worktree: Worktree, needs: Sequence[Need], cache_of: Callable[[str], str | None]
) -> Iterator[None]:
    """Let the hooks take what comes into a new worktree meanwhile for what its metadata led to.

    Its metadata is read at the same time: that is Git's work, and the data waits for the disk.
    """
    work = _Work(worktree, keep=True)

    def begin() -> None:
        stack.enter_context(work)
        for one in work.found:
            share_with_main(worktree, one.repo.root)

    with ExitStack() as stack:
        with Background(begin) as begun:
            yield
        begun.result()
        for one in work.found:
            folder = cache_of("" if one.name == "." else one.name)
            here = one._replace(cache=folder or one.cache)
            for need in needs:
                work.note(here, need.path)


def _one(work: _Work, one: Repository, change: Change, need: Need, executable: bool) -> None:
    out = Output(
        need.path, need.hash, need.path, scheme_of(need.legacy),
        isdir=need.hash.endswith(".dir"), isexec=executable,
    )  # fmt: skip
    change.follow(out, work.tracked([out.path]), "", dry_run=False)
    work.note(one, need.path)


@dataclass
class _Work:
    """The DVC repositories of a worktree while nobody else changes its data; ``with`` holds it.

    ``keep``: what is done is written down for the hooks.
    """

    worktree: Worktree
    keep: bool = False
    ledger: Ledger = field(default_factory=Ledger)
    found: list[Repository] = field(default_factory=list)

    def __enter__(self) -> _Work:
        self._folder = state_folder(self.worktree)
        os.makedirs(self._folder, exist_ok=True)
        self._lock = one_at_a_time(self._folder)
        self._lock.__enter__()
        try:
            self._gate = Gate(self.worktree, self._folder)
            self._taken: Taken = self._gate.take()
            self.ledger = Ledger.read(self._folder)
            self.found = repositories(self.worktree, self.ledger, self._taken)
        except BaseException:
            self._lock.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if self.keep:
                self.ledger.save(self._folder)
                if kind is None:
                    self._gate.keep()
        finally:
            self._lock.__exit__(None, None, None)

    def tracked(self, paths: list[str]) -> set[str]:
        """Return Git's files among and below the paths."""
        return gitrepo.tracked_files(self.worktree, paths, _SECONDS)

    def note(self, one: Repository, path: str) -> None:
        """Write down that the data at the path belongs to the metadata as it is now.

        Also where a run had other data than its commit states: until the metadata changes, no hook
        touches it.
        """
        self.ledger.drop(path)
        out = one.stated.get(path)
        if out is not None:
            self.ledger.outputs[path] = entry_of(out, one, seen_of(out, self._taken.seen))
