"""The checks of ``mlflow-dvc doctor`` for what DVC has set up in Git's configuration."""

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
