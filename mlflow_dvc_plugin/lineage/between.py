"""The commits that lie between two runs, or between a run and the worktree."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from mlflow_dvc_plugin import gitdir
from mlflow_dvc_plugin.errors import MlflowDvcError
from mlflow_dvc_plugin.gitdir import Worktree
from mlflow_dvc_plugin.gitrepo import GitError, call_git
from mlflow_dvc_plugin.lineage.record import Record

_LISTED = 20  # commits named one by one
_PATIENCE = 120.0  # seconds
# The user's own settings change nothing in what is said.
PLAIN = ("-c", "diff.suppressBlankEmpty=false", "-c", "core.quotePath=true")


@dataclass(frozen=True)
class Commit:
    """A commit that only one side has: the ``first`` or not."""

    first: bool
    id: str
    subject: str


def between(
    worktree: Worktree, first: Record, second: Record | None, here: Mapping[str, str]
) -> tuple[tuple[int, int] | None, tuple[Commit, ...]]:
    """Return how many commits only one side has, and the newest of them."""
    one = first.commit
    other = second.commit if second else _head(worktree)
    if not one or not other or one not in here or (second and other not in here):
        return None, ()
    if one == other:
        return (0, 0), ()
    if is_shallow(worktree):
        return None, ()  # its history ends somewhere: a count would be too small
    both = ("--end-of-options", f"{one}...{other}", "--")
    top = worktree.toplevel
    try:
        out = call_git(top, "rev-list", "--left-right", "--count", *both, timeout=_PATIENCE)
        log = call_git(
            top, *PLAIN, "log", "-z", "--left-right", "--no-show-signature", "--no-color",
            "--encoding=UTF-8", f"--max-count={_LISTED}", "--format=%m%H %s", *both,
            timeout=_PATIENCE,
        )  # fmt: skip
    except MlflowDvcError:
        return None, ()
    left, right = out.split()
    return (int(left), int(right)), tuple(map(_commit, filter(None, log.split(b"\0"))))


def _commit(line: bytes) -> Commit:
    name, _, subject = line.decode("utf-8", "replace").partition(" ")
    return Commit(name[0] == "<", name[1:], subject)


def is_shallow(worktree: Worktree) -> bool:
    """Tell whether the history here ends somewhere."""
    return os.path.exists(os.path.join(worktree.common_dir, "shallow"))


def _head(worktree: Worktree) -> str | None:
    commit, branch = gitdir.read_head(worktree)
    if commit or branch:
        return commit
    try:  # refs that only Git can read
        out = call_git(worktree.toplevel, "rev-parse", "--verify", "--quiet", "HEAD")
    except GitError:
        return None
    return out.decode().strip()
