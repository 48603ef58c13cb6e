"""Give a linked Git worktree the DVC cache and the local settings of the main one.

By symbolic links, so that nothing secret is copied and DVC's own commands find them too. Without
them a linked worktree starts with an empty cache and without credentials.
"""

from __future__ import annotations

import contextlib
import os

from mlflow_dvc_plugin.capture.dvcconfig import read_config
from mlflow_dvc_plugin.gitdir import Worktree
from mlflow_dvc_plugin.gitrepo import GitError, call_git_z

_SHARED = ("cache", "config.local")


def share_with_main(worktree: Worktree, dvc_root: str) -> None:
    """Link what is not there yet; whatever is there is left as it is.

    Only names that Git ignores, and only where the main worktree has the same DVC repository.
    """
    ours, theirs = os.path.join(dvc_root, ".dvc"), _theirs(worktree, dvc_root)
    if not theirs or not os.path.isdir(ours) or not os.path.isdir(theirs):
        return
    wanted = [name for name in _SHARED if not os.path.lexists(os.path.join(ours, name))]
    if read_config(ours).cache_dir:
        wanted = [name for name in wanted if name != "cache"]
    if not wanted or not _ignored(worktree, [os.path.join(ours, name) for name in wanted]):
        return
    for shared in wanted:
        with contextlib.suppress(OSError):  # a file system without links: each has its own
            os.symlink(os.path.join(theirs, shared), os.path.join(ours, shared))


def unshare(worktree: Worktree, dvc_root: str) -> None:
    """Take the links back."""
    theirs = _theirs(worktree, dvc_root)
    for shared in _SHARED if theirs else ():
        link = os.path.join(dvc_root, ".dvc", shared)
        with contextlib.suppress(OSError):  # no link, or nothing at all
            if os.readlink(link) == os.path.join(theirs or "", shared):
                os.unlink(link)


def _theirs(worktree: Worktree, dvc_root: str) -> str | None:
    """Return DVC's folder of the same repository in the main worktree, None when this is it."""
    if worktree.main is None:
        return None
    inside = os.path.relpath(dvc_root, worktree.toplevel)
    return os.path.normpath(os.path.join(worktree.main, inside, ".dvc"))


def _ignored(worktree: Worktree, paths: list[str]) -> bool:
    names = [os.path.relpath(path, worktree.toplevel).replace(os.sep, "/") for path in paths]
    try:
        listed = "\0".join(names).encode("utf-8", "surrogateescape")
        found = call_git_z(worktree.toplevel, "check-ignore", "-z", "--stdin", stdin=listed)
    except GitError:
        return False
    return set(found) == set(names)
