"""Everything the DVC metadata files of one repository state, parsed once and remembered."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from mlflow_dvc_plugin.capture.broken import MetadataError, one_line
from mlflow_dvc_plugin.capture.dvcfile import read_dvcfile
from mlflow_dvc_plugin.capture.entry import Root
from mlflow_dvc_plugin.capture.files import Files, SeenFiles
from mlflow_dvc_plugin.capture.pipeline import lock_of, read_pipeline
from mlflow_dvc_plugin.dvcrepo import DvcMissingError
from mlflow_dvc_plugin.errors import MlflowDvcError
from mlflow_dvc_plugin.provenance import Metadata, Output, Stage

# Raise it whenever a file would be read differently: remembered results are then forgotten.
_FORMAT = 2


def load(  # noqa: PLR0913
    files: Files,
    toplevel: str,
    dvc_root: str,
    paths: Sequence[str],
    memo: dict[str, Any],
    *,
    absent: Collection[str] = (),
) -> Metadata:
    """Read the metadata files at ``paths`` (``*.dvc``, ``dvc.yaml``; locks are found beside them).

    ``toplevel`` is absolute, ``dvc_root`` and ``paths`` are relative to it. ``absent`` are files to
    treat as absent. ``memo`` is a dict that the caller keeps, in memory or as JSON; a file whose
    identity, and that of every file it depends on, is unchanged is not read again. Files inside
    an output are not read (``collect_files`` in ``dvc/repo/index.py``). Raises nothing: what cannot
    be read is in ``Metadata.broken``.
    """
    try:
        return _load(files, Root(toplevel, dvc_root), paths, memo, absent)
    except (AttributeError, KeyError, TypeError, ValueError):
        memo.clear()  # it came from a damaged file
        return _load(files, Root(toplevel, dvc_root), paths, memo, absent)


def _load(
    files: Files, root: Root, paths: Sequence[str], memo: dict[str, Any], absent: Collection[str]
) -> Metadata:
    reader = Reader(files, root, memo, absent)
    reader.forget_but(paths)
    reader.prefetch(paths)
    found = _Found()
    read = []
    for path in _outside_outputs(found, root.dvc, paths):
        read.append(path)
        found.add(reader.result(path))
    memo["read"] = read if all(path in memo["files"] for path in read) else None
    return found.metadata()


def unchanged(files: Files, memo: dict[str, Any], absent: Collection[str] = ()) -> bool:
    """Tell whether :func:`load` would give again what it gave last for the same paths."""
    read = memo.get("read")
    if not isinstance(read, list):
        return False
    # Not a generator, and nothing called but `identity`: this runs for every file of every run.
    identity = files.identity
    entries = memo["files"]
    for path in read:
        for other, was in entries[path]["on"].items():
            if (None if other in absent else identity(other)) != was:
                return False
    return True


class Reader:
    """Reads single metadata files, through the memo."""

    def __init__(
        self, files: Files, root: Root, memo: dict[str, Any], absent: Collection[str] = ()
    ) -> None:
        self._files = files
        self._root = root
        self._absent = absent
        key = [_FORMAT, root.toplevel, root.dvc]
        if memo.get("key") != key or not isinstance(memo.get("files"), dict):
            memo.update(key=key, files={})
        self._memo: dict[str, Any] = memo["files"]

    def forget_but(self, paths: Collection[str]) -> None:
        """Drop what is remembered of other files."""
        for path in self._memo.keys() - set(paths):
            del self._memo[path]

    def prefetch(self, paths: Iterable[str]) -> None:
        """Announce the files that will have to be read; costs nothing where that is no use."""
        self._files.prefetch(self._wanted(paths))

    def _wanted(self, paths: Iterable[str]) -> Iterator[str]:
        for path in paths:
            entry = self._memo.get(path)
            if entry is None or not self._unchanged(entry):
                yield path
                if path.endswith("dvc.yaml"):
                    yield lock_of(path)

    def result(self, path: str) -> dict[str, Any]:
        """Return what the file states: ``outputs``, ``stages``, ``artifacts``, ``broken`` and more.

        An absent file states nothing.
        """
        entry = self._memo.get(path)
        if entry is not None and self._unchanged(entry):
            result: dict[str, Any] = entry["result"]
            return result
        self._memo.pop(path, None)
        seen = SeenFiles(self._files, self._absent)
        try:
            result, lasting = self._read(seen, path), True
        except (MlflowDvcError, MetadataError) as error:
            result = {"broken": {path: one_line(error)}}
            lasting = not isinstance(error, DvcMissingError)
        except OSError as error:
            result, lasting = {"broken": {path: error.strerror or "cannot be read"}}, False
        result = {key: value for key, value in result.items() if value}
        if lasting and path in seen.on and seen.lasting():
            self._memo[path] = {"on": seen.on, "result": result}
        return result

    def _unchanged(self, entry: dict[str, Any]) -> bool:
        identity = self._files.identity
        try:
            # No generator: this runs for every metadata file of every run.
            for path, was in entry["on"].items():
                if (None if path in self._absent else identity(path)) != was:
                    return False
        except (AttributeError, KeyError, TypeError):  # a memo from a damaged file
            return False
        return True

    def _read(self, files: Files, path: str) -> dict[str, Any]:
        data = files.read(path)
        if data is None:
            if files.exists(path):
                raise MetadataError("not a regular file")
            return {}
        if path.endswith(".dvc"):
            return {"outputs": read_dvcfile(self._root, path, data)}
        return read_pipeline(files, self._root, path, data)


class _Found:
    """What the files read so far state."""

    def __init__(self) -> None:
        self.outputs: list[Output] = []
        self.paths: set[str] = set()
        self._stages: list[Stage] = []
        self._artifacts: dict[str, str | None] = {}
        self._broken: dict[str, str] = {}
        self._metrics: set[str] = set()
        self._plots: set[str] = set()

    def add(self, result: dict[str, Any]) -> None:
        outputs = [Output(**fields) for fields in result.get("outputs", ())]
        self.outputs += outputs
        self.paths.update([output.path for output in outputs])
        if len(result) == 1 and outputs:
            return  # a `.dvc` file
        for name, source, wdir, deps, outs in result.get("stages", ()):
            self._stages.append(Stage(name, source, wdir, tuple(deps), tuple(outs)))
        self._artifacts.update(result.get("artifacts", {}))
        self._broken.update(result.get("broken", {}))
        self._metrics.update(result.get("metrics", ()))
        self._plots.update(result.get("plots", ()))

    def metadata(self) -> Metadata:
        outputs = self.outputs
        if self._metrics or self._plots:
            outputs = [
                output._replace(
                    metric=output.metric or output.path in self._metrics,
                    plot=output.plot or output.path in self._plots,
                )
                for output in outputs
            ]
        return Metadata(tuple(outputs), tuple(self._stages), self._artifacts, self._broken)


def _outside_outputs(found: _Found, dvc_root: str, paths: Iterable[str]) -> Iterator[str]:
    """Yield ``paths`` top-down; directories that ``found`` knows as outputs by then are skipped.

    As DVC does, a directory's children are judged once its own files have been read. Siblings come
    in the order of their names (DVC takes them as the disk lists them).
    """
    names: dict[str, list[str]] = {}
    children: dict[str, set[str]] = {}
    for path in paths:
        folder = posixpath.dirname(path)
        if folder in names:
            names[folder].append(path)
            continue
        names[folder] = [path]
        while folder != dvc_root and folder:
            parent = posixpath.dirname(folder)
            known = children.setdefault(parent, set())
            if folder in known:
                break
            known.add(folder)
            folder = parent
    stack = [dvc_root]
    while stack:
        folder = stack.pop()
        yield from sorted(names.get(folder, ()))
        below = sorted(children.get(folder, ()), reverse=True)
        stack.extend(child for child in below if child not in found.paths)
