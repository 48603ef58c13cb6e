"""What DVC data a commit states, read from Git objects: nothing is checked out."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from mlflow_dvc_plugin.capture import metadata
from mlflow_dvc_plugin.capture.discovery import commit_metadata_files
from mlflow_dvc_plugin.capture.pipeline import lock_of
from mlflow_dvc_plugin.capture.trees import TreeFiles, Trees
from mlflow_dvc_plugin.errors import MlflowDvcError
from mlflow_dvc_plugin.gitrepo import GitError, call_git, how_to_fetch
from mlflow_dvc_plugin.provenance import Metadata, Output

_CONFIG = ".dvc/config"
_VERSIONS = 20  # of one metadata file that are remembered
_Version = tuple[str | None, str | None]


@dataclass(frozen=True)
class Stated:
    """What a commit states: outputs by path, the DVC repository of each path, and what is broken.

    Paths are relative to the toplevel; a root is "" for the toplevel itself. ``tree`` is the id of
    the commit's tree, ``repos`` has everything that each DVC repository states, by its root, and
    ``watched`` are the metrics and plots that a ``dvc.yaml`` names, outputs or not.
    """

    commit: str
    outputs: Mapping[str, Output] = field(default_factory=dict)
    roots: Mapping[str, str] = field(default_factory=dict)
    broken: Mapping[str, str] = field(default_factory=dict)
    tree: str = ""
    repos: Mapping[str, Metadata] = field(default_factory=dict)
    watched: frozenset[str] = frozenset()

    def holder(self, path: str) -> Output | None:
        """Return the output at the path, or the directory output that it lies in."""
        return next(
            (self.outputs[one] for one in (path, *above(path)) if one in self.outputs), None
        )


def above(path: str) -> Iterator[str]:
    """Yield the folders that the path lies in, the nearest first; not the toplevel."""
    while (path := posixpath.dirname(path)) not in ("", "/"):
        yield path


class Revisions:
    """Reads commits of one repository; what several commits share is read once."""

    def __init__(self, toplevel: str) -> None:
        self._toplevel = toplevel
        self.trees = Trees(toplevel)
        self._repos: dict[str, _Repo] = {}
        self._known: dict[str, Stated] = {}
        self._read: set[str] = set()

    def prefetch(self, commits: Collection[str]) -> None:
        """Get ready to read these commits: for many it takes as few calls of Git as for one.

        What was read for others before and not used is let go.
        """
        self.trees.load(commits)
        new: set[str] = set()
        for tree in {self.trees.root(commit) for commit in commits} - {None}:
            with suppress(GitError):  # whoever reads it is told
                new.update(blob for _, blob in self.trees.metadata(str(tree)) if blob)
        new -= self._read
        self.trees.forget()
        self.trees.read(new)
        self._read |= new

    def at(self, commit: str) -> Stated:
        """Return what the commit (an id) states. Raises GitError when it is not there."""
        if commit not in self._known:
            self._known[commit] = self.read(commit)
        return self._known[commit]

    def read(self, commit: str) -> Stated:
        """Return the same, without keeping it."""
        files = TreeFiles(self.trees, commit)
        repos = {
            root: self._repos.setdefault(root, _Repo(root)).read(files)
            for root in sorted(
                path[: -len(_CONFIG)].rstrip("/")
                for path in files.paths
                if path == _CONFIG or path.endswith(f"/{_CONFIG}")
            )
        }
        outputs: dict[str, Output] = {}
        owners: dict[str, str] = {}
        broken: dict[str, str] = {}
        for root, found in repos.items():
            broken.update(found.broken)
            for output in found.outputs:
                outputs.setdefault(output.path, output)
                owners.setdefault(output.path, root)
        watched = frozenset(path for root in repos for path in self._repos[root].watched())
        return Stated(commit, outputs, owners, broken, files.tree, repos, watched)


class _Repo:
    """One DVC repository, at one commit after the other."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._memo: dict[str, Any] = {}
        self._ignored: dict[str, Any] = {}
        self._last: dict[str, _Version] = {}
        self._results: dict[str, dict[_Version, Any]] = {}

    def read(self, files: TreeFiles) -> Metadata:
        found = commit_metadata_files(files, self._root, self._ignored)
        now = {path: _version(files, path) for path in found.paths}
        changed = [path for path, version in now.items() if self._last.get(path) != version]
        self._recall(changed, now)
        read = metadata.load(
            files, files.toplevel, self._root, found.paths, self._memo, absent=found.absent
        )
        self._keep(changed, now)
        self._last = now
        return read._replace(broken={**found.unknown, **read.broken})

    def watched(self) -> Iterator[str]:
        """Yield the metrics and plots of the commit that was read last."""
        for file in self._memo["files"].values():
            for kind in ("metrics", "plots"):
                yield from file["result"].get(kind, ())

    def _recall(self, changed: Iterable[str], now: Mapping[str, _Version]) -> None:
        """Let ``load`` remember what it read of these versions, some commits ago."""
        for path in changed:
            known = self._results.get(path, {}).get(now[path])
            if known is not None:
                self._memo["files"][path] = known

    def _keep(self, changed: Iterable[str], now: Mapping[str, _Version]) -> None:
        read = self._memo["files"]
        for path in changed:
            versions = self._results.setdefault(path, {})
            if path in read:
                versions.pop(now[path], None)
                versions[now[path]] = read[path]
            if len(versions) > _VERSIONS:
                del versions[next(iter(versions))]


def _version(files: TreeFiles, path: str) -> _Version:
    """Return the ids of what the file states; one that depends on more is looked at again."""
    lock = files.identity(lock_of(path)) if path.endswith("dvc.yaml") else None
    return files.identity(path), lock


def commit_id(toplevel: str, rev: str) -> str:
    """Return the id of the commit that ``rev`` names here; raises MlflowDvcError with a hint."""
    try:
        out = call_git(
            toplevel, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{rev}^{{commit}}"
        )
    except GitError as error:
        hint = how_to_fetch(toplevel)
        raise MlflowDvcError(f"there is no commit '{rev}' here", hint) from error
    return out.decode().strip()
