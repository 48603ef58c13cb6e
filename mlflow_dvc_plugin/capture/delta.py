"""What a folder's fingerprint becomes when a few of its entries change, without a look at the rest.

A fingerprint is a sum over the entries, so what changes can be taken out and put in. The result is
what :func:`fingerprint.take` returns if nothing else in the folder has changed, and something else
if anything has: whoever finds it again has found exactly the entries it was computed from.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable

from mlflow_dvc_plugin.capture.fingerprint import KEY, MASK, Fingerprint


class Delta:
    """A change to come of the files at ``places`` below ``folder``; ``base`` is its fingerprint."""

    def __init__(self, folder: str, places: Iterable[str], base: Fingerprint) -> None:
        self._paths = {folder, *places}
        for place in list(self._paths):
            above = os.path.dirname(place)
            while len(above) > len(folder):
                self._paths.add(above)
                above = os.path.dirname(above)
        self._base = base
        self._before = [_part(path) for path in self._paths]

    def after(self) -> Fingerprint | None:
        """Return the fingerprint after the change; None where the newest entry may have gone."""
        parts = [_part(path) for path in self._paths]
        newest = max(part[2] for part in parts)
        if newest < self._base.newest:
            return None
        nfiles, size, digest = (
            old - sum(part[index] for part in self._before) + sum(part[index] for part in parts)
            for index, old in ((0, self._base.nfiles), (1, self._base.size), (3, self._base.digest))
        )
        return Fingerprint(nfiles, size, newest, digest & MASK, isdir=True)


def _part(path: str) -> tuple[int, int, int, int]:
    """Return what the entry adds to nfiles, size, newest and digest, as in ``fingerprint.take``."""
    try:
        info = os.stat(path)
    except OSError:
        return 0, 0, 0, 0
    newest = max(info.st_mtime_ns, info.st_ctime_ns)
    if stat.S_ISDIR(info.st_mode):
        return 0, 0, newest, hash((info.st_ino, info.st_mtime_ns, info.st_ctime_ns))
    return 1, info.st_size, newest, hash(KEY(info))
