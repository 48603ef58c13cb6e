"""Where Git looks for this worktree's hooks, and who else would run what is put there."""

from __future__ import annotations

import os
from dataclasses import dataclass

from mlflow_dvc_plugin.errors import MlflowDvcError
from mlflow_dvc_plugin.gitdir import Worktree, find_worktree
from mlflow_dvc_plugin.gitrepo import GitError, call_git, call_git_z

_GLOBAL = ("global", "system")
_USAGE = 129  # Git's exit status for an option that it does not know


@dataclass(frozen=True)
class HooksFolder:
    """The absolute path of the hooks folder of a worktree.

    ``shared`` says in words who else uses the folder, "" when it is this repository's alone.
    ``committable`` tells whether ``git add --all`` would take up what is put there.
    """

    worktree: Worktree
    path: str
    shared: str
    committable: bool


def find_hooks_folder(start: str) -> HooksFolder:
    """Return the folder whose hooks Git runs for the worktree that holds ``start``.

    Raises MlflowDvcError when there is no worktree, or when Git is told to run no hooks.
    """
    worktree = find_worktree(start)
    if worktree is None:
        raise MlflowDvcError(f"there is no Git repository in {start} or above it", "git init")
    out = call_git(worktree.toplevel, "rev-parse", "--git-path", "hooks")
    name = os.fsdecode(out).removesuffix("\n")
    path = os.path.normpath(os.path.join(worktree.toplevel, name))
    if os.path.lexists(path) and not os.path.isdir(path):
        raise MlflowDvcError(
            f"Git runs no hooks here: core.hooksPath is {path}, which is no folder",
            "git config --unset core.hooksPath",
        )
    return HooksFolder(worktree, path, _shared(worktree, path), _committable(worktree, path))


def _shared(worktree: Worktree, path: str) -> str:
    if _tracked(path):
        return "Git tracks files in it: it is shared with everybody who clones them"
    scope, value = _setting(worktree)
    # A relative one is a folder in each repository.
    if scope in _GLOBAL and (os.path.isabs(value) or value.startswith(("~", "%"))):
        return f"the {scope} core.hooksPath names it: every repository of yours runs its hooks"
    return ""


def _tracked(path: str) -> bool:
    """Tell whether any Git repository, not only this one, tracks a file of the folder."""
    if not os.path.isdir(path):
        return False
    try:
        # Inside a Git folder, ls-files would list all of its worktree.
        inside = call_git(path, "rev-parse", "--is-inside-work-tree").strip() == b"true"
        return inside and bool(call_git_z(path, "ls-files", "-z", "--", "."))
    except GitError:
        return False  # outside of any repository


def _setting(worktree: Worktree) -> tuple[str, str]:
    """Return where core.hooksPath is set (``local``, ``global``, ...) and to what; "" when not."""
    try:
        out = call_git(worktree.toplevel, "config", "--show-scope", "--get", "core.hooksPath")
    except GitError as error:
        if error.code != _USAGE:
            return "", ""
        # Git before 2.26 does not tell the scope: the careful answer is the widest one.
        value = _hooks_path(worktree)
        return ("global" if value else ""), value
    scope, _, value = os.fsdecode(out).removesuffix("\n").partition("\t")
    return scope, value


def _hooks_path(worktree: Worktree) -> str:
    try:
        out = call_git(worktree.toplevel, "config", "--get", "core.hooksPath")
    except GitError:
        return ""
    return os.fsdecode(out).removesuffix("\n")


def _committable(worktree: Worktree, path: str) -> bool:
    """Tell whether the folder is in the worktree, and no ``.gitignore`` matches what is in it."""
    if not _inside(path, worktree.toplevel) or _inside(path, worktree.common_dir):
        return False
    name = os.path.join(os.path.realpath(path), "pre-commit")
    try:
        call_git(worktree.toplevel, "check-ignore", "-q", "--", name)
    except GitError as error:
        return error.code == 1
    return False


def _inside(path: str, folder: str) -> bool:
    path, folder = os.path.realpath(path), os.path.realpath(folder)
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)
