"""Keep the tree of a dirty run as a commit that nobody sees.

Deterministic: the same changes on the same commit give the same id, so the runs of a sweep share
it, and whoever comes second finds it made. What was kept stands in a list beside the repository's
state (:mod:`kept`), with an estimate of its size.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from mlflow_dvc_plugin import gitdir
from mlflow_dvc_plugin.capture import kept
from mlflow_dvc_plugin.capture.code import stat_key
from mlflow_dvc_plugin.capture.codefiles import can_be_kept, choose
from mlflow_dvc_plugin.capture.deadline import Deadline
from mlflow_dvc_plugin.gitdir import Worktree
from mlflow_dvc_plugin.gitrepo import Status
from mlflow_dvc_plugin.gitrepo import snapshot as repository

_EXPERIMENTS = os.path.join(".dvc", "tmp", "exps", "")
_SETTLED = 50_000_000  # ns: a file as young as this may change again and keep its identity


@dataclass(frozen=True)
class Snapshot:
    """``commit`` keeps ``tree``; ``incomplete`` are paths of the run that are not in it."""

    commit: str
    tree: str
    incomplete: tuple[str, ...] = ()


@dataclass(frozen=True)
class Differs:
    """How a worktree differs from its commit.

    ``loaded`` are untracked files that the run has loaded, ``hidden`` tracked ones that differ and
    that Git was told not to look at.
    """

    status: Status
    loaded: Sequence[str] = ()
    hidden: Sequence[str] = ()


@dataclass
class Snapshots:
    """The snapshots of one process; the last one is made again only when something has changed."""

    _last: dict[str, tuple[object, int, Snapshot]] = field(default_factory=dict)

    def take(
        self, worktree: Worktree, differs: Differs, deadline: Deadline, *, kind: str, new: bool
    ) -> Snapshot | None:
        """Return the snapshot of what is there now; None when it is to be no ``new`` one.

        ``kind`` is the setting: ``code`` keeps untracked source files as well, ``tracked`` does
        not. Raises GitError, OSError, FullError: then there is no snapshot.
        """
        status = differs.status
        loaded = differs.loaded if kind == "code" else ()
        chosen = choose(worktree.toplevel, status.untracked, loaded, others=kind == "code")
        left = [*chosen.left, *differs.hidden, *status.inside]
        left += [] if kind == "code" else differs.loaded
        began = time.time_ns()
        unfit = {path for path in status.changed if not can_be_kept(worktree.toplevel, path)}
        left += unfit
        paths = [*(path for path in status.changed if path not in unfit), *chosen.paths]
        identity, newest = _identity(worktree, status.commit, paths)
        key = (kind, sorted(set(left)), identity)
        known = self._last.get(worktree.toplevel)
        same = known and known[0] == key and newest < known[1] - _SETTLED
        # A notebook lives long: its last snapshot may have been dropped since.
        if known and same and repository.is_kept(_home(worktree), known[2].commit):
            return known[2]
        if not new:
            return None
        made = _make(worktree, status.commit, paths, sorted(set(left)), deadline)
        self._last[worktree.toplevel] = (key, began, made)
        return made


def _identity(worktree: Worktree, commit: str | None, paths: Iterable[str]) -> tuple[object, int]:
    """Return what identifies the content of the paths, and the newest change among them, in ns.

    A folder is a submodule, whose commit no identity tells: it is as new as can be.
    """
    newest = 0
    keys: list[tuple[str, object]] = []
    for path in paths:
        try:
            info = os.lstat(os.path.join(worktree.toplevel, path))
        except OSError:
            keys.append((path, None))
            continue
        changed = time.time_ns() if stat.S_ISDIR(info.st_mode) else info.st_mtime_ns
        newest = max(newest, changed, info.st_ctime_ns)
        keys.append((path, (info.st_ino, info.st_size, info.st_mtime_ns, info.st_mode)))
    return (commit, stat_key(os.path.join(worktree.git_dir, "index")), keys), newest


def _make(
    worktree: Worktree, head: str | None, paths: Sequence[str], left: Sequence[str],
    deadline: Deadline,
) -> Snapshot:  # fmt: skip
    gone = [path for path in paths if _is_gone(worktree.toplevel, path)]
    add = sorted(set(paths) - set(gone))
    kept.require_time(worktree.toplevel, add, deadline)
    tree = repository.write_tree(worktree, add, gone, deadline.remaining())
    home = _home(worktree)
    commit = kept.known(home, head, tree)
    if commit is None or not repository.is_kept(home, commit):  # which may be gone by now
        date = repository.commit_date(worktree, head, deadline.remaining()) if head else "0 +0000"
        commit = repository.commit_tree(worktree, tree, head, date, deadline.remaining())
    if not repository.is_kept(home, commit):
        kept.require_room(home, deadline)
        if home != worktree.common_dir:
            repository.bring(home, worktree.common_dir, commit, deadline.remaining())
        repository.keep(home, commit, deadline.remaining())
        kept.note(home, (head or "-", tree, commit), worktree.toplevel, add)
    return Snapshot(commit, tree, tuple(left))


def _home(worktree: Worktree) -> str:
    """Return the Git folder that keeps the snapshot.

    `dvc exp run --temp` works in a clone below .dvc/tmp that it deletes: the repository that
    ``DVC_ROOT`` names stays.
    """
    root = os.environ.get("DVC_ROOT", "")
    parent = gitdir.find_worktree(root) if root and os.path.isdir(root) else None
    if parent is None or parent.common_dir == worktree.common_dir:
        return worktree.common_dir
    below = os.path.join(os.path.realpath(root), _EXPERIMENTS)
    inside = os.path.realpath(worktree.toplevel).startswith(below)
    return parent.common_dir if inside else worktree.common_dir


def _is_gone(toplevel: str, path: str) -> bool:
    """Tell whether there is no such file: deleted, or now beyond a link, or where a folder is."""
    full = os.path.join(toplevel, path)
    if not os.path.lexists(full):
        return True
    above = os.path.dirname(path)
    while above:
        if os.path.islink(os.path.join(toplevel, above)):
            return True
        above = os.path.dirname(above)
    is_folder = os.path.isdir(full) and not os.path.islink(full)
    return is_folder and not os.path.lexists(os.path.join(full, ".git"))
