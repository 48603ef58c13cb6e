"""Compare the data on disk with what the metadata says.

The steady state answers from ``stat``: the fingerprint of an output whose hash is known has not
changed. Everything else reads bytes, inside the deadline, and keeps what it learned.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable

from mlflow_dvc_plugin.capture import datafiles, dvcstate, fingerprint, hashing
from mlflow_dvc_plugin.capture.deadline import Deadline, OutOfTimeError
from mlflow_dvc_plugin.capture.fingerprint import Fingerprint
from mlflow_dvc_plugin.capture.mapped import Mapped, process_started, touches, writably_mapped
from mlflow_dvc_plugin.capture.remembered import key_of, lasting
from mlflow_dvc_plugin.capture.states import compared, note, unknown
from mlflow_dvc_plugin.capture.store import Store
from mlflow_dvc_plugin.errors import MlflowDvcError
from mlflow_dvc_plugin.provenance import Output, OutputState

# Below this many bytes reading them is quicker than, and better than, believing DVC's record.
_WORTH_A_LOOKUP = 64 << 20
_WORTH_A_NOTE = 1000  # files; that many take longer to be read than to be noted as read
# A file that took so many seconds without an end is tried again with this many times more.
_HOPE = 1.5
_TROUBLE = (OutOfTimeError, OSError, ValueError, MlflowDvcError)


class Disk:
    """The outputs of one DVC repository as they lie on disk during one capture."""

    def __init__(
        self, toplevel: str, root: str, store: Store, deadline: Deadline, site_cache: str | None
    ) -> None:
        self.toplevel = toplevel
        self.root = root
        self.store = store
        self.deadline = deadline
        self.site_cache = site_cache
        self._stamp: int | None = None
        self._ignores: dict[str, str] = {}
        self._taken: dict[str, Fingerprint | None] = {}
        self._mapped: Mapped | None = None
        self._started = process_started()

    def look_ahead(self) -> None:
        """Take the fingerprints of the outputs that are known already."""
        for key in self.store.data["outputs"]:
            path = key.partition(" ")[2]
            with contextlib.suppress(*_TROUBLE):
                self._taken[path] = self._take(path)

    def _take(self, path: str) -> Fingerprint | None:
        # The hot path: os.path.join takes as long as the stat.
        full = path if path[:1] == "/" else f"{self.toplevel}/{path}"
        return fingerprint.take(full, self.deadline)

    def states(self, outputs: Iterable[Output]) -> list[OutputState]:
        """Compare outputs with their bytes, in the order of their paths.

        Never raises for what the disk looks like. Of those that have to be read the small ones
        come first: a huge file must not cost the others their answer.
        """
        states: dict[str, OutputState] = {}
        unread = []
        for output in outputs:
            state, found = self._look(output)
            if state is not None:
                note(states, state)
            elif found is not None:
                unread.append((output, found))
        for output, found in sorted(unread, key=lambda pair: pair[1].size):
            note(states, self._read(output, found))
        return [states[path] for path in sorted(states)]

    def state_of(self, output: Output) -> OutputState:
        """Compare one output with its bytes."""
        return self.states([output])[0]

    def look(
        self, output: Output, early: Fingerprint | None = None
    ) -> tuple[OutputState, Fingerprint | None]:
        """Compare one output; return the fingerprint, if any, that this is true for.

        ``early`` is one taken a moment ago: it counts when it is the one that is remembered.
        """
        known = self.store.data["outputs"].get(key_of(output))
        is_known = known is not None and tuple(known[0]) == early
        with contextlib.suppress(*_TROUBLE):
            self._taken[output.path] = early if is_known else self._take(output.path)
        return self.state_of(output), self._taken.pop(output.path, None)

    def member(self, output: Output, path: str) -> OutputState:
        """Compare a file or folder inside a directory output; ``path`` as in Output.

        Only the whole directory has a recorded hash: while it is clean, so is the member.
        """
        part = output._replace(path=path, hash=None, isdir=False, size=None, nfiles=None)
        state = self.state_of(part)
        if state.status != "modified":
            return state
        whole = self.state_of(output)
        if whole.status == "clean":
            return OutputState(part._replace(hash=state.hash), "clean", state.hash)
        return OutputState(part, "unknown", state.hash, f"{output.path} is {whole.status}")

    def _look(self, output: Output) -> tuple[OutputState | None, Fingerprint | None]:
        """Return the state where ``stat`` can tell it, else the fingerprint of what to read."""
        if "://" in output.path:
            return OutputState(output, "unknown", reason="not on this disk"), None
        try:
            path = output.path
            found = self._taken[path] if path in self._taken else self._take(path)
            if found is None:
                return OutputState(output, "missing", reason="not on disk"), None
            actual = self._known(output, found)
        except _TROUBLE as error:
            return unknown(output, error), None
        return (None, found) if actual is None else (compared(output, actual), None)

    def _read(self, output: Output, found: Fingerprint) -> OutputState:
        try:
            return compared(output, self._learn(output, found))
        except _TROUBLE as error:
            return unknown(output, error)

    def _known(self, output: Output, found: Fingerprint) -> str | None:
        """Return the hash of the bytes that had this fingerprint.

        Raises OutOfTimeError for a file that could not be hashed in the time that is left now.
        """
        known = self.store.data["outputs"].get(key_of(output))
        if known is None or tuple(known[0]) != found or self._is_mapped(output.path, found.newest):
            return None
        if known[1] != self.ignore_key(output, found):
            return None
        if isinstance(known[2], (int, float)) and self.deadline.remaining() < _HOPE * known[2]:
            raise OutOfTimeError
        return known[2] if isinstance(known[2], str) else None

    def _is_mapped(self, path: str, newest: int) -> bool:
        """Tell whether this process may change bytes last touched at ``newest`` (ns) unseen."""
        if newest < self._started:
            return False
        if self._mapped is None:
            self._mapped = writably_mapped()
        full = os.path.join(self.toplevel, path)
        return bool(self._mapped.paths) and touches(self._mapped, full, self.deadline)

    def _learn(self, output: Output, found: Fingerprint) -> str:
        """Hash what is on disk and remember it; raises one of _TROUBLE."""
        if output.scheme not in hashing.SCHEMES:
            raise ValueError(f"the hash is an {output.scheme}, which a file on disk does not have")
        path = os.path.join(self.toplevel, output.path)
        if self._stamp is None:
            self._stamp = self.store.now()
        ignore = self.ignore_key(output, found)
        entry = self.store.data["outputs"]
        rows: dict[str, str] = {}
        if found.isdir:
            actual, rows, odd = self._hash_folder(output, path, bool(ignore))
        else:
            began = time.monotonic()
            try:
                actual = self._hash_file(output, path)
            except OutOfTimeError:  # a directory gets on with every run, one file starts anew
                entry[key_of(output)] = [list(found), ignore, round(time.monotonic() - began, 1)]
                raise
        if fingerprint.take(path, self.deadline) != found:
            raise ValueError(f"{output.path} changed while it was read")
        if fingerprint.settled(found.newest, self._stamp) and not self._is_mapped(
            output.path, found.newest
        ):
            entry[key_of(output)] = [list(found), ignore, actual]
            if len(rows) >= _WORTH_A_NOTE:
                from mlflow_dvc_plugin.capture import known

                known.note_links(self.toplevel, path, output._replace(hash=actual), rows, odd)
        return actual

    def _hash_file(self, output: Output, path: str) -> str:
        size = os.stat(path).st_size
        recorded = self._recorded(output, [path], size)
        return recorded.get(path) or hashing.file_md5(path, output.scheme, self.deadline)[0]

    def _hash_folder(
        self, output: Output, path: str, ignored: bool
    ) -> tuple[str, dict[str, str], dict[str, int]]:
        """Hash the files that are not known yet; what was hashed in time is kept in any case.

        ``rows`` holds one short string a file, its identity and md5: 20,000 files cost 5 MB. They
        are returned (none for several file systems), and the modes of no hard links to objects.
        """
        known = self.store.load_files(key_of(output))
        rows, unread, odd = dict[str, str](), list[str](), dict[str, int]()
        size, devices = 0, set()
        for rel in datafiles.data_files(self.root, path, ignored, self.deadline):
            info = os.stat(os.path.join(path, rel))
            devices.add(info.st_dev)
            if info.st_mode != dvcstate.PROTECTED or info.st_nlink == 1:
                odd[rel] = info.st_mode
            row = known.pop(rel, "")
            if row[:-33] == hashing.identity(info) and not self._is_mapped(
                os.path.join(path, rel), max(info.st_mtime_ns, info.st_ctime_ns)
            ):
                rows[rel] = row
            else:
                unread.append(rel)
                size += info.st_size
        changed = bool(known or unread)
        try:
            self._hash_rest(output, path, unread, size, rows)
        finally:
            if changed:
                self.store.save_files(key_of(output), lasting(rows, self._stamp or 0))
        actual = hashing.directory_hash((r.replace(os.sep, "/"), rows[r][-32:]) for r in rows)
        return actual, rows if len(devices) == 1 else {}, odd

    def _hash_rest(
        self, output: Output, path: str, unread: list[str], size: int, rows: dict[str, str]
    ) -> None:
        recorded = self._recorded(output, [os.path.join(path, rel) for rel in unread], size)
        for rel in unread:
            full = os.path.join(path, rel)
            if full in recorded:
                md5, info = recorded[full], os.stat(full)
            else:
                self.deadline.check()
                md5, info = hashing.file_md5(full, output.scheme, self.deadline)
            rows[rel] = f"{hashing.identity(info)} {md5}"

    def _recorded(self, output: Output, paths: list[str], size: int) -> dict[str, str]:
        """Return DVC's own record for files of ``size`` bytes together, when that is worth it."""
        if output.scheme != "md5" or self.site_cache is None or size < _WORTH_A_LOOKUP:
            return {}
        stats = {path: os.stat(path) for path in paths}
        return dvcstate.recorded(self.root, stats, self.site_cache)

    def ignore_key(self, output: Output, found: Fingerprint) -> str:
        """Return what identifies the ``.dvcignore`` patterns above a directory, "" for none."""
        if not found.isdir:
            return ""
        folder = os.path.dirname(os.path.join(self.toplevel, output.path))
        if folder not in self._ignores:
            self._ignores[folder] = datafiles.patterns_above(folder, self.root)
        return self._ignores[folder]
