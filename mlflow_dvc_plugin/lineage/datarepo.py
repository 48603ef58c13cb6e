"""The repository of a run's data, where that is not the code's."""

from __future__ import annotations

from mlflow_dvc_plugin import gitdir
from mlflow_dvc_plugin.capture import places
from mlflow_dvc_plugin.errors import MlflowDvcError
from mlflow_dvc_plugin.gitdir import Worktree


def data_worktree(worktree: Worktree | None, given: str | None = None) -> Worktree | None:
    """Return the Git worktree of the DVC repository that a run started here would use.

    ``given`` is a folder of it, as a person names it: MlflowDvcError when there is none.
    """
    if given:
        require_data(given)
    root = places.find_dvc_root(places.start([], given), worktree)
    return gitdir.find_worktree(root) if root else None


def require_data(given: str) -> None:
    """Raise MlflowDvcError unless the folder is in a DVC repository that Git keeps."""
    root = places.find_dvc_root(places.start([], given), None)
    if root is None or gitdir.find_worktree(root) is None:
        raise MlflowDvcError(
            f"{given} is no folder of a DVC repository in a Git worktree",
            "--data-repo <the folder with the data's .dvc>",
        )
