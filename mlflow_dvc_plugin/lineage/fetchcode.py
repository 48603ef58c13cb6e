"""Get the commit or snapshot of a run into the repository, from the Git remotes when need be.

No ref, no tag, no FETCH_HEAD and no shallow boundary of the user's is written: what comes is held
by the worktree that is made from it.
"""

from __future__ import annotations

from mlflow_dvc_plugin.errors import MlflowDvcError
from mlflow_dvc_plugin.gitdir import Worktree
from mlflow_dvc_plugin.gitrepo import (
    NO_HOOKS,
    GitError,
    call_git,
    how_to_fetch,
    is_here,
    is_shallow,
    remote_names,
)
from mlflow_dvc_plugin.gitrepo.snapshot import SHARED

_SECONDS = 600.0
# Empty, and not absent: then Git asks neither on the terminal nor in a window.
_NO_QUESTIONS = {"GIT_ASKPASS": "", "SSH_ASKPASS_REQUIRE": "never"}
_QUIET = (*NO_HOOKS, "-c", "gc.auto=0", "-c", "maintenance.auto=false")


def ensure(worktree: Worktree, commit: str, *, snapshot: bool) -> str | None:
    """Get the commit (an id); return the remote that it came from, None when it was here.

    Raises MlflowDvcError with every place that was tried.
    """
    if is_here(worktree.toplevel, commit):
        return None
    tried = ["this repository: not there"]
    for remote in remote_names(worktree.toplevel):
        for want in _wants(commit, snapshot):
            reason = _fetched(worktree, remote, want)
            if is_here(worktree.toplevel, commit):
                return remote
        tried.append(f"Git remote '{remote}': {reason or 'not there'}")
    what = "snapshot" if snapshot else "commit"
    listed = "".join(f"\n  tried {one}" for one in tried)
    raise MlflowDvcError(f"the run's {what} {commit} is missing{listed}", _hint(worktree, snapshot))


def _wants(commit: str, snapshot: bool) -> list[tuple[str, ...]]:
    """Return what to ask for, the last for servers that give no commit by its id.

    Git takes a pattern only with refs to write to; ``--dry-run`` fetches and does not write them.
    """
    if snapshot:
        return [(SHARED + commit,), (commit,)]
    return [(commit,), (SHARED + commit,), ("--dry-run", "+refs/heads/*:refs/mlflow-dvc/fetched/*")]


def _fetched(worktree: Worktree, remote: str, want: tuple[str, ...]) -> str:
    """Fetch; return why that failed, "" when it did not."""
    *options, ref = want
    try:
        call_git(
            worktree.toplevel, *_QUIET, "fetch", "--quiet", "--no-tags", "--no-write-fetch-head",
            "--no-recurse-submodules", "--refmap=", *options, "--end-of-options", remote, ref,
            timeout=_SECONDS, env=_NO_QUESTIONS,
        )  # fmt: skip
    except GitError as error:
        return error.message
    return ""


def _hint(worktree: Worktree, snapshot: bool) -> str:
    if snapshot:
        return "where the run was made: mlflow-dvc push RUN"
    if is_shallow(worktree.toplevel):
        return how_to_fetch(worktree.toplevel)
    return "go to the repository that the run was made in, or where it was made: git push"
