"""The code of two runs, or of a run and the worktree, beside each other."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace

from mlflow_dvc_plugin.gitdir import Worktree
from mlflow_dvc_plugin.gitrepo import GitError, call_git, call_git_z, how_to_fetch
from mlflow_dvc_plugin.lineage.between import PLAIN, Commit, between
from mlflow_dvc_plugin.lineage.codenow import Tree, worktree_tree
from mlflow_dvc_plugin.lineage.record import Record

_PATIENCE = 120.0  # seconds
# It changes the number of context lines, and no option undoes it.
_ENV = {"GIT_DIFF_OPTS": ""}
_DIFF = (
    *PLAIN, "diff-tree", "-r", "-M", "-l1000", "--no-ext-diff", "--no-textconv", "--no-color",
    "--ignore-submodules=none", "--full-index",
)  # fmt: skip
_KINDS = {"A": "added", "D": "removed", "R": "moved", "M": "changed", "T": "changed"}


@dataclass(frozen=True)
class File:
    """A file that differs; ``added`` and ``deleted`` are lines, None for binary content."""

    kind: str
    path: str
    was: str | None
    added: int | None
    deleted: int | None
    mode: str = ""  # "100644 => 100755", when that differs
    untracked: bool = False  # it lies in the worktree, and Git does not track it


@dataclass(frozen=True)
class CodeDiff:
    """``unknown`` says why the trees were not compared, "" when they were.

    ``notes`` are reasons why equal trees do not prove equal code. ``only`` counts the commits that
    only the first and only the second side has, None when that is not known; ``commits`` are the
    newest of them.
    """

    files: tuple[File, ...] = ()
    unknown: str = ""
    notes: tuple[str, ...] = ()
    only: tuple[int, int] | None = None
    commits: tuple[Commit, ...] = ()
    patch: bytes = field(default=b"", repr=False)

    @property
    def same(self) -> bool | None:
        """Whether the code is the same, None when that is not known."""
        if self.files:
            return False
        return None if self.unknown or self.notes else True


@dataclass(frozen=True)
class _Kept:
    """What is here of a run's code: a tree, or the reason why there is none."""

    tree: str | None
    reason: str = ""
    notes: tuple[str, ...] = ()


def code_diff(
    worktree: Worktree | None, first: Record, second: Record | None, *, patch: bool = False
) -> CodeDiff:
    """Compare the trees of two runs; ``second`` None means the worktree as it is on disk.

    Raises nothing: what cannot be told is ``unknown`` in the result.
    """
    if worktree is None:
        return CodeDiff(unknown="this is no Git worktree")
    try:
        return _compared(worktree, first, second, patch)
    except GitError as error:
        return CodeDiff(unknown=error.message)


def _compared(worktree: Worktree, first: Record, second: Record | None, patch: bool) -> CodeDiff:
    here = _trees(worktree, [run for run in (first, second) if run])
    one = _kept(first, here, worktree)
    only, commits = between(worktree, first, second, here)
    other = _kept(second, here, worktree) if second else None
    notes = [f"first: {text}" for text in one.notes]
    notes += [f"second: {text}" for text in (other.notes if other else ())]
    unknown = [f"first: {one.reason}"] if one.tree is None else []
    unknown += [f"second: {other.reason}"] if other and other.tree is None else []
    if unknown or one.tree is None:
        return CodeDiff((), "; ".join(unknown), tuple(notes), only, commits)
    with ExitStack() as stack:
        if other and other.tree:
            tree = Tree(other.tree)
        else:
            known = _files_of(worktree, one.tree)
            tree = stack.enter_context(worktree_tree(worktree, known))
        notes += [f"here: {path}: {reason}" for path, reason in sorted(tree.left_out.items())]
        files, text = _files(worktree, one.tree, tree, patch)
    return CodeDiff(files, "", tuple(notes), only, commits, text)


def _kept(run: Record, here: Mapping[str, str], worktree: Worktree) -> _Kept:
    """Return the tree that the run was made from, when it is here."""
    notes = []
    if run.incomplete:
        notes.append(f"its snapshot lacks {', '.join(run.incomplete)}")
    for name in (run.tree, run.snapshot):
        if name and name in here:
            return _Kept(here[name], notes=tuple(notes))
    if run.snapshot:
        return _Kept(None, f"its snapshot {run.snapshot[:10]} is not here")
    if run.dirty:
        return _Kept(None, "it was made from a dirty tree, and its tree was not kept")
    if run.commit is None:
        return _Kept(None, "it carries no commit")
    if run.commit not in here:
        return _Kept(
            None, f"its commit {run.commit[:10]} is not here ({how_to_fetch(worktree.toplevel)})"
        )
    if run.dirty is None:
        notes.append("nobody saw whether its tree was its commit's")
    return _Kept(here[run.commit], notes=tuple(notes))


def _trees(worktree: Worktree, runs: Iterable[Record]) -> dict[str, str]:
    """Return the tree of each commit, snapshot and tree that the runs name and that is here."""
    names = {name for run in runs for name in (run.commit, run.snapshot, run.tree) if name}
    asked = sorted(names)
    request = "".join(f"{name}^{{tree}}\n" for name in asked).encode()
    out = call_git(worktree.toplevel, "cat-file", "--batch-check", stdin=request, timeout=_PATIENCE)
    answers = (line.split(" ") for line in out.decode().splitlines())
    return {
        name: words[0]
        for name, words in zip(asked, answers, strict=True)
        if words[1:2] == ["tree"]
    }  # fmt: skip


def _files_of(worktree: Worktree, tree: str) -> list[str]:
    return call_git_z(
        worktree.toplevel, "ls-tree", "-r", "-z", "--name-only", "--full-tree",
        "--end-of-options", tree, timeout=_PATIENCE,
    )  # fmt: skip


def _files(
    worktree: Worktree, first: str, second: Tree, patch: bool
) -> tuple[tuple[File, ...], bytes]:
    if first == second.id:
        return (), b""
    trees = ("--end-of-options", first, second.id)
    env = {**_ENV, **second.env}
    top = worktree.toplevel
    out = call_git(top, *_DIFF, "-z", "--raw", "--numstat", *trees, timeout=_PATIENCE, env=env)
    found = list(_parsed(iter(out.split(b"\0"))))
    # What was left out of the tree is there all the same.
    there = {one.path for one in found if one.kind == "removed"} & second.left_out.keys()
    files = tuple(
        replace(one, untracked=one.path in second.untracked)
        for one in found if one.path not in there
    )  # fmt: skip
    if not patch:
        return files, b""
    but = [f":(top,exclude,literal){path}" for path in sorted(there)]
    return files, call_git(top, *_DIFF, "-p", *trees, "--", *but, timeout=_PATIENCE, env=env)


def _parsed(parts: Iterator[bytes]) -> Iterator[File]:
    """Read ``--raw --numstat -z``: first every raw entry, then every count, in the same order."""
    raw: dict[bytes, tuple[str, bytes | None, str]] = {}
    for part in parts:
        if part.startswith(b":"):
            before, after, _, _, status = part[1:].decode().split(" ")
            moved = status[0] in "RC"
            was = next(parts) if moved else None
            mode = f"{before} => {after}" if status[0] in "MRT" and before != after else ""
            raw[next(parts)] = (status[0], was, mode)
        elif part:
            added, deleted, path = part.split(b"\t", 2)
            if not path:  # moved: both names follow
                next(parts)
                path = next(parts)
            status, was, mode = raw[path]
            yield File(
                _KINDS.get(status, "changed"), os.fsdecode(path),
                None if was is None else os.fsdecode(was), _count(added), _count(deleted), mode,
            )  # fmt: skip


def _count(text: bytes) -> int | None:
    return None if text == b"-" else int(text)
