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
from mlflow_dvc_plugin.sync.placing import FICLONE, write_all

_BLOCK = 1 << 20  # bytes
_BINARY = getattr(os, "O_BINARY", 0)
_READ = os.O_RDONLY | _BINARY | getattr(os, "O_NONBLOCK", 0)
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY | getattr(os, "O_NOFOLLOW", 0)


def copy_files(
    target: str, rows: Mapping[str, str], objects: str, placed: dict[str, Key], *, executable: bool
) -> None:
    """Copy the files of ``rows`` (relative path -> md5) into the folder ``target``.

    ``objects`` is the folder of DVC's objects; what is in place is noted in ``placed``. Raises
    MovedError at an object that is gone or does not hold what its name says, MlflowDvcError where
    anything is in the place already, OSError.
    """
    mode = 0o777 if executable else 0o666  # less the user's mask
    with folder_at(objects) as (here, start), folder_at(target) as (there, top):
        for name, md5 in rows.items():
            try:
                source = os.open(f"{start}{md5[:2]}/{md5[2:]}", _READ, dir_fd=here)
            except FileNotFoundError:
                raise MovedError from None
            try:
                handle = os.open(top + name, _NEW, mode, dir_fd=there)
            except FileExistsError as error:
                text = f"{target}/{name} is there already, and is no part of the data"
                raise MlflowDvcError(text) from error
            else:
                try:
                    placed[name] = _copy(source, handle, md5)
                except BaseException:
                    os.unlink(top + name, dir_fd=there)
                    raise
                finally:
                    os.close(handle)
            finally:
                os.close(source)


def _copy(source: int, handle: int, md5: str) -> Key:
    info = os.fstat(source)
    if not stat.S_ISREG(info.st_mode):
        raise MovedError
    digest = hashlib.md5(usedforsecurity=False)
    size = min(info.st_size + 1, _BLOCK)
    while block := os.read(source, size):
        digest.update(block)
        write_all(handle, block)
    if digest.hexdigest() != md5:
        raise MovedError
    return KEY(os.fstat(handle))


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
            except OSError:
                return False
    except (ImportError, OSError):
        pass
    return True
