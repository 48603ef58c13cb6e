"""Metadata that Git is about to write: the untracked files of a stash that is applied.

Git reads them into an index of its own, for which it calls post-index-change, and writes them out
without calling any hook (``restore_untracked`` in stash.c).
"""

from __future__ import annotations

import os

from mlflow_dvc_plugin.capture import discovery, metadata
from mlflow_dvc_plugin.capture.files import CommitFiles
from mlflow_dvc_plugin.gitdir import Worktree
from mlflow_dvc_plugin.gitrepo import call_git
from mlflow_dvc_plugin.provenance import Output
from mlflow_dvc_plugin.sync.worktree import followed

_STASH = "index.stash."


def take_stash_index(worktree: Worktree) -> str:
    """Return the index of a stash that the hook was called for, "" for none.

    It is taken out of the environment: every other question is about the worktree's own index.
    """
    named = os.environ.get("GIT_INDEX_FILE", "")
    if not os.path.basename(named).startswith(_STASH):
        return ""
    del os.environ["GIT_INDEX_FILE"]
    return os.path.join(worktree.toplevel, named)


def incoming(worktree: Worktree, root: str, index: str) -> dict[str, Output]:
    """Return by path what the metadata in the index states of one DVC repository's outputs.

    Raises GitError.
    """
    top = worktree.toplevel
    tree = call_git(top, "write-tree", env={"GIT_INDEX_FILE": index}).decode().strip()
    prefix = os.path.relpath(root, top).replace(os.sep, "/").removeprefix(".")
    files = CommitFiles(top, tree)
    names = discovery.commit_metadata_files(files, prefix)
    found = metadata.load(files, top, prefix, names.paths, {}, absent=names.absent)
    return followed(found.outputs)
