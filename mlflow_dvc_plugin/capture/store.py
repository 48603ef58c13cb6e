"""What earlier captures learned, kept between processes.

One file a worktree (JSON and its digest), in DVC's own scratch folder ``.dvc/tmp`` (ignored by Git,
one a linked worktree), or in the user's cache folder when that cannot be written. Beside it one
file for each directory output with the md5 of every file in it, read only when something has
changed. All are replaced atomically; losing one costs time, never truth.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import sys
import time
from collections.abc import Iterable, Iterator
from typing import IO, Any

from mlflow_dvc_plugin.capture.hashing import quoted
from mlflow_dvc_plugin.provenance import Metadata
from mlflow_dvc_plugin.scratch import SUFFIX, nameless_file, replacing

# Fingerprints are sums of Python's tuple hashes; another build may compute others.
_VERSION = f"1 {sys.implementation.cache_tag} {sys.hash_info.width}"
FOLDER = "mlflow-dvc"
_STATE = "state"
_STALE = 3600.0  # seconds after which a temporary file belongs to a process that was killed


class Store:
    """The learned facts of one DVC repository; ``data`` is what is kept, plain JSON values."""

    def __init__(self, dvc_root: str) -> None:
        name = hashlib.md5(os.fsencode(dvc_root), usedforsecurity=False).hexdigest()
        own = os.path.join(dvc_root, ".dvc")
        # On a branch without DVC there is none, and making one would be in Git's way back.
        folders = [os.path.join(own, "tmp", FOLDER)] if os.path.isdir(own) else []
        if os.path.isabs(_user_cache()):  # "~" stays as it is where there is no home
            folders.append(os.path.join(_user_cache(), FOLDER, name))
        self.folders = tuple(folders)
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
        if self._write(_STATE, [text, "\n"]):
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
        for folder in self.folders:
            lines = list(_read_lines(os.path.join(folder, _STATE)))
            if len(lines) == 2 and lines[1] == _digest(lines[:1]):
                found: dict[str, Any] = json.loads(lines[0])
                return found if found.get("version") == _VERSION else None
        return None

    def _content(self) -> tuple[object, ...]:
        """Return what equals itself while nothing was learned.

        Entries are replaced, never changed, so that comparing their identities does.
        """
        files = self.data["memo"].get("files")
        known = dict(files) if isinstance(files, dict) else {}
        found = json.dumps(self.data["found"])
        staged = self.data.get("staged", {}).get("files", {})  # what a commit's index states
        return known, dict(self.data["outputs"]), found, self.data.get("last"), dict(staged)

    def load_files(self, key: str) -> dict[str, str]:
        """Return the row that is kept for each file of a directory output, by relative path."""
        for folder in self.folders:
            rows = _read_rows(os.path.join(folder, _files_name(key)), key)
            if rows is not None:
                return rows
        return {}

    def save_files(self, key: str, rows: Iterable[tuple[str, str]]) -> None:
        """Keep one row, text without a tab, for each file of a directory output."""
        lines = (f"{row}\t{quoted(rel)}\n" for rel, row in rows)
        self._write(_files_name(key), itertools.chain([json.dumps(key) + "\n"], lines))

    def now(self) -> int:
        """Return the present time in ns by the clock that stamps files where the facts are kept."""
        for folder in self.folders:
            with contextlib.suppress(OSError):
                os.makedirs(folder, exist_ok=True)
                return now_in(folder)
        return time.time_ns()

    def _write(self, name: str, parts: Iterable[str]) -> bool:
        """Replace the file in the first folder that can be written; tell whether there was one."""
        for folder in self.folders:
            with contextlib.suppress(OSError):  # not ours to write, or a full disk
                os.makedirs(folder, exist_ok=True)
                with replacing(os.path.join(folder, name)) as file:
                    _fill(file, parts)
                _remove_stale(folder)
                return True
        return False


def now_in(folder: str) -> int:
    """Return the time in ns by the clock that stamps files in the folder; raises OSError."""
    handle = nameless_file(folder)
    try:
        os.write(handle, b".")
        return os.fstat(handle).st_mtime_ns
    finally:
        os.close(handle)


def _fill(file: IO[bytes], parts: Iterable[str]) -> None:
    """Write the parts and, in a last line, their digest: what was cut or edited is thrown away."""
    digest = hashlib.md5(usedforsecurity=False)
    for part in parts:
        data = part.encode("ascii")
        digest.update(data)
        file.write(data)
    file.write(digest.hexdigest().encode())


def _read_rows(path: str, key: str) -> dict[str, str] | None:
    """Read what ``save_files`` wrote for ``key``, None unless it is whole."""
    digest = hashlib.md5(usedforsecurity=False)
    lines = _read_lines(path)
    first = next(lines, "")
    if first != json.dumps(key) + "\n":
        return None
    digest.update(first.encode())
    rows: dict[str, str] = {}
    for line in lines:
        if line == digest.hexdigest():
            return rows
        digest.update(line.encode())
        row, tab, rel = line.partition("\t")
        if not tab:
            return None
        # Without an escape the text is what stands between the quotes.
        rows[json.loads(rel) if "\\" in rel else rel[1:-2]] = row
    return None


def _remove_stale(folder: str) -> None:
    """Remove temporary files of processes that were killed while they wrote."""
    with os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):  # another process was quicker
                if entry.name.endswith(SUFFIX) and time.time() - entry.stat().st_mtime > _STALE:
                    os.unlink(entry.path)


def _files_name(key: str) -> str:
    return "files-" + hashlib.md5(json.dumps(key).encode(), usedforsecurity=False).hexdigest()


def _digest(parts: Iterable[str]) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    for part in parts:
        digest.update(part.encode())
    return digest.hexdigest()


def _read_lines(path: str) -> Iterator[str]:
    """Yield the lines of a file; ends where the file cannot be read any further."""
    try:
        with open(path, encoding="ascii", newline="\n") as file:
            yield from file
    except (OSError, UnicodeDecodeError):
        return


def _user_cache() -> str:
    if sys.platform == "win32":
        return os.environ.get("LOCALAPPDATA") or os.path.expanduser("~\\AppData\\Local")
    if sys.platform == "darwin":
        return os.path.expanduser("~/Library/Caches")
    return os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
