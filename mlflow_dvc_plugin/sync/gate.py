"""What lets the hook scripts see, without Python, that no DVC metadata has changed.

Two files in the worktree's state folder. ``tracked`` is Git's list of the metadata files in the
index, and which of them a sparse checkout leaves out. ``index`` is a private Git index of all
metadata files on disk, untracked ones included: with it ``git diff-files`` compares identity, and
content where that is in doubt, by Git's own rules.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable

from mlflow_dvc_plugin.gitdir import Worktree
from mlflow_dvc_plugin.gitrepo import call_git

# As in hooks/post-index-change.
PATTERNS = ("*.dvc", "*dvc.yaml", "*dvc.lock", "*.dvcignore", "*.dvc/config")
_NEW = ".new"


class Gate:
    """The gate of one worktree, taken before the metadata is read, and kept when all is done."""

    def __init__(self, worktree: Worktree, folder: str) -> None:
        self._worktree = worktree
        self._index = os.path.join(folder, "index")
        self._tracked = os.path.join(folder, "tracked")
        os.makedirs(folder, exist_ok=True)

    def take(self) -> dict[str, str]:
        """Write down what is there now; raises GitError, OSError.

        Returns the identity of each metadata file on disk, by its path below the toplevel.
        """
        root = self._worktree.toplevel
        tracked = call_git(root, "ls-files", "-s", "-t", "--", *PATTERNS)
        deleted = call_git(root, "ls-files", "-d", "--", *PATTERNS)
        with open(self._tracked + _NEW, "wb") as file:
            # Nothing tells when a deleted file comes back: let the scripts find a difference.
            file.write(tracked + deleted)
        names = call_git(root, "ls-files", "-z", "-c", "-o", "--exclude-standard", "--", *PATTERNS)
        there = _existing(root, names.split(b"\0"))
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._index + _NEW)
        call_git(
            root, "-c", "core.splitIndex=false", "-c", "core.fsmonitor=false", "-c",
            f"core.hooksPath={os.devnull}", "update-index", "-z", "--add", "--info-only", "--stdin",
            stdin=b"\0".join(there), env={"GIT_INDEX_FILE": self._index + _NEW},
        )  # fmt: skip
        return {os.fsdecode(name): _identity(os.path.join(os.fsencode(root), name))
                for name in there}  # fmt: skip

    def keep(self) -> None:
        """Let the scripts compare with what was taken."""
        for path in (self._tracked, self._index):
            if os.path.exists(path + _NEW):
                os.replace(path + _NEW, path)
            else:  # no metadata file at all: Git writes no empty index
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)


def _existing(root: str, names: Iterable[bytes]) -> list[bytes]:
    folder = os.fsencode(root)
    return sorted({name for name in names if name and os.path.isfile(os.path.join(folder, name))})


def _identity(path: bytes) -> str:
    """Return what changes whenever somebody writes the file, "" when it has just gone."""
    try:
        info = os.stat(path)
    except OSError:
        return ""
    return f"{info.st_mtime_ns} {info.st_ino} {info.st_size}"
