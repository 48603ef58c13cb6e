"""The checks of ``mlflow-dvc doctor`` for Git hooks and merge drivers, ours and DVC's."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mlflow_dvc_plugin.cli.checks import Check

if TYPE_CHECKING:
    from mlflow_dvc_plugin.gitdir import Worktree

_DRIVER = "dvc git-hook merge-driver"


def merge_driver() -> Iterator[Check]:
    """Find DVC's merge driver where it drops one side of a merge, and says that all went well.

    It looks for a DVC repository at the worktree's top; without one it returns 0 and has merged
    nothing (dvc/commands/git_hook.py). So it must not be used where DVC lives in subfolders only.
    """
    from mlflow_dvc_plugin.gitdir import find_worktree
    from mlflow_dvc_plugin.gitrepo import GitError, call_git_z

    worktree = find_worktree(os.getcwd())
    if worktree is None or os.path.isdir(os.path.join(worktree.toplevel, ".dvc")):
        return
    try:
        found = call_git_z(
            worktree.toplevel, "config", "-z", "--get-regexp", r"^merge\..*\.driver$"
        )
    except GitError:
        return  # none is configured
    for entry in found:
        key, _, value = entry.partition("\n")
        if _DRIVER in value:
            yield _judged(worktree, key.removesuffix(".driver"))


def git_hooks() -> Iterator[Check]:
    """Tell whether our hooks are whole, where any of them is installed."""
    from mlflow_dvc_plugin.gitdir import find_worktree
    from mlflow_dvc_plugin.sync.hooksfolder import find_hooks_folder
    from mlflow_dvc_plugin.sync.hookstatus import hints, hook_status

    if find_worktree(os.getcwd()) is None:
        return
    found = hook_status(find_hooks_folder(os.getcwd()))
    wrong = [f"{one.event} {one.text}" for one in found if not one.fine]
    if not wrong:
        yield Check("git hooks", "ok", "installed and current")
    elif all(one.state == "absent" for one in found):
        text = "not installed: data does not follow Git, and commits are not checked"
        yield Check("git hooks", "note", text, "mlflow-dvc install")
    else:
        yield Check("git hooks", "problem", "; ".join(wrong), hints(found))


def _judged(worktree: Worktree, section: str) -> Check:
    """Return a problem when an attribute makes Git use the driver for DVC metadata, else a note."""
    fix = f"git config --remove-section {shlex.quote(section)}"
    name = section.partition(".")[2]
    text = f"{section}.driver is DVC's, which merges nothing where DVC lives in a subfolder"
    if name in _used_for_metadata(worktree):
        text += ", and says it did: merges lose the other side's change of .dvc files"
        return Check("merge driver", "problem", text, fix)
    return Check("merge driver", "note", f"{text}; no .gitattributes asks for it", fix)


def _used_for_metadata(worktree: Worktree) -> set[str]:
    """Return the names of the merge drivers that attributes set for tracked DVC metadata."""
    from mlflow_dvc_plugin.gitrepo import call_git_z

    root = worktree.toplevel
    paths = call_git_z(root, "ls-files", "-z", "--", "*.dvc", "*dvc.lock", "*dvc.yaml")
    listed = b"".join(os.fsencode(path) + b"\0" for path in paths)
    answers = call_git_z(root, "check-attr", "-z", "--stdin", "merge", stdin=listed)
    return set(answers[2::3])  # path, attribute, value
