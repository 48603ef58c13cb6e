"""Leave nothing of ours where a commit has no DVC: Git would show it, stash it and add it.

What keeps it out of Git, ``.dvc/.gitignore``, has gone with the rest of the metadata.
"""

from __future__ import annotations

import contextlib
import os

from mlflow_dvc_plugin.capture.marker import PREFIX as RUNNING
from mlflow_dvc_plugin.capture.store import FOLDER
from mlflow_dvc_plugin.gitdir import Worktree
from mlflow_dvc_plugin.sync.linked import unshare
from mlflow_dvc_plugin.sync.placing import FOLDER as CHANGES


def is_gone(dvc_root: str) -> bool:
    """Tell whether there is no DVC repository any more, only what Git left in its folder."""
    return not os.path.lexists(os.path.join(dvc_root, ".dvc", "config"))


def tidy(worktree: Worktree, dvc_root: str) -> None:
    """Remove links and what is remembered; not what a job or a change has left for others."""
    unshare(worktree, dvc_root)
    own = os.path.join(dvc_root, ".dvc")
    scratch = os.path.join(own, "tmp", FOLDER)
    with contextlib.suppress(OSError):
        for name in os.listdir(scratch):
            if not name.startswith((RUNNING, CHANGES)):
                os.unlink(os.path.join(scratch, name))
    with contextlib.suppress(OSError):  # one that holds anything stays
        for folder in (scratch, os.path.dirname(scratch), own):
            os.rmdir(folder)
