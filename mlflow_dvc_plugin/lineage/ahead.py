"""The runs of a commit: those started from it, and those made just before it that it holds.

The ordinary way of working is edit, run, commit: the run carries the parent's id then. It is found
by its tree, which its tags name and its snapshot keeps.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mlflow_dvc_plugin.capture.codefiles import is_kept_kind
from mlflow_dvc_plugin.errors import MlflowDvcError
from mlflow_dvc_plugin.gitrepo import OFFLINE, GitError, call_git, call_git_z, how_to_fetch
from mlflow_dvc_plugin.lineage.held import explained, judged, judged_data, only_data
from mlflow_dvc_plugin.lineage.hits import UNKNOWN, Answer, Hit, Scope, tags_are
from mlflow_dvc_plugin.lineage.record import DATA_REV, TREE, Record
from mlflow_dvc_plugin.lineage.revision import Revisions
from mlflow_dvc_plugin.tags import COMMIT

_NOTED = 3  # runs that a commit nearly holds
_NOT_HERE = "dirty, and its tree is not here"


@dataclass(frozen=True)
class Commit:
    """A commit's id, its tree and its parents."""

    id: str
    tree: str
    parents: tuple[str, ...]


def read_commit(toplevel: str, commit: str) -> Commit:
    """Return the commit as its object says it, which a shallow clone does not change.

    Raises GitError.
    """
    head = call_git(toplevel, "cat-file", "commit", commit).partition(b"\n\n")[0]
    lines = [line.split(" ") for line in head.decode("utf-8", "replace").splitlines()]
    tree = next(words[1] for words in lines if words[0] == "tree")
    return Commit(commit, tree, tuple(words[1] for words in lines if words[0] == "parent"))


def commits_of_range(toplevel: str, text: str) -> list[str]:
    """Return the ids of ``a..b``, the newest first. Raises MlflowDvcError."""
    try:
        out = call_git(toplevel, "rev-list", "--end-of-options", text, "--")
    except GitError as error:
        hint = f"{how_to_fetch(toplevel)}; git log --oneline shows what is here"
        raise MlflowDvcError(f"there is no range '{text}' here", hint) from error
    return out.decode().split()


def _tree_of(run: Record) -> str | None:
    """Return the tree to compare with: a snapshot that lacks something is not the run's tree."""
    return run.snapshot if run.incomplete else run.tree


def _note_other(run: Record, parent: str, paths: Sequence[str], answer: Answer) -> None:
    """Say of some runs that have the right parent why the commit does not hold them."""
    more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    said = f"was made from a dirty tree on {parent[:10]} and differs in {paths[0]}{more}"
    if sum("from a dirty tree on" in note for note in answer.notes) < _NOTED:
        answer.notes.append(f"run {run.run_id} {said}")


class Ahead:
    """Compares the trees of dirty runs with commits; a tree that many runs share, once."""

    def __init__(self, toplevel: str) -> None:
        self._toplevel = toplevel
        self._revisions = Revisions(toplevel)
        self._known: dict[tuple[str, str], tuple[tuple[str, str], ...] | None] = {}
        self._paths: dict[str, frozenset[str] | None] = {}

    def hits(self, scope: Scope, commit: Commit, answer: Answer) -> Iterator[Hit]:
        """Yield the runs of the commit; what cannot be told goes to ``answer.gaps``."""
        for run in scope.runs(tags_are({COMMIT: commit.id})):
            match, differs = self._started(run, commit)
            yield Hit(run, "started", match, differs, commit.id)
        for parent in commit.parents:
            for run in self._candidates(scope, commit, parent):
                yield from self._before(run, commit, parent, answer)
        for run in scope.runs(tags_are({TREE: commit.tree})):
            match, differs = judged(run, (), None)
            yield Hit(run, "same tree", match, differs, commit.id)
        for run in scope.runs(tags_are({DATA_REV: commit.id})):
            match, differs = judged_data(run, self._revisions.at(commit.id))
            yield Hit(run, "data commit", match, differs, commit.id)

    def _candidates(self, scope: Scope, commit: Commit, parent: str) -> Iterator[Record]:
        yield from scope.runs(tags_are({COMMIT: parent, "git.dirty": "true"}))
        # New data is committed after the run as well: its tree was clean then, its data was not.
        changed = self._differences(f"{parent}^{{tree}}", commit)
        if changed and only_data([path for _, path in changed]):
            yield from scope.runs(tags_are({COMMIT: parent, "dvc.status": "modified"}))

    def _started(self, run: Record, commit: Commit) -> tuple[str, tuple[str, ...]]:
        if run.dirty is None:
            return UNKNOWN, ("its tags do not say whether it was dirty",)
        if run.dirty is False:
            return judged(run, (), None)
        found = self._differences(_tree_of(run), commit)
        if found is None:
            return UNKNOWN, (_NOT_HERE,)
        return judged(run, [path for _, path in found], None)

    def _before(self, run: Record, commit: Commit, parent: str, answer: Answer) -> Iterator[Hit]:
        found = self._differences(_tree_of(run), commit)
        if found is None:
            answer.gaps[f"run {run.run_id}"] = (
                f"made from a dirty tree on {parent[:10]}, and its tree is not here: whether "
                f"{commit.id[:10]} holds it is unknown"
            )
            return
        texts = [self._explained(run, commit, parent, *each) for each in found]
        if None not in texts:
            unclean = run.tags.get("dvc.status", "clean") != "clean"
            stated = self._revisions.at(commit.id) if unclean else None
            match, differs = judged(run, [str(text) for text in texts], stated)
            yield Hit(run, "before", match, differs, commit.id)
            return
        other = [path for (_, path), text in zip(found, texts, strict=True) if text is None]
        _note_other(run, parent, other, answer)

    def _differences(self, tree: str | None, commit: Commit) -> tuple[tuple[str, str], ...] | None:
        """Return (status, path) from the run's tree to the commit's, None when it is not here."""
        if tree is None or tree == commit.tree:
            return None if tree is None else ()
        key = (tree, commit.tree)
        if key not in self._known:
            try:
                parts = call_git_z(
                    self._toplevel, "diff-tree", "-r", "-z", "--no-renames", "--name-status",
                    "--end-of-options", tree, commit.tree, env=OFFLINE,
                )  # fmt: skip
            except GitError:
                self._known[key] = None
            else:
                self._known[key] = tuple(zip(parts[::2], parts[1::2], strict=True))
        return self._known[key]

    def _explained(
        self, run: Record, commit: Commit, parent: str, status: str, path: str
    ) -> str | None:
        """Say why the commit holds the run although this path differs; None when it does not."""
        if path in run.incomplete:
            return f"{path} (not in the run's snapshot)"
        if status == "A" and run.tags.get("git.untracked") and not is_kept_kind(path):
            return f"{path} (new in the commit; a snapshot keeps no such file)"
        if status == "D":
            known = self._tracked(parent)
            if known is not None and path not in known:
                return f"{path} (untracked then, not in the commit)"
        return explained(run, self._revisions.at(commit.id), path)

    def _tracked(self, commit: str) -> frozenset[str] | None:
        if commit not in self._paths:
            try:
                names = call_git_z(
                    self._toplevel, "ls-tree", "-r", "-z", "--name-only", "--full-tree", commit,
                    env=OFFLINE,
                )  # fmt: skip
            except GitError:
                self._paths[commit] = None
            else:
                self._paths[commit] = frozenset(names)
        return self._paths[commit]
