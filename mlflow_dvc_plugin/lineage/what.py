"""What a person asks the runs of: a commit, a range, data at a path, a hash, an experiment."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from mlflow_dvc_plugin.capture import places
from mlflow_dvc_plugin.errors import MlflowDvcError
from mlflow_dvc_plugin.gitdir import Worktree
from mlflow_dvc_plugin.lineage.ahead import commits_of_range
from mlflow_dvc_plugin.lineage.datarepo import data_worktree
from mlflow_dvc_plugin.lineage.revision import commit_id

_HASH = re.compile(r"[0-9a-f]{6,32}(?:\.dir)?\Z")
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")


@dataclass(frozen=True)
class What:
    """``kind`` is ``commit``, ``range``, ``path``, ``hash`` or ``name``.

    ``commits`` are ids that are here; for a ``path`` with a revision, that one. ``path`` is
    relative to the toplevel. A ``hash`` may also be the id of a commit that is not here. A
    ``name`` is a DVC experiment, or a path or branch that only the past knows.
    """

    kind: str
    text: str
    commits: tuple[str, ...] = ()
    path: str | None = None


def meaning(worktree: Worktree | None, text: str, folder: str) -> What:
    """Return what the text means in this worktree, seen from ``folder``.

    Raises MlflowDvcError when it means two things, or names a revision that is not here.
    """
    if worktree is None:
        return What("hash" if _HASH.match(text) or _COMMIT.match(text) else "name", text)
    commit = _commit(worktree, text)
    there = _there(worktree, folder, text)
    if commit and there and not text.startswith(("./", "../", "/")):
        raise MlflowDvcError(
            f"'{text}' is both a revision and a path",
            f"mlflow-dvc runs ./{text}, or mlflow-dvc runs {commit}",
        )
    if there:
        return What("path", text, path=below(worktree, folder, text))
    if commit:
        return What("commit", text, (commit,))
    if ".." in text and "/.." not in text and "../" not in text:
        return What("range", text, tuple(commits_of_range(worktree.toplevel, text)))
    if _HASH.match(text) or _COMMIT.match(text):
        return What("hash", text)
    path, at, rev = text.rpartition("@")
    if at and path and rev:
        commit = commit_id(worktree.toplevel, rev)
        return What("path", text, (commit,), below(worktree, folder, path))
    return What("name", text)


def meaning_of_either(
    code: Worktree | None, text: str, folder: str, data_repo: str | None
) -> tuple[Worktree | None, What]:
    """Return what the text means, and in which worktree: commits in the code's, data in the data's.

    Where they are two: ``data_repo``, or else ``MLFLOW_DVC_REPO``, is a folder of the data's, and
    paths are relative to it. Raises MlflowDvcError.
    """
    data = data_worktree(code, data_repo)
    if data is None or data == code:
        return code, meaning(code, text, folder)
    if code is not None and not _is_data(data, text):
        found = meaning(code, text, folder)
        if found.kind in ("commit", "range"):
            return code, found
    begin = places.start([], data_repo)
    return data, meaning(data, text, begin.folder or folder)


def _is_data(data: Worktree, text: str) -> bool:
    """Tell whether it is a path at a revision of the data's repository."""
    path, at, rev = text.rpartition("@")
    return bool(at and path and rev and _commit(data, rev))


def below(worktree: Worktree, folder: str, path: str) -> str:
    """Return the path relative to the toplevel; raises MlflowDvcError when it is not below it."""
    parent, name = os.path.split(os.path.normpath(os.path.join(folder, path)))
    real = os.path.join(os.path.realpath(parent), name)
    found = os.path.relpath(real, worktree.toplevel).replace(os.sep, "/")
    if found == ".." or found.startswith("../"):
        raise MlflowDvcError(f"{path} is not in {worktree.toplevel}", "name a path inside it")
    return found


def _there(worktree: Worktree, folder: str, text: str) -> bool:
    """Tell whether data is at the path, or its ``.dvc`` beside it when it is not pulled."""
    path = os.path.join(folder, text)
    return bool(text) and (os.path.lexists(path) or os.path.isfile(path.rstrip("/") + ".dvc"))


def _commit(worktree: Worktree, text: str) -> str | None:
    try:
        return commit_id(worktree.toplevel, text)
    except MlflowDvcError:
        return None
