"""The commit that the running code comes from, and whether the code differs from it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from mlflow_dvc_plugin import gitdir, gitrepo
from mlflow_dvc_plugin.capture.deadline import Deadline
from mlflow_dvc_plugin.capture.loaded import LoadedFiles, main_script
from mlflow_dvc_plugin.gitdir import Worktree
from mlflow_dvc_plugin.gitrepo import GitError, Status
from mlflow_dvc_plugin.provenance import Code

T = TypeVar("T")
# Share of the time that is left for listing untracked files; a huge folder of them must not
# cost the answer whether the tree is dirty.
_UNTRACKED_SHARE = 0.6
# Share of the rest for asking without them; a Git that hangs must not cost the data its answer.
_TRACKED_SHARE = 0.5


METADATA = (".dvc", "dvc.yaml", "dvc.lock", ".dvcignore", ".dvc/config")
_FEW = 1000


class GitFacts:
    """What this process has learned of Git; each fact holds as long as the file it came from."""

    def __init__(self) -> None:
        self.loaded = LoadedFiles()
        self._known: dict[tuple[str, ...], tuple[object, Any]] = {}
        self._given: dict[str, tuple[str, ...]] = {}

    def _while_same(self, question: tuple[str, ...], file: str, ask: Callable[[], T]) -> T:
        """Return the answer, asked again when ``file`` has changed or cannot be looked at."""
        key = stat_key(file)
        known = self._known.get(question)
        if known is None or known[0] != key or key is None:
            known = self._known[question] = (key, ask())
        answer: T = known[1]
        return answer

    def tree(self, worktree: Worktree, commit: str, deadline: Deadline) -> str:
        """Return the commit's tree; a commit never changes its tree."""
        known = self._known.get(("tree", commit))
        if known is None:
            tree = gitrepo.tree_id(worktree, commit, deadline.remaining())
            known = self._known["tree", commit] = (None, tree)
        return str(known[1])

    def remote_url(self, worktree: Worktree, branch: str | None) -> str | None:
        """Return the remote's URL, read again when the repository's configuration changed."""
        config = os.path.join(worktree.common_dir, "config")
        question = ("url", config, branch or "")
        return self._while_same(question, config, lambda: gitrepo.remote_url(worktree, branch))

    def tracked(self, worktree: Worktree, paths: Sequence[str], deadline: Deadline) -> set[str]:
        """Return those of ``paths`` that are in the index, asked again when the index changed."""
        if not paths:
            return set()
        index = os.path.join(worktree.git_dir, "index")
        return self._while_same(
            ("tracked", index, *paths),
            index,
            lambda: gitrepo.tracked_files(worktree, paths, deadline.remaining()),
        )

    def index(self, worktree: Worktree, deadline: Deadline) -> gitrepo.Index:
        """Return what matters of the index, asked again when it changed.

        In a sparse checkout nearly every path may be hidden, and not on disk: then only those that
        are there when the index is read.
        """

        def ask() -> gitrepo.Index:
            found = gitrepo.index_of(worktree, METADATA, deadline.remaining())
            if len(found.hidden) <= _FEW:
                return found
            there = [
                path
                for path in found.hidden
                if os.path.lexists(os.path.join(worktree.toplevel, path))
            ]
            return found._replace(hidden=tuple(there))

        index = os.path.join(worktree.git_dir, "index")
        return self._while_same(("index", index), index, ask)

    def given(self, worktree: Worktree, metadata: tuple[str, ...]) -> None:
        """Take the metadata files in the index from who has just listed them, for a short life."""
        self._given[worktree.git_dir] = metadata

    def metadata(self, worktree: Worktree, deadline: Deadline) -> tuple[tuple[str, ...], list[str]]:
        """Return DVC's metadata files in the index, and those of them that Git ignores."""
        paths = self._given.get(worktree.git_dir)
        if paths is None:
            paths = self.index(worktree, deadline).metadata
        index = os.path.join(worktree.git_dir, "index")
        return paths, self._while_same(
            ("ignored", index),
            index,
            lambda: gitrepo.tracked_but_ignored(worktree, paths, deadline.remaining()),
        )


def stat_key(path: str) -> tuple[int, int, int, int] | None:
    """Return what identifies a file's content as Git does, None when it cannot be looked at."""
    try:
        info = os.stat(path)
    except OSError:
        return None
    return info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns


def code_worktree(cwd: str | None, facts: GitFacts, deadline: Deadline) -> Worktree | None:
    """Return the worktree of the main script when the script is tracked there, else of ``cwd``."""
    here = gitdir.find_worktree(cwd) if cwd else None
    script = main_script()
    if script is None:
        return here
    there = gitdir.find_worktree(os.path.dirname(script))
    if there is None or there == here:
        return here
    name = os.path.relpath(
        os.path.join(os.path.realpath(os.path.dirname(script)), os.path.basename(script)),
        there.toplevel,
    )
    try:
        tracked = facts.tracked(there, [name.replace(os.sep, "/")], deadline)
    except GitError:
        return here
    return there if tracked else here


def git_status(
    worktree: Worktree, deadline: Deadline, warnings: list[tuple[str, str]]
) -> Status | None:
    """Ask Git for the state of the worktree; what it cannot answer stands in ``warnings``.

    Listing untracked files may use only a part of the time; then the rest is asked without them.
    """
    for untracked, share in ((True, _UNTRACKED_SHARE), (False, _TRACKED_SHARE)):
        within = deadline.remaining() * share
        try:
            return gitrepo.status(worktree, within, untracked)
        except GitError as error:
            last = error
            if error.code is not None or "not found" in error.message:
                break
    hint = f"; run: {last.hint}" if last.hint else "; run: mlflow-dvc status --hash"
    warnings.append(("git", f"the Git state is unknown: {last.message}{hint}"))
    return None


def capture_code(  # noqa: PLR0913, PLR0917
    worktree: Worktree,
    status: Status | None,
    facts: GitFacts,
    deadline: Deadline,
    warnings: list[tuple[str, str]],
    written_by_dvc: Callable[[str], bool],
) -> Code:
    """Describe the code of a run.

    ``written_by_dvc`` tells the paths that a running DVC stage writes itself: they make nothing
    dirty.
    Whatever Git does not answer is None in the result and named in ``warnings``.
    """
    if status is None:
        commit, branch = gitdir.read_head(worktree)
        return Code(worktree.toplevel, commit, branch)
    dirty_paths = [path for path in status.changed if not written_by_dvc(path)]
    dirty: bool | None = bool(dirty_paths)
    tree = url = None
    try:
        dirty_paths += _not_in_head(worktree, set(dirty_paths), facts, deadline)
        dirty = bool(dirty_paths)
        if status.commit and not dirty and not status.changed:
            tree = facts.tree(worktree, status.commit, deadline)
    except GitError as error:
        # Known changes are known; that there are no others is not.
        dirty = dirty or None
        warnings.append(("git", f"the Git state is unknown: {error.message}"))
    try:
        url = facts.remote_url(worktree, status.branch)
    except GitError as error:
        warnings.append(("remote", error.message))
    return Code(
        toplevel=worktree.toplevel,
        commit=status.commit,
        branch=status.branch,
        dirty=dirty,
        dirty_paths=tuple(dirty_paths),
        tree=tree,
        untracked=None if status.untracked is None else len(status.untracked),
        remote_url=url,
    )


def _not_in_head(
    worktree: Worktree, changed: set[str], facts: GitFacts, deadline: Deadline
) -> list[str]:
    """Return what differs from HEAD and ``git status`` does not name.

    Loaded files that are not tracked, and tracked ones that ``assume-unchanged`` or
    ``skip-worktree`` hides: from ``git status``, not from the run.
    """
    loaded = [path for path in facts.loaded.inside(worktree.toplevel) if path not in changed]
    tracked = facts.tracked(worktree, loaded, deadline)
    hidden = [
        path
        for path in facts.index(worktree, deadline).hidden
        if path not in changed and os.path.lexists(os.path.join(worktree.toplevel, path))
    ]
    return [path for path in loaded if path not in tracked] + [
        path for path in hidden if not gitrepo.same_as_index(worktree, path, deadline.remaining())
    ]
