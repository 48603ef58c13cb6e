"""What ``stat`` said of a directory's objects when they had been read: so far nobody reads them.

One file for each listing, in Git's common folder; losing it costs time. An object is believed when
inode, size and mtime are as they were and its mode is that which DVC leaves (0444). That is DVC's
own rule (``dvc_data/hashfile/state.py``): ctime can be no part of it, because every link to the
object, and every link less, changes it.

Who has read a directory of links to objects has read these: a run's start writes it down as well.
"""

from __future__ import annotations

import array
import contextlib
import operator
import os
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence

from mlflow_dvc_plugin import gitdir
from mlflow_dvc_plugin.capture import dvcstate
from mlflow_dvc_plugin.provenance import Output
from mlflow_dvc_plugin.scratch import replacing

Key = tuple[int, int, int, int]
Rows = Mapping[str, str]
KEY = operator.attrgetter("st_ino", "st_size", "st_mtime_ns", "st_mode")
AS_DVC = dvcstate.PROTECTED
_HEAD = struct.Struct("=16sq")  # the format; the device that the inodes are of
_FORMAT = b"mlflow-dvc obj 2"
_FIELDS = 4
NONE: Key = (0, 0, 0, 0)  # no object has that mode
_FILES = 32  # a megabyte each, for 20,000 objects
_BY_DESCRIPTOR = {os.stat, os.link} <= os.supports_dir_fd


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


def key_at(path: str, *, follow: bool = True) -> Key:
    """Return what ``stat`` says of the file, NONE where it is not there."""
    try:
        return KEY(os.stat(path, follow_symlinks=follow))
    except OSError:
        return NONE


def keys_at(folder: str, names: Iterable[str]) -> list[Key]:
    """Return what ``stat`` says of the objects with these md5s in the folder of all objects."""
    look = os.stat
    with folder_at(folder) as (at, start):
        try:
            return [KEY(look(f"{start}{md5[:2]}/{md5[2:]}", dir_fd=at)) for md5 in names]
        except OSError:  # one is not there
            pass
    return [key_at(os.path.join(folder, md5[:2], md5[2:])) for md5 in names]


def note_links(
    toplevel: str, path: str, output: Output, rows: Rows, odd: Mapping[str, int]
) -> None:
    """Write down what has been read of a directory whose files are links to DVC's objects.

    ``rows`` as in Disk, relative path -> "inode size mtime ctime md5", are those that the output's
    hash was computed from, and so in the order of its listing. ``odd`` are the modes of those that
    are no hard links to protected objects. What a copy had says nothing of its object.
    """
    worktree = gitdir.find_worktree(toplevel)
    if worktree is None:
        return
    if len(odd) < len(rows):
        loose = set(odd)
    else:  # symbolic links, then
        loose = {one for one, mode in odd.items()
                 if mode != AS_DVC or not os.path.islink(os.path.join(path, one))}  # fmt: skip
        if len(loose) == len(rows):
            return
    keys: dict[str, Key] = {}
    for relpath in sorted(rows, key=lambda one: one.replace(os.sep, "/")):
        inode, size, mtime, _, md5 = rows[relpath].split(" ")
        if relpath not in loose:
            keys[md5] = (int(inode), int(size), int(mtime), AS_DVC)
        else:
            keys.setdefault(md5, NONE)
    try:
        device = os.stat(os.path.join(path, next(iter(rows)))).st_dev
    except OSError:
        return
    known = Known(worktree.common_dir, device)
    known.write(output.hash or "", output.legacy, keys.values())


def _columns(rows: Sequence[Key]) -> Iterator[Iterable[int]]:
    """Yield the fields of all rows, one field at a time; zip(*rows) takes three times as long."""
    for number in range(_FIELDS):
        yield map(operator.itemgetter(number), rows)


class Known:
    """What is known of objects on the file system ``device`` (st_dev), for a Git repository.

    ``common_dir`` is Git's common folder.
    """

    def __init__(self, common_dir: str, device: int) -> None:
        self._folder = os.path.join(common_dir, "mlflow-dvc", "objects")
        self._head = _HEAD.pack(_FORMAT, device & (1 << 63) - 1)

    def read(self, listing: str, legacy: bool, count: int) -> list[Key] | None:
        """Return what is known of its objects, in its order; NONE for one that is not.

        ``legacy``: of DVC 2.x. The ``count`` is that of its different hashes.
        """
        try:
            with open(self._path(listing, legacy), "rb") as file:
                data = file.read()
            if data[: _HEAD.size] != self._head:
                return None
            columns = list(struct.Struct(f"={count}q").iter_unpack(data[_HEAD.size :]))
        except (OSError, struct.error):
            return None
        if len(columns) != _FIELDS:
            return None
        return list(zip(*columns, strict=True))

    def write(self, listing: str, legacy: bool, keys: Iterable[Key | None]) -> None:
        """Write down what is known, in the listing's order, of objects as DVC leaves them."""
        rows = [key or NONE for key in keys]
        if {*map(operator.itemgetter(3), rows)} != {AS_DVC}:
            rows = [key if key[3] == AS_DVC else NONE for key in rows]
        with contextlib.suppress(OSError, OverflowError):
            parts = [array.array("q", list(column)).tobytes() for column in _columns(rows)]
            os.makedirs(self._folder, exist_ok=True)
            with replacing(self._path(listing, legacy)) as file:
                file.write(b"".join((self._head, *parts)))
            self._tidy()

    def _path(self, listing: str, legacy: bool) -> str:
        return os.path.join(self._folder, f"{listing}.legacy" if legacy else listing)

    def _tidy(self) -> None:
        """Keep the youngest files."""
        with os.scandir(self._folder) as entries:
            found = [(entry.stat().st_mtime_ns, entry.path) for entry in entries]
        for _, path in sorted(found)[:-_FILES]:
            os.unlink(path)
