"""Files of many commits: what two commits share is read from Git once, and many at a time.

``git ls-tree -r`` lists every file of a commit again; here a folder that did not change between
commits is neither read nor looked at twice.
"""

from __future__ import annotations

import errno
import os
import posixpath
import re
from collections.abc import Iterable

from mlflow_dvc_plugin.capture.files import MAX_BYTES
from mlflow_dvc_plugin.capture.walk import is_metadata
from mlflow_dvc_plugin.gitrepo import GitError, GitObjects

_PATIENCE = 120.0  # seconds for one request
_TREE = b"40000"
_ID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")
# Name -> (mode, id of the object).
_Entries = dict[str, tuple[bytes, str]]
# (path, id of the blob), None for a link or a submodule.
_Rows = tuple[tuple[str, str | None], ...]


class Trees:
    """The trees and blobs of one repository, by id."""

    def __init__(self, toplevel: str) -> None:
        self.toplevel = toplevel
        self._objects = GitObjects(toplevel, _PATIENCE)
        self._roots: dict[str, str | None] = {}
        self._trees: dict[str, _Entries | None] = {}
        self._metadata: dict[str, _Rows] = {}
        self._named: dict[tuple[str, str], tuple[str, ...]] = {}
        self._blobs: dict[str, bytes | None] = {}

    def load(self, commits: Iterable[str]) -> None:
        """Read all trees of these commits (ids); one that is not here is no error."""
        asked = [one for one in dict.fromkeys(commits) if one not in self._roots]
        self._roots.update(dict.fromkeys(asked))
        new = [commit for commit in asked if _ID.match(commit)]
        level = []
        trees = self._objects.read([f"{commit}^{{tree}}" for commit in new])
        for commit, found in zip(new, trees, strict=True):
            if found is not None:
                self._roots[commit] = found[0]
                if found[0] not in self._trees:
                    level += self._add(*found)
        while level:
            wanted = [tree for tree in dict.fromkeys(level) if tree not in self._trees]
            level = []
            for tree, found in zip(wanted, self._objects.read(wanted), strict=True):
                self._trees[tree] = None
                if found is not None:
                    level += self._add(*found)

    def root(self, commit: str) -> str | None:
        """Return the id of the commit's tree; None when no such commit is here."""
        if commit not in self._roots:
            self.load([commit])
        return self._roots[commit]

    def read(self, blobs: Iterable[str]) -> None:
        """Read these blobs, to be had by :meth:`blob` until :meth:`forget`."""
        new = [blob for blob in dict.fromkeys(blobs) if blob not in self._blobs]
        for blob, found in zip(new, self._objects.read(new), strict=True):
            self._blobs[blob] = None if found is None else found[1]

    def blob(self, blob: str) -> bytes | None:
        """Return the content; None when the repository lacks it."""
        self.read([blob])
        return self._blobs[blob]

    def forget(self) -> None:
        """Let go of the content of blobs."""
        self._blobs.clear()

    def find(self, tree: str, path: str) -> tuple[bytes, str] | None:
        """Return (mode, id) of what is at the normalised path below the tree."""
        found = (_TREE, tree)
        for part in path.split("/") if path not in {"", "."} else ():
            entry = self._entries(found[1]).get(part) if found[0] == _TREE else None
            if entry is None:
                return None
            found = entry
        return found

    def metadata(self, tree: str) -> _Rows:
        """Return the paths of DVC's metadata files, lock files and each ``.dvc/config``.

        Raises GitError where a tree is missing.
        """
        try:
            return self._rows(tree)
        except RecursionError as error:
            raise GitError(f"the folders of tree {tree} are nested too deeply") from error

    def _rows(self, tree: str) -> _Rows:
        if tree not in self._metadata:
            rows: list[tuple[str, str | None]] = []
            for name, (mode, found) in self._entries(tree).items():
                if mode != _TREE:
                    if is_metadata(name) or name == "dvc.lock":
                        rows.append((name, _regular(mode, found)))
                elif name != ".dvc":
                    rows += [(f"{name}/{path}", blob) for path, blob in self._rows(found)]
                elif "config" in self._entries(found):
                    rows.append((".dvc/config", _regular(*self._entries(found)["config"])))
            self._metadata[tree] = tuple(rows)
        return self._metadata[tree]

    def named(self, tree: str, name: str) -> tuple[str, ...]:
        """Return the regular files below the tree whose last part is ``name``."""
        key = (tree, name)
        if key not in self._named:
            found = [
                f"{folder}/{path}"
                for folder, (mode, below) in self._entries(tree).items()
                if mode == _TREE
                for path in self.named(below, name)
            ]
            mode, _ = self._entries(tree).get(name, (b"", ""))
            self._named[key] = tuple([name, *found] if mode.startswith(b"100") else found)
        return self._named[key]

    def _entries(self, tree: str) -> _Entries:
        entries = self._trees.get(tree)
        if entries is None:
            raise GitError(f"the tree {tree} is missing from the Git repository", "git fsck")
        return entries

    def _add(self, tree: str, data: bytes) -> list[str]:
        """Take a tree in; return those directly below it."""
        try:
            entries = _parsed(data, len(tree) // 2)
        except ValueError:  # damaged
            self._trees[tree] = None
            return []
        self._trees[tree] = entries
        return [found for mode, found in entries.values() if mode == _TREE]


class TreeFiles:
    """Files of one commit, as :class:`CommitFiles`; ``paths`` are only those of DVC's metadata.

    Raises GitError for a commit that is not here, or not whole.
    """

    def __init__(self, trees: Trees, commit: str) -> None:
        tree = trees.root(commit)
        if tree is None:
            raise GitError(f"there is no commit {commit} here", "git fetch --all")
        self.toplevel = trees.toplevel
        self.tree = tree
        self._trees = trees
        self._ids = dict(trees.metadata(tree))

    @property
    def paths(self) -> Iterable[str]:
        """Every metadata file of DVC and every ``.dvc/config``, links included."""
        return self._ids.keys()

    def read(self, path: str) -> bytes | None:
        """Return the blob; None when the commit has no regular file there."""
        blob = self.identity(path)
        if blob is None:
            return None
        content = self._trees.blob(blob)
        if content is None:
            raise OSError(errno.ENOENT, "its content is missing from the Git repository", path)
        if len(content) > MAX_BYTES:
            raise OSError(errno.EFBIG, f"larger than {MAX_BYTES >> 20} MiB", path)
        return content

    def identity(self, path: str) -> str | None:
        """Return the blob's id."""
        if path in self._ids:
            return self._ids[path]
        found = self._trees.find(self.tree, posixpath.normpath(path))
        return _regular(*found) if found else None

    def settled(self, path: str) -> bool:
        """Say yes: a blob never changes."""
        return True

    def exists(self, path: str) -> bool:
        """Say whether the commit has a file, link, submodule or directory there."""
        return self._trees.find(self.tree, posixpath.normpath(path)) is not None

    def is_dir(self, path: str) -> bool:
        """Say whether the commit has files below this path."""
        found = self._trees.find(self.tree, posixpath.normpath(path))
        return found is not None and found[0] == _TREE

    def prefetch(self, paths: Iterable[str]) -> None:
        """Read all these blobs in one call."""
        self._trees.read(blob for path in paths if (blob := self.identity(path)))


def _regular(mode: bytes, found: str) -> str | None:
    return found if mode.startswith(b"100") else None


def _parsed(data: bytes, size: int) -> _Entries:
    """Read a tree object: ``mode SP name NUL id``, the id as ``size`` raw bytes."""
    entries: _Entries = {}
    at = 0
    while at < len(data):
        space = data.index(b" ", at)
        end = data.index(b"\0", space)
        begin, at = at, end + 1 + size
        entries[os.fsdecode(data[space + 1 : end])] = (data[begin:space], data[end + 1 : at].hex())
    return entries
