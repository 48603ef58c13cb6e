"""The Git events that have a hook, and where a worktree keeps what the hooks need to know."""

from __future__ import annotations

import os

from mlflow_dvc_plugin.gitdir import Worktree

# Events after which the data is made to match the metadata, and those that check.
SYNC_EVENTS = (
    "post-applypatch", "post-checkout", "post-commit", "post-index-change", "post-merge",
    "post-rewrite",
)  # fmt: skip
CHECK_EVENTS = ("pre-commit", "pre-push")
EVENTS = tuple(sorted((*SYNC_EVENTS, *CHECK_EVENTS)))


def state_folder(worktree: Worktree) -> str:
    """Return the absolute path of the folder that belongs to this worktree alone.

    In its own Git folder: it outlives branches without DVC, and Git neither lists nor cleans it.
    The scripts know it as ``${GIT_DIR:-.git}/mlflow-dvc``.
    """
    return os.path.join(worktree.git_dir, "mlflow-dvc")
