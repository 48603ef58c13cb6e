"""The commits of submodules that a run's code has in it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from mlflow_dvc_plugin.gitdir import Worktree, find_worktree
from mlflow_dvc_plugin.gitrepo import GitError, call_git_z
from mlflow_dvc_plugin.lineage import commits
from mlflow_dvc_plugin.lineage.place import Place, Promise, unknown
from mlflow_dvc_plugin.lineage.revision import Revisions

_LINK = "160000"


@dataclass(frozen=True)
class Submodules:
    """``links`` maps a commit to path -> commit of its submodules; ``places`` has their places."""

    links: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    places: Mapping[tuple[str, str], Place] = field(default_factory=dict)

    def promises(self, commit: str) -> Iterable[Promise]:
        """Return a promise for each submodule of the commit, by its path."""
        return [
            Promise("submodule", path, self.places[path, link], link)
            for path, link in self.links.get(commit, {}).items()
        ]


def find(worktree: Worktree, revisions: Revisions, codes: Iterable[str]) -> Submodules:
    """Ask the submodules that are checked out here for the commits that these commits name."""
    links = {}
    for commit in set(codes):
        tree = revisions.trees.root(commit)
        if tree and revisions.trees.find(tree, ".gitmodules"):
            links[commit] = _links(worktree, commit)
    wanted: dict[str, set[str]] = {}
    for named in links.values():
        for path, link in named.items():
            wanted.setdefault(path, set()).add(link)
    return Submodules(links, {
        (path, link): place
        for path, ids in wanted.items() for link, place in _places(worktree, path, ids).items()
    })  # fmt: skip


def _links(worktree: Worktree, commit: str) -> dict[str, str]:
    try:
        rows = call_git_z(worktree.toplevel, "ls-tree", "-r", "-z", "--full-tree", commit)
    except GitError:  # the commit has a promise of its own
        return {}
    found = (row.split("\t", 1) for row in rows if row.startswith(_LINK))
    return {path: head.split(" ")[2] for head, path in found}


def _places(worktree: Worktree, path: str, ids: set[str]) -> dict[str, Place]:
    folder = os.path.join(worktree.toplevel, path)
    inside = find_worktree(folder)
    if inside is None or inside.toplevel != os.path.realpath(folder):
        hint = "git submodule update --init --recursive"
        return dict.fromkeys(ids, unknown("the submodule is not checked out here", hint))
    try:
        return commits.places(inside, ids)
    except GitError as error:
        return dict.fromkeys(ids, unknown(error.message, error.hint))
