"""Files and folders that are made under a name of their own.

This is what `tempfile` does, without what it imports (random numbers, `shutil`, compressors): a
hook waits for that longer than for the file.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import IO

SUFFIX = ".tmp"
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
_OWN = 0o600
_RANDOM = 8  # bytes


def new_file(folder: str, prefix: str) -> tuple[int, str]:
    """Return the handle, which no started program inherits, and the path; raises OSError."""
    path = _name(folder, prefix, "")
    return os.open(path, _NEW | getattr(os, "O_BINARY", 0), _OWN), path


def nameless_file(folder: str) -> int:
    """Return the handle of a new file that is gone when it is closed; raises OSError."""
    try:  # Linux: nothing of it shows, not even in the folder's times
        return os.open(folder, os.O_RDWR | os.O_TMPFILE, _OWN)
    except (AttributeError, OSError):  # not on every system, nor on every file system
        handle, path = new_file(folder, "")
        os.unlink(path)
        return handle


def new_folder(folder: str, prefix: str) -> str:
    """Return the path of a new folder for this user alone; raises OSError."""
    path = _name(folder, prefix, "")
    os.mkdir(path, _OWN | 0o100)
    return path


@contextlib.contextmanager
def replacing(target: str) -> Iterator[IO[bytes]]:
    """Yield a new file that takes the place of ``target`` at the end, or goes; raises OSError.

    One of a process that was killed stays beside the target, with a name that ends in ``SUFFIX``.
    """
    folder, name = os.path.split(target)
    path = _name(folder, name, SUFFIX)
    handle = os.open(path, _NEW | getattr(os, "O_BINARY", 0), _OWN)
    try:
        with open(handle, "wb") as file:
            yield file
        os.replace(path, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(path)
        raise


def _name(folder: str, prefix: str, suffix: str) -> str:
    return os.path.join(folder, f"{prefix}{os.urandom(_RANDOM).hex()}{suffix}")
