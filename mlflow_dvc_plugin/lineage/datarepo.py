"""The repository of a run's data, where that is not the code's."""

from __future__ import annotations

from mlflow_dvc_plugin import gitdir
from mlflow_dvc_plugin.capture import places
from mlflow_dvc_plugin.gitdir import Worktree


def data_worktree(worktree: Worktree) -> Worktree | None:
    """Return the Git worktree of the DVC repository that a run started here would use."""
    root = places.find_dvc_root(places.start([]), worktree)
    return gitdir.find_worktree(root) if root else None
