"""Files that this process writes to through its memory."""

from __future__ import annotations

import os


def writably_mapped() -> frozenset[str]:
    """Return the absolute paths of files that are mapped shared and writable, where Linux tells.

    A write to such a page need not change the file's mtime or ctime (it did when the page first
    became dirty), so ``stat`` says nothing of these bytes. Other processes' mappings are not seen.
    """
    try:
        with open("/proc/self/maps", "rb") as file:
            text = file.read()
    except OSError:
        return frozenset()
    if b" rw-s " not in text:
        return frozenset()
    lines = [line.split(None, 5) for line in text.splitlines() if b" rw-s " in line]
    return frozenset(
        parts[5].decode("utf-8", "surrogateescape") for parts in lines if len(parts) == 6
    )


def touches(mapped: frozenset[str], path: str) -> bool:
    """Tell whether one of the mapped files is at ``path`` or below it."""
    real = os.path.realpath(path)
    return any(other == real or other.startswith(real + os.sep) for other in mapped)
