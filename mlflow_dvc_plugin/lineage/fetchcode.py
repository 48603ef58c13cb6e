"""Get the commit or snapshot of a run into the repository, from the Git remotes when need be.

No ref, no tag, no FETCH_HEAD and no shallow boundary of the user's is written: what comes is held
by the worktree that is made from it.
"""

from __future__ import annotations

import os

from mlflow_dvc_plugin.errors import MlflowDvcError
from mlflow_dvc_plugin.gitdir import Worktree
from mlflow_dvc_plugin.gitrepo import GitError, call_git

SNAPSHOTS = "refs/mlflow-dvc/snapshots/"
_SECONDS = 600.0
# Empty, and not absent: then Git asks neither on the terminal nor in a window.
_NO_QUESTIONS = {"GIT_ASKPASS": "", "SSH_ASKPASS_REQUIRE": "never"}
_QUIET = ("-c", f"core.hooksPath={os.devnull}", "-c", "gc.auto=0", "-c", "maintenance.auto=false")


def is_here(worktree: Worktree, commit: str) -> bool:
    """Tell whether the commit and its tree are in this repository, without fetching anything."""
    try:
        call_git(
            worktree.toplevel,
            "cat-file",
            "-e",
            f"{commit}^{{tree}}",
            env={"GIT_NO_LAZY_FETCH": "1"},
        )
    except GitError:
        return False
    return True


def remotes_of(worktree: Worktree) -> list[str]:
    """Return the names of the Git remotes, ``origin`` first."""
    names = call_git(worktree.toplevel, "remote").decode("utf-8", "surrogateescape").split("\n")
    return sorted((name for name in names if name), key=lambda name: (name != "origin", name))


def ensure(worktree: Worktree, commit: str, *, snapshot: bool) -> str | None:
    """Get the commit (an id); return the remote that it came from, None when it was here.

    Raises MlflowDvcError with every place that was tried.
    """
    if is_here(worktree, commit):
        return None
    tried = ["this repository: not there"]
    for remote in remotes_of(worktree):
        for want in _wants(commit, snapshot):
            reason = _fetched(worktree, remote, want)
            if is_here(worktree, commit):
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
        return [(SNAPSHOTS + commit,), (commit,)]
    return [(commit,), ("--dry-run", "+refs/heads/*:refs/mlflow-dvc/fetched/*")]


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
    shallow = call_git(worktree.toplevel, "rev-parse", "--is-shallow-repository").strip()
    if shallow == b"true":
        return "git fetch --unshallow"
    return "go to the repository that the run was made in, or where it was made: git push"
