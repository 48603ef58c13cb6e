"""The DVC configuration of today, also where what is checked out has no DVC."""

from __future__ import annotations

import os

from mlflow_dvc_plugin.capture.files import CommitFiles
from mlflow_dvc_plugin.dvcrepo.remote import Store, open_store
from mlflow_dvc_plugin.gitdir import Worktree


def store_of(worktree: Worktree, root: str, tip: str) -> Store:
    """Return the configuration of the DVC repository at ``root``, relative to the toplevel.

    That of the worktree; of the commit ``tip`` where the worktree has none. Raises MlflowDvcError.
    """
    here = os.path.join(worktree.toplevel, root) if root else worktree.toplevel
    main = os.path.normpath(os.path.join(worktree.main, root)) if worktree.main else None
    checked_out = os.path.isfile(os.path.join(here, ".dvc", "config"))
    files = None if checked_out else CommitFiles(worktree.toplevel, tip)
    return open_store(here, main, files)
