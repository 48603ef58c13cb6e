"""Tell from ``stat`` alone whether an output's files are the ones seen before.

A fingerprint covers every file's inode, size, mtime and ctime, and every folder's inode, mtime
and ctime: names need no place of their own, because renaming, adding or removing an entry changes
the folder's times. ctime is what finds bytes that were changed by a program which put the mtime
back. Integers hash the same in every process (strings do not), so a sum of tuple hashes is a
digest that does not depend on the order in which a folder lists its entries.
"""

from __future__ import annotations

import operator
import os
import stat

from mlflow_dvc_plugin.capture.deadline import Deadline

MASK = (1 << 64) - 1
KEY = operator.attrgetter("st_ino", "st_size", "st_mtime_ns", "st_ctime_ns")
_SECOND = 1_000_000_000
_BY_DESCRIPTOR = os.scandir in os.supports_fd


class Fingerprint(tuple[int, int, int, int, bool]):
    """What ``stat`` says of an output: ``size`` in bytes, ``newest`` (mtime or ctime) in ns.

    A NamedTuple, less the 8 ms in which `typing` is imported: a commit waits for this module.
    """

    __slots__ = ()

    def __new__(  # noqa: D102
        cls, nfiles: int, size: int, newest: int, digest: int, isdir: bool
    ) -> Fingerprint:
        return super().__new__(cls, (nfiles, size, newest, digest, isdir))

    @property
    def nfiles(self) -> int:
        """The number of files."""
        return self[0]

    @property
    def size(self) -> int:
        """The bytes of all files."""
        return self[1]

    @property
    def newest(self) -> int:
        """The youngest mtime or ctime, in ns."""
        return self[2]

    @property
    def digest(self) -> int:
        """What differs when any file does."""
        return self[3]

    @property
    def isdir(self) -> bool:
        """Whether it is a folder."""
        return self[4]


def settled(newest: int, stamp: int) -> bool:
    """Tell whether a change after ``stamp`` would show; both in ns of the file system's clock.

    Git's rule for "racily clean" index entries: a file as young as the look at it may change again
    within the same tick of the clock. A time without a fraction may come from a file system that
    only counts seconds (FAT: two).
    """
    if newest % _SECOND == 0:
        return newest + 2 * _SECOND <= stamp
    return newest < stamp


def take(path: str, deadline: Deadline) -> Fingerprint | None:
    """Return the fingerprint of the file or folder at ``path``, None when nothing is there.

    A dangling symlink is nothing: its bytes are not on disk. Raises OSError when something cannot
    be looked at, ValueError for what is neither file nor folder, OutOfTimeError.
    """
    try:
        info = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    if stat.S_ISDIR(info.st_mode):
        return _take_folder(path, deadline)
    if not stat.S_ISREG(info.st_mode):
        raise ValueError(f"{path} is neither a file nor a folder")
    newest = max(info.st_mtime_ns, info.st_ctime_ns)
    return Fingerprint(1, info.st_size, newest, hash(KEY(info)) & MASK, isdir=False)


def _take_folder(path: str, deadline: Deadline) -> Fingerprint:
    """Sum up a folder; one pass, nothing kept per file (20,000 files cost no memory)."""
    nfiles = size = total = newest = 0
    folders = [path]
    while folders:
        folder = folders.pop()
        deadline.check()
        # Through a descriptor the kernel resolves one name a file, not the whole path.
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY) if _BY_DESCRIPTOR else None
        try:
            info = os.stat(folder if handle is None else handle)
            total += hash((info.st_ino, info.st_mtime_ns, info.st_ctime_ns))
            newest = max(newest, info.st_mtime_ns, info.st_ctime_ns)
            with os.scandir(folder if handle is None else handle) as entries:
                for entry in entries:
                    if entry.is_dir():
                        # os.walk, and so DVC, does not enter a symlinked folder.
                        if not entry.is_symlink():
                            folders.append(os.path.join(folder, entry.name))
                        continue
                    try:
                        info = entry.stat()
                    except FileNotFoundError:  # a dangling symlink
                        info = entry.stat(follow_symlinks=False)
                    key = KEY(info)
                    total += hash(key)
                    nfiles += 1
                    size += key[1]
                    if key[2] > newest:  # noqa: PLR1730 - 20,000 calls of max() cost 3 ms
                        newest = key[2]
                    if key[3] > newest:  # noqa: PLR1730
                        newest = key[3]
                    if not nfiles & 4095:
                        deadline.check()
        finally:
            if handle is not None:
                os.close(handle)
    return Fingerprint(nfiles, size, newest, total & MASK, isdir=True)
