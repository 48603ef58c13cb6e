"""Read a DVC repository: its metadata, what runs in it, and what is on disk."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Callable

from mlflow_dvc_plugin import gitdir
from mlflow_dvc_plugin.capture import discovery, dvcstate, metadata
from mlflow_dvc_plugin.capture.code import git_status
from mlflow_dvc_plugin.capture.deadline import Deadline
from mlflow_dvc_plugin.capture.disk import Disk
from mlflow_dvc_plugin.capture.facts import Facts
from mlflow_dvc_plugin.capture.files import WorktreeFiles
from mlflow_dvc_plugin.capture.inputs import find_stage
from mlflow_dvc_plugin.gitdir import Worktree
from mlflow_dvc_plugin.gitrepo import GitError, Status
from mlflow_dvc_plugin.provenance import Metadata, Stage


class DataRepo:
    """A DVC repository during one capture.

    ``toplevel`` is that of the Git worktree it lies in, else its root: paths are relative to it.
    ``unread`` maps what could not be read to the reason.
    """

    def __init__(
        self, root: str, facts: Facts, deadline: Deadline, warnings: list[tuple[str, str]]
    ) -> None:
        self.root = root
        self.facts = facts
        self.deadline = deadline
        self.warnings = warnings
        self.unread: dict[str, str] = {}
        self.worktree = gitdir.find_worktree(root)
        self.toplevel = self.worktree.toplevel if self.worktree else root
        self.store = facts.store(root)
        self.config = facts.config(root)
        site_cache = dvcstate.site_cache_dir(self.config.site_cache_dir)
        self.disk = Disk(self.toplevel, root, self.store, deadline, site_cache)
        self.metadata = Metadata()
        self.rev: str | None = None
        prefix = os.path.relpath(root, self.toplevel).replace(os.sep, "/")
        self._prefix = "" if prefix == "." else prefix
        self._ahead: tuple[object, Metadata] | None = None

    def look_ahead(self) -> None:
        """Look at what was there last time, while Git is busy with what is there now."""
        last = self.store.data.get("last")
        if last is not None:
            paths, absent = last
            found = discovery.Found(paths, {}, frozenset(absent))
            self._ahead = (last, self._load(found))
        self.disk.look_ahead()

    def read(self, code: Worktree | None, status: Status | None) -> None:
        """Read the metadata; ``status`` is that of the code's worktree, often the same one."""
        if self.worktree and self.worktree != code:
            status = git_status(self.worktree, self.deadline, self.warnings)
            self.rev = status.commit if status else None
        try:
            found = self._discover(status)
        except GitError as error:
            self.unread["metadata files"] = error.message
            return
        self.unread.update(found.unknown)
        last = [found.paths, sorted(found.absent)]
        if self._ahead is not None and self._ahead[0] == last:
            self.metadata = self._ahead[1]
        else:
            self.metadata = self._load(found)
        self.store.data["last"] = last

    def _discover(self, status: Status | None) -> discovery.Found:
        memo = self.store.data["found"]
        if self.worktree is None or status is None:
            return discovery.walk_metadata_files(self.toplevel, self._prefix, memo)
        if status.untracked is None:
            self.unread["untracked files"] = "Git did not list them in time"
        tracked, ignored = self.facts.git.metadata(self.worktree, self.deadline)
        return discovery.metadata_files(
            self.toplevel, self._prefix, tracked, status.untracked or (), memo, ignored=ignored
        )

    def _load(self, found: discovery.Found) -> Metadata:
        files = WorktreeFiles(self.toplevel)
        memo = self.store.data["memo"]
        key = (found.paths, found.absent)
        kept = self.store.loaded
        if kept and kept[0] == key and metadata.unchanged(files, memo, found.absent):
            return kept[1]
        loaded = metadata.load(
            files, self.toplevel, self._prefix, found.paths, memo, absent=found.absent
        )
        self.store.loaded = (key, loaded)
        return loaded

    def below(self, path: str | None) -> str | None:
        """Return an absolute path relative to the toplevel, POSIX; None when it is not below it."""
        if path is None:
            return None
        folder, name = os.path.split(path)
        real = os.path.normpath(os.path.join(os.path.realpath(folder), name))
        relative = os.path.relpath(real, self.toplevel).replace(os.sep, "/")
        if relative == ".":
            return ""
        return None if relative == ".." or relative.startswith("../") else relative

    def running_stage(self, address: str | None, started: str | None) -> Stage | None:
        """Return the stage that ``DVC_STAGE`` names; a name that fits none is in ``unread``."""
        if address is None:
            return None
        stage = find_stage(self.metadata.stages, address, self.below(started))
        if stage is None:
            self.unread[f"stage {address}"] = (
                "DVC runs it, but which stage here it is cannot be told"
            )
        return stage

    def written_by_dvc(self, code: Worktree) -> Callable[[str], bool]:
        """Tell what DVC itself writes while a stage runs.

        Lock files, outputs outside the cache, and the ``.gitignore`` beside outputs inside it.
        """
        if self.toplevel != code.toplevel:
            return nothing
        staged = [out for out in self.metadata.outputs if out.stage]
        outputs = {out.path for out in staged if not out.cache}
        ignores = {posixpath.join(posixpath.dirname(out.path), ".gitignore") for out in staged}

        def written(path: str) -> bool:
            if path.rpartition("/")[2] == "dvc.lock" or path in outputs or path in ignores:
                return True
            return any(path.startswith(out + "/") for out in outputs)

        return written


def nothing(path: str) -> bool:
    """Return False: outside a stage DVC writes nothing."""
    return False
