"""The only part that talks to Git."""

from mlflow_dvc_plugin.gitrepo.call import (
    NO_HOOKS,
    NO_OWN_HOOKS,
    OFFLINE,
    GitError,
    call_git,
    call_git_z,
)
from mlflow_dvc_plugin.gitrepo.objects import GitObjects
from mlflow_dvc_plugin.gitrepo.state import (
    Index,
    Status,
    how_to_fetch,
    index_of,
    is_here,
    is_shallow,
    remote_names,
    remote_url,
    same_as_index,
    status,
    tracked_but_ignored,
    tracked_files,
    tree_id,
)

__all__ = [
    "NO_HOOKS", "NO_OWN_HOOKS", "OFFLINE", "GitError", "GitObjects", "Index", "Status", "call_git",
    "call_git_z", "how_to_fetch", "index_of", "is_here", "is_shallow", "remote_names", "remote_url",
    "same_as_index", "status", "tracked_but_ignored", "tracked_files", "tree_id",
]  # fmt: skip
