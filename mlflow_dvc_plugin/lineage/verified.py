"""Objects that were read before: while all of a file's identity stays, its bytes need no reading.

The record is that of ``mlflow-dvc sync`` in the worktree (``Ledger.verified``). A new name for an
object, and one less, change its ctime: it is written down as it stands when a restore has ended.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property

from mlflow_dvc_plugin.capture import hashing
from mlflow_dvc_plugin.errors import MlflowDvcError
from mlflow_dvc_plugin.gitdir import Worktree
from mlflow_dvc_plugin.sync.events import state_folder
from mlflow_dvc_plugin.sync.ledger import Ledger
from mlflow_dvc_plugin.sync.locking import one_at_a_time

# Inode, size in bytes, mtime in ns: what changes when the file is written to, and stays when it
# gets another name.
Mark = tuple[int, int, int]


def mark_of(info: os.stat_result) -> Mark:
    """Return the mark of a file with this stat."""
    return info.st_ino, info.st_size, info.st_mtime_ns


class Verified:
    """What is written down in one worktree; read when it is first asked for."""

    def __init__(self, worktree: Worktree) -> None:
        self._folder = state_folder(worktree)

    @cached_property
    def _known(self) -> Mapping[str, str]:
        return Ledger.read(self._folder).verified

    def has(self, path: str, info: os.stat_result) -> bool:
        """Tell whether the object at the absolute path was read when it had this stat."""
        return self._known.get(path) == _identity(info)

    def keep(self, marks: Mapping[str, Mark]) -> None:
        """Write down objects that were read, by path, as they stand; not one written to since.

        Where that cannot be, the next restore reads them again.
        """
        new = {}
        for path, mark in marks.items():
            with suppress(OSError):
                info = os.stat(path)
                if mark_of(info) == mark and not self.has(path, info):
                    new[path] = _identity(info)
        if not new:
            return
        with suppress(OSError, MlflowDvcError):
            os.makedirs(self._folder, exist_ok=True)
            with one_at_a_time(self._folder):
                ledger = Ledger.read(self._folder)
                ledger.verified.update(new)
                ledger.save(self._folder)


def _identity(info: os.stat_result) -> str:
    """Return it as ``sync.objects.Cache`` does."""
    return f"{hashing.identity(info)} {stat.S_IMODE(info.st_mode):o}"
