"""The worktree's code as a Git tree, made beside the repository: nothing is written into it.

A copy of the index takes what differs from it on disk; new objects go into a folder of their own,
which Git finds through the variables in ``Tree.env``.
"""

from __future__ import annotations

import fnmatch
import os
import posixpath
import shutil
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from mlflow_dvc_plugin.gitdir import Worktree
from mlflow_dvc_plugin.gitrepo import call_git, call_git_z

_PATIENCE = 300.0  # seconds: clean filters may run for each changed file
_MAX_FILE, _MAX_ALL = 1 << 20, 10 << 20  # bytes of untracked code
_CODE = frozenset({
    ".bash", ".c", ".cc", ".cfg", ".cmake", ".conf", ".cpp", ".cu", ".cuh", ".dvc", ".go", ".h",
    ".hpp", ".ini", ".ipynb", ".java", ".jl", ".js", ".json", ".jsonnet", ".kt", ".lock", ".lua",
    ".m", ".pl", ".proto", ".pxd", ".py", ".pyi", ".pyx", ".r", ".rb", ".rs", ".scala", ".sh",
    ".sql", ".swift", ".toml", ".ts", ".yaml", ".yml",
})  # fmt: skip
_CODE_NAMES = frozenset({"dockerfile", "makefile", "requirements.txt", ".gitignore", ".dvcignore"})
_SECRET = (".env*", "*.pem", "*credential*", "id_*")
_MLFLOW = frozenset({"mlruns", "mlartifacts"})


@dataclass(frozen=True)
class Tree:
    """A tree's id, the variables with which Git finds it, and what of the code is not in it."""

    id: str
    env: Mapping[str, str] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()


@contextmanager
def worktree_tree(worktree: Worktree, known: Collection[str] = ()) -> Iterator[Tree]:
    """Yield the tree of the code on disk now: tracked files, and untracked ones that are code.

    ``known`` are paths that count in any case, also when Git ignores them: those of the tree this
    one is compared with. Raises GitError.
    """
    with tempfile.TemporaryDirectory(prefix="mlflow-dvc-") as folder:
        env = _beside(worktree, folder)
        options = _options(folder)
        top = worktree.toplevel

        def git(*args: str, paths: Iterable[str] = ()) -> bytes:
            names = b"".join(os.fsencode(path) + b"\0" for path in paths)
            return call_git(top, *options, *args, stdin=names, timeout=_PATIENCE, env=env)

        tagged = call_git_z(top, *options, "ls-files", "-z", "-v", timeout=_PATIENCE, env=env)
        tracked = {line[2:] for line in tagged}
        hidden = [line[2:] for line in tagged if line[0] == "S" or line[0].islower()]
        hidden = [path for path in hidden if _on_disk(top, path)]
        for flag in ("--no-assume-unchanged", "--no-skip-worktree") if hidden else ():
            git("update-index", flag, "-z", "--stdin", paths=hidden)
        command = ("ls-files", "-z", "-m", "-d")
        changed = set(call_git_z(top, *options, *command, timeout=_PATIENCE, env=env))
        gone = [path for path in changed if not _on_disk(top, path)]
        there = sorted(changed.difference(gone))
        command = ("ls-files", "-z", "-o", "--exclude-standard")
        others = call_git_z(top, *options, *command, timeout=_PATIENCE, env=env)
        wanted = {path for path in known if path not in tracked and _is_file(top, path)}
        chosen, left_out = _code(top, (path for path in others if path not in wanted))
        git("update-index", "-z", "--force-remove", "--stdin", paths=gone)
        git("update-index", "-z", "--add", "--remove", "--replace", "--stdin",
            paths=[*there, *sorted(wanted), *chosen])  # fmt: skip
        yield Tree(git("write-tree").decode().strip(), env, tuple(left_out))


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


def _code(toplevel: str, untracked: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return which untracked files are code, and which of them are too large to be taken."""
    chosen, left_out, total = [], [], 0
    for path in sorted(untracked):
        if not _is_code(path) or not _is_file(toplevel, path):
            continue
        size = os.lstat(os.path.join(toplevel, path)).st_size
        if size > _MAX_FILE or total + size > _MAX_ALL:
            left_out.append(path)
            continue
        total += size
        chosen.append(path)
    return chosen, left_out


def _is_code(path: str) -> bool:
    *folders, name = path.lower().split("/")
    if _MLFLOW.intersection(folders) or any(fnmatch.fnmatchcase(name, one) for one in _SECRET):
        return False
    return name in _CODE_NAMES or posixpath.splitext(name)[1] in _CODE
