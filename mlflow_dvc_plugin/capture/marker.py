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
import tempfile
import weakref
from collections.abc import Iterator
from dataclasses import dataclass

from mlflow_dvc_plugin.capture.loaded import main_script
from mlflow_dvc_plugin.capture.store import FOLDER

_PREFIX = "running-"


@dataclass(frozen=True)
class Holder:
    """A live process that holds a marker: what it runs, and its ``token``.

    ``interactive``: a notebook kernel or a shell, which sits there for days.
    """

    what: str
    token: str
    interactive: bool


class Markers:
    """The markers of this process, one for each DVC repository; never raises."""

    def __init__(self) -> None:
        self._held: dict[str, tuple[str, int] | None] = {}
        weakref.finalize(self, _release, self._held, os.getpid())  # at the latest when all ends

    def hold(self, dvc_root: str) -> None:
        """Hold the repository's marker until the process ends; where it cannot be, do without."""
        if dvc_root in self._held or not os.path.isdir(os.path.join(dvc_root, ".dvc")):
            return
        self._held[dvc_root] = None  # also when it fails: no second try at every run
        with contextlib.suppress(OSError, ImportError):
            self._held[dvc_root] = _make(_folder(dvc_root))


def holders(dvc_root: str) -> Iterator[Holder]:
    """Yield the live holders; what dead ones left is removed."""
    try:
        import fcntl

        names = [name for name in os.listdir(_folder(dvc_root)) if name.startswith(_PREFIX)]
    except (OSError, ImportError):
        return
    for name in names:
        path = os.path.join(_folder(dvc_root), name)
        try:
            handle = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            continue
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield _read(handle)
        except OSError:
            continue  # a file system without such locks: nothing is known
        else:
            with contextlib.suppress(OSError):
                os.unlink(path)
        finally:
            os.close(handle)


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


def _make(folder: str) -> tuple[str, int]:
    """Make a marker and hold it; return its path and the handle."""
    import fcntl

    os.makedirs(folder, exist_ok=True)
    while True:
        # Not inherited by programs that are started: they are not this job.
        handle, path = tempfile.mkstemp(prefix=_PREFIX, dir=folder)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)  # somebody takes it for a leftover in this moment
            continue
        except OSError:
            os.close(handle)
            os.unlink(path)
            raise
        if os.fstat(handle).st_nlink:
            os.write(handle, json.dumps(_self()).encode())
            return path, handle
        os.close(handle)


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
    except (OSError, ValueError, KeyError, TypeError):
        return Holder("a running job", "", interactive=False)


def _release(held: dict[str, tuple[str, int] | None], pid: int) -> None:
    """Remove the markers, but not in a child that was forked: the parent still holds them."""
    for path, handle in filter(None, held.values()):
        with contextlib.suppress(OSError):
            if os.getpid() == pid:
                os.unlink(path)
            os.close(handle)
