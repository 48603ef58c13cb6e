"""The worktree's code as a Git tree, made beside the repository: nothing is written into it.

A copy of the index takes what differs from it on disk; new objects go into a folder of their own,
which Git finds through the variables in ``Tree.env``.
"""

from __future__ import annotations

import os
import posixpath
import shutil
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from mlflow_dvc_plugin.capture import codefiles
from mlflow_dvc_plugin.gitdir import Worktree
from mlflow_dvc_plugin.gitrepo import call_git, call_git_z

_PATIENCE = 300.0  # seconds: clean filters may run for each changed file
_LARGE = "too large to be compared"


@dataclass(frozen=True)
class Tree:
    """A tree's id, the variables with which Git finds it, and what of the code is not in it.

    ``left_out`` maps a path to the reason; ``untracked`` are those that Git does not track.
    """

    id: str
    env: Mapping[str, str] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    untracked: frozenset[str] = frozenset()


@dataclass(frozen=True)
class _Copy:
    """Git with a copy of the index, and its new objects in a folder beside the repository."""

    top: str
    options: tuple[str, ...]
    env: Mapping[str, str]

    def ask(self, *args: str) -> list[str]:
        return call_git_z(self.top, *self.options, *args, timeout=_PATIENCE, env=self.env)

    def update(self, *args: str, paths: Iterable[str]) -> None:
        names = b"".join(os.fsencode(path) + b"\0" for path in paths)
        if names:
            command = ("update-index", "-z", *args, "--stdin")
            call_git(self.top, *self.options, *command, stdin=names, timeout=_PATIENCE,
                     env=self.env)  # fmt: skip

    def write(self) -> str:
        out = call_git(self.top, *self.options, "write-tree", timeout=_PATIENCE, env=self.env)
        return out.decode().strip()


@contextmanager
def worktree_tree(worktree: Worktree, known: Collection[str] = ()) -> Iterator[Tree]:
    """Yield the tree of the code on disk now: tracked files, and untracked ones that are code.

    ``known`` are paths that count in any case, also when Git ignores them: those of the tree this
    one is compared with. Raises GitError.
    """
    with tempfile.TemporaryDirectory(prefix="mlflow-dvc-") as folder:
        copy = _Copy(worktree.toplevel, _options(folder), _beside(worktree, folder))
        tracked = _reveal(copy)
        left_out, untracked = _add(copy, tracked, known)
        tree = copy.write()
        # Not diff-files: it takes a file that was only touched for changed.
        unlike = copy.ask("-c", "diff.autoRefreshIndex=true", "diff", "-z", "--name-only",
                          "--no-ext-diff", "--no-relative",
                          "--ignore-submodules=untracked")  # fmt: skip
        left_out.update(dict.fromkeys(unlike, "it holds changes of its own"))
        yield Tree(tree, copy.env, left_out, untracked)


def _reveal(copy: _Copy) -> set[str]:
    """Take the flags away that hide files from Git; return every tracked path."""
    tagged = copy.ask("ls-files", "-z", "-v")
    hidden = [line[2:] for line in tagged if line[0] == "S" or line[0].islower()]
    hidden = [path for path in hidden if _on_disk(copy.top, path)]
    for flag in ("--no-assume-unchanged", "--no-skip-worktree"):
        copy.update(flag, paths=hidden)
    return {line[2:] for line in tagged}


def _add(
    copy: _Copy, tracked: Collection[str], known: Collection[str]
) -> tuple[dict[str, str], frozenset[str]]:
    """Put what is on disk into the index; return what is left out, and what was not tracked."""
    top = copy.top
    changed = set(copy.ask("ls-files", "-z", "-m", "-d"))
    gone = {path for path in changed if not _on_disk(top, path)}
    wanted = {path for path in known if path not in tracked and _is_file(top, path)}
    left_out = {path: _LARGE for path in wanted if _size(top, path) > codefiles.MOST}
    others = copy.ask("ls-files", "-z", "-o", "--exclude-standard")
    untracked = [path for path in others if path not in wanted and _is_file(top, path)]
    chosen, left = codefiles.choose(top, untracked, (), others=True)  # as for a snapshot
    left_out.update(dict.fromkeys(left, _LARGE))
    copy.update("--force-remove", paths=gone)
    added = [*sorted(changed - gone), *sorted(wanted - left_out.keys()), *chosen]
    copy.update("--add", "--remove", "--replace", paths=added)
    return left_out, frozenset({*wanted, *chosen})


def _beside(worktree: Worktree, folder: str) -> dict[str, str]:
    """Copy the index into ``folder``; return the variables that make Git write there only."""
    index = os.path.join(folder, "index")
    source = os.path.join(worktree.git_dir, "index")
    if os.path.exists(source):
        shutil.copy2(source, index)
    objects = os.path.join(folder, "objects")
    os.mkdir(objects)
    os.mkdir(os.path.join(folder, "hooks"))
    real = os.path.join(worktree.common_dir, "objects")
    quoted = real.replace("\\", "\\\\").replace('"', '\\"')
    return {
        "GIT_INDEX_FILE": index,
        "GIT_OBJECT_DIRECTORY": objects,
        "GIT_ALTERNATE_OBJECT_DIRECTORIES": f'"{quoted}"',
    }


def _options(folder: str) -> tuple[str, ...]:
    return (
        "-c", f"core.hooksPath={os.path.join(folder, 'hooks')}",  # no post-index-change
        "-c", "core.splitIndex=false",  # its shared part would lie in the repository
        "-c", "core.fsmonitor=false", "-c", "core.safecrlf=false",
    )  # fmt: skip


def _on_disk(toplevel: str, path: str) -> bool:
    """Tell whether Git would find something there: not behind a link."""
    return os.path.lexists(os.path.join(toplevel, path)) and not _behind_link(toplevel, path)


def _is_file(toplevel: str, path: str) -> bool:
    full = os.path.join(toplevel, path)
    return (os.path.isfile(full) or os.path.islink(full)) and not _behind_link(toplevel, path)


def _behind_link(toplevel: str, path: str) -> bool:
    folder = posixpath.dirname(path)
    while folder:
        if os.path.islink(os.path.join(toplevel, folder)):
            return True
        folder = posixpath.dirname(folder)
    return False


def _size(toplevel: str, path: str) -> int:
    return os.lstat(os.path.join(toplevel, path)).st_size
