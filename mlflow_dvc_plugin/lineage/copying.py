"""Copy a directory's files out of the cache straight to their places, and prove them on the way.

Each byte is read once. Nothing is replaced, and what is not what it should be does not stay.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Mapping

from mlflow_dvc_plugin.capture.known import KEY, Key, folder_at
from mlflow_dvc_plugin.errors import MlflowDvcError
from mlflow_dvc_plugin.lineage.standing import MovedError
from mlflow_dvc_plugin.scratch import nameless_file
from mlflow_dvc_plugin.sync.placing import FICLONE, NO_CLONES, write_all

_BLOCK = 1 << 20  # bytes
_BINARY = getattr(os, "O_BINARY", 0)
_READ = os.O_RDONLY | _BINARY | getattr(os, "O_NONBLOCK", 0)
_NAMELESS = getattr(os, "O_TMPFILE", 0)  # Linux


def copy_files(
    target: str, rows: Mapping[str, str], objects: str, placed: dict[str, Key], *, executable: bool
) -> list[str]:
    """Copy the files of ``rows`` (relative path -> md5) into the folder ``target``.

    ``objects`` is the folder of DVC's objects; what is in place is noted in ``placed``. A file has
    no name until all of it is there. Returns those that are left: all of them where that cannot be.
    Raises MovedError at an object that cannot be read or does not hold what its name says,
    MlflowDvcError where anything is in the place already, OSError.
    """
    mode = 0o777 if executable else 0o666  # less the user's mask
    with folder_at(objects) as (here, start), folder_at(target) as (there, _):
        if there is None or not _has_nameless(there):
            return list(rows)
        for name, md5 in rows.items():
            handle = os.open(".", os.O_WRONLY | _NAMELESS, mode, dir_fd=there)
            try:
                _fill(handle, f"{start}{md5[:2]}/{md5[2:]}", here, md5)
                if not _give_name(handle, name, there, target):
                    break
                placed[name] = KEY(os.fstat(handle))
            finally:
                os.close(handle)
    return [name for name in rows if name not in placed] if len(placed) < len(rows) else []


def _has_nameless(folder: int) -> bool:
    """Tell whether a file can be made without a name in the open folder, and get one later."""
    try:
        handle = os.open(".", os.O_WRONLY | _NAMELESS, 0o600, dir_fd=folder)
    except OSError:  # not on this system, or not on this file system
        return False
    try:
        return os.path.exists(_name_of(handle))
    finally:
        os.close(handle)


def _give_name(handle: int, name: str, folder: int, target: str) -> bool:
    """Give the file its name in the open folder; False where none can be given like this."""
    try:
        os.link(_name_of(handle), name, dst_dir_fd=folder)  # never over anything
    except FileExistsError as error:
        text = f"{target}/{name} is there already, and is no part of the data"
        raise MlflowDvcError(text) from error
    except OSError:  # what is wrong shows when it is made in another way
        return False
    return True


def _name_of(handle: int) -> str:
    return f"/proc/self/fd/{handle}"


def _fill(handle: int, path: str, folder: int | None, md5: str) -> None:
    """Copy the object at ``path``, in the open ``folder``, into the new file."""
    try:
        source = os.open(path, _READ, dir_fd=folder)
    except OSError:
        raise MovedError from None
    try:
        info = os.fstat(source)
        if not stat.S_ISREG(info.st_mode):
            raise MovedError
        digest = hashlib.md5(usedforsecurity=False)
        size = min(info.st_size + 1, _BLOCK)
        while block := _read(source, size):
            digest.update(block)
            write_all(handle, block)
        if digest.hexdigest() != md5:
            raise MovedError
    finally:
        os.close(source)


def _read(source: int, size: int) -> bytes:
    try:
        return os.read(source, size)
    except OSError:  # a disk that is worn out
        raise MovedError from None


def can_clone(folder: str) -> bool:
    """Tell whether the folder's file system lets files share their blocks (reflinks).

    True where that cannot be tried: it then shows at each file.
    """
    try:
        import fcntl

        with open(nameless_file(folder), "wb", 0) as one, open(nameless_file(folder), "wb") as two:
            one.write(b".")
            try:
                fcntl.ioctl(two.fileno(), FICLONE, one.fileno())
            except OSError as error:
                return error.errno not in NO_CLONES
    except (ImportError, OSError):
        pass
    return True
