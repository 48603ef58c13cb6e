"""Leave word that this process uses the data, for as long as it lives.

A file in DVC's scratch folder of the worktree, held by an ``flock``: the kernel releases it with
the process (and the children it forked), however it ends, and it holds between containers, where
a process id means nothing. Hooks that would change the data under a running job look at it.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from typing import NamedTuple

from mlflow_dvc_plugin.capture.loaded import main_script
from mlflow_dvc_plugin.capture.store import FOLDER
from mlflow_dvc_plugin.scratch import new_file

PREFIX = "running-"
_MOST = 50  # handles: a process may have as few as 256 of them
_TRIES = 100


class Holder(NamedTuple):
    """A live process that holds a marker: what it runs, and its ``token``.

    ``interactive``: a notebook kernel or a shell, which sits there for days.
    """

    what: str
    token: str
    interactive: bool


class _Mark(NamedTuple):
    """A marker of this process; the handle is ours while it is this device's and inode's file."""

    path: str
    handle: int
    file: tuple[int, int]


class Markers:
    """The markers of this process, one for each DVC repository; never raises."""

    def __init__(self) -> None:
        self._held: dict[str, _Mark | None] = {}
        import weakref  # a hook only looks at markers

        weakref.finalize(self, _release, self._held)  # at the latest when all ends

    def hold(self, dvc_root: str) -> None:
        """Hold the repository's marker until the process ends; where it cannot be, do without.

        It is made again when somebody has removed the file, or closed the handle (daemons close
        all there are).
        """
        if dvc_root in self._held:
            mark = self._held[dvc_root]
            if mark is None or _close_unless(mark, links=1):
                return
        elif len(self._held) >= _MOST or not os.path.isdir(os.path.join(dvc_root, ".dvc")):
            return
        self._held[dvc_root] = None  # also when it fails: no second try at every run
        with contextlib.suppress(OSError, ImportError):
            self._held[dvc_root] = _make(_folder(dvc_root))


def holders(dvc_root: str) -> Iterator[Holder]:
    """Yield the live holders; what dead ones left is removed."""
    try:
        names = [name for name in os.listdir(_folder(dvc_root)) if name.startswith(PREFIX)]
    except OSError:
        return
    for name in names:
        with contextlib.suppress(OSError, ImportError):
            if holder := _sweep(os.path.join(_folder(dvc_root), name)):
                yield holder


def _sweep(path: str) -> Holder | None:
    """Return the marker's live holder, or remove it.

    Raises OSError where nothing is known: no such file, a file system without such locks.
    """
    import fcntl

    options = os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        handle = os.open(path, os.O_RDWR | options)
    except PermissionError:  # another user's
        handle = os.open(path, os.O_RDONLY | options)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.unlink(path)
    except BlockingIOError:
        return _read(handle)
    finally:
        os.close(handle)
    return None


def token_of(pid: int | str) -> str:
    """Return what only this process has: PID namespace, id, start time; "" where unknown."""
    try:
        space = os.readlink(f"/proc/{pid}/ns/pid")
        return f"{space} {pid} {_stat_fields(pid)[19]}"
    except (OSError, IndexError):
        return ""


def parent_of(pid: int) -> int:
    """Return the parent's process id, 0 where that is unknown."""
    try:
        return int(_stat_fields(pid)[1])
    except (OSError, IndexError, ValueError):
        return 0


def _stat_fields(pid: int | str) -> list[str]:
    """Return the fields of ``/proc/PID/stat`` from the third on: the second may hold anything."""
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
        return file.read().rpartition(")")[2].split()


def _folder(dvc_root: str) -> str:
    return os.path.join(dvc_root, ".dvc", "tmp", FOLDER)


def _make(folder: str) -> _Mark:
    """Make a marker and hold it; raises OSError."""
    import fcntl

    os.makedirs(folder, exist_ok=True)
    for _ in range(_TRIES):
        # Not inherited by programs that are started: they are not this job.
        handle, path = new_file(folder, PREFIX)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            info = os.fstat(handle)
            if info.st_nlink:
                with contextlib.suppress(OSError):  # on a full disk without a text
                    os.fchmod(handle, 0o644)  # people who share a worktree see each other's
                    os.write(handle, json.dumps(_self()).encode())
                return _Mark(path, handle, (info.st_dev, info.st_ino))
        except BlockingIOError:
            pass  # somebody takes it for a leftover in this moment
        except OSError:
            _drop(path, handle)
            raise
        _drop(path, handle)
    raise OSError(f"no marker stays in {folder}")


def _drop(path: str, handle: int) -> None:
    os.close(handle)
    with contextlib.suppress(OSError):
        os.unlink(path)


def _close_unless(mark: _Mark, links: int) -> bool:
    """Tell whether the marker is held and has so many names; else close it, if it is still ours."""
    try:
        info = os.fstat(mark.handle)
    except OSError:
        return False
    if (info.st_dev, info.st_ino) != mark.file:
        return False  # closed by somebody, and the number is another file's by now
    if info.st_nlink >= links:
        return True
    os.close(mark.handle)
    return False


def _self() -> dict[str, object]:
    """Return what others may read; no arguments, which can hold secrets."""
    script = main_script()
    return {
        "what": f"{os.path.basename(script) if script else 'Python'} (process {os.getpid()})",
        "token": token_of(os.getpid()),
        "interactive": _is_interactive(),
    }


def _is_interactive() -> bool:
    if hasattr(sys, "ps1") or sys.flags.interactive:
        return True
    shell = getattr(sys.modules.get("IPython"), "get_ipython", None)
    return shell is not None and shell() is not None


def _read(handle: int) -> Holder:
    try:
        data = json.loads(os.pread(handle, 4096, 0))
        return Holder(str(data["what"]), str(data["token"]), data["interactive"] is True)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return Holder("a running job", "", interactive=False)


def _release(held: dict[str, _Mark | None]) -> None:
    """Remove the markers, but none that a parent or a child still holds since a fork."""
    for mark in filter(None, held.values()):
        _close_unless(mark, links=sys.maxsize)
        with contextlib.suppress(OSError):
            _sweep(mark.path)
