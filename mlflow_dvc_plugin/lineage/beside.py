"""A linked worktree beside the repository, made for one run, and taken back when that fails."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Iterator, Mapping

from mlflow_dvc_plugin.errors import MlflowDvcError
from mlflow_dvc_plugin.gitdir import Worktree, find_worktree, linked_folders
from mlflow_dvc_plugin.gitrepo import NO_HOOKS, NO_OWN_HOOKS, GitError, call_git, call_git_z
from mlflow_dvc_plugin.lineage.standing import Mark, mark_at
from mlflow_dvc_plugin.sync.locking import one_at_a_time

# A big tree, or filters that download (Git LFS), take their time.
_SECONDS = 3600.0


def require_free(worktree: Worktree, folder: str) -> None:
    """Raise MlflowDvcError unless the absolute path is free, or an empty folder.

    Also when Git knows a worktree there whose folder is away just now: it is somebody's.
    """
    hint = "name another one: --to DIR"
    if os.path.islink(folder) or (os.path.lexists(folder) and not os.path.isdir(folder)):
        raise MlflowDvcError(f"{folder} is there already", hint)
    if os.path.isdir(folder) and os.listdir(folder):
        raise MlflowDvcError(f"{folder} is not empty", hint)
    if folder in linked_folders(worktree):
        raise MlflowDvcError(
            f"Git knows a worktree at {folder}, which is away", "git worktree prune; or --to DIR"
        )


def make(worktree: Worktree, folder: str, commit: str) -> Worktree:
    """Check the commit out there, detached and whole, and return the new worktree.

    A sparse checkout of the user's is not taken over: the run's tree is brought back as it was.
    Raises MlflowDvcError; then nothing is left of it.
    """
    # Of two at once for the same folder, the later one must not take back what the other has made.
    lock = os.path.join(worktree.common_dir, "mlflow-dvc", "restore")
    os.makedirs(lock, exist_ok=True)
    with one_at_a_time(lock):
        require_free(worktree, folder)
        _add(worktree, folder, commit)
    made = find_worktree(folder)
    if made is None or made.toplevel != os.path.realpath(folder):
        raise MlflowDvcError(f"Git made no worktree in {folder}")
    if os.path.exists(os.path.join(made.git_dir, "config.worktree")):
        with contextlib.suppress(GitError):
            call_git(made.toplevel, "config", "--worktree", "core.sparseCheckout", "false")
    return made


def _add(worktree: Worktree, folder: str, commit: str) -> None:
    was_there = os.path.isdir(folder)
    try:
        call_git(
            worktree.toplevel, *NO_HOOKS, "-c", "core.sparseCheckout=false",
            "-c", "submodule.recurse=false", "worktree", "add", "--detach", "--quiet",
            "--", folder, commit, timeout=_SECONDS, env=NO_OWN_HOOKS,
        )  # fmt: skip
    except BaseException:
        take_back(worktree, folder, commit, {}, keep=was_there)
        raise


def take_back(
    worktree: Worktree,
    folder: str,
    commit: str | None,
    ours: Mapping[str, Mark | None],
    *,
    keep: bool = False,
) -> str | None:
    """Remove the worktree again; return why it stays, when it holds what this call did not make.

    ``ours`` are the data files put there, as in :class:`putting.Put`; ``keep`` leaves an empty
    folder, as it was.
    """
    if not os.path.lexists(folder):
        _prune(worktree, folder)
        return None
    if strange := _strange(worktree, folder, commit, ours):
        return f"{folder} stays: {strange} was not made by this restore"
    _remove_tree(folder)
    _prune(worktree, folder)
    if keep:
        os.makedirs(folder, exist_ok=True)
    return None


def _strange(
    worktree: Worktree, folder: str, commit: str | None, ours: Mapping[str, Mark | None]
) -> str | None:
    """Return a file that is neither the commit's, as it is there, nor ours."""
    tree: set[str] = set()
    if commit is not None:
        try:
            listed = call_git_z(worktree.toplevel, "ls-tree", "-r", "-z", "--name-only", commit)
        except GitError:
            return "all of it"
        tree.update(listed)
    edited = _edited(folder)
    for path in _files(folder):
        inside = os.path.relpath(path, folder).replace(os.sep, "/")
        if inside in edited:
            return path
        if inside not in tree and not _is_ours(path, inside) and not _stands(path, ours):
            return path
    return None


def _stands(path: str, ours: Mapping[str, Mark | None]) -> bool:
    """Tell whether it is a file of this restore, as it was put there."""
    mark = ours.get(path)
    return mark is not None and mark == mark_at(path)


def _files(folder: str) -> Iterator[str]:
    for above, folders, names in os.walk(folder):
        links = [name for name in folders if os.path.islink(os.path.join(above, name))]
        folders[:] = [name for name in folders if name not in links]
        yield from (os.path.join(above, name) for name in [*names, *links])


def _is_ours(path: str, inside: str) -> bool:
    """Tell whether it is Git's own, our link to the main worktree's cache, or scratch."""
    shared = inside.endswith((".dvc/cache", ".dvc/config.local")) and os.path.islink(path)
    return inside == ".git" or shared or ".dvc/tmp/" in inside


def _edited(folder: str) -> set[str]:
    """Return tracked files with other content than the index; none while there is no index yet."""
    found = find_worktree(folder)
    if found is None or found.toplevel != os.path.realpath(folder):
        return set()
    if os.path.exists(os.path.join(found.git_dir, "index.lock")):
        return set()  # Git was stopped while it wrote the files: all there are its own
    with contextlib.suppress(GitError):
        return set(call_git_z(folder, "diff-files", "-z", "--name-only", "--diff-filter=d"))
    return set()


def _remove_tree(folder: str) -> None:
    for above, _, _ in os.walk(folder):
        with contextlib.suppress(OSError):
            os.chmod(above, stat.S_IMODE(os.stat(above).st_mode) | stat.S_IRWXU)
    shutil.rmtree(folder, ignore_errors=True)


def _prune(worktree: Worktree, folder: str) -> None:
    """Let Git forget the worktree whose folder is gone; no other one."""
    with contextlib.suppress(GitError):
        call_git(worktree.toplevel, "worktree", "remove", "--force", "--force", "--", folder)
