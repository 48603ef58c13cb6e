"""What a commit is about to hold: its index, as a tree."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from mlflow_dvc_plugin.capture.files import CommitFiles
from mlflow_dvc_plugin.gitdir import Worktree
from mlflow_dvc_plugin.gitrepo import GitError, call_git, call_git_z

_ZERO = "0" * 40


@dataclass(frozen=True)
class Staged:
    """``files`` is the tree to be; ``entering`` maps paths added or changed to their blob."""

    files: CommitFiles
    entering: Mapping[str, str]
    index: str | None


def read_staged(worktree: Worktree) -> Staged:
    """Read the index that ``GIT_INDEX_FILE`` names, the worktree's own when it names none.

    ``git commit -a`` and ``git commit <path>`` make one of their own. Raises GitError.
    """
    root = worktree.toplevel
    named = os.environ.get("GIT_INDEX_FILE")
    index = os.path.join(root, named) if named else None
    env = {"GIT_INDEX_FILE": index} if index else {}
    tree = call_git(root, "write-tree", env=env).decode().strip()
    return Staged(CommitFiles(root, tree), _entering(root, tree), index)


def _entering(root: str, tree: str) -> dict[str, str]:
    try:
        records = _changed(root, "HEAD", tree)
    except GitError:
        if _has_head(root):
            raise
        records = _changed(root, call_git(root, "mktree").decode().strip(), tree)
    heads, paths = records[::2], records[1::2]
    blobs = {path: head.split(" ")[3] for head, path in zip(heads, paths, strict=True)}
    return {path: blob for path, blob in blobs.items() if heads and blob != _ZERO}


def _has_head(root: str) -> bool:
    """Tell whether the branch has a commit already."""
    try:
        return bool(call_git(root, "rev-parse", "--verify", "--quiet", "HEAD^{commit}"))
    except GitError:
        return False


def _changed(root: str, base: str, tree: str) -> list[str]:
    return call_git_z(
        root, "diff-tree", "-r", "-z", "--no-renames", "--diff-filter=AMT", base, tree
    )


def sizes(root: str, blobs: Mapping[str, str]) -> dict[str, int]:
    """Return path -> size in bytes of these blobs; what is no blob here has none."""
    if not blobs:
        return {}
    names = list(blobs)
    request = "".join(f"{blobs[name]}\n" for name in names).encode()
    lines = call_git(root, "cat-file", "--batch-check", stdin=request).decode().splitlines()
    words = [line.split(" ") for line in lines]
    return {
        name: int(found[2])
        for name, found in zip(names, words, strict=True)
        if len(found) == 3 and found[1] == "blob"
    }


def can_stage(worktree: Worktree, index: str | None) -> bool:
    """Tell whether ``git add`` would reach this commit: it has the worktree's own index, free."""
    own = os.path.join(worktree.git_dir, "index")
    free = not os.path.exists(own + ".lock")
    return free and (index is None or os.path.realpath(index) == os.path.realpath(own))
