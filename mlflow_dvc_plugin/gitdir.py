"""Find a Git worktree and its HEAD by reading files, for when no ``git`` program can answer.

The layout is Git's own (gitrepository-layout(5)): ``.git`` is a folder, or in linked worktrees
and submodules a file ``gitdir: <path>``; a linked worktree's ``commondir`` names the folder that
holds the refs.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from mlflow_dvc_plugin.errors import MlflowDvcError

_HEX = frozenset("0123456789abcdef")
_LENGTHS = (40, 64)  # SHA-1, SHA-256


class Worktree(NamedTuple):
    """A Git worktree: absolute paths of its toplevel, its own Git folder and the shared one."""

    toplevel: str
    git_dir: str
    common_dir: str

    @property
    def main(self) -> str | None:
        """The toplevel of the main worktree when this is a linked one, else None."""
        toplevel, name = os.path.split(self.common_dir)
        return toplevel if self.git_dir != self.common_dir and name == ".git" else None


def find_worktree(start: str) -> Worktree | None:
    """Return the worktree that holds the absolute path ``start``, or None.

    A ``.git`` that is no repository (an empty folder, a broken link) is passed over, as Git does.
    """
    folder = os.path.realpath(start)
    while True:
        found = _worktree_at(folder)
        if found is not None:
            return found
        parent = os.path.dirname(folder)
        if parent == folder:
            return None
        folder = parent


def require_worktree(start: str) -> Worktree:
    """Return the worktree that holds ``start``; raises MlflowDvcError where there is none."""
    worktree = find_worktree(start)
    if worktree is None:
        raise MlflowDvcError("this is no Git worktree", "go to the project, or: git init")
    return worktree


def _worktree_at(folder: str) -> Worktree | None:
    git_dir = os.path.join(folder, ".git")
    if os.path.isfile(git_dir):
        target = _read_text(git_dir)
        if not target.startswith("gitdir:"):
            return None
        git_dir = os.path.normpath(os.path.join(folder, target[len("gitdir:") :].strip()))
    if not os.path.lexists(os.path.join(git_dir, "HEAD")):
        return None
    common = _read_text(os.path.join(git_dir, "commondir")).strip()
    common_dir = os.path.normpath(os.path.join(git_dir, common)) if common else git_dir
    if not os.path.isdir(os.path.join(common_dir, "objects")):
        return None
    return Worktree(folder, git_dir, common_dir)


def read_head(worktree: Worktree) -> tuple[str | None, str | None]:
    """Return (commit, branch) of HEAD; each None when unborn, detached or not readable here.

    Reads loose and packed refs. A ``reftable`` repository keeps its refs elsewhere: (None, None).
    """
    text = _read_text(os.path.join(worktree.git_dir, "HEAD")).strip()
    if not text.startswith("ref:"):
        return (text if _is_object_id(text) else None), None
    ref = text[len("ref:") :].strip()
    branch = ref[len("refs/heads/") :] if ref.startswith("refs/heads/") else None
    if branch == ".invalid":
        return None, None
    return _read_ref(worktree, ref, depth=5), branch


def linked_folders(worktree: Worktree) -> set[str]:
    """Return the folders of the repository's linked worktrees, also of those that are away.

    Raises OSError where the list cannot be read.
    """
    above = os.path.join(worktree.common_dir, "worktrees")
    found = set()
    for name in os.listdir(above) if os.path.lexists(above) else ():
        # Relative since Git 2.48, with worktree.useRelativePaths.
        target = _read_text(os.path.join(above, name, "gitdir")).rstrip("\n")
        folder = os.path.dirname(os.path.normpath(os.path.join(above, name, target)))
        found |= {folder, os.path.realpath(folder)}
    return found


def _read_ref(worktree: Worktree, ref: str, depth: int) -> str | None:
    for base in (worktree.git_dir, worktree.common_dir):
        text = _read_text(os.path.join(base, ref)).strip()
        if text.startswith("ref:") and depth:
            return _read_ref(worktree, text[len("ref:") :].strip(), depth - 1)
        if _is_object_id(text):
            return text
    for line in _read_text(os.path.join(worktree.common_dir, "packed-refs")).splitlines():
        commit, _, name = line.partition(" ")
        if name == ref and _is_object_id(commit):
            return commit
    return None


def _is_object_id(text: str) -> bool:
    # A regular expression takes longer to compile than all of this module to import.
    return len(text) in _LENGTHS and _HEX.issuperset(text)


def _read_text(path: str) -> str:
    """Return the file's text with undecodable bytes kept, or "" when there is no such file."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except OSError:
        return ""
