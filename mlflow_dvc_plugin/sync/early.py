"""Look at directories that may have to change, in a process beside the one that still imports.

A look at 20,000 files takes as long as all imports of a hook, so it is begun before them. What
comes out of it is a proposal: whoever uses it has to know that fingerprint already.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False  # typing's takes 8 ms to import, and this has to begin before that
if TYPE_CHECKING:
    from mlflow_dvc_plugin.capture.fingerprint import Fingerprint

_Identity = tuple[int, int, int]
_FILE = "synced"  # the ledger's


class Early:
    """Fingerprints of outputs by path, as the process ``pid`` sends them through a pipe.

    They count while the file ``ledger`` is ``seen``: another sync that ends has written its own.
    """

    def __init__(self, ledger: str, seen: _Identity, pid: int, handle: int) -> None:
        self._ledger = ledger
        self._seen = seen
        self._pid = pid
        self._handle = handle
        self._found: dict[str, list[int]] | None = None

    def get(self, path: str) -> Fingerprint | None:
        """Return what was found, after waiting for it; None where nothing was, or it is too old."""
        from mlflow_dvc_plugin.capture.fingerprint import Fingerprint

        if self._found is None:
            self._found = self._receive()
        if not (found := self._found.get(path)):
            return None
        nfiles, size, newest, digest, isdir = found
        return Fingerprint(nfiles, size, newest, digest, isdir=bool(isdir))

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

    def _receive(self) -> dict[str, list[int]]:
        import json
        from contextlib import suppress

        with open(self._handle, "rb") as pipe:
            data = pipe.read()
        with suppress(ChildProcessError):  # whoever started this process ignores SIGCHLD
            os.waitpid(self._pid, 0)
        try:
            return dict(json.loads(data)) if _identity(self._ledger) == self._seen else {}
        except (OSError, ValueError, TypeError):
            return {}


def begin() -> Early | None:
    """Start looking; None where that would not be quicker. The working directory is the worktree's.

    The other process ends by itself, also when nobody wants to know.
    """
    ledger = os.path.abspath(os.path.join(os.environ.get("GIT_DIR", ".git"), "mlflow-dvc", _FILE))
    try:
        if len(os.sched_getaffinity(0)) < 2:
            return None
        seen = _identity(ledger)
        ours, theirs = os.pipe()
        pid = os.fork()
    except (AttributeError, OSError):  # not on this system, no ledger, or not now
        return None
    if pid:
        os.close(theirs)
        return Early(ledger, seen, pid, ours)
    try:
        os.close(ours)
        _look(ledger, theirs)
    finally:
        os._exit(0)


def _look(ledger: str, handle: int) -> None:
    import json

    _let_go(handle)
    # Not of a FIFO: nobody would ever write to it.
    with open(os.open(ledger, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
        outputs = json.load(file)["outputs"]
    if any(os.path.isabs(name) or ".." in name.split("/") for name in outputs):
        return  # it is damaged
    found = {
        name: _fingerprint(name)
        for name, entry in outputs.items()
        if entry["isdir"] and _metadata_of(entry["source"]) != entry["seen"]
    }
    with open(handle, "wb") as pipe:
        pipe.write(json.dumps(found).encode())


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


def _fingerprint(name: str) -> list[int]:
    from mlflow_dvc_plugin.capture import fingerprint
    from mlflow_dvc_plugin.capture.deadline import Deadline

    try:
        return list(fingerprint.take(name, Deadline(None)) or ())
    except (OSError, ValueError):
        return []


def _metadata_of(source: str) -> str:
    """Return the identity, as in the ledger, of the file that states the hash."""
    if not source.endswith(".dvc"):
        source = os.path.splitext(source)[0] + ".lock"
    try:
        info = os.stat(source)
    except OSError:
        return ""
    return f"{info.st_mtime_ns} {info.st_ino} {info.st_size}"


def _identity(path: str) -> _Identity:
    info = os.stat(path)
    return info.st_ino, info.st_mtime_ns, info.st_size
