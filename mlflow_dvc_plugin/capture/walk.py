"""Find metadata files without Git, by walking as DVC does."""

from __future__ import annotations

import os
import posixpath
from typing import Any, NamedTuple

from mlflow_dvc_plugin import dvcrepo
from mlflow_dvc_plugin.capture.entry import Root
from mlflow_dvc_plugin.capture.files import WorktreeFiles
from mlflow_dvc_plugin.capture.metadata import Reader
from mlflow_dvc_plugin.dvcrepo import DEFAULT_IGNORED, IGNORE_FILE
from mlflow_dvc_plugin.errors import MlflowDvcError


class Found(NamedTuple):
    """Metadata files; paths relative to the toplevel.

    ``unknown`` maps a ``.dvcignore`` or a folder that could not be judged to the reason: then
    ``paths`` may hold files that DVC ignores, or lack some. ``absent`` are lock files that DVC does
    not see, for ``metadata.load``.
    """

    paths: list[str]
    unknown: dict[str, str]
    absent: frozenset[str] = frozenset()


def is_metadata(path: str) -> bool:
    """Say whether DVC takes a file with this name for its own."""
    return path.endswith((".dvc", "/dvc.yaml")) or path == "dvc.yaml"


def walk_metadata_files(toplevel: str, dvc_root: str, memo: dict[str, Any]) -> Found:
    """Return the metadata files below ``dvc_root``, found by a walk of the disk.

    For a repository without Git, or when Git cannot answer; ``.gitignore`` counts for nothing.
    Outputs, nested DVC repositories, ``.dvcignore``d and linked directories are not entered. To
    know outputs the files are read on the way down: ``memo`` is that of ``metadata.load``.
    """
    walk = _Walk(toplevel, dvc_root, memo)
    folders = [dvc_root]
    while folders:
        folders += reversed(walk.enter(folders.pop()))
    return Found(sorted(walk.paths), walk.unknown, frozenset(walk.absent))


class _Walk:
    """What a walk has found so far."""

    def __init__(self, toplevel: str, dvc_root: str, memo: dict[str, Any]) -> None:
        self.paths: list[str] = []
        self.unknown: dict[str, str] = {}
        self.absent: set[str] = set()
        self._outputs: set[str] = set()
        self._toplevel = toplevel
        self._root = dvc_root
        self._files = WorktreeFiles(toplevel)
        self._memo = memo
        self._keep: dvcrepo.Filter | None = None

    def enter(self, folder: str) -> list[str]:
        """Read one folder's metadata; return the folders below it to enter, sorted."""
        dirs, names = self._scan(folder)
        if IGNORE_FILE in names and self._keep is None:
            self._start_ignoring(folder)
        locks = [name for name in names if name == "dvc.lock"]
        if self._keep is not None:
            dirs, names = self._visible(self._keep, folder, dirs, names)
        if locks and "dvc.lock" not in names:
            self.absent.add(posixpath.join(folder, "dvc.lock"))
        found = [posixpath.join(folder, name) for name in sorted(names) if is_metadata(name)]
        self.paths += found
        self._note_outputs(found)
        below = [posixpath.join(folder, name) for name in sorted(dirs)]
        return [
            path for path in below
            if path not in self._outputs and not self._files.exists(f"{path}/.dvc")
        ]  # fmt: skip

    def _note_outputs(self, found: list[str]) -> None:
        root = Root(self._toplevel, self._root)
        reader = Reader(self._files, root, self._memo, frozenset(self.absent))
        for path in found:
            result = reader.result(path)
            self._outputs.update(output["path"] for output in result.get("outputs", ()))

    def _scan(self, folder: str) -> tuple[list[str], list[str]]:
        dirs: list[str] = []
        names: list[str] = []
        try:
            with os.scandir(self._absolute(folder)) as entries:
                for entry in entries:
                    if not entry.is_dir(follow_symlinks=False):
                        names.append(entry.name)
                    elif entry.name not in DEFAULT_IGNORED:
                        dirs.append(entry.name)
        except OSError as error:
            # What this user cannot list has no metadata that DVC could find either.
            gone = isinstance(error, (FileNotFoundError, NotADirectoryError, PermissionError))
            if folder == self._root or not gone:
                self.unknown[folder or "."] = error.strerror or "cannot be listed"
        return dirs, names

    def _start_ignoring(self, folder: str) -> None:
        path = posixpath.join(folder, IGNORE_FILE)
        try:
            if not dvcrepo.has_patterns(self._files.read(path) or b""):
                return
            self._keep = dvcrepo.ignore_filter(self._absolute(self._root))
        except OSError as error:
            self.unknown[path] = error.strerror or "cannot be read"
        except MlflowDvcError as error:
            self.unknown[path] = error.message

    def _visible(
        self, keep: dvcrepo.Filter, folder: str, dirs: list[str], names: list[str]
    ) -> tuple[list[str], list[str]]:
        try:
            return keep(self._absolute(folder), dirs, names)
        except MlflowDvcError as error:
            self.unknown[posixpath.join(folder, IGNORE_FILE)] = error.message
            return dirs, names

    def _absolute(self, folder: str) -> str:
        return os.path.join(self._toplevel, folder) if folder else self._toplevel
