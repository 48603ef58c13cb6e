"""Look at directories that may have to change, in a process beside the one that still imports.

A look at 20,000 files takes as long as all imports of a hook, so it is begun before them. What
comes out of it is a proposal: whoever uses it has to know that fingerprint already.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False  # typing's takes 8 ms to import, and this has to begin before that
if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlflow_dvc_plugin.capture.fingerprint import Fingerprint
    from mlflow_dvc_plugin.sync.ledger import Entry

_Identity = tuple[int, int, int]
FOLDERS = "folders"  # beside the ledger, and replaced with it
_MOST = 1 << 20  # bytes


class Early:
    """Fingerprints of outputs by path, as the process ``pid`` sends them through a pipe.

    They count while the file ``folders`` is ``seen``: another sync that ends has written its own.
    """

    def __init__(self, folders: str, seen: _Identity, pid: int, handle: int) -> None:
        self._folders = folders
        self._seen = seen
        self._pid = pid
        self._handle = handle
        self._found: dict[str, Fingerprint] | None = None

    def get(self, path: str) -> Fingerprint | None:
        """Return what was found, after waiting for it; None where nothing was, or it is too old."""
        if self._found is None:
            self._found = self._receive()
        return self._found.get(path)

    def end(self) -> None:
        """Stop the other process if nobody has asked for what it finds."""
        if self._found is not None:
            return
        from contextlib import suppress
        from signal import SIGKILL

        os.close(self._handle)
        with suppress(ChildProcessError):  # while it is our child, its number is nobody else's
            if os.waitpid(self._pid, os.WNOHANG) == (0, 0):
                os.kill(self._pid, SIGKILL)
                os.waitpid(self._pid, 0)

    def _receive(self) -> dict[str, Fingerprint]:
        from contextlib import suppress

        from mlflow_dvc_plugin.capture.fingerprint import Fingerprint

        with open(self._handle, "rb") as pipe:
            *lines, rest = os.fsdecode(pipe.read()).split("\n")
        with suppress(ChildProcessError):  # whoever started this process ignores SIGCHLD
            os.waitpid(self._pid, 0)
        found = {}
        try:
            for line in lines:
                *values, name = line.split("\t")
                nfiles, size, newest, digest = map(int, values)
                found[name] = Fingerprint(nfiles, size, newest, digest, isdir=True)
            whole = not rest and _identity(self._folders) == self._seen
        except (OSError, ValueError):
            return {}
        return found if whole else {}


def keep(folder: str, entries: Mapping[str, Entry]) -> None:
    """Write down which folders may be looked at early, in the worktree's state folder.

    Raises OSError. A name with a tab or a line break, or in letters that the locale does not have,
    is left out.
    """
    import contextlib

    from mlflow_dvc_plugin.scratch import replacing

    with replacing(os.path.join(folder, FOLDERS)) as file:
        for path, entry in entries.items():
            line = f"{entry.seen}\t{_metadata(entry.source)}\t{path}\n"
            if entry.isdir and line.count("\t") == 2 and line.count("\n") == 1:
                with contextlib.suppress(UnicodeEncodeError):
                    file.write(os.fsencode(line))


def begin() -> Early | None:
    """Start looking; None where that would not be quicker. The working directory is the worktree's.

    The other process ends by itself, also when nobody wants to know.
    """
    above = os.environ.get("GIT_DIR", ".git")
    folders = os.path.abspath(os.path.join(above, "mlflow-dvc", FOLDERS))
    try:
        if len(os.sched_getaffinity(0)) < 2:
            return None
        seen = _identity(folders)
        ours, theirs = os.pipe()
        pid = os.fork()
    except (AttributeError, OSError):  # not on this system, nothing written down, or not now
        return None
    if pid:
        os.close(theirs)
        return Early(folders, seen, pid, ours)
    try:
        os.close(ours)
        _look(folders, theirs)
    finally:
        os._exit(0)


def _look(folders: str, handle: int) -> None:
    _let_go(handle)
    # Not of a FIFO: nobody would ever write to it.
    with open(os.open(folders, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
        lines = os.fsdecode(file.read(_MOST)).split("\n")
    split = [line.split("\t") for line in lines[:-1]]
    if any(os.path.isabs(name) or ".." in name.split("/") for _, _, name in split):
        return  # it is damaged
    with open(handle, "wb") as pipe:
        for seen, metadata, name in split:
            if _seen_of(metadata) != seen and (found := _fingerprint(name)):
                pipe.write(os.fsencode(f"{found}\t{name}\n"))


def _let_go(kept: int) -> None:
    """Close what was inherited, but for one: who waits for its end does not wait for this."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for handle in map(int, os.listdir("/dev/fd")):
        if handle == kept:
            continue
        try:  # noqa: SIM105 - contextlib takes 2 ms to import
            os.dup2(nothing, handle) if handle < 3 else os.close(handle)
        except OSError:
            pass  # the listing's own


def _fingerprint(name: str) -> str:
    """Return the numbers of the folder's fingerprint as text; "" for anything that is no folder."""
    from mlflow_dvc_plugin.capture import fingerprint
    from mlflow_dvc_plugin.capture.deadline import Deadline

    try:
        found = fingerprint.take(name, Deadline(None))
    except (OSError, ValueError):
        return ""
    return "\t".join(map(str, found[:4])) if found and found.isdir else ""


def _metadata(source: str) -> str:
    """Return the file that states the hash of an output with this source."""
    return source if source.endswith(".dvc") else os.path.splitext(source)[0] + ".lock"


def _seen_of(metadata: str) -> str:
    """Return the file's identity, as in the ledger."""
    try:
        info = os.stat(metadata)
    except OSError:
        return ""
    return f"{info.st_mtime_ns} {info.st_ino} {info.st_size}"


def _identity(path: str) -> _Identity:
    info = os.stat(path)
    return info.st_ino, info.st_mtime_ns, info.st_size
