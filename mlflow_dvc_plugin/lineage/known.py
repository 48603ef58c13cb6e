"""What ``stat`` said of a directory's objects when they had been read: so far nobody reads them.

One file for each listing, in Git's common folder; losing it costs time. An object is believed when
inode, size and mtime are as they were and its mode is that which DVC leaves (0444). That is DVC's
own rule (``dvc_data/hashfile/state.py``): ctime can be no part of it, because every link to the
object, and every link less, changes it. Where the number of links is the same, ctime counts, too.
"""

from __future__ import annotations

import contextlib
import itertools
import operator
import os
import stat
import struct
import tempfile
from collections.abc import Iterable, Iterator, Mapping

Key = tuple[int, int, int, int, int, int]
KEY = operator.attrgetter(
    "st_ino", "st_size", "st_mtime_ns", "st_mode", "st_nlink", "st_ctime_ns"
)  # fmt: skip
AS_DVC = stat.S_IFREG | 0o444
_HEAD = struct.Struct("<16sq")  # the format; the device that the inodes are of
_ROW = struct.Struct("<6q")
_FORMAT = b"mlflow-dvc obj 1"
_NONE = (0, 0, 0, 0, 0, 0)  # no object has that mode
_FILES = 32  # a megabyte each, for 20,000 objects
_BY_DESCRIPTOR = {os.stat, os.link, os.open} <= os.supports_dir_fd and os.scandir in os.supports_fd


@contextlib.contextmanager
def folder_at(path: str) -> Iterator[tuple[int | None, str]]:
    """Open the folder; yield its descriptor, and what stands before names in it.

    Through a descriptor the kernel resolves one name a file, not the whole path.
    """
    handle = None
    if _BY_DESCRIPTOR:
        with contextlib.suppress(OSError):
            handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    if handle is None:
        yield None, os.path.join(path, "")
        return
    try:
        yield handle, ""
    finally:
        os.close(handle)


def is_same(now: Key, then: Key) -> bool:
    """Tell whether the object is as it was; see the rule above. Its own lines in :mod:`shelf`."""
    return now[:4] == then[:4] and (now[5] == then[5] or now[4] != then[4])


class Known:
    """The files in ``folder``, about the cache folder ``cache``."""

    def __init__(self, folder: str, cache: str) -> None:
        self._folder = folder
        self._cache = cache

    def read(self, listing: str, names: Iterable[str]) -> Iterator[tuple[str, Key]]:
        """Yield names of objects, which come in the listing's order, with what is known of them."""
        try:
            with open(self._path(listing), "rb") as file:
                data = file.read()
            if data[: _HEAD.size] != self._head():
                return
            rows = list(_ROW.iter_unpack(data[_HEAD.size :]))
        except (OSError, struct.error):
            return
        named = list(names)
        if len(named) == len(rows):
            yield from zip(named, rows, strict=True)

    def write(self, listing: str, names: Iterable[str], keys: Mapping[str, Key]) -> None:
        """Write down those of the names that have a key and are as DVC leaves objects."""
        rows = [keys.get(name, _NONE) for name in names]
        rows = [row if row[3] == AS_DVC else _NONE for row in rows]
        with contextlib.suppress(OSError, struct.error):
            data = struct.pack(f"<{6 * len(rows)}q", *itertools.chain.from_iterable(rows))
            os.makedirs(self._folder, exist_ok=True)
            handle, path = tempfile.mkstemp(suffix=".tmp", dir=self._folder)
            try:
                with open(handle, "wb") as file:
                    file.write(self._head() + data)
                os.replace(path, self._path(listing))
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(path)
                raise
            self._tidy()

    def _path(self, listing: str) -> str:
        return os.path.join(self._folder, listing)

    def _head(self) -> bytes:
        return _HEAD.pack(_FORMAT, os.stat(self._cache).st_dev & (1 << 63) - 1)

    def _tidy(self) -> None:
        """Keep the youngest files."""
        with os.scandir(self._folder) as entries:
            found = [(entry.stat().st_mtime_ns, entry.path) for entry in entries]
        for _, path in sorted(found)[:-_FILES]:
            os.unlink(path)


def now_at(folder: str) -> int:
    """Return the time in ns by the clock that stamps files in the folder, or one that is behind."""
    import time

    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b".")
            file.flush()
            return os.fstat(file.fileno()).st_mtime_ns
    except OSError:  # a cache that others may write
        return time.time_ns() - _MINUTE


_MINUTE = 60 * 1_000_000_000
