"""Where the bytes of metadata files come from: the worktree, or a commit."""

from __future__ import annotations

import errno
import os
import posixpath
import stat
import time
from collections.abc import Collection, Iterable
from typing import Protocol

from mlflow_dvc_plugin.gitrepo import call_git, call_git_z

# The largest directory that DVC lists file by file in its metadata stays far below this.
MAX_BYTES = 64 * 1024 * 1024
# A file changed again within one tick of the clock of its file system keeps its identity.
RACY_SECONDS = 2.0


class Files(Protocol):
    """Regular files by POSIX path relative to the toplevel, names decoded by ``os.fsdecode``."""

    toplevel: str

    def read(self, path: str) -> bytes | None:
        """Return the content; None when absent or not a regular file. Raises OSError."""

    def identity(self, path: str) -> str | None:
        """Return a value that differs when the content may differ; None where `read` gives None."""

    def settled(self, path: str) -> bool:
        """Say whether another change of this file would be seen in its identity."""

    def exists(self, path: str) -> bool:
        """Say whether anything is there: a file, a directory, a dangling link."""

    def is_dir(self, path: str) -> bool:
        """Say whether a directory is there."""

    def prefetch(self, paths: Iterable[str]) -> None:
        """Get ready to read these files; absent ones are no error."""


class WorktreeFiles:
    """Files on disk below ``toplevel``."""

    def __init__(self, toplevel: str) -> None:
        self.toplevel = toplevel
        self._prefix = toplevel.rstrip("/") + "/"

    def read(self, path: str) -> bytes | None:
        """Return the content without ever waiting for a pipe or a device."""
        # Opening a FIFO waits for its writer, hence the question before, and the flag for the
        # moment in between.
        info = self._stat(path)
        if info is None:
            return None
        if info.st_size > MAX_BYTES:
            raise OSError(errno.EFBIG, f"larger than {MAX_BYTES >> 20} MiB", path)
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        try:
            handle = os.open(self._join(path), flags)
        except FileNotFoundError:
            return None
        with open(handle, "rb") as stream:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                return None
            return stream.read()

    def identity(self, path: str) -> str | None:
        """Return inode, size, mtime and ctime (nanoseconds) as one string."""
        # The hot path: one stat per metadata file and run, so it does not go through _stat.
        try:
            info = os.stat(self._prefix + path if path[:1] != "/" else path)
        except (OSError, ValueError):
            return None
        if not stat.S_ISREG(info.st_mode):
            return None
        return f"{info.st_ino},{info.st_size},{info.st_mtime_ns},{info.st_ctime_ns}"

    def settled(self, path: str) -> bool:
        """Say whether the file was last touched long enough ago, by this machine's clock."""
        info = self._stat(path)
        return info is None or max(info.st_mtime, info.st_ctime) < time.time() - RACY_SECONDS

    def exists(self, path: str) -> bool:
        """Say whether the name is there."""
        return os.path.lexists(self._join(path))

    def is_dir(self, path: str) -> bool:
        """Say whether a directory, or a link to one, is there."""
        return os.path.isdir(self._join(path))

    def is_link(self, path: str) -> bool:
        """Say whether a symbolic link is there."""
        return os.path.islink(self._join(path))

    def prefetch(self, paths: Iterable[str]) -> None:
        """Do nothing: the disk is at hand."""

    def _join(self, path: str) -> str:
        return os.path.join(self.toplevel, path)

    def _stat(self, path: str) -> os.stat_result | None:
        try:
            info = os.stat(self._join(path))
        except (OSError, ValueError):
            return None
        return info if stat.S_ISREG(info.st_mode) else None


class CommitFiles:
    """Files of one commit; the identity is the blob's id. Raises GitError for an unknown commit."""

    def __init__(self, toplevel: str, commit: str) -> None:
        self.toplevel = toplevel
        self.commit = commit
        self._ids: dict[str, str] = {}
        self._others: set[str] = set()
        self._dirs: set[str] = {""}
        self._content: dict[str, bytes | None] = {}
        for record in call_git_z(toplevel, "ls-tree", "-r", "-z", "--full-tree", commit):
            head, path = record.split("\t", 1)
            mode, _, blob = head.split(" ")
            # Symbolic links and submodules: DVC reads neither through a commit.
            if mode.startswith("100"):
                self._ids[path] = blob
            else:
                self._others.add(path)
            self._add_dirs(posixpath.dirname(path))

    @property
    def paths(self) -> Iterable[str]:
        """Every file of the commit, links and submodules included."""
        return [*self._ids, *self._others]

    def read(self, path: str) -> bytes | None:
        """Return the blob; None when the commit has no regular file there."""
        path = posixpath.normpath(path)
        blob = self._ids.get(path)
        if blob is None:
            return None
        if blob not in self._content:
            self.prefetch([path])
        content = self._content.get(blob)
        if content is None:
            raise OSError(errno.ENOENT, "its content is missing from the Git repository", path)
        return content

    def identity(self, path: str) -> str | None:
        """Return the blob's id."""
        return self._ids.get(path) or self._ids.get(posixpath.normpath(path))

    def settled(self, path: str) -> bool:
        """Say yes: a blob never changes."""
        return True

    def exists(self, path: str) -> bool:
        """Say whether the commit has a file, link, submodule or directory there."""
        path = posixpath.normpath(path)
        return path in self._ids or path in self._others or self.is_dir(path)

    def is_dir(self, path: str) -> bool:
        """Say whether the commit has files below this path."""
        return posixpath.normpath(path) in self._dirs or path in ("", ".")

    def prefetch(self, paths: Iterable[str]) -> None:
        """Read all these blobs with one ``git cat-file --batch``."""
        wanted = {self._ids[path] for path in paths if path in self._ids} - self._content.keys()
        if wanted:
            request = "".join(f"{blob}\n" for blob in wanted).encode()
            out = call_git(self.toplevel, "cat-file", "--batch", stdin=request)
            self._content.update(blobs(out))

    def _add_dirs(self, path: str) -> None:
        while path not in self._dirs:
            self._dirs.add(path)
            path = posixpath.dirname(path)


class SeenFiles:
    """Other files less those called absent, noting the identity of each one that is asked for."""

    def __init__(self, files: Files, absent: Collection[str]) -> None:
        self._files = files
        self._absent = absent
        self.toplevel = files.toplevel
        self.on: dict[str, str | None] = {}

    def read(self, path: str) -> bytes | None:
        """Return the content."""
        self.identity(path)
        return None if path in self._absent else self._files.read(path)

    def identity(self, path: str) -> str | None:
        """Return the identity as it was when first asked for."""
        # Taken before the first look, so that a write in between is noticed next time.
        if path not in self.on:
            self.on[path] = None if path in self._absent else self._files.identity(path)
        return self.on[path]

    def settled(self, path: str) -> bool:
        """Say whether another change would be seen."""
        return self._files.settled(path)

    def exists(self, path: str) -> bool:
        """Say whether anything is there."""
        self.identity(path)
        return path not in self._absent and self._files.exists(path)

    def is_dir(self, path: str) -> bool:
        """Say whether a directory is there."""
        self.identity(path)
        return self._files.is_dir(path)

    def prefetch(self, paths: Iterable[str]) -> None:
        """Pass it on."""
        self._files.prefetch(paths)

    def lasting(self) -> bool:
        """Say whether the result will hold until one of the identities changes."""
        return all(
            path in self._absent
            or (self._files.identity(path) == was and self._files.settled(path))
            for path, was in self.on.items()
        )


def blobs(out: bytes) -> dict[str, bytes | None]:
    """Split the output of ``git cat-file --batch``; None for an object that is missing."""
    found: dict[str, bytes | None] = {}
    at = 0
    while at < len(out):
        end = out.index(b"\n", at)
        words = out[at:end].decode().split(" ")
        if len(words) != 3:
            found[words[0]] = None
            at = end + 1
            continue
        size = int(words[2])
        found[words[0]] = out[end + 1 : end + 1 + size]
        at = end + 1 + size + 1
    return found
