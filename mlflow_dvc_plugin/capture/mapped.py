"""Files that this process writes to through its memory."""

from __future__ import annotations

import os
import time
from typing import NamedTuple

from mlflow_dvc_plugin.capture.deadline import Deadline


def process_started() -> int:
    """Return a time in ns shortly before this process began, 0 where Linux does not tell.

    A process that writes to a file through its memory has changed the file's mtime since it began
    (not on tmpfs): older files need no look at what is mapped, which takes milliseconds.
    """
    try:
        with open("/proc/self/stat", "rb") as file:
            ticks = int(file.read().rpartition(b")")[2].split()[19])
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError, AttributeError):
        return 0
    return time.time_ns() - int((age + 2) * 1e9)


class Mapped(NamedTuple):
    """Files by their absolute paths, and by device and inode."""

    paths: frozenset[str]
    files: frozenset[tuple[int, int]]


def writably_mapped() -> Mapped:
    """Return the files that are mapped shared and writable, where Linux tells.

    A write to such a page need not change the file's mtime or ctime (it did when the page first
    became dirty), so ``stat`` says nothing of these bytes. Other processes' mappings are not seen.
    """
    try:
        with open("/proc/self/maps", "rb") as file:
            text = file.read()
    except OSError:
        text = b""
    if b" rw-s " not in text:  # it has thousands of lines
        return Mapped(frozenset(), frozenset())
    lines = [line.split(None, 5) for line in text.splitlines() if b" rw-s " in line]
    paths = {parts[5].decode("utf-8", "surrogateescape") for parts in lines if len(parts) == 6}
    return Mapped(frozenset(paths), frozenset(filter(None, map(_file, paths))))


def touches(mapped: Mapped, path: str, deadline: Deadline) -> bool:
    """Tell whether one of the mapped files is at ``path`` or below it, also under another name.

    Data may be links to the objects of DVC's cache: looks at all files of a directory. Raises
    OutOfTimeError.
    """
    real = os.path.realpath(path)
    if any(other == real or other.startswith(real + os.sep) for other in mapped.paths):
        return True
    if not mapped.files or _file(real) in mapped.files:
        return bool(mapped.files)
    for folder, _, names in os.walk(real):  # nothing, of a file
        deadline.check()
        if any(_file(os.path.join(folder, name)) in mapped.files for name in names):
            return True
    return False


def _file(path: str) -> tuple[int, int] | None:
    """Return what tells one file from another; None for one that cannot be looked at."""
    try:
        info = os.stat(path)
    except (OSError, ValueError):
        return None
    return info.st_dev, info.st_ino
