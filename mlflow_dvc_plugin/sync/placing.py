"""Put data in place, and take it away, so that no byte is lost whenever it is interrupted.

New bytes are made ready beside DVC's scratch folder and compared with their hash before anything
is touched. What is replaced is moved aside first and looked at once more: had somebody changed it
since it was compared, it is put back.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
from typing import NamedTuple

from mlflow_dvc_plugin.capture import hashing
from mlflow_dvc_plugin.capture.deadline import Deadline
from mlflow_dvc_plugin.errors import MlflowDvcError
from mlflow_dvc_plugin.scratch import new_folder

_BLOCK = 1 << 20
FICLONE = 0x40049409  # linux/fs.h
# The file system has no reflinks, or not to there: nor has it for any other file.
NO_CLONES = (errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOTTY, errno.EXDEV)
# Folders and files of the scratch folder; an old file may be the only one with its bytes.
FOLDER, NEW, OLD = "sync-", "new-", "old-"


class Old(NamedTuple):
    """A file that may go: its absolute path, ``hashing.identity`` when compared, and its hash."""

    path: str
    identity: str
    md5: str


class New(NamedTuple):
    """A file that comes: its absolute path, the object it is made from, and the object's hash."""

    path: str
    source: str
    md5: str
    scheme: str
    executable: bool = False


def sweep(folder: str) -> list[str]:
    """Remove what is left of a change that has ended; return the old files, which are kept."""
    left = []
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(OLD):
                left.append(entry.path)
            else:
                os.unlink(entry.path)
    with contextlib.suppress(OSError):
        os.rmdir(folder)
    return left


def identity_of(path: str) -> str:
    """Return the identity of the file's bytes; raises OSError."""
    return hashing.identity(os.stat(path))


class Workshop:
    """A scratch folder on the file system of the data, for one change; use it with ``with``."""

    def __init__(self, scratch: str, links: tuple[str, ...]) -> None:
        os.makedirs(scratch, exist_ok=True)
        self._folder = new_folder(scratch, FOLDER)
        self._links = links
        self._count = 0
        mask = os.umask(0)
        os.umask(mask)
        self._mask = mask

    def __enter__(self) -> Workshop:
        return self

    def __exit__(self, *_: object) -> None:
        sweep(self._folder)

    def make(self, new: New) -> str:
        """Make the file ready and return where it is; raises OSError, MlflowDvcError.

        A link type that the file system does not have falls through to the next, as in DVC.
        """
        ready = self._name(NEW)
        for link in self._links:
            if link in ("hardlink", "symlink") and not can_share(new):
                continue
            if link == "copy":
                break
            try:
                self._link(link, new, ready)
            except (OSError, NotImplementedError) as error:
                if link == "reflink" and getattr(error, "errno", errno.ENOSYS) in NO_CLONES:
                    self._links = tuple(one for one in self._links if one != link)
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(ready)
            else:
                return ready
        self._copy(new, ready)
        return ready

    def _link(self, kind: str, new: New, ready: str) -> None:
        if kind == "hardlink":
            os.link(new.source, ready)
        elif kind == "symlink":
            os.symlink(new.source, ready)
        else:
            self._reflink(new, ready)

    def swap(self, old: Old | None, ready: str | None, target: str) -> None:
        """Put ``ready`` in the place of ``old``; None for nothing there before, or after.

        Raises MlflowDvcError when the old file is not what was compared, or something else has
        come to the place; both are then as they were.
        """
        aside = self._name(OLD)
        if old is not None:
            os.rename(target, aside)
            if not _same_bytes(aside, old.identity):
                _put_back(aside, target)
                raise MlflowDvcError(f"{target} was changed while it was replaced")
        try:
            if ready is not None:
                _put(ready, target)
        except BaseException:
            if old is not None:
                _put_back(aside, target)
            raise
        if old is not None:
            os.unlink(aside)

    def _copy(self, new: New, ready: str) -> None:
        if new.scheme != "md5":
            import shutil  # objects of DVC 2.x: other hooks do without its imports

            shutil.copyfile(new.source, ready)
            if hashing.file_md5(ready, new.scheme, Deadline(None))[0] != new.md5:
                raise MlflowDvcError(f"the cache object {new.source} is corrupt")
        else:
            digest = hashlib.md5(usedforsecurity=False)
            with open(new.source, "rb", buffering=0) as file, open(ready, "xb", buffering=0) as out:
                while block := file.read(_BLOCK):
                    digest.update(block)
                    write_all(out.fileno(), block)
            if digest.hexdigest() != new.md5:
                raise MlflowDvcError(f"the cache object {new.source} is corrupt")
        os.chmod(ready, self._mode(new))

    def _reflink(self, new: New, ready: str) -> None:
        try:
            import fcntl
        except ImportError as error:
            raise NotImplementedError from error
        with open(new.source, "rb") as file, open(ready, "xb") as out:
            fcntl.ioctl(out.fileno(), FICLONE, file.fileno())
        os.chmod(ready, self._mode(new))

    def _mode(self, new: New) -> int:
        return (0o777 if new.executable else 0o666) & ~self._mask

    def _name(self, kind: str) -> str:
        self._count += 1
        return os.path.join(self._folder, f"{kind}{self._count}")


def can_share(new: New) -> bool:
    """Make sure that nobody edits the object by editing the data, as DVC does.

    A cache that was copied, or filled by another tool, may have objects that can be written.
    """
    mode = stat.S_IMODE(os.stat(new.source).st_mode)
    if new.executable and not mode & 0o111:
        return False  # the object is not ours to change
    if mode & 0o222 and os.access(new.source, os.W_OK):
        try:
            os.chmod(new.source, mode & ~0o222)
        except OSError:
            return False
    return True


def _same_bytes(path: str, identity: str) -> bool:
    """Compare all but ctime, which a rename changes."""
    try:
        return identity_of(path).split(" ")[:3] == identity.split(" ")[:3]
    except OSError:
        return False


def _put(ready: str, target: str) -> None:
    """Give the file its name; never over anything that is there."""
    os.makedirs(os.path.dirname(target), exist_ok=True)
    try:
        os.link(ready, target, follow_symlinks=False)
    except FileExistsError as error:
        raise MlflowDvcError(f"{target} was made by somebody else meanwhile") from error
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.EXDEV):
            raise
        if os.path.lexists(target):
            raise MlflowDvcError(f"{target} was made by somebody else meanwhile") from error
        os.rename(ready, target)
        return
    os.unlink(ready)


def _put_back(aside: str, target: str) -> None:
    """Give the old file its name again, or one beside it when somebody has made a new one."""
    for place in (target, *(f"{target}.before-sync{number or ''}" for number in range(100))):
        with contextlib.suppress(MlflowDvcError):
            _put(aside, place)
            return
    # It stays in the scratch folder, and the next sync names it.


def write_all(handle: int, block: bytes) -> None:
    """Write the whole block; raises OSError."""
    view = memoryview(block)
    while view:
        view = view[os.write(handle, view) :]


def remove_empty(folders: set[str], top: str, isdir: bool) -> None:
    """Remove folders that the data has left, from below; one that holds anything stays.

    ``isdir`` tells that ``top`` is to be a folder of data: then other empty ones in it stay, too.
    """
    below = set(folders)
    if os.path.isdir(top) and not isdir:
        below.update(folder for folder, _, _ in os.walk(top))  # no place for empty ones any more
    for start in list(below):
        above = start
        while len(above) > len(top):
            below.add(above)
            above = os.path.dirname(above)
    for folder in sorted({*below, top} if below else (), key=len, reverse=True):
        with contextlib.suppress(OSError):
            os.rmdir(folder)
