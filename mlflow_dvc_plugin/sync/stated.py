"""Which DVC objects a metadata file of a commit states; each blob is read and parsed once."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from mlflow_dvc_plugin.capture import metadata
from mlflow_dvc_plugin.capture.broken import MetadataError
from mlflow_dvc_plugin.capture.dvcfile import read_dvcfile
from mlflow_dvc_plugin.capture.entry import Root
from mlflow_dvc_plugin.capture.files import CommitFiles
from mlflow_dvc_plugin.capture.yamlfile import parse
from mlflow_dvc_plugin.gitrepo import GitError, call_git
from mlflow_dvc_plugin.provenance import Output

_TIMEOUT = 300.0
_LEGACY = "md5-dos2unix"


@dataclass(frozen=True)
class Wanted:
    """An object that a commit needs. ``root`` is its DVC repository, relative to the toplevel.

    ``legacy``: made by DVC 2.x, which keeps objects elsewhere. ``remote`` is the output's own one.
    """

    root: str
    remote: str | None
    hash: str
    legacy: bool


class Reader:
    """Reads metadata of any commit. ``broken`` maps ``commit:path`` to why it cannot be read."""

    def __init__(self, toplevel: str, roots: set[str]) -> None:
        self.broken: dict[str, str] = {}
        self._toplevel = toplevel
        self._roots = roots
        self._blobs: dict[str, bytes] = {}
        self._known: dict[tuple[str, str | None], dict[Wanted, str]] = {}
        self._memos: dict[str, dict[str, Any]] = {}

    def prefetch(self, blobs: Iterable[str]) -> None:
        """Read these ``.dvc`` files with one ``git cat-file``."""
        self._blobs = dict(_read_blobs(self._toplevel, sorted(set(blobs))))

    def objects(self, commit: str, path: str, blob: str | None) -> dict[Wanted, str]:
        """Return the objects that the metadata file states, each with the path of its output."""
        if blob is None:
            return {}
        pipeline = not path.endswith(".dvc")
        key = (f"{commit}:{posixpath.dirname(path)}" if pipeline else path, blob)
        if key not in self._known:
            self._known[key] = {}
            root = self._root_of(path)
            if root is not None:
                outputs = self._read(Root(self._toplevel, root), commit, path, blob)
                self._known[key] = dict(_objects(root, outputs))
        return self._known[key]

    def _root_of(self, path: str) -> str | None:
        folder = posixpath.dirname(path)
        while folder not in self._roots:
            if not folder:
                return None
            folder = posixpath.dirname(folder)
        return folder

    def _read(self, root: Root, commit: str, path: str, blob: str) -> list[Output]:
        if not path.endswith(".dvc"):
            return self._pipeline(root, commit, path)
        data = self._blobs.get(blob)
        try:
            if data is None:
                raise MetadataError("its content is missing from the Git repository")
            return [] if _is_import(data) else [Output(**f) for f in read_dvcfile(root, path, data)]
        except MetadataError as error:
            self.broken.setdefault(f"{commit[:10]}:{path}", str(error))
            return []

    def _pipeline(self, root: Root, commit: str, path: str) -> list[Output]:
        folder = posixpath.dirname(path)
        memo = self._memos.setdefault(root.dvc, {})
        name = posixpath.join(folder, "dvc.yaml")
        try:
            files = CommitFiles(self._toplevel, commit)
        except GitError as error:
            self.broken.setdefault(f"{commit[:10]}:{path}", error.message)
            return []
        found = metadata.load(files, root.toplevel, root.dvc, [name], memo)
        for broken, reason in found.broken.items():
            self.broken.setdefault(f"{commit[:10]}:{broken}", reason)
        return list(found.outputs)


def _is_import(data: bytes) -> bool:
    """Tell whether the data belongs to another repository: DVC never pushes such an import."""
    document = parse(data)
    deps = document.get("deps") if isinstance(document, dict) else None
    return any(isinstance(dep, dict) and "repo" in dep for dep in deps or [])


def _objects(root: str, outputs: Iterable[Output]) -> Iterator[tuple[Wanted, str]]:
    for output in outputs:
        if output.hash and output.cache and output.push and output.scheme in ("md5", _LEGACY):
            remote = output.remote.lower() if output.remote else None
            yield Wanted(root, remote, output.hash, output.scheme == _LEGACY), output.path


def _read_blobs(toplevel: str, names: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    request = "".join(f"{name}\n" for name in names).encode()
    out = call_git(toplevel, "cat-file", "--batch", stdin=request, timeout=_TIMEOUT)
    at = 0
    for name in names:
        end = out.index(b"\n", at)
        words = out[at:end].split(b" ")
        if len(words) == 3:
            size = int(words[2])
            yield name, out[end + 1 : end + 1 + size]
            end += size + 1
        at = end + 1
