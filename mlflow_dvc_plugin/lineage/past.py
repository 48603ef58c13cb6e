"""What a run that nobody watched was made from, as far as its commit tells.

The tags are those of a run started from a clean and complete checkout of its commit, less what only
an onlooker knows: whether the tree was dirty, and what lay on disk.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mlflow_dvc_plugin.capture.inputs import Choice, Rules, choose
from mlflow_dvc_plugin.capture.places import REPO_VARIABLE
from mlflow_dvc_plugin.config import Settings, has_settings, read_settings
from mlflow_dvc_plugin.dvcrepo.remote import open_store
from mlflow_dvc_plugin.errors import MlflowDvcError
from mlflow_dvc_plugin.gitdir import find_worktree, require_worktree
from mlflow_dvc_plugin.lineage.listings import Listings, inside
from mlflow_dvc_plugin.lineage.revision import Revisions, Stated
from mlflow_dvc_plugin.provenance import Code, Data, Metadata, Output, OutputState, Provenance
from mlflow_dvc_plugin.tags import to_tags

# What only somebody who looked at the disk could say.
_UNSEEN = ("dvc.status", "dvc.changed", "git.dirty", "mlflow.source.git.dirty")
_KEPT = 64  # results that are remembered: the runs of one commit come one after the other


class SeveralError(MlflowDvcError):
    """The commit has several DVC repositories, and nothing says which one the run used."""


@dataclass(frozen=True)
class Script:
    """The main script relative to the toplevel, and the folder it was started in, as known."""

    path: str | None = None
    folder: str | None = None


class Past:
    """Tells the tags of runs from their commits; ``named`` is the DVC repository they used."""

    def __init__(self, toplevel: str, named: str | None = None) -> None:
        self.revisions = Revisions(toplevel)
        self._toplevel = toplevel
        self._named = named
        self._today = read_settings(toplevel)[0]
        self._stated: tuple[Stated, Settings] | None = None
        self._listings: dict[str, Listings | None] = {}
        self._known: dict[tuple[str, str], Mapping[str, str]] = {}

    def tags(self, commit: str, source: str | None) -> Mapping[str, str]:
        """Return the tags of a run of this commit whose main script was called ``source``.

        Raises GitError for a commit that is not here, SeveralError.
        """
        key = (commit, source or "")
        if key not in self._known:
            if len(self._known) >= _KEPT:
                self._known.clear()
            self._known[key] = self._tags(commit, source)
        return self._known[key]

    def _tags(self, commit: str, source: str | None) -> Mapping[str, str]:
        stated, settings = self._at(commit)
        script = find_script(self.revisions, stated.tree, source, self._toplevel)
        root = data_root(list(stated.repos), script, self._named)
        provenance = Provenance(
            code=Code(self._toplevel, tree=stated.tree),
            data=None if root is None else self._data(stated.repos[root], root, script, settings),
            source="backfill",
        )
        tags = to_tags(provenance, settings.output_tags)
        return {key: value for key, value in tags.items() if key not in _UNSEEN}

    def _at(self, commit: str) -> tuple[Stated, Settings]:
        if self._stated is None or self._stated[0].commit != commit:
            stated = self.revisions.read(commit)
            self._stated = stated, self._settings(stated.tree)
        return self._stated

    def _settings(self, tree: str) -> Settings:
        """Return the settings of the commit; a commit from before there were any has today's."""
        found = self.revisions.trees.find(tree, "pyproject.toml")
        content = self.revisions.trees.blob(found[1]) if found and found[0] == b"100644" else None
        if content is None or not has_settings(content):
            return self._today
        return read_settings(None, content)[0]

    def _data(self, found: Metadata, root: str, script: Script, settings: Settings) -> Data:
        choice = choose(found, None, script.path, Rules(settings.inputs, settings.models))
        chosen = {out.path for out in choice.inputs}
        states = [_state(out) for out in choice.inputs if out.hash]
        states += self._members(choice, root)
        products = [_state(out) for out in found.outputs if out.hash and out.path not in chosen]
        return Data(
            self._toplevel, root, inputs=tuple(states), products=tuple(products),
            unread=found.broken,
        )  # fmt: skip

    def _members(self, choice: Choice, root: str) -> Iterable[OutputState]:
        """Yield the parts of directories; without a hash where the cache lacks the listing."""
        for out, path in choice.members:
            part = out._replace(path=path, hash=None, isdir=False, size=None, nfiles=None)
            yield OutputState(part, "unknown", self._member_hash(out, path, root))

    def _member_hash(self, out: Output, path: str, root: str) -> str | None:
        listings = self._listings_of(root)
        if listings is None or not out.hash:
            return None
        rows = listings.get(out.hash, out.legacy)
        return inside(rows or {}, posixpath.relpath(path, out.path))

    def _listings_of(self, root: str) -> Listings | None:
        if root not in self._listings:
            try:
                store = open_store(os.path.join(self._toplevel, root))
            except MlflowDvcError:
                self._listings[root] = None
            else:
                self._listings[root] = Listings(store, far=False)
        return self._listings[root]


def place(given: str | None = None) -> tuple[str, str | None]:
    """Return the toplevel, and the folder below it of the DVC repository that a person names.

    By ``given``, else by ``MLFLOW_DVC_REPO``; None when by neither. Raises MlflowDvcError.
    """
    name = given or os.environ.get(REPO_VARIABLE)
    if not name:
        return require_worktree(os.getcwd()).toplevel, None
    folder = os.path.realpath(os.path.expanduser(name))
    worktree = find_worktree(folder) if os.path.isdir(folder) else None
    if worktree is None:
        said, mend = (f"--data-repo {name}", "--data-repo <the folder with the data's .dvc>")
        if not given:
            said, mend = f"{REPO_VARIABLE}={name}", f"unset {REPO_VARIABLE}"
        raise MlflowDvcError(f"{said} is no folder of a Git worktree", mend)
    relative = os.path.relpath(folder, worktree.toplevel).replace(os.sep, "/")
    return worktree.toplevel, "" if relative == "." else relative


def _state(out: Output) -> OutputState:
    return OutputState(out, "unknown", out.hash)


def find_script(revisions: Revisions, tree: str, source: str | None, toplevel: str) -> Script:
    """Return what ``mlflow.source.name``, as the run's process was called, says of its script.

    A relative name has the folder in it that the run was started in. A name that several files of
    the commit could be is nobody's.
    """
    if not source:
        return Script()
    name = posixpath.normpath(source.replace(os.sep, "/"))
    here = posixpath.relpath(name, toplevel) if posixpath.isabs(name) else ""
    files = revisions.trees.named(tree, posixpath.basename(name))
    if here in files:
        return Script(here)
    if posixpath.isabs(name):
        fits = [path for path in files if name.endswith(f"/{path}")]
        return Script(fits[0]) if len(fits) == 1 else Script()
    fits = [path for path in files if path == name or path.endswith(f"/{name}")]
    if len(fits) != 1:
        return Script()
    return Script(fits[0], fits[0][: -len(name)].rstrip("/"))


def data_root(roots: list[str], script: Script, named: str | None) -> str | None:
    """Return the DVC repository of a run as the provider finds it; None when there is none.

    It is the one upwards from where the run was started, else the toplevel's, else the only one.
    ``named`` is where the person says it is. Raises SeveralError when that cannot be told.
    """
    start = script.folder if named is None else named
    if start is not None:
        above = [root for root in roots if not root or f"{start}/".startswith(f"{root}/")]
        if above:
            return max(above, key=len)
    if not roots:
        return None
    if len(roots) == 1:
        return roots[0]
    raise SeveralError(f"several DVC repositories: {', '.join(root or '.' for root in roots)}")
