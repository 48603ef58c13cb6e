"""What DVC data a commit states, read from Git objects: nothing is checked out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mlflow_dvc_plugin.capture import metadata
from mlflow_dvc_plugin.capture.discovery import commit_metadata_files
from mlflow_dvc_plugin.capture.files import CommitFiles
from mlflow_dvc_plugin.errors import MlflowDvcError
from mlflow_dvc_plugin.gitrepo import GitError, call_git
from mlflow_dvc_plugin.provenance import Output

_CONFIG = ".dvc/config"


@dataclass(frozen=True)
class Stated:
    """What a commit states: outputs by path, the DVC repository of each path, and what is broken.

    Paths are relative to the toplevel; a root is "" for the toplevel itself. ``watched`` are the
    metrics and plots that a ``dvc.yaml`` names, outputs or not.
    """

    commit: str
    outputs: Mapping[str, Output] = field(default_factory=dict)
    roots: Mapping[str, str] = field(default_factory=dict)
    broken: Mapping[str, str] = field(default_factory=dict)
    watched: frozenset[str] = frozenset()


class Revisions:
    """Reads commits of one repository; a metadata file that several commits share is read once."""

    def __init__(self, toplevel: str) -> None:
        self._toplevel = toplevel
        self._memos: dict[str, dict[str, Any]] = {}
        self._known: dict[str, Stated] = {}

    def at(self, commit: str) -> Stated:
        """Return what the commit (an id) states. Raises GitError when it is not there."""
        if commit not in self._known:
            self._known[commit] = self._read(commit)
        return self._known[commit]

    def _read(self, commit: str) -> Stated:
        files = CommitFiles(self._toplevel, commit)
        roots = sorted(
            path[: -len(_CONFIG)].rstrip("/")
            for path in files.paths
            if path == _CONFIG or path.endswith(f"/{_CONFIG}")
        )
        outputs: dict[str, Output] = {}
        owners: dict[str, str] = {}
        broken: dict[str, str] = {}
        watched: set[str] = set()
        for root in roots:
            memo = self._memos.setdefault(root, {"memo": {}, "found": {}})
            found = commit_metadata_files(files, root, memo["found"])
            read = metadata.load(
                files, self._toplevel, root, found.paths, memo["memo"], absent=found.absent
            )
            broken.update({**found.unknown, **read.broken})
            for file in memo["memo"]["files"].values():
                watched.update(file["result"].get("metrics", ()), file["result"].get("plots", ()))
            for output in read.outputs:
                outputs.setdefault(output.path, output)
                owners.setdefault(output.path, root)
        return Stated(commit, outputs, owners, broken, frozenset(watched))


def commit_id(toplevel: str, rev: str) -> str:
    """Return the id of the commit that ``rev`` names here; raises MlflowDvcError with a hint."""
    try:
        out = call_git(
            toplevel, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{rev}^{{commit}}"
        )
    except GitError as error:
        shallow = call_git(toplevel, "rev-parse", "--is-shallow-repository").strip() == b"true"
        hint = "git fetch --unshallow" if shallow else "git fetch --all"
        raise MlflowDvcError(f"there is no commit '{rev}' here", hint) from error
    return out.decode().strip()
