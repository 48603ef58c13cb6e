"""The objects of a DVC cache, and whether they hold what their names say.

Layout (``dvc/cachemgr.py``): ``<cache>/files/md5/ab/cdef...`` and, for hashes made by DVC 2.x,
``<cache>/ab/cdef...``. DVC makes an object read-only (0444) and records its hash; an object of
which anything disagrees is read before it is believed.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping

from mlflow_dvc_plugin.capture import dvcstate, hashing
from mlflow_dvc_plugin.capture.deadline import Deadline
from mlflow_dvc_plugin.gitdir import Worktree
from mlflow_dvc_plugin.sync.rows import differing, require_own, rows_of

_MODE = 0o444
_MD5 = 32
_Rows = tuple[Mapping[str, str], Mapping[str, str]]


class Cache:
    """One cache folder; ``verified`` (kept by the caller) maps an object's path to its identity."""

    def __init__(
        self, folder: str, root: str, site_cache: str | None, verified: dict[str, str]
    ) -> None:
        self.folder = folder
        self._root = root
        self._site_cache = site_cache
        self._verified = verified
        self._listings: dict[tuple[str, str], Mapping[str, str]] = {}
        self._compared: dict[tuple[str, ...], _Rows | None] = {}

    def path(self, value: str, scheme: str = "md5") -> str:
        """Return where the object with this hash is, or would be."""
        inside = () if scheme == "md5-dos2unix" else ("files", "md5")
        return os.path.join(self.folder, *inside, value[:2], value[2:])

    def holds(self, value: str, scheme: str = "md5", size: int | None = None) -> bool:
        """Tell whether the object is there and its bytes have this hash; ``size`` in bytes."""
        path = self.path(value, scheme)
        try:
            info = os.stat(path)
            if not stat.S_ISREG(info.st_mode) or (size is not None and info.st_size != size):
                return False
            identity = _identity(info)
            if self._verified.get(path) == identity or self._recorded(path, info, value, scheme):
                return True
            if hashing.file_md5(path, scheme, Deadline(None))[0] != value[:_MD5]:
                return False
        except (OSError, ValueError):
            return False
        self._verified[path] = identity
        return True

    def _recorded(self, path: str, info: os.stat_result, value: str, scheme: str) -> bool:
        """Tell whether DVC's own record of the object agrees, and it is as DVC leaves objects."""
        if scheme != "md5" or self._site_cache is None or stat.S_IMODE(info.st_mode) != _MODE:
            return False
        known = dvcstate.recorded(self._root, {path: info}, self._site_cache)
        return known.get(path) == value[:_MD5]

    def listing(self, value: str, scheme: str = "md5") -> Mapping[str, str] | None:
        """Return relative path -> md5 of a directory, None when its ``.dir`` cannot be had.

        None as well for a listing that names a path outside the directory or in a repository's own
        folder (``.git``): nobody's data does.
        """
        if not value.endswith(".dir"):
            return None
        if (value, scheme) in self._listings:
            return self._listings[value, scheme]
        try:
            found = rows_of(read_object(self.path(value, scheme)), value)
        except (OSError, ValueError):
            return None
        self._listings[value, scheme] = found
        return found

    def differing(
        self, value: str, other: Cache, value_there: str, scheme: str = "md5"
    ) -> _Rows | None:
        """Return the rows of each of two directories that the ``other`` one has not.

        Quicker than reading both. None when only that can tell.
        """
        key = (value, other.folder, value_there, scheme)
        if key not in self._compared:
            try:
                mine, theirs = self._whole(value, scheme), other._whole(value_there, scheme)
                self._compared[key] = differing(mine, theirs)
            except (OSError, ValueError):
                self._compared[key] = None
        return self._compared[key]

    def _whole(self, value: str, scheme: str) -> bytes:
        """Return the object's bytes; raises OSError, ValueError when they are not its own."""
        path = self.path(value, scheme)
        data, identity = _read(path)
        if identity is None:  # somebody writes to it
            require_own(data, value)
        elif self._verified.get(path) != identity:
            require_own(data, value)
            self._verified[path] = identity
        return data


def _identity(info: os.stat_result) -> str:
    return f"{hashing.identity(info)} {stat.S_IMODE(info.st_mode):o}"


def is_whole(path: str, name: str, legacy: bool) -> bool:
    """Tell whether the file's bytes have the hash that its name says."""
    # A listing is hashed as it is, whoever made it.
    scheme = hashing.scheme_of(legacy and not name.endswith(".dir"))
    try:
        return hashing.file_md5(path, scheme, Deadline(None))[0] == name[:_MD5]
    except (OSError, ValueError):
        return False


def read_object(path: str) -> bytes:
    """Read a regular file; raises OSError, and ValueError for anything else."""
    return _read(path)[0]


def _read(path: str) -> tuple[bytes, str | None]:
    """Return the file's bytes, and its identity when it was the same before and after."""
    # Without O_NONBLOCK the opening of a FIFO would wait for ever.
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0))
    with open(handle, "rb") as file:
        before = os.fstat(handle)
        if not stat.S_ISREG(before.st_mode):
            raise ValueError(f"{path} is not a regular file")
        data, identity = file.read(), _identity(before)
        return data, identity if _identity(os.fstat(handle)) == identity else None


def own_cache(root: str, worktree: Worktree) -> str:
    """Return the repository's own cache; a linked worktree has none and uses the main one's."""
    own = os.path.join(root, ".dvc", "cache")
    if worktree.main is None:
        return own
    inside = os.path.relpath(root, worktree.toplevel)
    shared = os.path.normpath(os.path.join(worktree.main, inside, ".dvc", "cache"))
    if not os.path.isdir(shared):
        return own
    # Our own link to it may be taken back, when a commit has no DVC.
    return shared if not os.path.isdir(own) or os.path.samefile(own, shared) else own
