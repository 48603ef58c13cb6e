"""What lets the hook scripts see, without Python, that no DVC metadata has changed.

Two files in the worktree's state folder. ``listed`` is Git's list of the metadata files in its
index, with those that a sparse checkout leaves out marked. ``index`` is a private Git index of all
metadata files on disk, untracked ones included: with it ``git diff-files`` compares identity, and
content where that is in doubt, by Git's own rules.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from typing import NamedTuple

from mlflow_dvc_plugin.gitdir import Worktree
from mlflow_dvc_plugin.gitrepo import NO_HOOKS, call_git
from mlflow_dvc_plugin.sync.quick import PATTERNS

_NEW = ".new"
_ENDINGS = tuple(pattern[1:].encode() for pattern in PATTERNS)


class _Entry(NamedTuple):
    """A metadata file in Git's index: "tag mode id stage", and its name."""

    facts: bytes
    name: bytes


class Taken(NamedTuple):
    """``seen``: the identity of each metadata file on disk, by its path below the toplevel.

    ``tracked``: the metadata files in Git's index. ``untracked``: all that is neither there nor
    ignored; a nested repository as ``name/``.
    """

    seen: dict[str, str]
    tracked: tuple[str, ...]
    untracked: tuple[str, ...]


class Gate:
    """The gate of one worktree, taken before the metadata is read, and kept when all is done."""

    def __init__(self, worktree: Worktree, folder: str) -> None:
        self._worktree = worktree
        self._index = os.path.join(folder, "index")
        self._listed = os.path.join(folder, "listed")
        os.makedirs(folder, exist_ok=True)

    def take(self) -> Taken:
        """Write down what is there now; raises GitError, OSError."""
        root = self._worktree.toplevel
        self._clear()
        listed = call_git(root, "ls-files", "-z", "-s", "-t", "--", *PATTERNS)
        entries = [_Entry(*line.split(b"\t", 1)) for line in listed.split(b"\0")[:-1]]
        others = call_git(root, "ls-files", "-z", "-o", "--exclude-standard").split(b"\0")[:-1]
        untracked = [name for name in others if name.endswith(_ENDINGS)]
        there = _existing(root, [*(entry.name for entry in entries), *untracked])
        # What a link leads to may change without it: no gate.
        linked = any(os.path.islink(os.path.join(os.fsencode(root), name)) for name in there)
        if not linked and _is_settled(root, entries):
            with open(self._listed + _NEW, "wb") as file:
                file.write(listed)
        call_git(
            root, "-c", "core.splitIndex=false", "-c", "core.fsmonitor=false", *NO_HOOKS,
            "update-index", "-z", "--add", "--info-only", "--stdin", stdin=b"\0".join(there),
            env={"GIT_INDEX_FILE": self._index + _NEW},
        )  # fmt: skip
        return Taken(
            {os.fsdecode(name): _identity(os.path.join(os.fsencode(root), name)) for name in there},
            tuple(os.fsdecode(entry.name) for entry in entries),
            tuple(map(os.fsdecode, others)),
        )

    def _clear(self) -> None:
        """Remove what a sync left behind that was killed; a Git index lock would stop all others.

        Nobody else is at work here: a sync holds the lock of the folder.
        """
        for path in (self._listed + _NEW, self._index + _NEW, f"{self._index}{_NEW}.lock"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)

    def keep(self) -> None:
        """Let the scripts compare with what was taken."""
        for path in (self._listed, self._index):
            if os.path.exists(path + _NEW):
                os.replace(path + _NEW, path)
            else:  # no gate; or no metadata file at all: Git writes no empty index
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)


def _is_settled(root: str, entries: Iterable[_Entry]) -> bool:
    """Tell whether no file is in conflict or deleted: nothing would tell when it comes back."""
    folder = os.path.join(os.fsencode(root), b"")
    return all(
        entry.facts.endswith(b" 0")  # its stage in a conflict
        and (entry.facts[:1] == b"S" or os.path.lexists(folder + entry.name))
        for entry in entries
    )


def _existing(root: str, names: Iterable[bytes]) -> list[bytes]:
    """Return the names that are files, less those beyond a link: Git takes them for deleted."""
    folder = os.path.join(os.fsencode(root), b"")
    return sorted({
        name for name in names
        if name and os.path.isfile(folder + name) and not _is_beyond_a_link(folder, name)
    })  # fmt: skip


def _is_beyond_a_link(folder: bytes, name: bytes) -> bool:
    above = os.path.dirname(name)
    while above:
        if os.path.islink(folder + above):
            return True
        above = os.path.dirname(above)
    return False


def _identity(path: bytes) -> str:
    """Return what changes whenever somebody writes the file, "" when it has just gone."""
    try:
        info = os.stat(path)
    except OSError:
        return ""
    return f"{info.st_mtime_ns} {info.st_ino} {info.st_size}"
