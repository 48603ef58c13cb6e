"""The list of the snapshots of a repository, and how much they may take.

Rows "head tree commit bytes"; a row "measured - - bytes" stands for all before it. Losing the list
costs time: the snapshots themselves are Git's.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable

from mlflow_dvc_plugin.capture.deadline import Deadline
from mlflow_dvc_plugin.errors import MlflowDvcError
from mlflow_dvc_plugin.gitrepo import snapshot as repository

LIMIT = 500 * 10**6  # bytes of all snapshots of a repository

_SPEED = 30 * 10**6  # bytes a second that Git compresses, on a slow disk


class FullError(MlflowDvcError):
    """The repository holds as many snapshots as it may."""


def _list_of(home: str) -> str:
    return os.path.join(home, "mlflow-dvc", "snapshots")


def _lines(home: str) -> list[list[str]]:
    """Return the rows "head tree commit bytes", or "measured - - bytes" of all before it."""
    try:
        with open(_list_of(home), encoding="ascii", errors="replace") as file:
            rows = [line.split() for line in file]
    except OSError:
        return []
    return [row for row in rows if len(row) == 4 and row[3].isdigit()]


def known(home: str, head: str | None, tree: str) -> str | None:
    """Return the commit that was made of this tree on this commit before."""
    for row in _lines(home):
        if row[:2] == [head or "-", tree]:
            return row[2]
    return None


def require_time(toplevel: str, paths: Iterable[str], deadline: Deadline) -> None:
    """Raise MlflowDvcError when Git could not keep so much in the time that is left.

    A Git that is killed while it writes leaves half an object behind, as large as the file.
    """
    size = sum(_size(os.path.join(toplevel, path)) for path in paths)
    if size > min(LIMIT, _SPEED * deadline.remaining()):
        raise MlflowDvcError(
            f"the files that differ from HEAD are too large for that ({size // 10**6} MB)",
            "commit them, or: dvc add <the large file>",
        )


def note(home: str, ids: tuple[str, str, str], toplevel: str, paths: Iterable[str]) -> None:
    """Write down the snapshot (head, tree, commit) with the size of its ``paths``."""
    _append(home, ids, sum(_size(os.path.join(toplevel, path)) for path in paths))


def _append(home: str, ids: tuple[str, str, str], size: int) -> None:
    os.makedirs(os.path.dirname(_list_of(home)), exist_ok=True)
    with open(_list_of(home), "a", encoding="ascii") as file:  # one short write: many may append
        file.write(f"{' '.join(ids)} {size}\n")


def _size(path: str) -> int:
    try:
        return os.lstat(path).st_size
    except OSError:
        return 0


def require_room(home: str, deadline: Deadline) -> None:
    """Raise FullError when the snapshots take more than they may.

    The list says at most how much; Git is asked only when that is too much.
    """
    total = 0
    for row in _lines(home):
        total = int(row[3]) if row[0] == "measured" else total + int(row[3])
    if total <= LIMIT:
        return
    measured = repository.bytes_of(home, repository.kept(home), deadline.remaining())
    _append(home, ("measured", "-", "-"), measured)
    if measured > LIMIT:
        raise FullError(
            f"the snapshots of this repository take {measured // 10**6} MB, and no more are kept",
            "mlflow-dvc prune",
        )


def forget(home: str, commits: Collection[str]) -> None:
    """Take commits off the list, and what was measured with them."""
    if not os.path.exists(_list_of(home)):  # lost: that costs time only
        return
    rows = [row for row in _lines(home) if row[2] not in commits and row[0] != "measured"]
    scratch = f"{_list_of(home)}.{os.getpid()}"
    with open(scratch, "w", encoding="ascii") as file:
        file.writelines(f"{' '.join(row)}\n" for row in rows)
    os.replace(scratch, _list_of(home))
