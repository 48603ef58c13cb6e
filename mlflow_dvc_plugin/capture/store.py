"""What earlier captures learned, kept between processes.

One file a worktree (a digest, then JSON), in DVC's own scratch folder ``.dvc/tmp`` (ignored by Git,
one a linked worktree), or in the user's cache folder when that cannot be written. Beside it one
file for each directory output with the md5 of every file in it, read only when something has
changed. All are replaced atomically; losing one costs time, never truth.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
import tempfile
import time
from typing import Any

from mlflow_dvc_plugin.provenance import Metadata

# Fingerprints are sums of Python's tuple hashes; another build may compute others.
_VERSION = f"1 {sys.implementation.cache_tag} {sys.hash_info.width}"
_FOLDER = "mlflow-dvc"
_STATE = "state"
_STALE = 3600.0  # seconds after which a temporary file belongs to a process that was killed


class Store:
    """The learned facts of one DVC repository; ``data`` is what is kept, plain JSON values."""

    def __init__(self, dvc_root: str) -> None:
        name = hashlib.md5(os.fsencode(dvc_root), usedforsecurity=False).hexdigest()
        self.folders = (
            os.path.join(dvc_root, ".dvc", "tmp", _FOLDER),
            os.path.join(_user_cache(), _FOLDER, name),
        )
        self.data: dict[str, Any] = {"memo": {}, "found": {}, "outputs": {}}
        # What the metadata files stated last, in memory only.
        self.loaded: tuple[object, Metadata] | None = None
        self._seen: object = None
        self._saved: object = None
        self.refresh()

    def refresh(self) -> None:
        """Take over what another process has learned since; its later word is the better one."""
        seen = self._stamp()
        if seen == self._seen:
            return
        self._seen = seen
        data = self._read_state()
        if data is not None:
            self.data = data | {"outputs": self.data["outputs"] | data["outputs"]}
            self.loaded = None
            self._saved = self._content()

    def save(self) -> None:
        """Write what changed; where nothing can be written, the next process starts anew."""
        content = self._content()
        if content == self._saved:
            return
        if self._stamp() != self._seen:
            others = self._read_state() or {"outputs": {}}
            self.data["outputs"] = others["outputs"] | self.data["outputs"]
        self.data["version"] = _VERSION
        text = json.dumps(self.data, separators=(",", ":"))
        if self._write(_STATE, text):
            self._saved = self._content()
            self._seen = self._stamp()

    def _stamp(self) -> object:
        """Return what identifies the files that other processes may have written since."""
        found = []
        for folder in self.folders:
            try:
                info = os.stat(os.path.join(folder, _STATE))
            except OSError:
                continue
            found.append((info.st_ino, info.st_mtime_ns))
        return found

    def _read_state(self) -> dict[str, Any] | None:
        found = self._read(_STATE)
        return found if found is not None and found.get("version") == _VERSION else None

    def _read(self, name: str) -> dict[str, Any] | None:
        """Return what a file keeps, None unless it is whole."""
        for folder in self.folders:
            digest, _, text = _read(os.path.join(folder, name)).partition("\n")
            if text and digest == _digest(text):
                found: dict[str, Any] = json.loads(text)
                return found
        return None

    def _content(self) -> tuple[object, ...]:
        """Return what equals itself while nothing was learned.

        Entries are replaced, never changed, so that comparing their identities does.
        """
        files = self.data["memo"].get("files")
        known = dict(files) if isinstance(files, dict) else {}
        found = json.dumps(self.data["found"])
        return known, dict(self.data["outputs"]), found, self.data.get("last")

    def load_files(self, key: str) -> dict[str, list[Any]]:
        """Return what is known of the files of one directory output, by relative path."""
        found = self._read(_files_name(key))
        return found["files"] if found is not None and found["key"] == key else {}

    def save_files(self, key: str, files: dict[str, list[Any]]) -> None:
        """Keep what was learned of the files of one directory output."""
        text = json.dumps({"key": key, "files": files}, separators=(",", ":"))
        self._write(_files_name(key), text)

    def now(self) -> int:
        """Return the present time in ns by the clock that stamps files where the facts are kept."""
        for folder in self.folders:
            with contextlib.suppress(OSError):
                os.makedirs(folder, exist_ok=True)
                with tempfile.TemporaryFile(dir=folder) as file:
                    file.write(b".")
                    file.flush()
                    return os.fstat(file.fileno()).st_mtime_ns
        return time.time_ns()

    def _write(self, name: str, text: str) -> bool:
        for folder in self.folders:
            with contextlib.suppress(OSError):
                os.makedirs(folder, exist_ok=True)
                _replace(folder, name, text)
                return True
        return False


def _replace(folder: str, name: str, text: str) -> None:
    handle, path = tempfile.mkstemp(suffix=".tmp", prefix=name, dir=folder)
    try:
        with open(handle, "w", encoding="ascii") as file:
            file.write(f"{_digest(text)}\n{text}")
        os.replace(path, os.path.join(folder, name))
    except BaseException:
        os.unlink(path)
        raise
    _remove_stale(folder)


def _remove_stale(folder: str) -> None:
    """Remove temporary files of processes that were killed while they wrote."""
    with os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):  # another process was quicker
                if entry.name.endswith(".tmp") and time.time() - entry.stat().st_mtime > _STALE:
                    os.unlink(entry.path)


def _files_name(key: str) -> str:
    return f"files-{_digest(key)}"


def _digest(text: str) -> str:
    """Return the text's md5: a file that was cut, edited or garbled does not carry its own."""
    return hashlib.md5(text.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()


def _read(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            return file.read()
    except (OSError, UnicodeDecodeError):
        return ""


def _user_cache() -> str:
    if sys.platform == "win32":
        return os.environ.get("LOCALAPPDATA") or os.path.expanduser("~\\AppData\\Local")
    if sys.platform == "darwin":
        return os.path.expanduser("~/Library/Caches")
    return os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
