"""What a sync that was killed has left in the scratch folder."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable

from mlflow_dvc_plugin.capture import hashing
from mlflow_dvc_plugin.capture.deadline import Deadline
from mlflow_dvc_plugin.sync.objects import Cache
from mlflow_dvc_plugin.sync.placing import FOLDER, sweep


def clear(scratch: str, caches: Iterable[Cache]) -> list[str]:
    """Remove it; return the files that are kept, because their bytes are in none of the caches.

    Their bytes were in a cache before they were moved here, but another process may have written
    to them since, or somebody has cleaned the cache.
    """
    caches = list(caches)
    left = []
    with contextlib.suppress(OSError):
        for name in sorted(os.listdir(scratch)):
            if name.startswith(FOLDER):
                left += _clear_one(os.path.join(scratch, name), caches)
    return left


def _clear_one(folder: str, caches: list[Cache]) -> list[str]:
    left = []
    for path in sweep(folder):
        try:
            if not _is_cached(path, caches):
                left.append(path)
                continue
            os.unlink(path)
        except (OSError, ValueError):
            if os.path.lexists(path):
                left.append(path)
    if not left:
        sweep(folder)
    return left


def _is_cached(path: str, caches: list[Cache]) -> bool:
    """Tell whether the file can go; a dangling link holds nothing."""
    if os.path.islink(path) and not os.path.exists(path):
        return True
    for scheme in hashing.SCHEMES:
        md5, _ = hashing.file_md5(path, scheme, Deadline(None))
        if any(cache.holds(md5, scheme) for cache in caches):
            return True
    return False
