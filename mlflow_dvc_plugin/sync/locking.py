"""One sync at a time in one worktree."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from mlflow_dvc_plugin.errors import MlflowDvcError

_PATIENCE = 30.0  # seconds


@contextmanager
def one_at_a_time(folder: str) -> Iterator[bool]:
    """Hold the lock of the state folder; the kernel releases it with the process.

    Yields whether another one had it first. Raises MlflowDvcError when another sync does not end.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        yield False
        return
    handle = os.open(os.path.join(folder, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        until = time.monotonic() + _PATIENCE
        waited = False
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as error:
                if time.monotonic() > until:
                    raise MlflowDvcError(
                        "another sync is at work in this worktree", "later: mlflow-dvc sync"
                    ) from error
                waited = True
                time.sleep(0.05)
        yield waited
    finally:
        os.close(handle)
