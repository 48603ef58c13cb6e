"""The only part that talks to Git."""

from mlflow_dvc_plugin.gitrepo.call import GitError, call_git, call_git_z
from mlflow_dvc_plugin.gitrepo.state import (
    Index,
    Status,
    index_of,
    remote_url,
    same_as_index,
    status,
    tracked_but_ignored,
    tracked_files,
    tree_id,
)

__all__ = [
    "GitError", "Index", "Status", "call_git", "call_git_z", "index_of", "remote_url",
    "same_as_index", "status", "tracked_but_ignored", "tracked_files", "tree_id",
]  # fmt: skip
