"""DVC's own templating and ignore rules."""

from __future__ import annotations

import io
import os
import posixpath
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from mlflow_dvc_plugin.errors import MlflowDvcError

if TYPE_CHECKING:
    from mlflow_dvc_plugin.capture.files import Files

# (absolute directory, names of directories, names of files) -> those that DVC sees
Filter = Callable[[str, list[str], list[str]], tuple[list[str], list[str]]]

# What DVC's templating and ignore code raises beside its own errors when a file is not as it wants.
_FAILURES = (
    ArithmeticError, AssertionError, AttributeError, LookupError, OSError, RecursionError,
    TypeError, ValueError,
)  # fmt: skip
IGNORE_FILE = ".dvcignore"
DEFAULT_IGNORED = frozenset({".dvc", ".git", ".hg"})


class DvcMissingError(MlflowDvcError, ImportError):
    """The question needs the dvc library, and it is not installed."""


def resolve(files: Files, folder: str, document: dict[str, Any]) -> dict[str, Any]:
    """Return a ``dvc.yaml`` with foreach, matrix, vars and ``${}`` resolved by DVC.

    ``folder`` holds the file, relative to the toplevel; parameter files come from ``files``. The
    result has ``stages``, ``artifacts``, ``metrics`` and ``plots``. Raises DvcMissingError, and
    MlflowDvcError with DVC's own reason.
    """
    with dvc_quiet() as DvcException:  # noqa: N806 - it is a class
        from dvc.parsing import DataResolver

        try:
            resolver = DataResolver(_Repo(files_fs(files)), folder, document)
            stages: dict[str, Any] = {}
            for name in resolver.get_keys():
                stages.update(resolver.resolve_one(name))
            return {
                "stages": stages,
                "artifacts": resolver.resolve_artifacts(),
                "metrics": resolver.resolve_metrics(),
                "plots": resolver.resolve_plots(),
            }
        except (DvcException, *_FAILURES) as error:
            raise MlflowDvcError(f"DVC cannot resolve it: {first_line(error)}") from error


def ignore_filter(root: str, files: Files | None = None, toplevel: str = "") -> Filter:
    """Return DVC's own ignore rules for the DVC repository at the absolute path ``root``.

    Directories must be asked top-down with all their names: DVC remembers what it saw first.
    With ``files`` and ``toplevel``, ``.dvcignore`` files are read from there. Raises
    DvcMissingError; the filter itself raises MlflowDvcError.
    """
    with dvc_quiet() as DvcException:  # noqa: N806
        from dvc.fs import LocalFileSystem
        from dvc.ignore import DvcIgnoreFilter

        fs = LocalFileSystem() if files is None else files_fs(files, toplevel)
        try:
            rules = DvcIgnoreFilter(fs, root)
        except (DvcException, *_FAILURES) as error:
            raise MlflowDvcError(f"DVC cannot read {IGNORE_FILE}: {first_line(error)}") from error

    def visible(folder: str, dirs: list[str], names: list[str]) -> tuple[list[str], list[str]]:
        try:
            seen_dirs, seen_names = rules(folder, dirs, names)
        except (DvcException, *_FAILURES) as error:
            raise MlflowDvcError(f"DVC cannot read {IGNORE_FILE}: {first_line(error)}") from error
        return list(seen_dirs), list(seen_names)

    return visible


def visible_paths(files: Files, toplevel: str, root: str, paths: Collection[str]) -> set[str]:
    """Return those of ``paths`` that no ``.dvcignore`` hides, as DVC's walk would find them.

    ``root`` and ``paths`` are relative to the toplevel. Raises DvcMissingError, MlflowDvcError.
    """
    tree: dict[str, tuple[set[str], set[str]]] = {root: (set(), set())}
    for path in paths:
        folder, name = posixpath.split(path)
        tree.setdefault(folder, (set(), set()))[1].add(name)
        while folder != root:
            parent, name = posixpath.split(folder)
            tree.setdefault(parent, (set(), set()))[0].add(name)
            folder = parent
    keep = ignore_filter(_absolute(toplevel, root), files, toplevel)
    found: set[str] = set()
    queue = [root]
    for folder in queue:
        dirs, names = tree[folder]
        seen_dirs, seen_names = keep(_absolute(toplevel, folder), sorted(dirs), sorted(names))
        queue.extend(posixpath.join(folder, name) for name in seen_dirs)
        found.update(posixpath.join(folder, name) for name in seen_names)
    return found


def walk_data(root: str, path: str) -> Iterator[tuple[str, list[str]]]:
    """Yield each directory of a data directory with the names of the files that DVC hashes.

    ``root`` is the DVC repository, ``path`` the data directory, both absolute; links to directories
    are not followed. DVC refuses to hash a directory with a ``.dvcignore`` among the names. Imports
    DVC only if a ``.dvcignore`` above has a pattern. Raises DvcMissingError, MlflowDvcError.
    """
    keep: Filter = _keep_default
    if _is_nested(path, root) or any(map(_has_patterns, _folders_above(root, path))):
        keep = ignore_filter(root)
    for folder, dirs, names in os.walk(path):
        dirs[:], seen = keep(folder, dirs, names)
        yield folder, seen


def has_patterns(content: bytes) -> bool:
    """Say whether a ``.dvcignore`` with this content can hide anything."""
    lines = (line.strip() for line in content.splitlines())
    return any(line and not line.startswith(b"#") for line in lines)


def _has_patterns(folder: str) -> bool:
    try:
        with open(os.path.join(folder, IGNORE_FILE), "rb") as stream:
            return has_patterns(stream.read())
    except OSError:
        return False


def _is_nested(path: str, root: str) -> bool:
    """Say whether a data directory lies in a DVC repository of its own: DVC sees nothing there."""
    folders = [path, *_folders_above(root, path)]
    return any(folder != root and os.path.lexists(f"{folder}/.dvc") for folder in folders)


def _folders_above(root: str, path: str) -> Iterator[str]:
    while path != root and len(path) > len(root):
        path = os.path.dirname(path)
        yield path


def _keep_default(folder: str, dirs: list[str], names: list[str]) -> tuple[list[str], list[str]]:
    """Apply DVC's built-in patterns and leave out nested DVC repositories."""
    keep = [
        name for name in dirs
        if name not in DEFAULT_IGNORED and not os.path.lexists(f"{folder}/{name}/.dvc")
    ]  # fmt: skip
    return keep, [name for name in names if name != ".git"]


@contextmanager
def dvc_quiet() -> Iterator[type[Exception]]:
    """Import DVC, hand out its base error, and keep its warnings off the user's screen."""
    try:
        from dvc.exceptions import DvcException
    except ImportError as error:
        message = f"needs the dvc library ({error}): pip install dvc"
        raise DvcMissingError(message, "pip install dvc") from error
    import logging

    logger = logging.getLogger("dvc")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield DvcException
    finally:
        logger.setLevel(level)


class _Repo:
    """As much of a DVC repository as its templating looks at."""

    def __init__(self, fs: Any) -> None:
        self.fs = fs
        self.config: dict[str, Any] = {}


def files_fs(files: Files, toplevel: str = "") -> Any:
    """Return a DVC file system that reads from ``files``; relative paths start at the toplevel."""
    from dvc.fs import LocalFileSystem

    def relative(path: str) -> str:
        if toplevel and os.path.isabs(path):
            path = os.path.relpath(path, toplevel)
        return "" if path == "." else posixpath.normpath(path)

    class FilesFileSystem(LocalFileSystem):  # type: ignore[misc]
        def exists(self, path: str, **_: Any) -> bool:
            return files.exists(relative(path))

        def isdir(self, path: str) -> bool:
            return files.is_dir(relative(path))

        def isfile(self, path: str) -> bool:
            return files.identity(relative(path)) is not None

        def walk(self, path: str, **_: Any) -> Iterator[tuple[str, list[str], list[str]]]:
            yield path, [], []  # only DVC's search for nested repositories asks: done by discovery

        def open(self, path: str, mode: str = "r", encoding: str | None = None, **_: Any) -> Any:
            data = files.read(relative(path))
            if data is None:
                raise FileNotFoundError(path)
            if "b" in mode:
                return io.BytesIO(data)
            return io.TextIOWrapper(io.BytesIO(data), encoding=encoding or "utf-8")

    return FilesFileSystem()


def _absolute(toplevel: str, path: str) -> str:
    return os.path.join(toplevel, path) if path else toplevel


def first_line(error: BaseException) -> str:
    """Return an error's text as one short line."""
    return short(str(error)) or type(error).__name__


def short(text: str) -> str:
    """Return the text as one short line."""
    return " ".join(text.split())[:300]
