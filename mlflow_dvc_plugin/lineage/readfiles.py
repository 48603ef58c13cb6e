"""Read small files, or look at files, in a process of its own, and tell what ``stat`` says of each.

A script that imports nothing of this package: it has to be ready when the first file is. It takes
messages from standard input, each with its length in bytes before it: the folder of DVC's objects,
another folder, and the names of links to objects in it, each with its md5 before it, and NULs
between them. An empty message asks for what was found. The answer, with its length before it as
well, is a record for each link since the last one, of zeros for one that does not have its md5, is
not the object, is not there, cannot be read, or is too big for this. Where no folder of objects is
named, the links are only looked at. It ends with its input.
"""

from __future__ import annotations

import hashlib
import os
import stat
import struct
import sys
from typing import BinaryIO

SMALL = 1 << 16  # bytes
MD5 = 32  # its length
LENGTH = struct.Struct("=q")
RECORD = struct.Struct("=4q")  # inode, size, mtime in ns, mode
_NOTHING = RECORD.pack(0, 0, 0, 0)
_READ = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
# A new link makes the next reading write the time of access: a third of what the reading takes.
_NO_ATIME = getattr(os, "O_NOATIME", 0)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)


def read_small(
    path: str | bytes, folder: int | None = None, *, most: int = SMALL, flags: int = 0
) -> tuple[os.stat_result, str | None]:
    """Return the file's stat, and its md5 when it is a regular one of ``most`` bytes at most.

    A path may be relative to the open ``folder``; ``flags`` are more of ``os.open``. Raises
    OSError.
    """
    try:
        handle = os.open(path, _READ | _NO_ATIME | flags, dir_fd=folder)
    except PermissionError:  # of somebody else's file it must not be asked
        handle = os.open(path, _READ | flags, dir_fd=folder)
    try:
        info = os.fstat(handle)
        if not stat.S_ISREG(info.st_mode) or info.st_size > most:
            return info, None
        data = os.read(handle, most + 1)
    finally:
        os.close(handle)
    if len(data) != info.st_size:
        return info, None
    return info, hashlib.md5(data, usedforsecurity=False).hexdigest()


def _record(name: bytes, md5: bytes, folder: int, objects: int) -> bytes:
    try:
        info, found = read_small(name, folder, flags=_NO_LINK)
        # The same bytes may be in a file that somebody has put there.
        own = os.stat(b"%b/%b" % (md5[:2], md5[2:]), dir_fd=objects)
        if found and found.encode() == md5 and os.path.samestat(info, own):
            return _packed(info)
    except (OSError, struct.error):
        pass
    return _NOTHING


def _packed(info: os.stat_result) -> bytes:
    """Raise struct.error for an inode whose number takes 64 bits."""
    return RECORD.pack(info.st_ino, info.st_size, info.st_mtime_ns, info.st_mode)


def _looked(name: bytes, folder: int) -> bytes:
    try:
        return _packed(os.stat(name, dir_fd=folder, follow_symlinks=False))
    except (OSError, struct.error):
        return _NOTHING


def _records(message: bytes) -> bytes:
    *folders, files = message.split(b"\0", 2)
    handles: list[int] = []
    links = files.split(b"\0")
    try:
        handles += (os.open(path, os.O_RDONLY | os.O_DIRECTORY) for path in folders if path)
        *objects, folder = handles
        if not objects:
            return b"".join([_looked(link[MD5:], folder) for link in links])
        return b"".join([_record(link[MD5:], link[:MD5], folder, objects[0]) for link in links])
    except OSError:
        return _NOTHING * len(links)
    finally:
        for handle in handles:
            os.close(handle)


def main(messages: BinaryIO, answers: BinaryIO) -> None:
    """Answer until the messages end."""
    found: list[bytes] = []
    while len(head := messages.read(LENGTH.size)) == LENGTH.size:
        (length,) = LENGTH.unpack(head)
        if length:
            if len(message := messages.read(length)) < length:
                return
            found.append(_records(message))
        else:
            answer = b"".join(found)
            answers.write(LENGTH.pack(len(answer)) + answer)
            answers.flush()
            found.clear()


if __name__ == "__main__":
    main(sys.stdin.buffer, sys.stdout.buffer)
