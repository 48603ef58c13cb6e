"""What lets the hook scripts see, without Python, that no DVC metadata has changed.

Three files in the worktree's state folder. ``tracked`` names a Git tree of the metadata files in
the index, which nothing refers to: when Git has pruned it, the next sync makes it again.
``sparse`` is Git's list of them, with which a sparse checkout leaves out. ``index`` is a private
Git index of all metadata files on disk, untracked ones included: with it ``git diff-files``
compares identity, and content where that is in doubt, by Git's own rules.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from mlflow_dvc_plugin.gitdir import Worktree
from mlflow_dvc_plugin.gitrepo import call_git
from mlflow_dvc_plugin.sync.quick import PATTERNS

_NEW = ".new"
_SCRATCH = ".index"
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
        self._tracked = os.path.join(folder, "tracked")
        self._sparse = os.path.join(folder, "sparse")
        os.makedirs(folder, exist_ok=True)

    def take(self) -> Taken:
        """Write down what is there now; raises GitError, OSError."""
        root = self._worktree.toplevel
        self._clear()
        listed = call_git(root, "ls-files", "-z", "-s", "-t", "--", *PATTERNS)
        with open(self._sparse + _NEW, "wb") as file:
            file.write(listed)
        entries = [_Entry(*line.split(b"\t", 1)) for line in listed.split(b"\0")[:-1]]
        self._take_tracked(root, entries)
        others = call_git(root, "ls-files", "-z", "-o", "--exclude-standard").split(b"\0")[:-1]
        untracked = [name for name in others if name.endswith(_ENDINGS)]
        there = _existing(root, [*(entry.name for entry in entries), *untracked])
        if any(os.path.islink(os.path.join(os.fsencode(root), name)) for name in there):
            # What a link leads to may change without it: no gate.
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._tracked + _NEW)
        self._in_index(
            self._index + _NEW, "update-index", "-z", "--add", "--info-only", "--stdin",
            stdin=b"\0".join(there),
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
        scratch = (self._tracked + _SCRATCH, self._index + _NEW)
        for path in (
            self._tracked + _NEW, self._sparse + _NEW, *scratch, *(f"{one}.lock" for one in scratch)
        ):  # fmt: skip
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)

    def _take_tracked(self, root: str, entries: Sequence[_Entry]) -> None:
        """Write the tree.

        There is none, and no gate, in a conflict, and while a file is deleted: nothing would tell
        when it comes back.
        """
        folder = os.path.join(os.fsencode(root), b"")
        if any(
            not entry.facts.endswith(b" 0")  # its stage in a conflict
            or (entry.facts[:1] != b"S" and not os.path.lexists(folder + entry.name))
            for entry in entries
        ):
            return
        stated = b"\0".join(entry.facts[2:] + b"\t" + entry.name for entry in entries)
        scratch = self._tracked + _SCRATCH
        self._in_index(scratch, "update-index", "-z", "--index-info", stdin=stated)
        tree = self._in_index(scratch, "write-tree")
        with contextlib.suppress(FileNotFoundError):  # Git writes no empty index
            os.unlink(scratch)
        with open(self._tracked + _NEW, "wb") as file:
            file.write(tree)

    def _in_index(self, index: str, *args: str, stdin: bytes = b"") -> bytes:
        return call_git(
            self._worktree.toplevel, "-c", "core.splitIndex=false", "-c", "core.fsmonitor=false",
            "-c", f"core.hooksPath={os.devnull}", *args, stdin=stdin, env={"GIT_INDEX_FILE": index},
        )  # fmt: skip

    def keep(self) -> None:
        """Let the scripts compare with what was taken."""
        for path in (self._tracked, self._sparse, self._index):
            if os.path.exists(path + _NEW):
                os.replace(path + _NEW, path)
            else:  # no metadata file at all: Git writes no empty index
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)


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
