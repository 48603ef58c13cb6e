"""The files of a directory output, as DVC counts them."""

from __future__ import annotations

import os
from collections.abc import Iterator

from mlflow_dvc_plugin.capture.deadline import Deadline


def data_files(root: str, path: str, ignored: bool, deadline: Deadline) -> Iterator[str]:
    """Yield the files below ``path`` that DVC would hash, relative to it.

    ``root`` is the DVC repository; ``ignored`` tells that some ``.dvcignore`` pattern may apply,
    which only DVC itself can judge. Raises OSError, OutOfTimeError, ValueError where DVC refuses
    the directory, MlflowDvcError without the dvc library.
    """
    if ignored:
        from mlflow_dvc_plugin import dvcrepo

        folders: Iterator[tuple[str, list[str]]] = dvcrepo.walk_data(root, path)
    else:
        folders = _walk_unignored(path)
    for folder, names in folders:
        deadline.check()
        if ".dvcignore" in names:
            raise ValueError("DVC refuses a .dvcignore inside a tracked directory")
        for name in names:
            yield os.path.relpath(os.path.join(folder, name), path) if folder != path else name


def patterns_above(folder: str, root: str) -> str:
    """Return every ``.dvcignore`` pattern from ``folder`` up to ``root``, "" when there is none."""
    lines = []
    while folder == root or folder.startswith(root + os.sep):
        try:
            with open(os.path.join(folder, ".dvcignore"), encoding="utf-8") as file:
                text = [line.strip() for line in file]
        except (FileNotFoundError, NotADirectoryError):
            text = []
        lines += [f"{folder[len(root) :]}:{line}" for line in text if line and line[0] != "#"]
        folder = os.path.dirname(folder)
    return "\n".join(lines)


def _walk_unignored(path: str) -> Iterator[tuple[str, list[str]]]:
    """Walk as DVC does without patterns of the user's: it never enters these, nor a nested repo."""
    for folder, folders, names in os.walk(path, onerror=_raise):
        folders[:] = [
            name
            for name in folders
            if name not in (".git", ".hg", ".dvc")
            and not os.path.exists(os.path.join(folder, name, ".dvc"))
        ]
        yield folder, [name for name in names if name != ".git"]


def _raise(error: OSError) -> None:
    raise error
